from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from hypothesis import given, settings
from hypothesis import strategies as st

import envs
from envs.labsim.vector_env import LabsimVectorEnv

LEVEL = "room_watermaze"
FORWARD, LOOK_LEFT, FIRE = 0, 4, 8


def blank(env):
    return np.zeros(env.observation_space.shape, np.uint8)


def begun(num_envs, steps_left=None, seed=0, **arguments):
    """A batch whose environment i has `steps_left[i]` agent steps to go."""
    env = LabsimVectorEnv(LEVEL, num_envs, **arguments)
    env.reset(seed=seed)
    if steps_left is not None:
        env.level.players["last_frame"] = 4 * np.array(steps_left)
    return env


def test_make_vec_gives_this_class_with_the_spaces_of_the_level():
    env = gymnasium.make_vec("labsim/room_watermaze-v0", num_envs=3)
    assert isinstance(env, LabsimVectorEnv)
    assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    assert env.single_observation_space == gymnasium.spaces.Box(0, 255, (72, 96, 3), np.uint8)
    assert env.single_action_space == gymnasium.spaces.Discrete(9)
    obs, info = env.reset(seed=5)
    assert obs in env.observation_space
    assert info["pose"].shape == (3, 5)
    obs, reward, terminated, truncated, _ = env.step(env.action_space.sample())
    assert obs in env.observation_space
    assert reward.shape == terminated.shape == truncated.shape == (3,)
    assert gymnasium.make_vec("labsim/rooms_watermaze-v0", num_envs=2).num_envs == 2


def test_vector_env_equals_single_envs_with_consecutive_seeds():
    """Over an episode's end: the next episode draws from the environment's own stream."""
    batch = begun(3, steps_left=[7, 11, 13], seed=40)
    singles = []
    for i in range(3):
        single = gymnasium.make("labsim/room_watermaze-v0").unwrapped
        obs, info = single.reset(seed=40 + i)
        single._vector_env.level.players["last_frame"] = 4 * (7, 11, 13)[i]
        singles.append(single)
    actions = np.random.default_rng(1).integers(0, 9, (20, 3))
    for action in actions:
        obs, reward, _, truncated, info = batch.step(action)
        for i, single in enumerate(singles):
            own_obs, own_reward, _, own_truncated, own_info = single.step(action[i])
            assert own_reward == reward[i]
            assert own_truncated == truncated[i]
            if own_truncated:
                assert (own_obs == info["final_obs"][i]).all()
                assert (own_info["pose"] == info["final_info"]["pose"][i]).all()
                own_obs, own_info = single.reset()
            assert (own_obs == obs[i]).all()
            assert (own_info["pose"] == info["pose"][i]).all()


def test_infos_tell_of_successes_as_gymnasiums_vector_env_does():
    """Environment 0 succeeds in mid-episode, 1 in its episode's last step, 2 not."""
    level = "labsim/explore_goal_locations_small-v0"
    batch = gymnasium.make_vec(level, num_envs=3)
    truth = SyncVectorEnv(
        [partial(gymnasium.make, level)] * 3, autoreset_mode=AutoresetMode.SAME_STEP
    )
    start = batch.reset(seed=7)[1]["pose"][:, [0, 1, 4]]
    truth.reset(seed=7)
    targets = np.array([start[0, :2], start[1, :2], batch.level.target(2)])
    steps_left = [7, 1, 7]
    batch.reset(options={"pose": start, "target": targets})
    batch.level.players["last_frame"] = 4 * np.array(steps_left)
    for i, single in enumerate(truth.envs):
        single.reset(options={"pose": start[i], "target": targets[i]})
        single.unwrapped._vector_env.level.players["last_frame"] = 4 * steps_left[i]
    told = []
    for _ in range(3):
        told.append(batch.step(np.full(3, FIRE))[4])
        expected = truth.step(np.full(3, FIRE))[4]
        for ours, theirs in (
            (told[-1], expected),
            (told[-1].get("final_info", {}), expected.get("final_info", {})),
        ):
            assert ours.keys() == theirs.keys()
            for name in ours.keys() - {"final_obs", "final_info"}:
                np.testing.assert_array_equal(ours[name], theirs[name])
    np.testing.assert_allclose(told[0]["success_seconds"], [1 / 60, 0, 0])
    assert told[0]["_success_seconds"].tolist() == [True, False, False]
    assert told[0]["final_info"]["_success_seconds"].tolist() == [False, True, False]
    assert "success_seconds" not in told[1]


