"""Speed of environments with pictures, on one core, with random actions."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import NamedTuple

import gymnasium
import numpy as np

from benchmarks.peers.setting import Size, make_envs
from envs import FRAMES_PER_STEP  # importing envs registers labsim's levels

# Agent steps per CPU second of rooms_watermaze, 72 x 96, action repeat 4, software rendering:
# recorded together with tests/data (see the README there).
RECORDED_DEEPMIND_LAB = 922
BATCH = 32


class Environment(NamedTuple):
    """An environment that can be compared."""

    label: str
    image: str  # height x width
    frames_per_step: int
    needs: str | None  # what to install, beside this project
    build: Callable[[], tuple[Callable[[int], None], Callable[[], None]]]  # step n times; close


def build_labsim_batch() -> tuple[Callable[[int], None], Callable[[], None]]:
    """A batch of 32, stepped by one thread; n counts the steps of all."""
    batch = make_envs(Size(threads=1, num_envs=BATCH))
    obs = np.zeros((BATCH, *batch.single_observation_space.shape), np.uint8)
    batch.reset_into(range(BATCH), obs)
    rng = np.random.default_rng(0)

    def step(n: int) -> None:
        for _ in range(max(1, n // BATCH)):
            batch.step_into(rng.integers(batch.single_action_space.n, size=BATCH), obs)

    return step, batch.close


def build_labsim() -> tuple[Callable[[int], None], Callable[[], None]]:
    """One environment through Gymnasium."""
    return _from_gymnasium(gymnasium.make("labsim/room_watermaze-v0"))


def build_miniworld() -> tuple[Callable[[int], None], Callable[[], None]]:
    """Its one room; OpenGL without a window, drawn by the processor in one thread."""
    os.environ.setdefault("LP_NUM_THREADS", "0")
    import pyglet

    pyglet.options["headless"] = True
    import miniworld  # noqa: F401 - registers its environments

    return _from_gymnasium(gymnasium.make("MiniWorld-OneRoom-v0", obs_width=96, obs_height=72))


def build_vizdoom() -> tuple[Callable[[int], None], Callable[[], None]]:
    """The scenario "basic" as it comes, in the smallest picture; the game is another process."""
    import vizdoom

    folder = tempfile.TemporaryDirectory()  # for the settings that the game saves
    game = vizdoom.DoomGame()
    game.set_doom_config_path(os.path.join(folder.name, "vizdoom.ini"))
    game.load_config(os.path.join(vizdoom.scenarios_path, "basic.cfg"))
    game.set_window_visible(False)
    game.set_screen_resolution(vizdoom.ScreenResolution.RES_160X120)
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_seed(1)
    game.init()
    buttons = np.eye(game.get_available_buttons_size()).tolist()
    rng = np.random.default_rng(0)

    def step(n: int) -> None:
        for _ in range(n):
            if game.is_episode_finished():
                game.new_episode()
            game.make_action(buttons[rng.integers(len(buttons))], FRAMES_PER_STEP)
            if not game.is_episode_finished():
                game.get_state().screen_buffer.copy()

    def close() -> None:
        game.close()
        folder.cleanup()

    return step, close


def _from_gymnasium(
    env: gymnasium.Env,
) -> tuple[Callable[[int], None], Callable[[], None]]:
    env.reset(seed=1)
    env.action_space.seed(1)

    def step(n: int) -> None:
        for _ in range(n):
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                env.reset()

    return step, env.close


ENVIRONMENTS = {
    "labsim": Environment(
        "labsim, room_watermaze, batch of 32", "72 x 96", FRAMES_PER_STEP, None, build_labsim_batch
    ),
    "labsim_single": Environment(
        "labsim, room_watermaze, one environment", "72 x 96", FRAMES_PER_STEP, None, build_labsim
    ),
    "vizdoom": Environment(
        "ViZDoom, basic, one environment",
        "120 x 160",
        FRAMES_PER_STEP,
        "pip install vizdoom",
        build_vizdoom,
    ),
    "miniworld": Environment(
        "MiniWorld, OneRoom, one environment",
        "72 x 96",
        1,
        "pip install miniworld; Debian packages libegl1 and libglu1-mesa",
        build_miniworld,
    ),
}


def measure(built: dict[str, Callable[[int], None]], blocks: int, steps: int) -> dict[str, float]:
    """Agent steps per second of each, median over alternating blocks."""
    speeds: dict[str, list[float]] = {name: [] for name in built}
    for block in range(blocks + 1):
        for name, step in built.items():
            start = time.perf_counter()
            step(steps)
            if block > 0:  # the first block compiles, and fills caches
                speeds[name].append(steps / (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in speeds.items()}
