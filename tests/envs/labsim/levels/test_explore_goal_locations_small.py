import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from envs.labsim.levels.explore_goal_locations_small import ExploreGoalLocationsSmall, make_map
from envs.labsim.maps import lab_seed
from envs.labsim.raycaster import render_slice
from envs.labsim.vector_env import RAW_ACTIONS, LabsimVectorEnv
from envs.labsim.world import StepOut
from tests.envs.labsim.levels.level_game import LevelGame

LEVEL = "explore_goal_locations_small"
DATA = Path(__file__).parents[3] / "data"
TRACES = {7001: f"{LEVEL}_seed7001_uniform", 7003: f"{LEVEL}_seed7003_sticky"}
GOALS = {7001: (650.0, 850.0), 7003: (650.0, 750.0)}
FORWARD, LOOK_RIGHT, FIRE = 0, 5, 8


class Game(LevelGame):
    """The level with begun episodes, advanced by single frames or agent steps."""

    def __init__(self, num_envs=1, seed=7003, length_steps=1350):
        super().__init__(ExploreGoalLocationsSmall, range(seed, seed + num_envs), length_steps)

    @property
    def player(self):
        return self.level.players[0]

    def at_goal(self, dx=0.0, dy=0.0, yaw=0.0, i=0):
        """Put the player of environment i at the goal, or beside it."""
        x, y = self.level.target(i)
        self.level.place(i, np.array([x + dx, y + dy, yaw]), np.zeros(2))
        return self


def copies_of_one_game(num_envs, seed=7003):
    """Games in one and the same maze with different random streams."""
    game = Game(1, seed)
    many = Game.__new__(Game)
    many.level, many.out = ExploreGoalLocationsSmall(num_envs), StepOut.allocate(num_envs)
    state = game.level.state()
    for name, array in many.level.state().items():
        array[:] = state[name][0]
    many.level.players["rng"] += np.arange(num_envs, dtype=np.uint64) * np.uint64(12345)
    return many


def load(seed):
    return dict(np.load(DATA / f"{TRACES[seed]}.npz"))


def place_as_recorded(level, i, trace, row):
    yaw = trace["rot"][row, 1]
    ahead, left = trace["vel"][row, :2]
    cos, sin = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    velocity = np.array([ahead * cos - left * sin, ahead * sin + left * cos])
    level.place(i, np.array([*trace["pos"][row, :2], yaw]), velocity)


