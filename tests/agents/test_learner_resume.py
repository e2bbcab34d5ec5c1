"""A learner goes on from a checkpoint as if it had never stopped."""

import pytest
import torch

from tests.agents.small_learner import make_learner, parameters
from tests.known_answer_envs import Endless

pytestmark = pytest.mark.slow  # starts processes


@pytest.mark.parametrize("threads", [1, 2])
def test_resumed_run_equals_the_uninterrupted_one_bit_for_bit(threads, tmp_path):
    learner = make_learner(aux=True, threads=threads)
    episodes = []
    for update in range(9):
        if update == 4:
            torch.save(learner.state_dict(), tmp_path / "state.pt")
        episodes += learner.collect() if update < 4 else []
        if update >= 4:
            episodes_after = learner.collect()
            episodes.append(episodes_after)
        learner.update()

    resumed = make_learner(aux=True, threads=threads, seed=2)  # everything comes from the file
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    episodes_resumed = []
    for _ in range(5):
        episodes_resumed.append(resumed.collect())
        resumed.update()
    assert str(episodes[-5:]) == str(episodes_resumed)
    assert (resumed.frames, resumed.updates) == (learner.frames, learner.updates)
    for p, q in zip(parameters(learner), parameters(resumed), strict=True):
        assert torch.equal(p, q)
    assert learner.metrics() == resumed.metrics()
    learner.close(), resumed.close()


def test_resume_with_other_threads_goes_on_with_the_same_environments():
    three, two = (make_learner(Endless, num_envs=5, threads=threads) for threads in (3, 2))
    three.collect()
    three.update()
    two.load_state_dict(three.state_dict())
    for p, q in zip(parameters(three), parameters(two), strict=True):
        assert torch.equal(p, q)
    for learner in (three, two):
        learner.collect()
    for name in ("is_first", "discount", "reward"):  # no randomness in Endless but actions
        assert torch.equal(getattr(three._batch, name), getattr(two._batch, name))
    for name in ("embedding", "context"):
        torch.testing.assert_close(getattr(three._batch, name), getattr(two._batch, name))
    three.close(), two.close()
