import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.actions import FIRE as RAW_FIRE
from envs.actions import IMPALA_ACTIONS, LOOK, MOVE, STRAFE
from envs.labsim.levels.rooms_keys_doors_puzzle import RoomsKeysDoorsPuzzle
from envs.labsim.levels.rooms_keys_doors_puzzle_generator import COLOURS, make_puzzle
from envs.labsim.maps import lab_seed
from envs.labsim.scene import NONE
from envs.labsim.vector_env import LabsimVectorEnv
from envs.labsim.world import StepOut
from tests.envs.conftest import DATA

FORWARD, BACKWARD, LOOK_LEFT, FIRE = 0, 1, 4, 8
RED, GREEN, BLUE, BLACK, WHITE = range(5)
EMPTY, CLOSED = -1, -1
SEED = 7003
WHITE_KEY, WHITE_DOOR = (850.0, 250.0), (950.0, 350.0)  # in the row of the start
GREEN_KEY, NORTH_SOUTH_DOOR = (650.0, 550.0), (350.0, 450.0)
GOAL = (450.0, 250.0)


class Game:
    """rooms_keys_doors_puzzle with begun episodes, advanced by single frames or agent steps."""

    def __init__(self, seeds=(SEED,), length_steps=900):
        self.level = RoomsKeysDoorsPuzzle(len(seeds))
        self.out = StepOut.allocate(len(seeds))
        for i, seed in enumerate(seeds):
            self.level.seed(i, seed)
            self.level.begin(i, length_steps)

    def step(self, action=FIRE, frames=4):
        count = len(self.level.players)
        raw = IMPALA_ACTIONS[np.broadcast_to(action, count)][:, (LOOK, STRAFE, MOVE, RAW_FIRE)]
        self.level.step(raw, self.out, 0, count, frames)
        return self.out.reward.copy()

    def put(self, x, y, yaw=0.0):
        self.level.place(0, np.array([x, y, yaw]), np.zeros(2))
        return self

    def door(self, at):
        """Index of the door whose cell has its middle there."""
        doors = self.level.doors[0]
        (k,) = np.flatnonzero((doors["x"] == at[0]) & (doors["y"] == at[1]))
        return int(k)

    @property
    def held(self):
        return int(self.level.games["held"][0])

    @held.setter
    def held(self, colour):
        self.level.games["held"][0] = colour

    @property
    def player(self):
        return self.level.players[0]

    def opened(self, at):
        return self.level.doors["opened_ms"][0, self.door(at)] != CLOSED


def test_episodes_last_3600_frames():
    game = Game(seeds=(1, 2))
    for step in range(1, 901):
        game.step()
        assert game.out.truncated.all() == (step == 900)
        assert not game.out.terminated.any()
    assert game.player["frame"] == 3600


def test_players_begin_in_the_middle_of_the_start_cell_with_any_heading():
    game = Game(seeds=range(400))
    players = game.level.players
    assert np.histogram(players["yaw"], 4, (0, 360))[0].min() > 65
    assert (players["z"] == 25.125).all()
    for i in (0, 7, 399):
        row, column = make_puzzle(lab_seed(i)).start
        assert (players["x"][i], players["y"][i]) == (100 * column + 50, 100 * row + 50)


def test_each_episode_has_another_puzzle():
    game = Game()
    maps = set()
    for _ in range(20):
        maps.add(game.level.solids.cells[0].tobytes() + game.level.doors[0].tobytes())
        game.level.begin(0)
    assert len(maps) == 20


@pytest.mark.parametrize(
    ("key", "dx", "dy", "taken"),
    [
        (WHITE_KEY, -49.9, 0, True),
        (WHITE_KEY, -50.1, 0, False),
        (GREEN_KEY, 43.9, 0, True),
        (GREEN_KEY, 44.1, 0, False),
        (WHITE_KEY, -40, 35.9, True),
        (WHITE_KEY, -40, 36.1, False),
    ],
)
def test_a_key_pays_one_and_is_carried(key, dx, dy, taken):
    """The box reaches 50 to the west, 44 to the east and 36 to the sides."""
    game = Game().put(key[0] + dx, key[1] + dy)
    assert game.level.is_open(0, key[0] + dx, key[1] + dy)
    colour = WHITE if key == WHITE_KEY else GREEN
    count = (game.level.keys["colour"][0] == colour).sum()
    assert game.held == EMPTY
    rewards = [game.step(frames=1)[0] for _ in range(3)]
    assert rewards == ([0, 1, 0] if taken else [0, 0, 0])  # it arrives one frame late
    assert game.held == (colour if taken else EMPTY)
    assert (game.level.keys["colour"][0] == colour).sum() == count - taken


