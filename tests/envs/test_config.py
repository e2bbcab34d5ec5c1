import gymnasium
import numpy as np
import pytest

import envs
from envs.config import EnvConfig, canonical_level


def test_both_spellings_of_the_level_are_accepted():
    assert canonical_level("rooms_watermaze") == "room_watermaze"
    assert canonical_level("room_watermaze") == "room_watermaze"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (EnvConfig("atari"), "unknown level 'atari': allowed are room_watermaze, explore_goal"),
        (EnvConfig("room_watermaze", backend="vizdoom"), "unknown backend 'vizdoom'"),
        (EnvConfig("room_watermaze", num_envs=0), "num_envs is 0"),
        (
            EnvConfig("room_watermaze", backend="dmlab", level_cache="~nobodys/x"),
            "env.level_cache is '~nobodys/x', but there is no such home folder.",
        ),
    ],
)
def test_bad_configurations_are_refused_in_one_sentence(config, words):
    with pytest.raises(ValueError, match=words) as error:
        config.validate()
    assert "\n" not in str(error.value)


def test_actions_are_the_recorded_raw_actions(watermaze_traces):
    for trace in watermaze_traces.values():
        np.testing.assert_array_equal(envs.IMPALA_ACTIONS[trace["actions"]], trace["raw_actions"])
    assert len(envs.ACTION_NAMES) == len(envs.IMPALA_ACTIONS) == 9


def test_every_level_is_registered_and_has_rules():
    from envs.labsim.levels import LEVELS

    assert tuple(LEVELS) == envs.LEVELS
    for name in (*envs.LEVELS, *envs.ALIASES):
        spec = gymnasium.spec(f"labsim/{name}-v0")
        assert spec.entry_point is not None
        assert spec.vector_entry_point is not None


def test_make_vec_env_uses_the_arguments():
    env = envs.make_vec_env(EnvConfig("rooms_watermaze"), 5, stagger=True, num_threads=2)
    assert env.num_envs == 5
    lengths = []
    obs = np.zeros(env.observation_space.shape, np.uint8)
    env.reset_into([10, 11, 12, 13, 14], obs)
    lengths = env.level.players["last_frame"] // envs.FRAMES_PER_STEP
    assert len(set(lengths.tolist())) == 5
    assert lengths.min() >= 1
    assert lengths.max() <= 1800
    env.close()
    with pytest.raises(ValueError, match="unknown level"):
        envs.make_vec_env(EnvConfig("room"), 1, stagger=False)
