"""The environment on a stand-in for DeepMind Lab, which plays recordings of the real one."""

import gc
import re
from pathlib import Path

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs import LEVELS
from envs.dmlab import DMLabEnv
from envs.dmlab.env import SCRIPTS

DATA = Path(__file__).parents[2] / "data"
# Upstream's name of a level, and the file of a whole or partial episode of the real DeepMind Lab.
RECORDINGS = sorted(DATA.glob("*_seed700?_*.npz"))


def sticky(name):
    return dict(np.load(DATA / f"{name}_seed7003_sticky.npz"))


def success_seconds(steps):
    """Of the steps in which a trial succeeded, by their number."""
    infos = enumerate(info for *_, info in steps)
    return {step: info["success_seconds"] for step, info in infos if info}


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_starts_and_is_a_gymnasium_environment(make_env, level):
    env = make_env(level)
    check_env(env, skip_render_check=True)
    obs, _ = env.reset(seed=7)
    assert (obs.shape, obs.dtype) == ((72, 96, 3), np.uint8)


def test_upstreams_name_of_a_level_is_known_and_others_are_not(make_env):
    assert make_env("rooms_watermaze").level == "room_watermaze"
    with pytest.raises(ValueError, match="unknown level 'lt_chasm'"):
        DMLabEnv("lt_chasm")


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
def test_actions_and_rewards_are_those_of_the_recorded_lab(make_env, deepmind_lab, recording):
    trace = np.load(recording)
    level = re.sub("_seed700.*", "", recording.stem)
    rewards = {4 * t + 2: float(reward) for t, reward in enumerate(trace["rewards"])}
    env = make_env(level, deepmind_lab.Plan(rewards=rewards, raw_actions=trace["raw_actions"]))
    env.reset(seed=int(trace["seed"]))
    earned = [env.step(action)[1] for action in trace["actions"]]
    assert earned == trace["rewards"].tolist()
    assert deepmind_lab.Lab.seeds[-1] == int(trace["seed"])


@pytest.mark.parametrize("level", LEVELS)
def test_the_clock_truncates(make_env, level):
    env = make_env(level)
    env.reset(seed=5)
    steps = {"room_watermaze": 1800, "explore_goal_locations_small": 1350}
    steps |= {"seekavoid_arena_01": 300, "lasertag_three_opponents_small": 3600}
    steps |= {"rooms_keys_doors_puzzle": 900}
    assert env.episode_steps == steps[level]
    for _ in range(steps[level] - 1):
        before, _, terminated, truncated, _ = env.step(0)
        assert (terminated, truncated) == (False, False)
    obs, _, terminated, truncated, _ = env.step(0)
    assert (terminated, truncated) == (False, True)
    # DeepMind Lab shows nothing of the end: it is the observation before.
    np.testing.assert_array_equal(obs, before)
    with pytest.raises(ValueError, match="has ended"):
        env.step(0)
    env.reset()
    env.step(0)


def test_reaching_the_goal_of_the_puzzle_terminates(make_env, deepmind_lab):
    # In step 5 by 0-based count: frames 21 to 24; the episode ends 13 frames later.
    plan = deepmind_lab.Plan(rewards={9: 1.0, 22: 50.0}, end=35)
    env = make_env("rooms_keys_doors_puzzle", plan)
    for _ in range(2):  # an episode knows nothing of the one before
        env.reset(seed=3)
        steps = [env.step(1) for _ in range(9)]
    assert [reward for _, reward, *_ in steps] == [0, 0, 1, 0, 0, 50, 0, 0, 0]
    assert [(bool(t), bool(c)) for _, _, t, c, _ in steps[-2:]] == [(False, False), (True, False)]
    assert success_seconds(steps) == {5: pytest.approx(24 / 60)}


def test_a_shorter_clock_truncates_too(make_env):
    env = make_env("room_watermaze", settings={"episodeLengthSeconds": 1})
    env.reset(seed=3)
    ends = [env.step(0)[2:4] for _ in range(15)]
    assert ends[-1] == (False, True)
    assert not any(terminated or truncated for terminated, truncated in ends[:-1])


def test_success_seconds_of_a_recorded_visit_to_the_platform(make_env, deepmind_lab):
    trace = sticky("rooms_watermaze")
    paid = np.flatnonzero(trace["rewards"])
    jump = np.linalg.norm(np.diff(trace["pos"][:, :2], axis=0), axis=1)
    (respawn,) = (step for step in np.flatnonzero(jump > 100) if step > paid[0])
    assert len(paid) == 5
    assert paid[-1] < respawn
    # In the recording the player is elsewhere after step `respawn`; he is paid once more there.
    rewards = {4 * int(t) + 2: 1.0 for t in paid} | {4 * int(respawn) + 39: 1.0}
    plan = deepmind_lab.Plan(rewards=rewards, loads=frozenset({4 * int(respawn) + 3}))
    env = make_env("room_watermaze", plan)
    env.reset(seed=7003)
    assert success_seconds([env.step(action) for action in trace["actions"]]) == {
        paid[0]: pytest.approx(4 * (paid[0] + 1) / 60),
        respawn + 9: pytest.approx((40 - 3) / 60),
    }


