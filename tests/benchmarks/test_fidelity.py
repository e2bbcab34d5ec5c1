import json

import numpy as np
import pytest

from benchmarks import bots, fidelity, recordings
from benchmarks.games import Games
from envs import LEVELS


@pytest.mark.parametrize("seed", recordings.SEEDS)
@pytest.mark.parametrize("level", LEVELS)
def test_recorded_actions_lead_where_they_led(level, seed):
    """At walls, too; in lasertag, where bots are unknown, mostly."""
    errors = fidelity.replay_errors(level, seed)
    assert errors["clock_start_frames"] == 0
    assert errors["free_rows_1_steps"] > 70
    assert errors["free_rows_10_steps"] >= 8
    assert errors["yaw_max_deg"] < 0.01
    if level == bots.LEVEL:
        assert errors["free_within_0.8"] >= 0.95
        assert errors["free_within_3.0"] >= 0.95
        assert errors["living_rows_1_steps"] > 600
        assert errors["living_within_0.8"] >= 0.9
        assert errors["living_within_3.0"] >= 0.8
    else:
        assert errors["living_rows_10_steps"] > 250
        assert errors["living_1_steps_max"] < 0.1
        assert errors["living_10_steps_max"] < 2.0


@pytest.mark.parametrize(
    ("level", "seed", "rows", "limit"),
    [
        ("room_watermaze", 7001, 1000, 5.0),
        ("room_watermaze", 7003, 411, 2.0),
        ("explore_goal_locations_small", 7001, 1000, 0.5),
        ("seekavoid_arena_01", 7001, 299, 0.3),
        ("seekavoid_arena_01", 7003, 299, 0.3),
    ],
)
def test_the_first_row_and_all_actions_tell_the_whole_way(level, seed, rows, limit):
    missed = recordings.drift(level, seed)
    assert len(missed) == rows
    assert missed.max() < limit


@pytest.mark.parametrize(
    ("event", "steps"),
    list(
        zip(
            recordings.EVENTS,
            ([415, 431, 446, 462, 478], [5], [21], [6, 10, 19, 22]),
            strict=True,
        )
    ),
)
def test_recorded_rewards_come_when_they_came(event, steps):
    recorded, ours = recordings.rewarded_steps(*event)
    assert recorded == ours == steps


@pytest.mark.parametrize("frames", [0, 31])
def test_the_start_of_a_recordings_clocks_is_found(monkeypatch, frames):
    """Of a recording that labsim itself makes with clocks that began elsewhere."""
    level, actions = "rooms_keys_doors_puzzle", np.tile([0, 0, 1, 2, 3], 13)
    games = Games(level, [7001])
    recordings._start_clocks(games, frames)
    trace = {name: [] for name in ("pos", "rot", "vel")}
    for action in [*actions, 0]:
        player = games.level.players[0]
        cos, sin = np.cos(np.radians(player["yaw"])), np.sin(np.radians(player["yaw"]))
        vx, vy = player["vx"], player["vy"]
        trace["pos"].append([player["x"], player["y"], player["z"]])
        trace["rot"].append([0.0, player["yaw"], 0.0])
        trace["vel"].append([vx * cos + vy * sin, vy * cos - vx * sin, 0.0])
        games.step(np.array([action]))
    made = {name: np.array(rows) for name, rows in trace.items()}
    made |= {"actions": actions, "rewards": np.zeros(len(actions))}
    monkeypatch.setattr(recordings, "load", lambda *_: made)
    assert recordings.clock_start.__wrapped__(level, 7001) == frames


def test_rows_are_free_where_nothing_is_near():
    level = "seekavoid_arena_01"
    solids = Games(level, [0]).level.solids
    actions = np.zeros(12, np.int64)
    pos = np.array([[20.0 * t, 0.0, 24.125] for t in range(13)])
    trace = {"pos": pos, "actions": actions, "rewards": np.zeros(12), "rot": np.zeros((13, 3))}
    assert recordings.free_rows(level, trace, solids, 1) == list(range(12))
    assert recordings.free_rows(level, trace, solids, 10) == [0, 1, 2]
    for place, busy in (
        ((100.0, 0.0, 90.0), {4, 5}),  # off the floor
        ((980.0, 0.0, 24.125), {4, 5, 6}),  # at a wall, and elsewhere at once
        ((80.0, 0.0, 24.125), {3, 4, 5, 6}),  # still, though he wants to walk: dead
    ):
        changed = trace | {"pos": pos.copy()}
        changed["pos"][5] = place
        assert set(range(12)) - set(recordings.free_rows(level, changed, solids, 1)) == busy


