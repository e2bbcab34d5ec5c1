"""labsim against MiniWorld: how far their depths agree, how fast MiniWorld draws, and pictures.

    python -m benchmarks.miniworld [--out FOLDER]

Prints, for each level, the absolute difference of depths from equal poses over all pixels that show
walls, and agent steps per second of one environment in one process. Writes
FOLDER/<level>_miniworld.png, labsim's views above MiniWorld's.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from envs.actions import IMPALA_ACTIONS
from envs.config import HEIGHT, LEVELS, WIDTH
from envs.labsim.scene import NONE, Scene
from envs.labsim.vector_env import LabsimVectorEnv
from envs.labsim.visible_walls import (
    BOTTOM,
    FIELDS,
    TOP,
    View,
    enter_grid,
    enter_segments,
    sort_entries,
)
from envs.miniworld.env import MiniworldEnv, MiniworldVectorEnv

ROOT = Path(__file__).parent.parent
SEEDS, SHOTS = 7, 5  # poses for depths: from so many episodes, and so many of each
STEPS_BETWEEN = 20  # random agent steps between two of them
SPEED_STEPS = 1000
GAP, HEADER, ZOOM = 6, 22, 3
VIEWS = {  # seeds of episodes, and steps of their walks, at which a level shows what it has
    "room_watermaze": ((0, 80), (1, 50), (8, 60), (6, 0)),
    "explore_goal_locations_small": ((1, 20), (4, 40), (22, 40), (26, 0)),
    "seekavoid_arena_01": ((4, 30), (6, 10), (5, 0), (0, 80)),
    "lasertag_three_opponents_small": ((2, 30), (0, 70), (6, 10), (9, 0)),
    "rooms_keys_doors_puzzle": ((17, 0), (4, 0), (8, 60), (10, 20)),
}
HOLD = 5  # steps for which these walks hold an action, drawn from ..
WALK = (0, 0, 4, 5, 6, 7)  # .. forward twice, and turns on the spot and while walking


def main() -> None:
    """Print the table and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    out = parser.parse_args().out
    names = ("wall pixels", "median", "99.9 %", "worst", "off by > 1", "steps/s", "CPU ms/step")
    print(f"{'':28}", *(f"{name:>12}" for name in names))
    for level in LEVELS:
        errors = depth_errors(level, range(SEEDS), SHOTS)
        speed, cpu_ms = step_speed(level)
        print(
            f"{level:28} {len(errors):12} {np.median(errors):12.5f}"
            f" {np.quantile(errors, 0.999):12.4f} {errors.max():12.2f}"
            f" {np.count_nonzero(errors > 1.0):12} {speed:12.0f} {cpu_ms:12.2f}",
            flush=True,
        )
        side_by_side(level).save(out / f"{level}_miniworld.png", optimize=True)


def depth_errors(level: str, seeds: range, shots: int) -> NDArray[np.float64]:
    """Absolute differences of depths in units, of all pixels in which labsim sees a wall, [N].

    Poses are those of an agent who acts at random, some shots in an episode of each seed.
    """
    env = MiniworldVectorEnv(level)
    rng = np.random.default_rng(0)
    errors = []
    for seed in seeds:
        env.reset(seed=seed)
        for _ in range(shots):
            for _ in range(STEPS_BETWEEN):
                env.step(rng.integers(0, len(IMPALA_ACTIONS), 1))
            things = env.level.scene.thing_texture
            shown = things.copy()
            things[:] = NONE  # labsim's pictures of things have another shape
            drawn, expected = env.depths(), wall_depths(env.level.scene, env.camera())
            things[:] = shown
            errors.append(np.abs(drawn - expected)[np.isfinite(expected)])
    env.close()
    return np.concatenate(errors)


def wall_depths(scene: Scene, camera: NDArray[np.float64]) -> NDArray[np.float64]:
    """Depths of the walls that labsim's raycaster finds in the first world, f64 [HEIGHT, WIDTH].

    Infinite where it finds none. camera: eye x, y, z and yaw in degrees.
    """
    x, y, z, yaw = camera.tolist()
    view = View(x, y, z, np.cos(np.radians(yaw)), np.sin(np.radians(yaw)))
    segments, things = scene.segments.shape[1], scene.things.shape[1]
    table = np.empty((segments + things + WIDTH, FIELDS))
    count = np.zeros(WIDTH, np.int64)
    entries = np.empty((WIDTH, segments + things + 1, 2))
    enter_segments(scene.segments[0], scene.segment_texture[0], view, table, count, entries)
    if scene.solid[0].size > 1:
        enter_grid(
            scene.solid[0], scene.wall_texture[0], scene.grid[0], scene.wall_z[0], view,
            segments + things, table, count, entries,
        )  # fmt: skip
    sort_entries(count, entries)
    depths = np.full((HEIGHT, WIDTH), np.inf)
    for column in range(WIDTH):
        for depth, surface in entries[column, : count[column]]:  # from far to near
            edges = 0.5 * HEIGHT - (table[int(surface), [TOP, BOTTOM]] - z) * 0.5 * WIDTH / depth
            top, bottom = np.ceil(np.clip(edges, 0.0, HEIGHT) - 0.5).astype(int)
            depths[top:bottom, column] = depth
    return depths


def step_speed(level: str) -> tuple[float, float]:
    """Agent steps a second, and milliseconds of processor time a step, of one environment."""
    env = MiniworldEnv(level)
    rng = np.random.default_rng(0)
    actions = rng.integers(0, len(IMPALA_ACTIONS), SPEED_STEPS)
    for measured in (actions[: SPEED_STEPS // 10], actions):  # the first ones load what is seen
        env.reset(seed=0)
        start, start_cpu = time.perf_counter(), time.process_time()
        for action in measured:
            if any(env.step(action)[2:4]):
                env.reset()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
    env.close()
    return SPEED_STEPS / seconds, 1000.0 * cpu_seconds / SPEED_STEPS


def side_by_side(level: str) -> Image.Image:
    """The same moments of the same episodes: labsim above, MiniWorld below."""
    column = WIDTH * ZOOM + GAP
    row = HEADER + HEIGHT * ZOOM
    sheet = Image.new("RGB", (column * len(VIEWS[level]) - GAP, 2 * row), "white")
    for y, (title, env) in enumerate(
        (("labsim", LabsimVectorEnv(level)), ("MiniWorld", MiniworldVectorEnv(level)))
    ):
        for x, (seed, steps) in enumerate(VIEWS[level]):
            view = Image.fromarray(_walk(env, seed, steps))
            large = view.resize((WIDTH * ZOOM, HEIGHT * ZOOM), Image.Resampling.NEAREST)
            sheet.paste(large, (x * column, y * row + HEADER))
            label = f"{title}, seed {seed}, after {steps} steps"
            ImageDraw.Draw(sheet).text(
                (x * column + 4, y * row + 3), label, fill="black", font_size=14
            )
        env.close()
    return sheet


def _walk(env: LabsimVectorEnv, seed: int, steps: int) -> NDArray[np.uint8]:
    """What a player sees who walks at random: u8 [HEIGHT, WIDTH, 3]."""
    rng = np.random.default_rng(seed)
    obs, _ = env.reset(seed=seed)
    for step in range(steps):
        if step % HOLD == 0:
            action = rng.choice(WALK)
        obs, *_ = env.step(np.array([action]))
    return obs[0]


if __name__ == "__main__":
    main()