def test_a_reset_tells_its_seed():
    for make in (gymnasium.make, gymnasium.make_vec):
        env = make("labsim/room_watermaze-v0")
        env.reset(seed=5)
        assert env.np_random_seed == 5
        env.reset()
        assert env.np_random_seed == 5
    env.reset(seed=np.int64(7))
    assert env.np_random_seed == 7


@pytest.mark.parametrize("num_threads", [2, 3, 11])
def test_results_do_not_depend_on_the_number_of_threads(num_threads):
    one = begun(7, [3, 5, 2, 90, 90, 4, 90])
    many = begun(7, [3, 5, 2, 90, 90, 4, 90], num_threads=num_threads)
    for action in np.random.default_rng(2).integers(0, 9, (13, 7)):
        a, b = one.step(action), many.step(action)
        for left, right in zip(a[:4], b[:4], strict=True):
            assert (left == right).all()
        assert (a[4]["pose"] == b[4]["pose"]).all()
    assert all((one.get_state()[k] == v).all() for k, v in many.get_state().items())
    many.close()


def test_ends_report_the_last_observation_and_begin_anew_in_the_same_step():
    env = begun(3, [2, 90, 2])
    _, _, _, truncated, info = env.step(np.full(3, FIRE))
    assert not truncated.any()
    assert "final_obs" not in info
    assert "final_info" not in info
    before = info["pose"]
    obs, _, terminated, truncated, info = env.step(np.full(3, LOOK_LEFT))
    assert truncated.tolist() == [True, False, True]
    assert not terminated.any()
    assert info["_final_obs"].tolist() == info["_final_info"].tolist() == [True, False, True]
    assert info["final_obs"][1] is None
    turned = (info["final_info"]["pose"][:, 4] - before[:, 4]) % 360
    np.testing.assert_allclose(turned[[0, 2]], 8.448, atol=0.01)
    np.testing.assert_array_equal(info["final_info"]["pose"][0, :3], before[0, :3])
    for i in (0, 2):
        assert (info["final_obs"][i] != obs[i]).any()
        assert env.level.players["frame"][i] == 0
        assert env.level.players["last_frame"][i] == 7200
    assert env.level.players["frame"][1] == 8


def test_step_into_fills_the_callers_buffer_and_keeps_final_observations_on_request():
    for keep in (False, True):
        env = begun(2, [1, 90], keep_final_obs=keep)
        obs = blank(env)
        result = env.step_into(np.array([FORWARD, FORWARD]), obs)
        assert obs.any(axis=(1, 2, 3)).all()
        assert result.truncated.tolist() == [True, False]
        assert result.reward.dtype == result.success_seconds.dtype == np.float32
        assert np.isnan(result.success_seconds).all()
        assert (result.final_obs is not None) == keep
        if keep:
            assert (result.final_obs[0] != obs[0]).any()


def test_state_restores_bit_for_bit():
    env = begun(3, [60, 90, 4])
    env.reset(options={"pose": (20.0, 0.0, 0.0), "target": (0.0, 0.0)})  # a visit is going on
    actions = np.random.default_rng(3).integers(0, 9, (40, 3))
    for action in actions[:5]:
        env.step(action)
    state = env.get_state()
    obs_at_state = blank(env)
    env.render_into(obs_at_state)
    expected = [env.step(action)[:4] for action in actions[5:]]
    other = LabsimVectorEnv(LEVEL, 3, num_threads=2)
    other.set_state(state)
    obs = blank(other)
    other.render_into(obs)
    assert (obs == obs_at_state).all()
    for action, wanted in zip(actions[5:], expected, strict=True):
        for left, right in zip(other.step(action)[:4], wanted, strict=True):
            assert (left == right).all()
    assert sum(step[1].sum() for step in expected) > 0
    with pytest.raises(ValueError, match="not a state of 2 environments"):
        LabsimVectorEnv(LEVEL, 2).set_state(state)
    other.close()


