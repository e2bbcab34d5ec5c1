"""From a run's settings to its learner: nothing of them is lost on the way."""

import pytest
import torch

from configs import learners, make_learner
from tests.configs.one_run import one
from tests.known_answer_envs import RandomEnds

TINY = (
    "agent.network.encoder=mlp", "agent.network.hidden_size=11", "agent.unroll_length=5",
    "env.num_envs=3", "aux.horizon=2",
)  # fmt: skip


def made(*settings):
    """The learner, and what was asked of the environments."""
    asked = {}
    config = one(*settings, "seed=7", "total_frames=1e5")

    def make_envs(env, num_envs, **keywords):
        asked.update(keywords, level=env.level, num_envs=num_envs)
        return RandomEnds(num_envs)

    return make_learner(config, torch.device("cpu"), 1, make_envs), asked


def test_what_is_set_reaches_the_learner_and_its_environments():
    settings = ("aux=cpc", "aux.weight=0.3", "agent.bootstrap_on_timeout=true")
    learner, asked = made(*TINY, "env=seekavoid_arena_01", *settings)
    assert (learner.aux_weight, learner.total_frames) == (0.3, 100_000)
    assert learner.aux.horizon == 2
    assert asked == {
        "level": "seekavoid_arena_01",
        "num_envs": 3,
        "stagger": True,
        "num_threads": 1,
        "keep_final_obs": True,
    }
    _, asked = made(*TINY)
    assert not asked["keep_final_obs"]


def test_only_an_lstm_needs_the_memory_of_one():
    wide = "agent.network.hidden_size=65536"
    learners._check_memory(one(wide, "agent.network.core=none"), 3)
    with pytest.raises(ValueError, match=r"an LSTM of size 65536 .* would take 384 GiB"):
        learners._check_memory(one(wide), 3)


def test_so_does_stable_baselines3s():
    learner, asked = made("agent=sb3_a2c", "env.num_envs=3")
    assert learner.model.seed == 7
    assert (asked["stagger"], asked["keep_final_obs"]) == (True, True)


def test_an_evaluation_plays_whole_episodes(monkeypatch):
    learner, _ = made(*TINY)
    learner.start()
    asked = {}

    def make_vec_env(env, num_envs, **keywords):
        asked.update(keywords)
        return RandomEnds(num_envs)

    monkeypatch.setattr(learners, "make_vec_env", make_vec_env)
    config = one(*TINY, "log.evaluate_episodes=5")
    assert len(learners.play_evaluation(config, learner, lambda _: None)) == 5
    assert asked["stagger"] is False