@pytest.mark.parametrize("seed", GOALS)
def test_a_reset_seed_gives_deepmind_labs_own_maze_and_goal(seed):
    level = Game(seed=seed).level
    assert level.target(0).tolist() == list(GOALS[seed])
    trace = load(seed)
    columns, rows = (trace["pos"][:, :2] // 100).astype(int).T
    assert not level.solids.cells[0, rows, columns].any()
    assert trace["pos"][0, :2].tolist() in make_map(lab_seed(seed)).spawns.tolist()


def test_later_episodes_have_other_mazes_and_other_goals():
    game = Game(3)
    mazes = set()
    for _ in range(4):
        mazes |= {cells.tobytes() for cells in game.level.solids.cells}
        for i in range(3):
            game.level.begin(i)
    assert len(mazes) == 12


def test_the_goal_is_uniform_over_its_cells_and_the_player_over_his():
    maps = [make_map(seed) for seed in range(1, 1001)]
    share = [(m.maze.find("G").tolist().index(m.goal.tolist()) + 0.5) / len(m.maze.find("G"))
             for m in maps]  # fmt: skip
    assert np.histogram(share, 4, (0, 1))[0].min() > 200
    assert np.mean([len(m.maze.find("G")) == 16 for m in maps]) == pytest.approx(0.69, abs=0.04)
    assert {len(m.spawns) for m in maps} == {10, 15, 20}


def test_players_spawn_in_any_spawn_cell_with_any_heading():
    game = copies_of_one_game(1000)
    for i in range(1000):
        game.at_goal(i=i)
    game.step(FIRE)
    places, counts = np.unique(game.level.players[["x", "y"]], return_counts=True)
    assert sorted(places.tolist()) == sorted(map(tuple, make_map(lab_seed(7003)).spawns.tolist()))
    assert len(places) == 20
    assert counts.min() > 28
    assert np.histogram(game.level.players["yaw"], 6, (0, 360))[0].min() > 130
    assert (game.level.players["z"] == 25.125).all()


@pytest.mark.parametrize(
    ("dx", "dy", "touched"),
    [(-50.1, 0, False), (-49.9, 0, True), (43.9, 0, True), (44.1, 0, False), (0, 35.9, True),
     (0, 36.1, False), (0, -35.9, True), (0, -36.1, False)],
)  # fmt: skip
def test_touching_the_goal_pays_ten(dx, dy, touched):
    game = Game().at_goal(dx, dy)
    assert sum(game.step(frames=1)[0] for _ in range(4)) == 10.0 * touched


def test_the_reward_comes_one_frame_after_the_touch_and_the_map_is_loaded_again():
    game = Game().at_goal()
    frame = game.player["frame"]
    cells, seed = game.level.solids.cells.copy(), game.level.mazes["next_seed"].copy()
    places = set()
    assert [game.step(FORWARD, 1)[0] for _ in range(2)] == [0, 10]
    assert game.player["frame"] == game.player["trial_start"] == frame + 2
    assert game.player["engine_ms"] == 0
    game.step(FORWARD, 1)
    for _ in range(30):
        game.at_goal()
        rewards = [game.step(FORWARD, 1)[0] for _ in range(3)]
        assert rewards == [0, 10, 0]
        assert game.player["vx"] == game.player["vy"] == 0.0  # nobody moved in these frames
        places.add((float(game.player["x"]), float(game.player["y"])))
        game.step(FORWARD, 1)
        assert np.hypot(game.player["vx"], game.player["vy"]) == pytest.approx(54, abs=1)
    assert places <= set(map(tuple, make_map(lab_seed(7003)).spawns.tolist()))
    assert len(places) > 8
    assert game.level.target(0).tolist() == [650, 750]
    assert (game.level.solids.cells == cells).all()
    assert (game.level.mazes["next_seed"] == seed).all()


def test_the_recorded_goal_is_reached_in_the_recorded_step():
    trace, game = load(7003), Game()
    (event,) = np.flatnonzero(trace["rewards"])
    place_as_recorded(game.level, 0, trace, 0)
    rewards = [game.step(int(action))[0] for action in trace["actions"][: event + 1]]
    assert rewards == trace["rewards"][: event + 1].tolist() == [0.0] * 5 + [10.0]
    # One frame of movement after the new spawn, as recorded.
    speed = np.hypot(*trace["vel"][event + 1, :2])
    assert np.hypot(game.player["vx"], game.player["vy"]) == pytest.approx(speed, abs=1)


def test_success_seconds_count_from_each_spawn():
    game = Game()
    found = []
    for step in range(1, 40):
        if step in (11, 31):
            game.at_goal()
        game.step(FIRE)
        if not np.isnan(game.out.success_seconds[0]):
            found.append((step, float(game.out.success_seconds[0])))
    # Touched in the first frames of steps 11 and 31; the second spawn is in frame 42.
    assert found == [(11, pytest.approx(41 / 60)), (31, pytest.approx((121 - 42) / 60))]


def test_episodes_last_5400_frames_and_keep_the_last_reward():
    game = Game(2)
    for step in range(1, 1351):
        if step == 1350:
            game.step(FIRE, 3)
            game.at_goal()
            game.step(FIRE, 1)
            assert game.out.reward.tolist() == [10.0, 0.0]
        else:
            game.step()
        assert game.out.truncated.all() == (step == 1350)
    assert game.player["frame"] == 5400
    assert not game.out.terminated.any()
    assert game.step().tolist() == [0.0, 0.0]


def test_placed_goals_are_where_they_were_put():
    game = Game()
    game.level.place_target(0, np.array([250.0, 450.0]))
    assert game.level.target(0).tolist() == [250.0, 450.0]
    assert game.level.scene.things[0, 0, :2].tolist() == [250.0, 450.0]
    game.at_goal()
    assert game.step().tolist() == [10.0]


def test_options_place_the_player_and_begin_an_episode():
    env = LabsimVectorEnv(LEVEL, 1)
    env.reset(seed=7003)
    env.reset(options={"pose": (*GOALS[7003], 0.0)})
    raw = RAW_ACTIONS[[FIRE]]
    env.level.step(raw, StepOut.allocate(1), 0, 1, num_frames=1)
    assert env.level.mazes["unpaid"][0] == 10.0
    env.reset(options={"pose": (*GOALS[7003], 0.0), "target": (150.0, 950.0)})
    # Nothing is left of the touch of the goal.
    _, reward, *_, info = env.step(np.array([FORWARD]))
    assert reward[0] == 0.0
    assert info["pose"][0, 0] > 650.0
    assert info["pose"][0, 1] == 750.0
    with pytest.raises(ValueError, match="not inside the level's walls"):
        env.reset(options={"pose": (50.0, 150.0, 0.0)})


def test_the_goal_bobs_between_0_and_8_units():
    game = Game()
    game.level.place(0, np.array([150.0, 150.0, 0.0]), np.zeros(2))
    heights = []
    for _ in range(120):
        game.step(frames=1)
        z0, z1 = game.level.scene.things[0, 0, 2:4]
        heights.append(z0)
        assert z1 - z0 == pytest.approx(16.25)
    assert min(heights) == pytest.approx(24.0, abs=0.05)
    assert max(heights) == pytest.approx(32.0, abs=0.05)


@pytest.mark.parametrize(("row", "part"), [(260, np.s_[6:52, :72]), (200, np.s_[6:52, :50])])
def test_frames_look_as_recorded(row, part):
    """Where neither HUD nor pictures on walls are; walls in corners are darker in DeepMind Lab."""
    trace, game = load(7003), Game()
    x, y, z = trace["pos"][row]
    camera = np.array([[x, y, z + 26.0, trace["rot"][row, 1]]])
    drawn = np.zeros((1, 72, 96, 3), np.uint8)
    render_slice(game.level.scene, camera, np.zeros(1, np.int64), drawn, 0, 1)
    with Image.open(DATA / "frames" / f"{LEVEL}_96x72_t{row:03}.png") as image:
        recorded = np.asarray(image.convert("RGB"))[part].astype(float)
    difference = np.abs(drawn[0][part] - recorded)
    assert np.median(difference) < 5
    assert difference.mean() < 12


def test_random_policy_earns_as_much_as_recorded():
    """Return and rewarded steps of 1,500 episodes, on fresh maps; standard errors by map."""
    recorded = json.loads((DATA / "explore_random_policy.json").read_text())
    by_map = defaultdict(list)
    for seed, earned in zip(recorded["seeds"], recorded["returns"], strict=True):
        by_map[seed].append(earned)
    game, rng = Game(1500, seed=50_000), np.random.default_rng(4)
    returns, rewarded = np.zeros(1500), np.zeros(1500)
    for _ in range(1350):
        reward = game.step(rng.integers(0, 9, 1500))
        returns += reward
        rewarded += reward > 0
    assert game.out.truncated.all()
    assert (returns == 10 * rewarded).all()
    for own, name in ((returns, "returns"), (rewarded, "rewarded_steps")):
        scale = np.mean(recorded["returns"]) / np.mean(recorded[name])
        error = np.hypot(own.std() / np.sqrt(1500), recorded["standard_error"] / scale)
        assert abs(own.mean() - np.mean(recorded[name])) < 2.8 * error


def test_taking_a_map_is_quick():
    """2 ms in the mean, 10 ms in 99 of 100 cases: of work, not of waiting for a busy machine."""
    game, taken = Game(4), []
    for episode in range(400):
        start = time.thread_time()
        game.level.begin(episode % 4)
        taken.append(time.thread_time() - start)
        time.sleep(0.001)
    assert np.mean(taken) < 2e-3
    assert np.quantile(taken, 0.99) < 10e-3


def test_a_state_goes_on_with_the_same_mazes():
    env, other = LabsimVectorEnv(LEVEL, 2), LabsimVectorEnv(LEVEL, 2)
    env.reset(seed=5)
    other.reset(seed=900)
    env.level.players["frame"] = 5400 - 4 * 3
    state = env.get_state()
    other.set_state(state)
    actions = np.random.default_rng(1).integers(0, 9, (20, 2))
    ends = 0
    for action in actions:
        (obs, _, _, ended, _), (other_obs, *_) = env.step(action), other.step(action)
        assert (obs == other_obs).all()
        ends += ended.sum()
    assert ends == 2
    for name, array in env.get_state().items():
        assert (array == other.get_state()[name]).all(), name


def test_a_player_in_a_corner_stands_where_it_is_open():
    """He ends in the notch between the walls of a block's corner."""
    game = Game(seed=87_376_798_127, length_steps=13)
    for _ in range(13):
        game.step(2)
        assert game.level.is_open(0, float(game.player["x"]), float(game.player["y"]))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(1, 40)), min_size=1, max_size=30),
    st.integers(0, 2**64 - 1),
)
def test_whatever_the_player_does(runs, seed):
    """He stays out of walls, numbers stay finite, and each visit to the goal pays ten."""
    length = sum(steps for _, steps in runs)
    game = Game(seed=seed, length_steps=length)
    total, visits, steps_done = 0.0, 0, 0
    for action, steps in runs:
        for _ in range(steps):
            assert not game.out.truncated[0] or steps_done == 0
            total += game.step(action)[0]
            steps_done += 1
            visits += not np.isnan(game.out.success_seconds[0])
            x, y = float(game.player["x"]), float(game.player["y"])
            assert game.level.is_open(0, x, y)
            assert game.player["z"] == 25.125
            assert np.isfinite([game.player[name] for name in ("vx", "vy", "yaw")]).all()
    assert game.out.truncated[0]
    assert game.player["frame"] == 4 * length
    assert total == 10 * visits
