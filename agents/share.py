"""A share of the environments, and the network's work for them: acting, and learning's passes.

On a CPU every core has a share, and every share but the first a process of its own: threads of one
Python process would wait for each other at each of acting's many small operations. What the losses
need of the whole batch lies in memory that all processes see.
"""

import itertools
import signal
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.util import Finalize
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, multiprocessing, nn

from agents.actor import Actor, collect
from agents.batched_env import BatchedEnv, GroupedEnv
from agents.config import AgentConfig
from agents.cuda_graph import ActingStep
from agents.devices import keep_freed_memory, prepare_worker
from agents.encoders import ShallowEncoder
from agents.episodes import Episode
from agents.kept_encoder import KeptShallowEncoder
from agents.kept_lstm import KeptLSTM
from agents.networks import Agent, CoreState
from agents.rollout import Rollout


class Batch(NamedTuple):
    """What the losses need of a rollout of all B environments, and what they give back.

    On the network's device, except is_first and valid, which stay on the host.
    """

    race: Tensor  # [T, B, A] float32, the random numbers that draw actions
    is_first: Tensor  # [T+1, B] bool
    action: Tensor  # [T, B] int64
    reward: Tensor  # [T, B] float32
    discount: Tensor  # [T, B] float32
    valid: Tensor  # [T, B] bool
    logits: Tensor  # [T+1, B, A] float32, and so are all others
    value: Tensor  # [T+1, B]
    embedding: Tensor  # [T+1, B, E]
    context: Tensor  # [T+1, B, H]
    grad_logits: Tensor  # gradients of the losses, shaped as above
    grad_value: Tensor
    grad_embedding: Tensor
    grad_context: Tensor

    @classmethod
    def allocate(
        cls, T: int, B: int, num_actions: int, hidden_size: int, device: torch.device
    ) -> Self:
        """Buffers of zeros."""

        def zeros(rows: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(rows, B, *shape, dtype=dtype, device=device)

        outputs = [(num_actions,), (), (hidden_size,), (hidden_size,)]
        return cls(
            zeros(T, num_actions),
            # Pinned where a GPU reads it: another copy would wait for the work before it.
            torch.zeros(T + 1, B, dtype=torch.bool, pin_memory=device.type == "cuda"),
            zeros(T, dtype=torch.int64),
            zeros(T),
            zeros(T),
            torch.zeros(T, B, dtype=torch.bool),
            *(zeros(T + 1, *shape) for shape in outputs * 2),
        )

    def columns(self, start: int, stop: int) -> Self:
        """View of environments start..stop-1."""
        return type(self)(*(x[:, start:stop] for x in self))


class Share:
    """Some environments of a batch, and the network's work for them.

    Args:
        envs: these environments; closed with the share.
        config: hyper-parameters.
        agent: the network, on the device of the batch.
        batch: their columns of the batch, which this share fills.
        gradients: receive what this share adds to the gradients of the agent's parameters.
    """

    def __init__(
        self,
        envs: BatchedEnv,
        config: AgentConfig,
        agent: Agent,
        batch: Batch,
        gradients: Sequence[Tensor],
    ) -> None:
        self.agent = agent
        self.batch = batch
        self.gradients = gradients
        self.envs = envs
        T, device, space = len(batch.race), batch.race.device, envs.single_observation_space
        on_cpu = device.type == "cpu"
        size = agent.hidden_size

        def allocate(where: torch.device) -> Rollout:
            return Rollout.allocate(T, envs.num_envs, space, size, where)

        host = allocate(torch.device("cpu"))
        self.rollout = host
        if not on_cpu:
            self.rollout = allocate(device)._replace(is_first=host.is_first, valid=host.valid)
        self._encoder: KeptShallowEncoder | None = None
        self._lstm: KeptLSTM | None = None
        keeps = on_cpu and not config.compile
        if keeps and KeptShallowEncoder.fits(agent.encoder):
            assert isinstance(agent.encoder, ShallowEncoder)
            self._encoder = KeptShallowEncoder(agent.encoder, T, envs.num_envs, agent.product_dtype)
        if keeps and isinstance(agent.core, nn.LSTM):
            sizes = agent.num_actions, T, envs.num_envs
            self._lstm = KeptLSTM(agent.core, *sizes, agent.product_dtype)
        groups = envs.groups if isinstance(envs, GroupedEnv) else [envs]
        ends = itertools.accumulate((group.num_envs for group in groups), initial=0)
        self._columns = [slice(*pair) for pair in itertools.pairwise(ends)]
        self._actors = []
        for group, own in zip(groups, self._columns, strict=True):
            host_part = host.columns(own.start, own.stop)
            device_part = host_part if on_cpu else self.rollout.columns(own.start, own.stop)
            self._actors.append(
                Actor(
                    group,
                    agent,
                    host_part,
                    device_part,
                    discount=config.discount,
                    clip_rewards=config.clip_rewards,
                    bootstrap_on_timeout=config.bootstrap_on_timeout,
                    encoder=self._encoder and self._encoder.columns(own.start, own.stop),
                    lstm=self._lstm and self._lstm.columns(own.start, own.stop),
                    step=ActingStep(agent, device_part) if config.compile else None,
                )
            )

    def start(self, seeds: Sequence[int]) -> None:
        """Begin an episode in every environment."""
        for actor, own in zip(self._actors, self._columns, strict=True):
            actor.start(seeds[own])

    def collect(self) -> list[Episode]:
        """Act for T steps and unroll the core; fill the batch; return the episodes that ended."""
        with self.agent.autocast():
            episodes = collect(self._actors, self.batch.race)
        rollout = self.rollout
        # Leaves: their gradients are where the parts of the backward pass after them begin.
        self._embedding = rollout.embedding.detach().requires_grad_()
        if self._lstm is None:
            self._output, _ = self.agent.unroll_core(
                self._embedding,
                rollout.last_action,
                rollout.last_reward,
                rollout.is_first,
                CoreState(rollout.hidden, rollout.cell),
            )
        else:
            context = self._lstm.context.detach().requires_grad_()
            self._output = self.agent.heads(self._embedding, context)
        for name in ("is_first", "action", "reward", "discount", "valid"):
            getattr(self.batch, name).copy_(getattr(rollout, name))
        for name in ("logits", "value", "embedding", "context"):
            getattr(self.batch, name).copy_(getattr(self._output, name).detach())
        return episodes

    def backward(self, retain_graph: bool = False) -> None:
        """Carry the gradients in the batch on to the agent's parameters."""
        batch, output, agent = self.batch, self._output, self.agent
        first = self._embedding if self._lstm is None else output.context
        others = [*agent.head_parameters()]
        if self._lstm is None:
            others = [*agent.core.parameters(), *others]
        grad_first, *grad_others = torch.autograd.grad(
            (output.logits, output.value, output.context),
            [first, *others],
            (batch.grad_logits, batch.grad_value, batch.grad_context),
            retain_graph=retain_graph,
        )
        if self._lstm is not None:
            grad_first, grad_core = self._lstm.gradients(grad_first, self.rollout.is_first)
            grad_others = [*grad_core, *grad_others]
        rollout, grad_embedding = self.rollout, grad_first + batch.grad_embedding
        if self._encoder is None:
            grad_encoder = agent.encoder_gradients(rollout.obs, grad_embedding)
        else:
            grad_encoder = self._encoder.gradients(rollout.obs, rollout.embedding, grad_embedding)
        for gradient, value in zip(self.gradients, [*grad_encoder, *grad_others], strict=True):
            gradient.copy_(value)

    def metrics(self) -> dict[str, float]:
        """What the environments have to report of themselves; see agents.metrics."""
        if not isinstance(self.envs, GroupedEnv):
            return {}
        return {"env/worker_restarts": float(self.envs.worker_restarts)}

    def state_dict(self) -> dict[str, Any]:
        """What the next `collect` depends on, beside parameters; entries are per environment."""
        return join([actor.state_dict() for actor in self._actors])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state of as many environments."""
        for actor, own in zip(self._actors, self._columns, strict=True):
            actor.load_state_dict(part(state, own))

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()


def join(states: Sequence[Any]) -> Any:
    """Join nested dicts of tensors and lists that have one entry per environment."""
    if isinstance(states[0], dict):
        return {name: join([state[name] for state in states]) for name in states[0]}
    if isinstance(states[0], Tensor):
        return torch.cat(list(states))
    return list(itertools.chain.from_iterable(states))


def part(state: Any, columns: slice) -> Any:
    """The part of a joined state that belongs to some environments."""
    if isinstance(state, dict):
        return {name: part(value, columns) for name, value in state.items()}
    return state[columns]


class RemoteShare:
    """A share in a process of its own; `call` starts a method there, `result` waits for it.

    Args as those of Share, but that its environments are made in that process: `make_envs` and
    how many. All must be picklable, and tensors in shared memory.
    """

    def __init__(self, make_envs: Callable[[int], BatchedEnv], num_envs: int, *args: Any) -> None:
        # Not forked: a copy of a process with threads may find their locks taken for ever.
        context = multiprocessing.get_context("spawn")
        self._connection, far_end = context.Pipe()
        self._process = context.Process(
            target=_serve,
            args=(far_end, torch.get_float32_matmul_precision(), make_envs, num_envs, *args),
            daemon=True,
        )
        self._process.start()
        far_end.close()
        # Before Python waits for its processes at exit, the closed pipe must have told them to end.
        Finalize(self, self._connection.close, exitpriority=1)

    def call(self, method: str, *args: Any) -> None:
        """Start a method of the share."""
        try:
            self._connection.send((method, args))
        except OSError as error:
            raise self._lost() from error

    def result(self) -> Any:
        """Wait for the method that was started; raise RuntimeError if it failed."""
        try:
            ok, result = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._lost() from error
        if not ok:
            raise RuntimeError(f"a worker process failed:\n{result}")
        return result

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join()

    def _lost(self) -> RuntimeError:
        self._process.join(timeout=5)
        return RuntimeError(
            f"a worker process ended unexpectedly (exit code {self._process.exitcode}); "
            "it may have run out of memory."
        )


def _serve(
    connection: Any,
    matmul_precision: str,
    make_envs: Callable[[int], BatchedEnv],
    num_envs: int,
    *args: Any,
) -> None:
    """Main function of a share's process: run methods until the other end closes the pipe."""
    # A signal to the whole group is the parent's to handle: it saves first, with our help.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    keep_freed_memory()
    prepare_worker()
    torch.set_float32_matmul_precision(matmul_precision)
    share = None
    try:
        while True:
            method, method_args = connection.recv()
            try:
                share = share or Share(make_envs(num_envs), *args)
                reply = True, getattr(share, method)(*method_args)
            except Exception:
                reply = False, traceback.format_exc()
            connection.send(reply)
    except (EOFError, OSError):  # closed
        pass
    if share is not None:
        share.close()
