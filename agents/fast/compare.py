"""Two passes of one agent on the same random rows: what differs, if anything does."""

import copy
from collections.abc import Callable

import gymnasium
import torch
from torch import Tensor, nn

from agents.networks import Agent, AgentOutput, CoreState
from agents.passes import Pass, PlainPass, sample_actions
from agents.rollout import Rollout

T = 3
P_FIRST = 0.3  # how often an episode begins
# Relative to the norm of the whole. Gradients differ more: an activation near 0 that is rounded
# to the other side passes the rectifier, or not.
TOLERANCES = {torch.float32: (1e-4, 0.01), torch.bfloat16: (0.05, 0.2)}
TIE = 1e-3  # actions whose scores are that close may be exchanged by rounding


def difference(
    make_pass: Callable[[Agent, Rollout], Pass],
    agent: Agent,
    obs_space: gymnasium.spaces.Box,
    B: int,
) -> str | None:
    """What the pass computes otherwise than `PlainPass`, in words; None where it is exact.

    Tried with a copy of the agent, whose parameters are all moved away from where they begin: a
    bias of 0 would hide its absence. Takes no random numbers but its own. B: environments to try.
    """
    generator = torch.Generator().manual_seed(0)
    agent = copy.deepcopy(agent)
    with torch.no_grad():
        for parameter in agent.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(0.05 * noise.to(parameter.device))
    rollout = _random_rollout(agent, obs_space, B, generator)
    core_state = CoreState(*_on(agent, torch.randn(2, B, agent.hidden_size, generator=generator)))
    noise = _on(agent, torch.empty(T, B, agent.num_actions).exponential_(generator=generator))
    like = (agent.num_actions,), (), (agent.hidden_size,), (agent.hidden_size,)
    grad = AgentOutput(
        *(_on(agent, torch.randn(T + 1, B, *shape, generator=generator)) for shape in like)
    )
    plain = _run(PlainPass, agent, _copy(rollout), core_state, noise, grad)
    try:
        found = _run(make_pass, agent, _copy(rollout), core_state, noise, grad)
    except Exception as error:  # whatever it is, the plain pass works
        return f"fails ({type(error).__name__}: {error})"
    if found.keys() != plain.keys():
        return "differs in the list of parameters"
    for name, expected in plain.items():
        tolerance = TOLERANCES[agent.product_dtype][name.startswith("the gradient")]
        if not _close(found[name], expected, tolerance):
            return f"differs in {name}"
    return None


def _run(
    make_pass: Callable[[Agent, Rollout], Pass],
    agent: Agent,
    rollout: Rollout,
    core_state: CoreState,
    noise: Tensor,
    grad: AgentOutput,
) -> dict[str, Tensor]:
    """What a pass makes of a rollout, by what it is."""
    whole = make_pass(agent, rollout)
    part = whole.select_envs(0, noise.shape[1])
    with torch.no_grad(), agent.autocast():
        part.begin(core_state)
        for t in range(T):
            part.act(t, noise[t])
        core_state = part.finish()
    if isinstance(agent.core, nn.Identity):
        core_state = CoreState(*(torch.zeros_like(x) for x in core_state))  # nobody reads it
    output = whole.outputs()
    gradients = whole.gradients(grad)
    scores = output.logits[:-1].softmax(-1) / noise  # [T, B, A]
    chosen = scores.gather(-1, rollout.action.unsqueeze(-1)).squeeze(-1)  # [T, B]
    missed = sample_actions(output.logits[:-1], noise) != rollout.action
    missed &= chosen < (1 - TIE) * scores.amax(-1)
    of_parameters = zip(agent.named_parameters(), gradients, strict=True)
    return {
        "the embeddings": output.embedding,
        "the contexts": output.context,
        "the logits": output.logits,
        "the values": output.value,
        "the memory": torch.cat(core_state),
        "the choice of actions": 1.0 + missed,
        **{f"the gradient of {name}": gradient for (name, _), gradient in of_parameters},
    }


def _close(x: Tensor, expected: Tensor, tolerance: float) -> bool:
    if x.shape != expected.shape:
        return False
    error = torch.linalg.vector_norm((x - expected).detach())
    return bool(error <= tolerance * torch.linalg.vector_norm(expected.detach()))  # nan: no


def _random_rollout(
    agent: Agent, obs_space: gymnasium.spaces.Box, B: int, generator: torch.Generator
) -> Rollout:
    """Rows of random inputs with episodes that begin at random, as `Actor` would write them."""
    cpu = torch.device("cpu")
    rollout = Rollout.allocate(T, B, obs_space, agent.hidden_size, cpu)
    rows = torch.rand(rollout.obs.shape, generator=generator)
    integers = not rollout.obs.dtype.is_floating_point
    rollout.obs.copy_(rows * 255 if integers else 2 * rows - 1)
    rollout.is_first.copy_(torch.rand(T + 1, B, generator=generator) < P_FIRST)
    rollout.last_action.random_(0, agent.num_actions, generator=generator)
    rollout.last_action.masked_fill_(rollout.is_first, -1)
    rollout.last_reward.uniform_(-1, 1, generator=generator)
    rollout.last_reward.masked_fill_(rollout.is_first, 0.0)
    on_host = rollout.is_first, rollout.valid
    moved = rollout._replace(**{k: _on(agent, v) for k, v in rollout._asdict().items()})
    return moved._replace(is_first=on_host[0], valid=on_host[1])


def _on(agent: Agent, x: Tensor) -> Tensor:
    return x.to(agent.value.weight.device)


def _copy(rollout: Rollout) -> Rollout:
    return Rollout(*(x.clone() for x in rollout))