def test_first_episodes_are_staggered_by_the_seed_and_later_ones_are_full():
    env = LabsimVectorEnv(LEVEL, 5, stagger=True)
    obs = blank(env)
    env.reset_into([3, 4, 5, 6, 3], obs)
    first = env.level.players["last_frame"].copy()
    assert first[0] == first[4]
    assert len(set(first.tolist())) == 4
    assert ((first >= 4) & (first <= 7200)).all()
    env.level.players["frame"][1] = first[1] - 4
    assert env.step_into(np.full(5, FIRE), obs).truncated.tolist() == [False, True] + [False] * 3
    assert env.level.players["last_frame"][1] == 7200
    lengths = []
    for seed in range(40):
        env.reset_into([seed * 5 + i for i in range(5)], obs)
        lengths += env.level.players["last_frame"].tolist()
    assert np.mean(lengths) == pytest.approx(3600, rel=0.1)


def test_record_episode_statistics_sees_every_episode():
    env = RecordEpisodeStatistics(begun(2, seed=9))
    env.reset(seed=9, options={"pose": (0.0, 0.0, 0.0), "target": (10.0, 0.0)})
    env.unwrapped.level.players["last_frame"] = np.array([400, 280])
    for step in range(1, 101):
        info = env.step(np.full(2, FIRE))[4]
        if step == 70:
            assert info["_episode"].tolist() == [False, True]
            assert (info["episode"]["l"][1], info["episode"]["r"][1]) == (70, 5)
    assert info["_episode"].tolist() == [True, False]
    assert (info["episode"]["l"][0], info["episode"]["r"][0]) == (100, 5)


def test_options_place_players_and_targets():
    env = begun(3)
    poses = np.array([[0.0, 10.0, 20.0], [-100.0, 5.0, -170.0], [300.0, -2.0, 90.0]])
    _, info = env.reset(options={"pose": poses, "velocity": (200.0, 100.0), "target": (0.0, 99.0)})
    np.testing.assert_allclose(info["pose"][:, :2], poses[:, :2])
    np.testing.assert_allclose(info["pose"][:, 4], poses[:, 2], atol=0.006)
    assert (info["pose"][:, 2:4] == (40.125, 0.0)).all()
    assert (env.level.players["frame"] == 0).all()
    # Velocities are in the body's frame, forward and left, as DeepMind Lab reports them.
    yaw = np.radians(poses[:, 2])
    np.testing.assert_allclose(env.level.players["vx"], 200 * np.cos(yaw) - 100 * np.sin(yaw))
    np.testing.assert_allclose(env.level.players["vy"], 200 * np.sin(yaw) + 100 * np.cos(yaw))
    assert (env.level.platforms["y"] == 99.0).all()


def test_placing_in_mid_episode_keeps_the_platform_and_a_running_visit():
    env = begun(1)
    env.reset(options={"pose": (0.0, 0.0, 0.0), "target": (10.0, 0.0)})
    for _ in range(7):
        env.step(np.array([FIRE]))
    assert env.level.platforms["top"][0] == 94
    _, info = env.reset(options={"pose": (20.0, 0.0, 45.0)})
    assert env.level.platforms["top"][0] == 94
    assert info["pose"][0, 2] == pytest.approx(118.1, abs=0.3)
    rewards = [env.step(np.array([FIRE]))[1][0] for _ in range(60)]
    assert sum(rewards) == 4
    _, info = env.reset(options={"pose": (500.0, 0.0, 45.0)})
    assert env.level.platforms["top"][0] == -2
    assert info["pose"][0, 2] == 40.125
    assert env.level.target(0).tolist() == [10.0, 0.0]
    env.reset()
    assert env.level.target(0).tolist() != [10.0, 0.0]


def test_who_is_placed_is_not_paid_for_what_he_did_before():
    env = begun(1)
    env.reset(options={"pose": (0.0, 0.0, 0.0), "target": (10.0, 0.0)})
    env.level.platforms["unpaid"] = 1.0
    env.level.platforms["reloading"] = True
    env.reset(options={"pose": (20.0, 0.0, 45.0)})
    assert env.level.platforms["touched_ms"][0] == -1
    _, reward, *_, info = env.step(np.array([FIRE]))
    assert reward[0] == 0
    assert info["pose"][0, 0] == pytest.approx(20, abs=11), "was not sent to a spawn point"


