"""Compare labsim's room_watermaze with recordings of the real DeepMind Lab.

    python -m benchmarks.fidelity [--json] [--episodes N]

Replays recorded actions from every recorded row, checks when a recorded visit to the platform pays,
and plays two policies that need no pixels against their recorded returns. Nothing is rendered.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.actions import ACTION_NAMES, FIRE, IMPALA_ACTIONS, LOOK, MOVE, STRAFE
from envs.labsim.levels.room_watermaze import (
    EPISODE_STEPS,
    PLATFORM_RADIUS,
    STANDING_Z,
    RoomWatermaze,
)
from envs.labsim.world import StepOut

DATA = Path(__file__).parent.parent / "tests" / "data"
TRACES = ("rooms_watermaze_seed7001_uniform", "rooms_watermaze_seed7003_sticky")
RECORDED_TARGET = (-194.19, 76.42)  # where the recorded visit of seed 7003 held the player
FORWARD, LOOK_LEFT, LOOK_RIGHT = 0, 4, 5

Policy = Callable[[NDArray[np.float64]], NDArray[np.int64]]  # units covered [B] -> actions [B]


class Rules:
    """room_watermaze without pictures, in a batch of B environments."""

    def __init__(self, num_envs: int, seed: int = 0) -> None:
        self.level = RoomWatermaze(num_envs)
        for i in range(num_envs):
            self.level.seed(i, seed + i)
            self.level.begin(i)
        self.out = StepOut.allocate(num_envs)

    def step(self, actions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Take one agent step; return the rewards [B], overwritten by the next step."""
        raw = IMPALA_ACTIONS[actions][:, (LOOK, STRAFE, MOVE, FIRE)]
        self.level.step(raw, self.out, 0, len(actions))
        return self.out.reward

    def place(self, xy: NDArray, yaw_deg: NDArray, body_velocity: NDArray) -> None:
        """Put the players at xy [B, 2] with DeepMind Lab's yaw [B] and velocity [B, 2]."""
        cos, sin = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
        ahead, left = body_velocity.T
        velocity = np.stack([ahead * cos - left * sin, ahead * sin + left * cos], axis=1)
        for i, (point, yaw) in enumerate(zip(xy, yaw_deg, strict=True)):
            self.level.place(i, np.array([*point, yaw]), velocity[i])

    def xy(self) -> NDArray[np.float64]:
        """Where the players are, [B, 2]."""
        return np.stack([self.level.players["x"], self.level.players["y"]], axis=1)


class ReplayErrors(NamedTuple):
    """What labsim missed after replaying some agent steps from every row that allows it."""

    distance: NDArray[np.float64]  # [N] units in the plane
    yaw: NDArray[np.float64]  # [N] degrees


def replay(name: str, steps: int) -> ReplayErrors:
    """Replay `steps` recorded actions from each row whose whole path is free of walls.

    Free means: farther from every wall than a player comes in one agent step, and not at the
    platform, whose clock is not recorded.
    """
    trace = np.load(DATA / f"{name}.npz")
    pos, yaw, actions = trace["pos"], trace["rot"][:, 1], trace["actions"].astype(np.int64)
    near_target = np.hypot(*(pos[:, :2] - RECORDED_TARGET).T) < 100.0
    free = (wall_gap(pos) > 25.0) & (np.abs(pos[:, 2] - STANDING_Z) < 0.01)
    if "7003" in name:
        free &= ~near_target
    rows = np.arange(len(actions) - steps + 1)
    rows = rows[[bool(free[r : r + steps + 1].all()) for r in rows]]
    rules = Rules(len(rows))
    for i in range(len(rows)):
        rules.level.place_target(i, np.array([0.0, 10.0 * PLATFORM_RADIUS]))  # out of the way
    rules.place(pos[rows, :2], yaw[rows], trace["vel"][rows, :2])
    for k in range(steps):
        rules.step(actions[rows + k])
    distance = np.hypot(*(rules.xy() - pos[rows + steps, :2]).T)
    missed = rules.level.players["yaw"] - yaw[rows + steps]
    return ReplayErrors(distance, np.abs((missed + 180.0) % 360.0 - 180.0))


def wall_gap(pos: NDArray[np.float64]) -> NDArray[np.float64]:
    """Units between a player's box at pos [N, 2 or 3] and the nearest wall, [N]."""
    walls = RoomWatermaze(1).solids.walls[0]
    return (pos[:, :2] @ walls[:, :2].T - walls[:, 2]).min(axis=1)