def test_rows_near_a_map_that_is_loaded_or_a_fight_are_not_free():
    level = "explore_goal_locations_small"
    solids = Games("seekavoid_arena_01", [0]).level.solids
    rewards, still = np.zeros(40), np.zeros((41, 3))
    rewards[20] = 10.0
    trace = {"pos": still, "actions": np.full(40, 8), "rewards": rewards, "rot": still}
    trace["vel"] = np.zeros((41, 3))
    busy = set(range(40)) - set(recordings.free_rows(level, trace, solids, 1))
    assert busy == set(range(15, 24))
    assert len(recordings.free_rows("seekavoid_arena_01", trace, solids, 1)) == 40
    trace["vel"][20, 0] = 326.0
    fight = "lasertag_three_opponents_small"
    assert set(range(40)) - set(recordings.free_rows(fight, trace, solids, 1)) == set(range(9, 30))


@pytest.mark.parametrize(
    ("level", "policy"),
    [
        ("room_watermaze", "random_policy"),
        ("room_watermaze", "blind_walker"),
        ("seekavoid_arena_01", "random_policy"),
        ("seekavoid_arena_01", "blind_walker"),
    ],
)
def test_policies_without_eyes_earn_what_they_earned(level, policy):
    """A short version of the benchmark, which plays 3,000 episodes."""
    earned = fidelity.play(level, fidelity.POLICIES[policy], 600, seed=1)
    theirs = fidelity.recorded_policies(level)[policy]
    for name in set(theirs) & set(fidelity.MEASURES):
        assert abs(fidelity.gap_in_errors(earned[name], *theirs[name])) < 2.8, name


def test_each_level_is_compared_and_json_is_one_object(monkeypatch, capsys):
    monkeypatch.setattr(fidelity, "free_rows", lambda *_: [100])
    monkeypatch.setattr(fidelity, "living_rows", lambda *_: [100])
    fidelity.main(["seekavoid_arena_01", "rooms_keys_doors_puzzle", "--json", "--episodes", "3"])
    results = json.loads(capsys.readouterr().out)
    assert list(results) == ["seekavoid_arena_01", "rooms_keys_doors_puzzle"]
    traces = {"trace seed7001_uniform", "trace seed7003_sticky"}
    rewards = {"rewards seed7001_uniform", "rewards seed7003_sticky"}
    policies = {"random_policy", "blind_walker"}
    assert set(results["seekavoid_arena_01"]) == traces | rewards | policies
    assert set(results["rooms_keys_doors_puzzle"]) == traces | {"random_policy"}
    for level in LEVELS:
        recorded = fidelity.recorded_policies(level)
        assert set(fidelity.MEASURES) <= set(recorded["random_policy"])
        mean, error = recorded["random_policy"]["return"]
        assert abs(mean) < 10
        assert 0 < error < 2


def test_ended_episodes_earn_no_more():
    games = Games("rooms_keys_doors_puzzle", [1, 2])
    goal = games.level.target(0)
    games.level.place(0, np.array([*goal, 0.0]), np.zeros(2))
    stay = np.array([8, 8])
    earned = sum(games.step(stay) for _ in range(10))
    assert earned.tolist() == [50.0, 0.0]
    assert games.running.tolist() == [False, True]
    games.level.games["unpaid"][:] = 7.0
    assert games.step(stay).tolist() == [0.0, 7.0]


def test_the_blind_walker_does_what_its_description_says():
    act = fidelity.blind_walker(2, seed=0)
    covered = np.array([20.0, 20.0])
    for _ in range(5):
        assert act(covered).tolist() == [fidelity.FORWARD] * 2
    actions = [act(np.array([18.9, 19.1]))]
    assert actions[0][0] in (fidelity.LOOK_LEFT, fidelity.LOOK_RIGHT)
    assert actions[0][1] == fidelity.FORWARD
    turns = 1
    while (action := act(np.array([0.0, 20.0]))[0]) != fidelity.FORWARD:
        assert action == actions[0][0]
        turns += 1
    assert 6 <= turns <= 17
    # Short steps right after a turn start no new one.
    assert [act(np.array([0.0, 20.0]))[0] for _ in range(4)] == [fidelity.FORWARD] * 4
    assert act(np.array([0.0, 20.0]))[0] != fidelity.FORWARD


def test_gap_is_in_joint_standard_errors():
    # Means 2 and 3; squared standard errors 2 / 2 and 3.
    assert fidelity.gap_in_errors(np.array([1.0, 3.0]), 3.0, 3.0**0.5) == pytest.approx(-0.5)
    assert fidelity.gap_in_errors(np.zeros(3), 0.0, 0.0) == 0.0
