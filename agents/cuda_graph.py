"""One step of acting as a CUDA graph: its kernels are recorded once, then started all together.

With a batch of a few dozen images a GPU computes faster than the host can start kernels, of which a
step has some fifty. A replay starts them with one call. In return all tensors keep their shapes and
their places in memory, and nothing may depend on what the host knows: a replay repeats the kernels,
not the Python between them.
"""

from collections.abc import Callable

import torch

from agents.networks import Agent, CoreState
from agents.rollout import Rollout, act

WARM_UPS = 3  # as in PyTorch's notes


def capture(work: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Return what repeats `work`: on a GPU the graph of its kernels, on a CPU `work` itself.

    After docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs. Meanwhile the process must have
    no other work on the GPU. `work` runs a few times, and once without any effect.
    """
    if device.type == "cpu":
        return work
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):  # here libraries set themselves up and torch.compile compiles
        for _ in range(WARM_UPS):
            work()
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        work()
    return graph.replay


class ActingStep:
    """Chooses the actions of one row of a rollout, as `Actor.act` does without it.

    Which row it is, is a tensor like all that changes: so one graph serves the whole rollout. It
    must not be made within autocast: the graph would then read weights converted before it.

    Args:
        agent: the network; its parameters may change, in place.
        rollout: on the network's device, T+1 rows of B environments. The step reads obs,
            last_action and last_reward of its row, and writes the row's embedding.
    """

    def __init__(self, agent: Agent, rollout: Rollout) -> None:
        self._agent = agent
        self._rollout = rollout
        device, B = rollout.obs.device, rollout.obs.shape[1]
        self._row = torch.zeros(1, dtype=torch.int64, device=device)
        self._is_first = torch.zeros(B, dtype=torch.bool, device=device)
        self._race = torch.ones(B, agent.num_actions, device=device)
        self._core_state = agent.initial_state(B)
        self._action = torch.zeros(B, dtype=torch.int64, device=device)
        self._no_reset = torch.zeros(B, dtype=torch.bool)  # on the host
        self._replay = capture(self._compute, device)

    def __call__(
        self, t: int, is_first: torch.Tensor, race: torch.Tensor, core_state: CoreState
    ) -> tuple[torch.Tensor, CoreState]:
        """Start the step of row t; does not wait for it.

        Args and results as those of `act`: is_first [B] on the host, race [B, A] on the device.
        Both results are this object's own tensors, which the next call changes.
        """
        self._row.fill_(t)
        self._is_first.copy_(is_first, non_blocking=True)
        self._race.copy_(race)
        for own, given in zip(self._core_state, core_state, strict=True):
            own.copy_(given)  # does nothing where the last call's result is given
        self._replay()
        return self._action, self._core_state

    @torch.no_grad()
    def _compute(self) -> None:
        """The work of a step, from own tensors to own tensors."""
        agent, rollout = self._agent, self._rollout
        obs, last_action, last_reward = (
            rows.index_select(0, self._row)  # [1, B, ...]
            for rows in (rollout.obs, rollout.last_action, rollout.last_reward)
        )
        # `Agent` decides on the host whether memory is emptied. A graph has no ifs: always choose.
        reset = self._is_first.unsqueeze(-1)  # [B, 1]
        core_state = CoreState(*(torch.where(reset, 0.0, x) for x in self._core_state))
        embedding = agent.encode(obs)  # [1, B, E]
        action, core_state = act(
            agent,
            embedding[0],
            self._no_reset,
            last_action[0],
            last_reward[0],
            core_state,
            self._race,
        )
        rollout.embedding.index_copy_(0, self._row, embedding)
        self._action.copy_(action)
        for own, new in zip(self._core_state, core_state, strict=True):
            own.copy_(new)