def recorded_visit() -> tuple[list[int], list[int]]:
    """Steps at which trace 7003 was rewarded, and the same in labsim.

    labsim is put on the recorded path at every row up to the first touch and runs freely from it.
    """
    trace = np.load(DATA / f"{TRACES[1]}.npz")
    actions = trace["actions"].astype(np.int64)
    recorded = np.flatnonzero(trace["rewards"]).tolist()
    rules = Rules(1)
    rules.level.place_target(0, np.array(RECORDED_TARGET))
    rewarded = []
    for t, action in enumerate(actions[: recorded[-1] + 10]):
        if rules.level.platforms["touched_ms"][0] < 0:
            rules.place(
                trace["pos"][t : t + 1, :2], trace["rot"][t, 1:2], trace["vel"][t : t + 1, :2]
            )
        if rules.step(np.array([action]))[0] > 0:
            rewarded.append(t)
    return recorded, rewarded


def uniform_policy(num_envs: int, seed: int) -> Policy:
    """Draw every action anew."""
    rng = np.random.default_rng(seed)
    return lambda covered: rng.integers(0, len(ACTION_NAMES), num_envs)


def blind_walker(num_envs: int, seed: int) -> Policy:
    """Walk straight; after a step of less than 19 units turn by 6 to 17 looks to a random side.

    A turn starts only after more than four forward steps since the last one.
    """
    rng = np.random.default_rng(seed)
    walked = np.zeros(num_envs, np.int64)  # forward steps since the last turn
    turns_left = np.zeros(num_envs, np.int64)
    side = np.full(num_envs, LOOK_LEFT)

    def act(covered: NDArray[np.float64]) -> NDArray[np.int64]:
        stuck = (walked > 4) & (covered < 19.0) & (turns_left == 0)
        turns_left[stuck] = rng.integers(6, 18, stuck.sum())
        side[stuck] = rng.choice([LOOK_LEFT, LOOK_RIGHT], stuck.sum())
        walked[stuck] = 0
        turning = turns_left > 0
        turns_left[turning] -= 1
        walked[~turning] += 1
        return np.where(turning, side, FORWARD)

    return act


def play(
    make_policy: Callable[[int, int], Policy], episodes: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Play whole episodes; give each one's return and number of rewarded steps."""
    rules = Rules(episodes, seed)
    policy = make_policy(episodes, seed)
    returns, rewarded = np.zeros(episodes), np.zeros(episodes, np.int64)
    covered = np.full(episodes, np.inf)
    for _ in range(EPISODE_STEPS):
        before = rules.xy()
        reward = rules.step(policy(covered))
        covered = np.hypot(*(rules.xy() - before).T)
        returns += reward
        rewarded += reward > 0
    return returns, rewarded


def gap_in_errors(ours: NDArray, theirs: NDArray) -> float:
    """Difference of two means in units of their joint standard error."""
    variance = ours.var(ddof=1) / len(ours) + theirs.var(ddof=1) / len(theirs)
    return float((ours.mean() - theirs.mean()) / np.sqrt(variance))


def measure(episodes: int) -> dict[str, dict[str, float | list[int]]]:
    """Collect everything that is printed."""
    results: dict[str, dict[str, float | list[int]]] = {}
    for name in TRACES:
        one, ten = replay(name, 1), replay(name, 10)
        results[name] = {
            "rows": len(one.distance),
            "one_step_p95": float(np.percentile(one.distance, 95)),
            "within_0.8": float((one.distance <= 0.8).mean()),
            "ten_steps_p95": float(np.percentile(ten.distance, 95)),
            "within_3": float((ten.distance <= 3.0).mean()),
            "yaw_max_deg": float(max(one.yaw.max(), ten.yaw.max())),
        }
    recorded, rewarded = recorded_visit()
    results["visit"] = {"recorded_steps": recorded, "labsim_steps": rewarded}
    reference = json.loads((DATA / "watermaze_policies.json").read_text())
    for name, policy in (("random_policy", uniform_policy), ("blind_walker", blind_walker)):
        theirs = reference[name]
        returns, steps = play(policy, episodes, seed=1)
        results[name] = {
            "episodes": episodes,
            "return": float(returns.mean()),
            "recorded_return": float(np.mean(theirs["returns"])),
            "return_gap_in_errors": gap_in_errors(returns, np.array(theirs["returns"])),
            "rewarded_steps": float(steps.mean()),
            "recorded_rewarded_steps": float(np.mean(theirs["rewarded_steps"])),
            "rewarded_steps_gap_in_errors": gap_in_errors(
                steps, np.array(theirs["rewarded_steps"])
            ),
        }
    return results


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--episodes", type=int, default=3000, help="of each policy")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    results = measure(arguments.episodes)
    if arguments.json:
        print(json.dumps(results))
        return
    for section, values in results.items():
        print(section)
        for name, value in values.items():
            print(f"  {name:32} {value if isinstance(value, list | int) else f'{value:.3f}'}")


if __name__ == "__main__":
    main()
