"""Acting on a row as a CUDA graph: its kernels are recorded once, then started all together.

With a batch of a few dozen images a GPU computes faster than the host can start kernels, of which a
step has some fifty. A replay starts them with one call. In return all tensors keep their shapes and
their places in memory, and nothing may depend on what the host knows: a replay repeats the kernels,
not the Python between them.
"""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from agents.networks import CoreState
from agents.passes import PlainPass, sample_actions

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


class CudaGraphPass(PlainPass):
    """As `PlainPass`, but that acting on a row is one graph; see `passes.Pass`.

    Which row it is, is a tensor like all that changes: so one graph serves the whole rollout. It is
    captured in `select_envs`, which must not be called within autocast: the graph would then read
    weights converted before it. Parameters may change, in place.
    """

    def select_envs(self, start: int, stop: int) -> Self:
        """See `Pass`."""
        part = super().select_envs(start, stop)
        part._capture()
        return part

    def _capture(self) -> None:
        device, B = self._rollout.obs.device, self._rollout.obs.shape[1]
        self._row = torch.zeros(1, dtype=torch.int64, device=device)
        self._is_first = torch.zeros(B, dtype=torch.bool, device=device)
        self._noise = torch.ones(B, self._agent.num_actions, device=device)
        self._core_state = self._agent.initial_state(B)
        self._no_reset = torch.zeros(1, B, dtype=torch.bool)  # on the host
        self._replay = capture(self._compute, device)

    def begin(self, core_state: CoreState) -> None:
        """See `Pass`."""
        own = self._core_state
        super().begin(core_state)
        self._core_state = own  # the graph's own tensors, in their place
        for kept, given in zip(own, core_state, strict=True):
            kept.copy_(given)

    def act(self, t: int, exponential_noise: Tensor) -> CoreState:
        """See `Pass`; does not wait for the device."""
        self._row.fill_(t)
        self._is_first.copy_(self._rollout.is_first[t], non_blocking=True)
        self._noise.copy_(exponential_noise)
        self._replay()
        return self._core_state

    def finish(self) -> CoreState:
        """See `Pass`."""
        return CoreState(*(x.clone() for x in super().finish()))

    @torch.no_grad()
    def _compute(self) -> None:
        """The work of a row, from own tensors to own tensors and the rollout's."""
        agent, rollout = self._agent, self._rollout
        obs, last_action, last_reward = (
            rows.index_select(0, self._row)  # [1, B, ...]
            for rows in (rollout.obs, rollout.last_action, rollout.last_reward)
        )
        # `Agent` decides on the host whether memory is emptied. A graph has no ifs: always choose.
        reset = self._is_first.unsqueeze(-1)  # [B, 1]
        core_state = CoreState(*(torch.where(reset, 0.0, x) for x in self._core_state))
        embedding = agent.encode(obs)  # [1, B, E]
        output, core_state = agent.unroll_core(
            embedding, last_action, last_reward, self._no_reset, core_state
        )
        action = sample_actions(output.logits[0], self._noise)
        rollout.embedding.index_copy_(0, self._row, embedding)
        rollout.action.index_copy_(0, self._row, action.unsqueeze(0))
        for own, new in zip(self._core_state, core_state, strict=True):
            own.copy_(new)
