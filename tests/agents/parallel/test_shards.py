"""However the batch is shared out, the learner learns the same; and who fails is heard of."""

import multiprocessing
import os

import numpy as np
import pytest
import torch

from agents.config import NetworkConfig
from tests.agents.small_learner import make_learner, parameters
from tests.known_answer_envs import Grouped, RandomEnds, Result, SmallImages

pytestmark = pytest.mark.slow  # starts processes


@pytest.mark.parametrize("encoder", ["mlp", "shallow", "deep"])
def test_the_number_of_threads_changes_rounding_only(encoder):
    env = RandomEnds if encoder == "mlp" else SmallImages
    one, three = (
        make_learner(
            env, num_envs=5, aux=True, threads=threads, bootstrap_on_timeout=True,
            network=NetworkConfig(encoder, 16), rmsprop_epsilon=0.1,
        )
        for threads in (1, 3)
    )  # fmt: skip
    for _ in range(3):
        assert sorted(map(str, one.collect())) == sorted(map(str, three.collect()))
        assert torch.equal(one._batch.action, three._batch.action)
        one.update(), three.update()
    for p, q in zip(parameters(one), parameters(three), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)
    three.close()


def test_losses_leave_the_other_cores_to_the_shares():
    """PyTorch's threads would go on looking for work there; who else uses PyTorch keeps them."""
    learner, seen = make_learner(num_envs=2, aux=True), []
    loss = learner._a2c_loss
    learner._a2c_loss = lambda *args, **kwargs: (
        seen.append(torch.get_num_threads()) or loss(*args, **kwargs)
    )
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        learner.collect()
        learner.update()
        assert seen == [1]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("bootstrap", [False, True])
def test_groups_that_take_turns_change_rounding_only(bootstrap, tmp_path):
    one, two = (
        make_learner(env, num_envs=5, aux=True, bootstrap_on_timeout=bootstrap)
        for env in (RandomEnds, Grouped)
    )
    for _ in range(4):
        assert sorted(map(str, one.collect())) == sorted(map(str, two.collect()))
        for name in ("action", "is_first", "reward", "valid"):
            x, y = (getattr(learner._batch, name) for learner in (one, two))
            torch.testing.assert_close(x, y)
        one.update(), two.update()
    for p, q in zip(parameters(one), parameters(two), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)
    assert two.metrics()["env/worker_restarts"] == 3.0
    assert "env/worker_restarts" not in one.metrics()

    resumed = make_learner(Grouped, num_envs=5, aux=True, seed=2, bootstrap_on_timeout=bootstrap)
    torch.save(two.state_dict(), tmp_path / "state.pt")
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for learner in (two, resumed):
        learner.collect()
        learner.update()
    for p, q in zip(parameters(two), parameters(resumed), strict=True):
        assert torch.equal(p, q)


class Fragile(RandomEnds):
    """Breaks in the middle of a rollout, but only in another process than the first."""

    def step_into(self, actions: np.ndarray, obs: np.ndarray) -> Result:
        if multiprocessing.parent_process() is not None:
            raise OSError("the ground gave way")
        return super().step_into(actions, obs)


class Deadly(RandomEnds):
    def step_into(self, actions: np.ndarray, obs: np.ndarray) -> Result:
        if multiprocessing.parent_process() is not None:
            os._exit(7)
        return super().step_into(actions, obs)


@pytest.mark.parametrize(
    ("env", "message"), [(Fragile, "the ground gave way"), (Deadly, r"exit code 7")]
)
def test_a_worker_process_that_fails_ends_the_run_with_its_cause(env, message):
    learner = make_learner(env, threads=2)
    with pytest.raises(RuntimeError, match=message):
        learner.collect()
    learner.close()


def test_more_threads_than_environments_are_refused():
    with pytest.raises(ValueError, match="threads is 5"):
        make_learner(threads=5)
