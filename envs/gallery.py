"""Draw contact sheets: what the levels and the objects in them look like.

    python -m envs.gallery [level ...] [--out DIR]

Writes DIR/gallery_<level>.png for each level given, or for all. A sheet shows views of players who
walked at random, from several seeds; worlds from above; and each kind of object, alone on the
level's floor, from usual distances and, unless it looks the same all around, from eight sides.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from envs import EnvConfig, first_wait
from envs.actions import ACTION_NAMES
from envs.config import HEIGHT, LEVELS, WIDTH, canonical_level
from envs.frame_rate import STEPS_PER_SECOND
from envs.labsim.raycaster import render_slice
from envs.labsim.scene import (
    NONE,
    THING_X,
    THING_Y,
    THING_YAW,
    Scene,
)
from envs.labsim.vector_env import LabsimVectorEnv
from records.failures import sentence
from records.whole_files import replaced_when_complete

WORLDS = 8  # one seed each
STEPS_BETWEEN = 25  # random agent steps between two rows of views
VIEW_ROWS = 3
ZOOM = 2  # of views; top-down pictures are as high as views
DISTANCES = (60.0, 80.0, 120.0, 160.0, 240.0, 320.0, 480.0, 640.0)  # units from eye to object
SIDES = 8  # from which an object is seen ..
SIDE_DISTANCE = 150.0  # .. and from how far
EYE_HEIGHT = 50.125
GAP, LABEL = 4, 18  # pixels between pictures, and for a line of text
PAPER, INK = (245, 245, 242), (30, 30, 30)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the sheets that the command line asks for, and print their paths."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("levels", nargs="*", metavar="level", help="all levels if none is given")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the pictures")
    options = parser.parse_args(arguments)
    try:
        levels = [canonical_level(level) for level in options.levels or LEVELS]
    except ValueError as error:
        parser.error(str(error))
    print(f"{first_wait(EnvConfig(levels[0])).capitalize()} ...", flush=True)
    for level in levels:
        path = options.out / f"gallery_{level}.png"
        try:
            options.out.mkdir(parents=True, exist_ok=True)
            save(contact_sheet(level), path)
        except OSError as error:
            parser.error(f"--out {options.out}: {sentence(error)}")
        print(path, flush=True)


def contact_sheet(level: str) -> NDArray[np.uint8]:
    """Draw the sheet of one level: u8 [H, W, 3]."""
    env = LabsimVectorEnv(level, WORLDS)
    rng = np.random.default_rng(0)
    views, _ = env.reset(seed=0)
    rows = []
    for shot in range(VIEW_ROWS):
        seconds = shot * STEPS_BETWEEN / STEPS_PER_SECOND
        rows.append(_row(f"{level} after {seconds:.1f} s", [_enlarge(view) for view in views]))
        for _ in range(STEPS_BETWEEN):
            views, *_ = env.step(rng.integers(0, len(ACTION_NAMES), WORLDS))
    rows.append(_row("from above", [env.get_top_down(i) for i in range(WORLDS)]))
    for scene, name in _objects(env.level.scene):
        pictures = [_view(scene, distance, 0.0) for distance in DISTANCES]
        far = ", ".join(f"{distance:.0f}" for distance in DISTANCES)
        rows.append(_row(f"{name} from {far} units", pictures))
        if scene.thing_views[0, 0] > 1:
            pictures = [_view(scene, SIDE_DISTANCE, 360.0 * k / SIDES) for k in range(SIDES)]
            rows.append(_row(f"{name} from its front, its left and so on", pictures))
    env.close()
    return np.concatenate(rows)


def save(picture: NDArray[np.uint8], path: Path) -> None:
    """Write a PNG file that is complete as soon as it has its name."""
    with replaced_when_complete(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


def _objects(scene: Scene) -> list[tuple[Scene, str]]:
    """Worlds with one object each, one for every picture that a thing of the scene shows."""
    found: dict[int, tuple[int, int]] = {}
    for i, k in np.argwhere(scene.thing_texture != NONE).tolist():
        found.setdefault(int(scene.thing_texture[i, k]), (i, k))
    return [(_alone(scene, i, k), f"object {texture}") for texture, (i, k) in sorted(found.items())]


def _alone(scene: Scene, i: int, k: int) -> Scene:
    """World i with nothing but its floor, its sky and thing k, at the origin and facing east."""
    shared = ("texels", "mips")
    arrays: dict[str, NDArray[Any]] = {
        name: array if name in shared else array[i : i + 1].copy()
        for name, array in scene._asdict().items()
    }
    world = Scene(**arrays)
    floor = world.floor_texture.max()
    thing = world.things[:, k : k + 1]
    thing[..., THING_X], thing[..., THING_Y], thing[..., THING_YAW] = 0.0, 0.0, 0.0
    return world._replace(
        grid=np.array([[-1e4, -1e4, 2e4]], np.float32),
        solid=np.zeros((1, 1, 1), np.bool_),
        wall_texture=np.full((1, 1, 1), NONE, np.int32),
        floor_texture=np.full((1, 1, 1), floor, np.int32),
        segments=np.zeros((1, 0, 10), np.float32),
        segment_texture=np.zeros((1, 0), np.int32),
        things=thing,
        thing_texture=world.thing_texture[:, k : k + 1],
        thing_views=world.thing_views[:, k : k + 1],
    )


def _view(scene: Scene, distance: float, bearing: float) -> NDArray[np.uint8]:
    """What is at the origin, seen from a side (degrees), enlarged."""
    angle = np.radians(bearing)
    x, y = distance * np.cos(angle), distance * np.sin(angle)
    eye = float(scene.floor_z[0]) + EYE_HEIGHT
    view = np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)
    camera = np.array([[x, y, eye, bearing + 180.0]])
    render_slice(scene, camera, np.zeros(1, np.int64), view, 0, 1)
    return _enlarge(view[0])


def _enlarge(view: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return view.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)


def _row(label: str, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """A line of text above up to WORLDS pictures: u8 [H, W, 3], as wide as any other row."""
    cell = WIDTH * ZOOM + GAP
    height = LABEL + HEIGHT * ZOOM + GAP
    sheet = Image.new("RGB", (cell * WORLDS + GAP, height), PAPER)
    ImageDraw.Draw(sheet).text((GAP, GAP), label, fill=INK)
    for k, picture in enumerate(pictures):
        sheet.paste(Image.fromarray(picture), (GAP + k * cell, LABEL))
    return np.asarray(sheet)


if __name__ == "__main__":
    main()