def test_a_key_replaces_the_one_that_is_carried_and_stays_away():
    game = Game().put(*WHITE_KEY)
    game.step()
    assert game.held == WHITE
    game.put(*GREEN_KEY)
    assert game.step() == 1.0
    assert game.held == GREEN
    game.put(*WHITE_KEY)
    assert game.step() == 0.0
    assert game.held == GREEN


def test_the_square_shows_the_colour_of_the_key():
    game = Game()
    assert game.level.scene.square[0].tolist() == [0, 0, 0, 0]
    rgb = {
        RED: [255, 0, 0], GREEN: [0, 255, 0], BLUE: [0, 0, 255], BLACK: [0, 0, 0],
        WHITE: [255, 255, 255],
    }  # fmt: skip
    for colour, expected in rgb.items():
        game.held = colour
        game.step()
        assert game.level.scene.square[0].tolist() == [*expected, 1], COLOURS[colour]


@pytest.mark.parametrize(("held", "opens"), [(WHITE, True), (GREEN, False), (EMPTY, False)])
def test_a_door_opens_for_its_colour_pays_one_and_takes_the_key(held, opens):
    game = Game().put(900.0, 350.0)
    game.held = held
    rewards = [game.step(frames=1)[0] for _ in range(3)]
    assert rewards == ([0, 1, 0] if opens else [0, 0, 0])
    assert game.opened(WHITE_DOOR) == opens
    assert game.held == (EMPTY if opens else held)


@pytest.mark.parametrize(
    ("at", "x", "y", "low", "high"),
    [
        (WHITE_DOOR, 885.1, 350, True, False),
        (WHITE_DOOR, 884.9, 350, False, False),
        (WHITE_DOOR, 930, 350, True, False),
        (WHITE_DOOR, 970, 350, False, True),
        (WHITE_DOOR, 1014.9, 350, False, True),
        (WHITE_DOOR, 1015.1, 350, False, False),
        (WHITE_DOOR, 936.1, 350, True, True),
        (WHITE_DOOR, 935.9, 350, True, False),
        (WHITE_DOOR, 963.9, 350, True, True),
        (WHITE_DOOR, 964.1, 350, False, True),
        (NORTH_SOUTH_DOOR, 350, 385.1, True, False),
        (NORTH_SOUTH_DOOR, 350, 384.9, False, False),
        (NORTH_SOUTH_DOOR, 350, 514.9, False, True),
        (NORTH_SOUTH_DOOR, 286, 385.1, True, False),
        (NORTH_SOUTH_DOOR, 284, 385.1, False, False),
    ],
)
def test_triggers_are_49_units_deep_on_both_sides(at, x, y, low, high):
    """They feel the player's box of 30 units; between them, 2 units do not."""
    game = Game().put(x, y)
    game.step(frames=1)
    door = game.level.doors[0, game.door(at)]
    assert (door["low_ready_ms"] > 0, door["high_ready_ms"] > 0) == (low, high)


def test_a_trigger_sleeps_for_a_second_after_a_touch():
    game = Game().put(900.0, 350.0)
    game.step(frames=1)
    game.held = WHITE
    touched_ms = game.player["server_ms"]
    while not game.opened(WHITE_DOOR):
        game.step(frames=1)
    assert game.player["server_ms"] - touched_ms == 1000


def test_the_other_trigger_does_not_sleep():
    game = Game().put(900.0, 350.0)
    game.step(frames=1)
    game.held = WHITE
    game.put(1000.0, 350.0).step(frames=1)
    assert game.opened(WHITE_DOOR)


@pytest.mark.parametrize(
    ("at", "beside", "colour", "axis"),
    [(WHITE_DOOR, (900.0, 350.0), WHITE, 1), (NORTH_SOUTH_DOOR, (350.0, 400.0), BLACK, 0)],
)
def test_a_door_slides_94_units_aside_at_400_a_second_after_50_ms(at, beside, colour, axis):
    """+y for a passage from east to west, +x for one from north to south."""
    game = Game().put(*beside)
    game.held = colour
    game.step(frames=1)
    k = game.door(at)
    opened_ms = game.player["server_ms"]
    closed = game.level.solids.boxes[0, k].copy()
    expected = [*at, 50.0, 4.0] if axis == 0 else [*at, 4.0, 50.0]
    expected[axis] += 1.0
    assert closed.tolist() == expected
    moved = {}
    for _ in range(60):
        game.step(frames=1)
        change = game.level.solids.boxes[0, k] - closed
        assert np.delete(change, axis).tolist() == [0, 0, 0]
        moved.setdefault(int(game.player["server_ms"] - opened_ms), round(change[axis], 6))
    late = {ms: way for ms, way in moved.items() if ms > 300}
    assert {ms: way for ms, way in moved.items() if ms <= 300} == {
        50: 0, 100: 20, 150: 40, 200: 60, 250: 80, 300: 94
    }  # fmt: skip
    assert set(late.values()) == {94}
    segments = game.level.scene.segments[0].reshape(9, -1, 10)[k]
    along = segments[:, [axis, axis + 2]]
    assert along.min() == pytest.approx(at[axis] + 95 - 50)
    assert along.max() == pytest.approx(at[axis] + 95 + 50)