@pytest.mark.parametrize(("hud", "shown"), [("none", False), ("full", True)])
def test_hud_is_drawn_or_not_and_the_key_square_always(make_env, deepmind_lab, hud, shown):
    env = make_env("rooms_keys_doors_puzzle", deepmind_lab.Plan(key_held=True), hud=hud)
    obs, _ = env.reset(seed=3)
    assert (obs[-1, 0] == deepmind_lab.HUD_COLOUR).all() == shown
    assert (obs[2, 2] == deepmind_lab.KEY_COLOUR).all()


def test_seeds_decide_all_later_episodes(make_env, deepmind_lab):
    def seeds(seed):
        env = make_env()
        deepmind_lab.Lab.seeds.clear()
        env.reset(seed=seed)
        for _ in range(7):
            env.reset()
        return list(deepmind_lab.Lab.seeds)

    assert seeds(11) == seeds(11)
    assert seeds(11) != seeds(13)
    assert len(set(seeds(11))) == 8
    assert seeds(11)[0] == 11
    # Training and evaluation never meet: each stays on its side of 2^30.
    assert max(seeds(2**30 - 1)) < 2**30
    assert min(seeds(2**30)) >= 2**30
    assert max(seeds(2**31 - 1)) < 2**31


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_seed_that_is_no_c_int_is_refused(make_env, seed):
    with pytest.raises(ValueError, match=f"got the seed {seed}"):
        make_env().reset(seed=seed)


@pytest.mark.parametrize("action", [-1, 9])
def test_unknown_action_is_refused(make_env, action):
    env = make_env()
    env.reset(seed=1)
    with pytest.raises(ValueError, match=f"got the action {action}"):
        env.step(action)


def test_step_before_reset_and_reset_options_are_refused(make_env):
    env = make_env()
    with pytest.raises(ValueError, match="call reset"):
        env.step(0)
    with pytest.raises(ValueError, match="no reset options, but got pose"):
        env.reset(options={"pose": (0, 0, 0)})


def test_observations_stay_what_they_were(make_env):
    env = make_env("seekavoid_arena_01")
    first, _ = env.reset(seed=2)
    kept = first.copy()
    second = env.step(0)[0]
    np.testing.assert_array_equal(first, kept)
    assert (second != first).all()
    second[:] = 0  # the caller's own
    env.reset(seed=2)
    for _ in range(299):
        obs = env.step(0)[0]
    last = obs.copy()
    obs[:] = 0
    np.testing.assert_array_equal(env.step(0)[0], last)


def test_one_environment_a_process(make_env):
    env = make_env()
    with pytest.raises(ValueError, match="there is an open DMLabEnv in this process"):
        DMLabEnv("seekavoid_arena_01")
    env.close()
    env.close()
    second = DMLabEnv("seekavoid_arena_01")
    env.close()  # must not free the place of the second
    with pytest.raises(ValueError, match="there is an open DMLabEnv"):
        DMLabEnv("room_watermaze")
    del second
    gc.collect()
    make_env().reset(seed=3)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"renderer": "metal"}, "unknown renderer 'metal': allowed are software, hardware"),
        ({"hud": "some"}, "unknown hud 'some'"),
        ({"settings": {"rooms": 3}}, 'DeepMind Lab does not start: .*Invalid setting: "rooms"'),
        ({"settings": {"use_pbos": "yes"}}, "DeepMind Lab does not start: .*boolean"),
    ],
)
def test_bad_arguments_are_one_sentence_and_leave_nothing_open(make_env, keywords, words):
    with pytest.raises(ValueError, match=words) as raised:
        make_env(**keywords)
    assert "\n" not in str(raised.value)
    make_env().reset(seed=3)


def test_settings_of_a_level_that_would_change_the_actions(make_env, deepmind_lab, monkeypatch):
    more = (*deepmind_lab.ACTIONS, ("SWITCH_GADGET", -1, 1))
    with monkeypatch.context() as patch:
        patch.setattr(deepmind_lab, "ACTIONS", more)
        with pytest.raises(ValueError, match="SWITCH_GADGET, which are not IMPALA") as raised:
            make_env()
    assert raised  # keeps alive what the failed environment had
    make_env().reset(seed=3)


def test_renderer_reaches_deepmind_lab(make_env, deepmind_lab, monkeypatch):
    asked = []
    original = deepmind_lab.Lab.__init__

    def spy(self, *args, **keywords):
        asked.append(keywords["renderer"])
        original(self, *args, **keywords)

    monkeypatch.setattr(deepmind_lab.Lab, "__init__", spy)
    make_env(renderer="hardware")
    make_env()
    assert asked == ["hardware", "software"]


def test_mixer_seed_gives_other_mazes(make_env, deepmind_lab, tmp_path):
    for mixer_seed in (0, 3, 3):
        env = make_env("explore_goal_locations_small", mixer_seed=mixer_seed, level_cache=tmp_path)
        env.reset(seed=5)
    assert deepmind_lab.Lab.compiled == 2


def test_level_cache_spares_compiling(make_env, deepmind_lab, tmp_path):
    for _ in range(2):
        env = make_env("rooms_keys_doors_puzzle", level_cache=tmp_path / "maps")
        for seed in (5, 7, 5):
            env.reset(seed=seed)
    assert deepmind_lab.Lab.compiled == 2
    make_env("rooms_keys_doors_puzzle").reset(seed=5)
    assert deepmind_lab.Lab.compiled == 3


def test_levels_are_those_of_the_project():
    assert set(SCRIPTS) == set(LEVELS)
