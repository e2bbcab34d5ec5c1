"""The LSTM by rows and backward equals `Agent.unroll_core` and PyTorch's gradients of it."""

import gymnasium
import numpy as np
import pytest
import torch

from agents.config import NetworkConfig
from agents.fast.lstm import KeptLSTM
from agents.networks import Agent, CoreState

T, B, A = 9, 5, 7


def make(hidden: int, p_first: float, precision: str = "float32"):
    """An agent and the inputs of its core."""
    torch.manual_seed(3)
    space = gymnasium.spaces.Box(-1, 1, (5,), np.float32)
    agent = Agent(space, A, NetworkConfig("mlp", hidden, precision=precision))
    is_first = torch.rand(T + 1, B) < p_first
    last_action = torch.randint(A, (T + 1, B)).masked_fill(is_first, -1)
    last_reward = torch.randn(T + 1, B).masked_fill(is_first, 0.0)
    state = CoreState(torch.randn(B, hidden), torch.randn(B, hidden))
    return agent, torch.randn(T + 1, B, hidden), last_action, last_reward, is_first, state


def run(lstm: KeptLSTM, embedding, last_action, last_reward, is_first, state) -> torch.Tensor:
    lstm.begin(state)
    rows = [x.numpy() for x in (is_first, last_action, last_reward)]
    contexts = [lstm.step(t, embedding[t], *(x[t] for x in rows))[0] for t in range(T + 1)]
    torch.testing.assert_close(lstm.context, torch.stack(contexts), equal_nan=True, rtol=0, atol=0)
    return lstm.context


@pytest.mark.parametrize("p_first", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("hidden", [13, 32])
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.03)])
def test_rows_and_gradients_equal_pytorchs(p_first, hidden, precision, tolerance):
    agent, *inputs = make(hidden, p_first, precision)
    lstm = KeptLSTM(agent.core, A, T, B, agent.product_dtype)
    grad = torch.randn(T + 1, B, hidden)
    for _ in range(2):  # the second rollout must not see the first one's
        context = run(lstm, *inputs)
        of_embedding, of_parameters = lstm.gradients(grad, inputs[3])
    leaf = inputs[0].requires_grad_()
    output, _ = agent.unroll_core(leaf, *inputs[1:])
    truth = torch.autograd.grad(output.context, [leaf, *agent.core.parameters()], grad)
    pairs = zip((context, of_embedding, *of_parameters), (output.context, *truth), strict=True)
    for ours, theirs in pairs:
        assert ours.shape == theirs.shape
        assert (ours - theirs).norm() <= tolerance * theirs.norm()


def test_memory_is_that_of_the_unroll():
    agent, *inputs = make(32, 0.1)
    lstm = KeptLSTM(agent.core, A, T, B)
    run(lstm, *inputs)
    for t in range(1, T + 1):
        rows = [x[:t] for x in inputs[:-1]]
        _, expected = agent.unroll_core(*rows, inputs[-1])
        hidden, cell = lstm.core_state(t)
        going_on = ~inputs[3][t]
        torch.testing.assert_close(hidden[going_on], expected.hidden[going_on])
        torch.testing.assert_close(cell[going_on], expected.cell[going_on])


def test_garbage_before_an_episode_changes_nothing_in_it():
    agent, *inputs = make(32, 0.0)
    embedding, _, last_reward, is_first, state = inputs
    is_first[6, 1] = True
    lstm = KeptLSTM(agent.core, A, T, B)
    grad = torch.randn(T + 1, B, 32)
    before = run(lstm, *inputs).clone()
    of_embedding, _ = lstm.gradients(grad, is_first)
    embedding[:6, 1], last_reward[:6, 1] = torch.nan, torch.inf
    state.hidden[1], state.cell[1] = torch.nan, torch.inf
    after = run(lstm, *inputs)
    assert torch.equal(before[6:, 1], after[6:, 1])
    others = [0, 2, 3, 4]
    assert torch.equal(before[:, others], after[:, others])
    again, _ = lstm.gradients(grad, is_first)
    torch.testing.assert_close(again[6:, 1], of_embedding[6:, 1])
    torch.testing.assert_close(again[:, others], of_embedding[:, others])


def test_a_part_of_the_environments_fills_its_columns():
    agent, *inputs = make(32, 0.2)
    whole, parts = (KeptLSTM(agent.core, A, T, B) for _ in range(2))
    context = run(whole, *inputs)
    for own in (slice(0, 2), slice(2, B)):
        rows = [x[:, own].contiguous() for x in inputs[:-1]]
        state = CoreState(*(x[own] for x in inputs[-1]))
        torch.testing.assert_close(
            run(parts.select_envs(own.start, own.stop), *rows, state), context[:, own]
        )
    grad = torch.randn(T + 1, B, 32)
    pairs = (k.gradients(grad, inputs[3]) for k in (whole, parts))
    (a, of_a), (b, of_b) = pairs
    for x, y in zip((a, *of_a), (b, *of_b), strict=True):
        torch.testing.assert_close(x, y)