def test_reset_with_seed_and_options_is_reproducible():
    env = begun(2, seed=1)
    results = []
    for _ in range(2):
        obs, info = env.reset(seed=4, options={"pose": (5.0, 6.0, 7.0)})
        results.append((obs, info["pose"], env.level.platforms["x"].copy()))
    for left, right in zip(*results, strict=True):
        assert (left == right).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"position": (0, 0)}, "unknown reset option 'position'"),
        ({"pose": (0, 0)}, "reset option 'pose'"),
        ({"pose": (0, 0, np.nan)}, "reset option 'pose'"),
        ({"pose": (0, 0, 0), "velocity": (1e23, 0)}, "not 2 numbers of at most 10,000 in size"),
        ({"target": (1e39, 0)}, "reset option 'target'"),
        ({"pose": (750, 0, 0)}, "not inside the level's walls"),
        ({"velocity": (1, 2)}, "needs a 'pose'"),
        ({"target": (1, 2, 3)}, "reset option 'target'"),
    ],
)
def test_bad_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        begun(2).reset(options=options)


@pytest.mark.parametrize("actions", [[0, 9], [-1, 0], [0], [[0, 0]], [0.5, 1.5]])
def test_bad_actions_are_refused(actions):
    with pytest.raises(ValueError, match="needed are 2 whole numbers"):
        begun(2).step(np.array(actions))


def test_bad_arguments_are_refused():
    for arguments in ({"num_envs": 0}, {"num_threads": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            LabsimVectorEnv(LEVEL, **arguments)
    with pytest.raises(ValueError, match="render_mode"):
        LabsimVectorEnv(LEVEL, 1, render_mode="human")
    for seeds in ([1], [1, -2]):
        with pytest.raises(ValueError, match="seeds"):
            begun(2).reset_into(seeds, np.zeros((2, 72, 96, 3), np.uint8))


def test_render_gives_what_was_observed():
    env = LabsimVectorEnv(LEVEL, 2, render_mode="rgb_array")
    obs, _ = env.reset(seed=1)
    assert (np.stack(env.render()) == obs).all()
    assert begun(1).render() is None


def test_top_down_picture_shows_the_player_where_he_is():
    env = begun(2)
    env.reset(options={"pose": (-400.0, 300.0, 0.0), "target": (200.0, 0.0)})
    picture = env.get_top_down(1)
    assert picture.dtype == np.uint8
    assert picture.shape == (144, 144, 3)
    red = np.argwhere((picture == (255, 51, 85)).all(axis=2)).mean(axis=0)
    # 1520 units are 128 pixels, the centre is pixel 72, north is up.
    np.testing.assert_allclose(red, (72 - 300 * 128 / 1520, 72 - 400 * 128 / 1520), atol=3.0)
    hidden = (picture == (255, 119, 51)).all(axis=2).sum()
    env.reset(options={"pose": (200.0, 0.0, 0.0), "target": (200.0, 0.0)})
    for _ in range(8):
        env.step(np.array([FIRE, FIRE]))
    assert hidden == 0
    assert (env.get_top_down(1) == (255, 119, 51)).all(axis=2).sum() > 30


def test_unseeded_environments_differ():
    first, _ = LabsimVectorEnv(LEVEL, 2).reset()
    second, _ = LabsimVectorEnv(LEVEL, 2).reset()
    assert (first != second).any()
    obs, _ = begun(2).reset(seed=[3, None])
    assert (obs[0] == begun(1, seed=3).reset(seed=3)[0][0]).all()


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), lengths=st.lists(st.integers(1, 9), min_size=5, max_size=5))
def test_whatever_is_done_the_rules_hold(seed, lengths):
    env = begun(5, lengths, seed=seed)
    rng = np.random.default_rng(seed)
    walls = env.level.solids.walls[0]
    for step in range(1, 30):
        _, reward, _, truncated, info = env.step(rng.integers(0, 9, 5))
        assert truncated.tolist() == [step == length for length in lengths]
        pose = info["pose"]
        assert np.isfinite(pose).all()
        assert (pose[:, :2] @ walls[:, :2].T > walls[:, 2]).all()
        assert (pose[:, 2] >= 25.0).all()
        assert ((pose[:, 4] >= -180.0) & (pose[:, 4] < 180.0)).all()
        assert np.isin(reward, np.arange(5)).all()
        assert np.hypot(*env.level.target(0)) <= 580


def test_frames_per_step_is_what_the_package_says():
    env = begun(1)
    env.step(np.array([FIRE]))
    assert env.level.players["frame"][0] == envs.FRAMES_PER_STEP
