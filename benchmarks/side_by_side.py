"""Draw the levels next to recorded frames of the real DeepMind Lab, and one alone.

    python -m benchmarks.side_by_side [REFERENCE] [--out FOLDER]

REFERENCE is a folder with frames/<level>_320x240_tNNN.png and .._96x72_tNNN.png, recorded in trace
tests/data/<level>_seed7003_sticky.npz after NNN agent steps; rooms_watermaze is DeepMind Lab's name
of room_watermaze. Without it, only docs/images/room_watermaze.png is drawn. The frames have
DeepMind Lab's status display, labsim has none; what moves (items, bots, doors) is where an episode
begins.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from envs.config import LEVELS
from envs.labsim.levels.room_watermaze_pictures import LANDMARKS
from envs.labsim.levels.room_watermaze_scene import WALL_FACES, build_scene
from envs.labsim.raycaster import render_slice
from envs.labsim.vector_env import LabsimVectorEnv
from envs.labsim.world import EYE

ROOT = Path(__file__).parent.parent
DATA = ROOT / "tests" / "data"
STEPS = (0, 40, 100, 200, 260)
LATER_STEPS = STEPS[1:]  # the first frame of other levels shows effects of the spawn
SIZES = ((320, 240), (96, 72))
# After a spawn inside the water slab DeepMind Lab lifts the eye gradually, while the player is up
FIRST_FRAME_DROP = 19.7  # at once
GAP, HEADER = 6, 22
VIEWS = ((-430, 250, 190), (250, -160, 10), (60, -330, 75), (380, 470, 20))  # x, y, yaw


def main() -> None:
    """Write docs/images/room_watermaze.png and, given recordings, the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("reference", nargs="?", type=Path, help="folder of the recordings")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    args = parser.parse_args()
    room_picture().save(args.out / "room_watermaze.png", optimize=True)
    if args.reference:
        compare(args.reference).save(args.out / "room_watermaze_side_by_side.png", optimize=True)
        for level in LEVELS[1:]:
            path = args.out / f"{level}_side_by_side.png"
            compare_level(args.reference, level).save(path, optimize=True)


def recorded_cameras(trace: Path, steps: Sequence[int] = STEPS) -> NDArray[np.float64]:
    """Eye x, y, z and yaw in degrees of the recorded frames: [len(steps), 4]."""
    with np.load(trace) as arrays:
        cameras = [[*arrays["pos"][t], arrays["rot"][t, 1]] for t in steps]
    return np.array(cameras) + np.array([0.0, 0.0, EYE, 0.0])


def compare_level(reference: Path, level: str) -> Image.Image:
    """DeepMind Lab above labsim in the same map, in the agent's size (x 3)."""
    cameras = recorded_cameras(DATA / f"{level}_seed7003_sticky.npz", LATER_STEPS)
    env = LabsimVectorEnv(level, 1)
    env.reset(seed=7003)
    sheet = Image.new("RGB", (len(cameras) * (288 + GAP) - GAP, 2 * (HEADER + 216)), "white")
    for column, (step, camera) in enumerate(zip(LATER_STEPS, cameras, strict=True)):
        drawn = np.zeros((1, 72, 96, 3), np.uint8)
        render_slice(env.level.scene, camera[None], np.zeros(1, np.int64), drawn, 0, 1)
        path = reference / "frames" / f"{level}_96x72_t{step:03d}.png"
        for row, (title, image) in enumerate(
            (
                ("DeepMind Lab", Image.open(path).convert("RGB")),
                ("labsim", Image.fromarray(drawn[0])),
            )
        ):
            left, top = column * (288 + GAP), row * (HEADER + 216)
            title = f"{title}, after {step} steps"
            ImageDraw.Draw(sheet).text((left + 4, top + 3), title, fill="black", font_size=14)
            sheet.paste(image.resize((288, 216), Image.Resampling.NEAREST), (left, top + HEADER))
    env.close()
    return sheet


def draw(cameras: NDArray[np.float64], width: int, height: int) -> NDArray[np.uint8]:
    """Draw what cameras [B, 4] see of the room: [B, height, width, 3]."""
    images = np.zeros((len(cameras), height, width, 3), np.uint8)
    clock = np.zeros(len(cameras), np.int64)
    render_slice(build_scene(len(cameras)), cameras, clock, images, 0, len(cameras))
    return images


