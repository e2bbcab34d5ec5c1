"""This project's learner, without and with CPC, as `train_agent.py agent=a2c` builds it."""

from benchmarks.peers import setting
from benchmarks.peers.setting import Size, Trainer
from benchmarks.train_speed import build_learner
from envs import FRAMES_PER_STEP


def build_a2c(size: Size) -> Trainer:
    """A2C alone."""
    return _build("none", size)


def build_cpc(size: Size) -> Trainer:
    """A2C with CPC at its defaults."""
    return _build("cpc", size)


def _build(aux: str, size: Size) -> Trainer:
    settings = (f"env.num_envs={size.num_envs}", f"agent.unroll_length={size.unroll_length}")
    learner, config = build_learner("a2c", aux, size.threads, settings, device=size.device)
    network = learner.config.network
    ours = (config.env.level, network.encoder, network.hidden_size, learner.frames_per_rollout)
    theirs = (setting.LEVEL, "shallow", setting.HIDDEN_SIZE)
    assert ours == (*theirs, size.steps * FRAMES_PER_STEP)

    def rollout() -> None:
        learner.collect()
        learner.update()

    return Trainer(rollout, learner.close)