def test_a_closed_door_stops_players_and_an_open_one_lets_them_pass():
    game = Game().put(900.0, 350.0)
    for _ in range(20):
        game.step(FORWARD)
    assert game.player["x"] == pytest.approx(950 - 4 - 15.125, abs=0.01)
    game.held = WHITE
    for _ in range(30):
        game.step(FORWARD)
    assert game.player["x"] > 1100


def test_an_open_door_still_is_in_the_way_at_its_side():
    game = Game().put(900.0, 350.0)
    game.held = WHITE
    for _ in range(8):
        game.step()
    game.put(920.0, 380.5)
    for _ in range(20):
        game.step(FORWARD)
    assert game.player["x"] == pytest.approx(950 - 4 - 15.125, abs=0.01)


def test_the_goal_pays_fifty_and_ends_the_episode():
    """0.2 s after what the clock showed before the frame of the touch: 12 frames more, or 11."""
    lengths = set()
    for wait in range(40):
        game = Game()
        game.step(frames=wait)
        game.put(*GOAL)
        rewards = []
        while not game.out.terminated[0]:
            rewards.append(float(game.step(frames=1)[0]))
        assert rewards[:3] == [0, 50, 0]
        assert sum(rewards) == 50
        lengths.add(len(rewards))
        assert not game.out.truncated[0]
        clock = (wait + len(rewards)) * 16 / 960
        assert clock > wait * 16 / 960 + 0.2 >= (wait + len(rewards) - 1) * 16 / 960
    assert lengths <= {12, 13}
    assert 13 in lengths


def test_the_last_frame_collects_the_goal():
    for wait, last in ((0, 1), (0, 2)):
        game = Game()
        game.level.players["last_frame"] = wait + last
        game.put(*GOAL)
        total = sum(float(game.step(frames=1)[0]) for _ in range(last))
        assert total == 50.0
        assert game.out.truncated[0]


def test_success_seconds_is_the_time_from_spawn_to_the_goal():
    game = Game()
    for _ in range(11):
        game.step()
        assert np.isnan(game.out.success_seconds[0])
    game.put(*GOAL).step()
    assert game.out.success_seconds[0] == pytest.approx(45 / 60)
    game.step()
    assert np.isnan(game.out.success_seconds[0])


def test_walls_are_solid_but_not_seen():
    game = Game()
    level = game.level
    assert not level.scene.solid.any()
    assert (level.scene.wall_texture == NONE).all()
    assert (level.scene.floor_texture != NONE).tolist() == (~level.solids.cells).tolist()
    game.put(750.0, 250.0, yaw=270.0)
    for _ in range(20):
        game.step(FORWARD)
    assert game.player["y"] == pytest.approx(200 + 1 + 15.125, abs=0.01)


def test_scene_shows_keys_doors_and_goal_until_they_are_taken():
    game = Game()
    shown = game.level.scene.thing_texture[0]
    assert (shown != NONE).tolist() == [True] * 4 + [False, True]
    game.put(*GOAL).step()
    assert shown[5] == NONE
    doors = (game.level.scene.segment_texture[0].reshape(9, -1) != NONE).all(axis=1)
    assert doors.tolist() == [True] * 7 + [False] * 2
    assert game.level.target(0).tolist() == list(GOAL)


def test_targets_cannot_be_placed():
    with pytest.raises(ValueError, match="goal"):
        Game().level.place_target(0, np.zeros(2))


@pytest.mark.parametrize(
    ("x", "y", "is_open"),
    [(750, 250, True), (750, 215.9, False), (750, 216.1, True), (883.9, 250, True),
     (884.1, 250, False), (930.9, 350, True), (931.1, 350, False), (-50, 250, False),
     (1450, 350, False), (950, 250, False), (884, 250, False), (931, 350, False)],
)  # fmt: skip
def test_is_open_knows_walls_and_closed_doors(x, y, is_open):
    assert Game().level.is_open(0, x, y) == is_open


def test_recorded_games_are_replayed_from_their_first_row_alone(keys_doors_traces):
    """All rewards come when they came, and 899 steps later the player is where he was."""
    for seed, trace in keys_doors_traces.items():
        game = Game(seeds=(seed,))
        game.level.place(0, np.array([*trace["pos"][0, :2], trace["rot"][0, 1]]), np.zeros(2))
        missed = []
        for t in range(len(trace["pos"]) - 1):
            assert game.level.is_open(0, *trace["pos"][t, :2])
            assert game.step(trace["actions"][t])[0] == trace["rewards"][t], (seed, t)
            way = trace["pos"][t + 1, :2] - (game.player["x"], game.player["y"])
            missed.append(np.hypot(*way))
        assert len(missed) == 899
        assert max(missed) < 0.3


