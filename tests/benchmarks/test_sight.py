import numpy as np
import pytest
import torch

from benchmarks import sight
from benchmarks.aim import AHEAD_DEGREES
from benchmarks.bots import LEVEL
from envs.labsim.facts import VIEW_DEGREES, sees_a_bot
from envs.labsim.vector_env import LabsimVectorEnv
from records.weights import load_weights


def test_a_bot_in_view_is_ahead_or_to_one_side():
    env = LabsimVectorEnv(LEVEL, 16, keep_final_obs=False)
    obs = np.empty((16, *env.single_observation_space.shape), np.uint8)
    env.reset_into(range(16), obs)
    state = env.level.state()
    yaw = state["fighter.yaw"][:, 0].copy()
    counts = np.zeros(3)
    for turn in range(0, 360, 30):
        state["fighter.yaw"][:, 0] = yaw + turn
        said = sight.answers(state)
        assert (said.any(axis=1) == sees_a_bot(state, VIEW_DEGREES / 2)).all()
        # What is to the left is ahead once the agent has turned there: yaw grows to the left.
        left = said[:, 1] & ~said[:, 0] & ~said[:, 2]
        state["fighter.yaw"][:, 0] += VIEW_DEGREES / 4 + AHEAD_DEGREES / 2
        within = sees_a_bot(state, VIEW_DEGREES / 4 - AHEAD_DEGREES / 2)
        assert within[left].all()
        counts += said.sum(axis=0)
    assert (counts > 2).all()
    env.close()


def test_an_encoder_learns_what_it_is_told_and_is_handed_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sight, "TRAINING", range(6))
    monkeypatch.setattr(sight, "HELD_OUT", range(6, 10))
    sight.main(["--steps", "150", "--passes", "2", "--out", str(tmp_path / "eyes")])
    printed = capsys.readouterr().out.splitlines()
    assert printed[2] == "| passes | ahead | left | right |"
    assert [line[:4] for line in printed[4:6]] == ["| 1 ", "| 2 "]
    handed_on = load_weights(tmp_path / "eyes" / "agent.safetensors").agent
    untrained = sight.untrained_agent().state_dict()
    assert handed_on.keys() == untrained.keys()
    changed = {
        name.split(".")[0]
        for name, values in untrained.items()
        if not torch.equal(handed_on[name], values.half().float())
    }
    assert changed == {"encoder"}


def test_seen_pictures_are_remembered():
    """Training and the score belong together: a few pictures are soon known by heart."""
    pictures = sight.collect(range(4), 200)
    keep = np.flatnonzero(pictures.answers.any(axis=1))
    keep = np.concatenate([keep[:12], np.flatnonzero(~pictures.answers.any(axis=1))[:12]])
    few = sight.Pictures(pictures.images[keep], pictures.answers[keep])
    torch.manual_seed(0)
    encoder = sight.untrained_agent().encoder
    head = torch.nn.Linear(256, 3)
    for _ in sight.train(encoder, head, few, 150):
        pass
    scores = sight.balanced_accuracies(encoder, head, few)
    assert scores == pytest.approx([1.0] * 3, abs=0.05)