def compare(reference: Path) -> Image.Image:
    """One row per recorded frame: DeepMind Lab and labsim, large and in the agent's size (x 3)."""
    cameras = recorded_cameras(DATA / "rooms_watermaze_seed7003_sticky.npz")
    cameras[0, 2] -= FIRST_FRAME_DROP
    columns: list[tuple[str, list[Image.Image]]] = []
    for width, height in SIZES:
        scale = 1 if width == 320 else 3
        shown = (width * scale, height * scale)
        name = f"rooms_watermaze_{width}x{height}"
        paths = [reference / "frames" / f"{name}_t{step:03d}.png" for step in STEPS]
        recorded = [Image.open(path).convert("RGB") for path in paths]
        drawn = [Image.fromarray(image) for image in draw(cameras, width, height)]
        for title, images in (("DeepMind Lab", recorded), ("labsim", drawn)):
            large = [image.resize(shown, Image.Resampling.NEAREST) for image in images]
            columns.append((f"{title}, {width} x {height}", large))
    sheet_width = sum(images[0].width + GAP for _, images in columns) - GAP
    row_height = SIZES[0][1] + GAP
    sheet = Image.new("RGB", (sheet_width, HEADER + len(STEPS) * row_height - GAP), "white")
    left = 0
    for title, images in columns:
        ImageDraw.Draw(sheet).text((left + 4, 3), title, fill="black", font_size=14)
        for row, image in enumerate(images):
            sheet.paste(image, (left, HEADER + row * row_height))
        left += images[0].width + GAP
    return sheet


def room_picture() -> Image.Image:
    """A map of the room and four of an agent's observations (x 3)."""
    cameras = np.array([[x, y, 66.0, yaw] for x, y, yaw in VIEWS], np.float64)
    views = [Image.fromarray(image).resize((288, 216), Image.Resampling.NEAREST)
             for image in draw(cameras, 96, 72)]  # fmt: skip
    side = 2 * 216 + GAP
    sheet = Image.new("RGB", (side + 2 * (288 + GAP), side), "white")
    sheet.paste(room_map(cameras, side), (0, 0))
    for k, view in enumerate(views):
        ImageDraw.Draw(view).text(
            (6, 4), "ABCD"[k], fill="white", font_size=18, stroke_width=2, stroke_fill="black"
        )
        sheet.paste(view, (side + GAP + (k % 2) * (288 + GAP), (k // 2) * (216 + GAP)))
    return sheet


def room_map(cameras: NDArray[np.float64], side: int) -> Image.Image:
    """The room from above with its landmarks, a hidden platform and the cameras' fields of view."""
    scale = side / 2 / 830.0

    def pixels(points: NDArray[np.float64]) -> list[tuple[float, float]]:
        return [(side / 2 + x * scale, side / 2 - y * scale) for x, y in points]

    sheet = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(sheet)
    draw.polygon(pixels(WALL_FACES[:, 0]), fill=(74, 138, 200), outline=(24, 84, 140), width=4)
    for (_, colour), (left, right) in zip(LANDMARKS, WALL_FACES[::2], strict=True):
        middle, half = 0.5 * (left + right), 0.29 * (right - left)
        draw.line(pixels(np.stack([middle - half, middle + half])), fill=colour, width=9)
    turns = np.radians(22.5 + 45.0 * np.arange(8))
    platform = np.array([-194.0, 76.0]) + 69.3 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    draw.polygon(pixels(platform), outline=(240, 240, 240), width=2)
    for name, (x, y, _, yaw) in zip("ABCD", cameras, strict=True):
        turns = np.radians(yaw + np.array([-45.0, 45.0]))
        ends = np.array([x, y]) + 130.0 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        start = np.array([[x, y]])
        draw.polygon(pixels(np.concatenate([start, ends])), fill=(255, 235, 150))
        draw.text(pixels(start)[0], name, fill="black", font_size=16, anchor="mm")
    return sheet


if __name__ == "__main__":
    main()