def test_random_policy_does_as_in_deepmind_lab():
    recorded = json.loads((DATA / "keys_doors_random_policy.json").read_text())
    num = 400
    game = Game(seeds=range(10_000, 10_000 + num))
    generator = np.random.default_rng(0)
    returns, events, running = np.zeros(num), np.zeros(num), np.ones(num, bool)
    for _ in range(900):
        reward = game.step(generator.integers(0, 9, num))
        returns += reward * running
        events += (reward > 0) * running
        running &= ~(game.out.terminated | game.out.truncated)
    assert not running.any()
    error = np.hypot(recorded["standard_error"], returns.std() / np.sqrt(num))
    assert abs(returns.mean() - np.mean(recorded["returns"])) < 2.8 * error
    # Episodes with one seed share a map: their mean counts once.
    seeds = np.array(recorded["seeds"])
    of_maps = [
        np.array(recorded["rewarded_steps_positive"])[seeds == s].mean() for s in np.unique(seeds)
    ]
    error = np.hypot(np.std(of_maps) / np.sqrt(len(of_maps)), events.std() / np.sqrt(num))
    assert abs(events.mean() - np.mean(of_maps)) < 2.8 * error


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    runs=st.lists(st.tuples(st.integers(0, 8), st.integers(1, 40)), min_size=20, max_size=40),
)
def test_whatever_players_do_they_stay_out_of_walls_and_are_paid_for_events(seed, runs):
    game = Game(seeds=(seed,))
    level, total = game.level, 0.0
    keys = (level.keys["colour"] >= 0).sum()
    actions = np.concatenate([np.full(count, action) for action, count in runs])
    for step, action in enumerate(np.resize(actions, 900), 1):
        total += float(game.step(action)[0])
        player = game.player
        assert np.isfinite([player["x"], player["y"], player["yaw"], player["vx"]]).all()
        assert player["z"] == pytest.approx(25.125, abs=0.01)
        assert level.is_open(0, player["x"], player["y"])
        if game.out.terminated[0]:
            break
        assert game.out.truncated[0] == (step == 900)
    taken = keys - (level.keys["colour"] >= 0).sum()
    opened = (level.doors["opened_ms"] != CLOSED).sum()
    goal = level.games["goal_taken"][0]
    assert total == taken + opened + 50 * goal
    assert game.out.terminated[0] == goal


def play(env, state=None, steps=60, seed=1):
    """Rewards, ends and images of some random steps near the end of an episode."""
    obs = np.zeros((env.num_envs, 72, 96, 3), np.uint8)
    if state is not None:
        env.set_state(state)
    generator = np.random.default_rng(seed)
    seen = []
    for _ in range(steps):
        result = env.step_into(generator.integers(0, 9, env.num_envs), obs)
        seen.append((result.reward, result.truncated, obs.copy()))
    return seen


def same(one, other):
    return all(
        (a == b).all()
        for left, right in zip(one, other, strict=True)
        for a, b in zip(left, right, strict=True)
    )


def test_a_state_goes_on_bit_for_bit_also_across_episode_ends():
    env = LabsimVectorEnv("rooms_keys_doors_puzzle", 3, num_threads=2)
    env.reset(seed=5)
    play(env, steps=880)
    state = env.get_state()
    expected = play(env)
    assert any(truncated.any() for _, truncated, _ in expected)
    other = LabsimVectorEnv("rooms_keys_doors_puzzle", 3)
    other.reset(seed=99)
    assert same(play(other, state), expected)
    assert not same(play(other, seed=2), expected)


def test_the_number_of_threads_does_not_matter():
    runs = []
    for num_threads in (1, 2, 5):
        env = LabsimVectorEnv("rooms_keys_doors_puzzle", 5, num_threads=num_threads, stagger=True)
        env.reset(seed=3)
        runs.append(play(env, steps=100))
        env.close()
    assert same(runs[0], runs[1])
    assert same(runs[0], runs[2])


def test_a_placed_player_keeps_the_puzzle():
    env = LabsimVectorEnv("rooms_keys_doors_puzzle", 1)
    env.reset(seed=SEED)
    _, info = env.reset(options={"pose": (850.0, 350.0, 90.0), "velocity": (100.0, 0.0)})
    assert info["pose"][0].tolist() == [850.0, 350.0, 25.125, 0.0, 90.0]
    assert env.level.target(0).tolist() == list(GOAL)
    with pytest.raises(ValueError, match="walls"):
        env.reset(options={"pose": (950.0, 250.0, 0.0)})
