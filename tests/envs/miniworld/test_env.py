import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs.config import LEVELS
from envs.labsim.single_env import LabsimEnv
from envs.miniworld.env import MiniworldEnv, MiniworldVectorEnv

pytestmark = pytest.mark.slow  # draws through OpenGL

SEED, STEPS = 11, 200
TO_THE_END = 101  # steps until the first episode is cut


@pytest.mark.parametrize("level", LEVELS)
def test_episodes_are_those_of_labsim(level):
    drawn, truth = MiniworldEnv(level), LabsimEnv(level)
    rng = np.random.default_rng(SEED)
    infos = [env.reset(seed=SEED)[1] for env in (drawn, truth)]
    for env in (drawn, truth):
        env._vector_env.level.players["frame"] = (
            env._vector_env.level.players["last_frame"] - 4 * TO_THE_END
        )
    moved, ends = 0.0, []
    for step in range(1, STEPS + 1):
        action = rng.choice([0, 0, 0, 4, 5, 6, 7, 8])
        obs, *outcome, info = drawn.step(action)
        assert obs.shape == (72, 96, 3)
        assert obs.dtype == np.uint8
        _, *expected, expected_info = truth.step(action)
        assert outcome == expected
        assert (info["pose"] == expected_info["pose"]).all()
        moved += abs(info["pose"][:2] - infos[0]["pose"][:2]).sum()
        if any(outcome[1:]):
            ends.append(step)
            infos = [env.reset()[1] for env in (drawn, truth)]
            assert (infos[0]["pose"] == infos[1]["pose"]).all()
    assert moved > 0.0
    assert ends[0] == TO_THE_END
    assert drawn.episode_steps == truth._vector_env.level.episode_steps
    drawn.close()
    truth.close()


def test_gymnasium_accepts_it():
    env = gymnasium.make("miniworld/rooms_watermaze-v0", render_mode="rgb_array")
    obs, _ = env.reset(seed=3)
    assert (env.render() == obs).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
    env.close()


def test_options_place_the_player_and_success_is_timed():
    env = MiniworldEnv("explore_goal_locations_small")
    _, info = env.reset(seed=5)
    x, y = info["pose"][:2]
    _, info = env.reset(options={"pose": (x, y, 90.0), "target": (x, y)})
    assert info["pose"][4] == pytest.approx(90.0, abs=0.006)
    info = env.step(8)[4]  # the target is touched in the first of four frames
    assert info["success_seconds"] == pytest.approx(1 / 60)
    assert "success_seconds" not in env.step(8)[4]
    env.close()


def test_two_levels_in_one_process_do_not_disturb_each_other():
    def views(envs):
        return [env.reset(seed=SEED)[0] for env in envs]

    first, second = MiniworldEnv("seekavoid_arena_01"), MiniworldEnv("rooms_keys_doors_puzzle")
    alone = [*views([first]), *views([second])]
    first.step(0)
    second.step(0)
    assert all((a == b).all() for a, b in zip(alone, views([first, second]), strict=True))
    second.close()
    assert (views([first])[0] == alone[0]).all()
    first.close()


def test_bad_arguments_are_named_in_one_sentence(monkeypatch):
    with pytest.raises(ValueError, match="unknown level 'nowhere'"):
        MiniworldEnv("nowhere")
    with pytest.raises(ValueError, match="num_envs is 2"):
        MiniworldVectorEnv("room_watermaze", 2)
    monkeypatch.setattr("envs.miniworld.headless.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install .*miniworld"):
        MiniworldEnv("room_watermaze")


def test_miniworlds_own_levels_are_drawn_without_a_display():
    env = gymnasium.make("envs.miniworld.stock_levels:MiniWorld-OneRoom-v0")
    obs, _ = env.reset(seed=3)
    assert obs in env.observation_space
    assert len(np.unique(obs)) > 20  # a room, not a blank picture
    env.close()
