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
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, multiprocessing

from agents.actor import Actor, collect
from agents.batched_env import BatchedEnv, GroupedEnv
from agents.config import AgentConfig
from agents.devices import keep_freed_memory, prepare_worker
from agents.episodes import Episode
from agents.networks import Agent
from agents.passes import Pass
from agents.rollout import Batch, Rollout

CLOSE_PATIENCE_S = 5.0  # for a process that was told to end, or closed its connection


class Share:
    """Some environments of a batch, and the network's work for them.

    Args:
        envs: these environments; closed with the share.
        config: hyper-parameters.
        agent: the network, on the device of the batch.
        make_pass: makes the agent's pass for a rollout.
        batch: their part of the batch, which this share fills.
        gradients: receive what this share adds to the gradients of the agent's parameters.
    """

    def __init__(
        self,
        envs: BatchedEnv,
        config: AgentConfig,
        agent: Agent,
        make_pass: Callable[[Agent, Rollout], Pass],
        batch: Batch,
        gradients: Sequence[Tensor],
    ) -> None:
        self.agent = agent
        self.batch = batch
        self.gradients = gradients
        self.envs = envs
        T, device, space = len(batch.action), batch.action.device, envs.single_observation_space

        def allocate(where: torch.device) -> Rollout:
            return Rollout.allocate(T, envs.num_envs, space, agent.hidden_size, where)

        host = allocate(torch.device("cpu"))
        self.rollout = host
        if device.type != "cpu":
            self.rollout = allocate(device)._replace(is_first=host.is_first, valid=host.valid)
        self.network = make_pass(agent, self.rollout)
        groups = envs.groups if isinstance(envs, GroupedEnv) else [envs]
        ends = itertools.accumulate((group.num_envs for group in groups), initial=0)
        self._group_envs = [slice(*pair) for pair in itertools.pairwise(ends)]
        self.actors = []
        for group, own in zip(groups, self._group_envs, strict=True):
            host_part = host.select_envs(own.start, own.stop)
            device_part = host_part
            if self.rollout is not host:
                device_part = self.rollout.select_envs(own.start, own.stop)
            self.actors.append(
                Actor(
                    group,
                    agent,
                    host_part,
                    device_part,
                    self.network.select_envs(own.start, own.stop),
                    discount=config.discount,
                    clip_rewards=config.clip_rewards,
                    bootstrap_on_timeout=config.bootstrap_on_timeout,
                )
            )

    def start(self, seeds: Sequence[int]) -> None:
        """Begin an episode in every environment."""
        for actor, own in zip(self.actors, self._group_envs, strict=True):
            actor.start(seeds[own])

    def collect(self) -> list[Episode]:
        """Act for T steps; fill the batch; return the episodes that ended."""
        with self.agent.autocast():
            episodes = collect(self.actors, self.batch.exponential_noise)
        for name in ("is_first", "action", "reward", "discount", "valid"):
            getattr(self.batch, name).copy_(getattr(self.rollout, name))
        for kept, output in zip(self.batch.outputs, self.network.outputs(), strict=True):
            kept.copy_(output.detach())
        return episodes

    def backward(self, retain_graph: bool = False) -> None:
        """Carry the gradients in the batch on to the agent's parameters."""
        gradients = self.network.gradients(self.batch.grad, retain_graph)
        for own, gradient in zip(self.gradients, gradients, strict=True):
            own.copy_(gradient)

    def metrics(self) -> dict[str, float]:
        """What the environments have to report of themselves; see records.metrics."""
        if not isinstance(self.envs, GroupedEnv):
            return {}
        return {"env/worker_restarts": float(self.envs.worker_restarts)}

    def state_dict(self) -> dict[str, Any]:
        """What the next `collect` depends on, beside parameters; entries are per environment."""
        return join([actor.state_dict() for actor in self.actors])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state of as many environments."""
        for actor, own in zip(self.actors, self._group_envs, strict=True):
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


def part(state: Any, envs: slice) -> Any:
    """The part of a joined state that belongs to the environments `envs`."""
    if isinstance(state, dict):
        return {name: part(value, envs) for name, value in state.items()}
    return state[envs]


class ShareError(RuntimeError):
    """The process of a share failed, ended or gives no answer; the message says which."""


class RemoteShare:
    """A share in a process of its own; `call` starts a method there, `result` waits for it.

    Args as those of Share, but that its environments are made in that process: `make_envs` and
    how many. All must be picklable, and tensors in shared memory.
    """

    def __init__(self, make_envs: Callable[[int], BatchedEnv], num_envs: int, *args: Any) -> None:
        # Not forked: a copy of a process with threads may find their locks taken for ever.
        context = multiprocessing.get_context("spawn")
        self._connection, far_end = context.Pipe()
        self.process = context.Process(
            target=_serve,
            args=(far_end, torch.get_float32_matmul_precision(), make_envs, num_envs, *args),
            daemon=True,
        )
        self.process.start()
        far_end.close()
        # Before Python waits for its processes at exit, the closed pipe must have told them to end.
        Finalize(self, self._connection.close, exitpriority=1)

    def call(self, method: str, *args: Any) -> None:
        """Start a method of the share. Raises ShareError."""
        try:
            self._connection.send((method, args))
        except OSError as error:
            raise self._lost() from error

    def result(self, patience_s: float) -> Any:
        """Wait for the method that was started. Raises ShareError: it failed, or takes longer."""
        try:
            if not self._connection.poll(patience_s):
                raise ShareError(
                    f"a worker process (number {self.process.pid}) gave no answer for "
                    f"{patience_s:.0f} s: it was stopped, or hangs"
                )
            cause, result = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._lost() from error
        if cause is not None:
            failed = ShareError(f"a worker process failed: {cause}")
            failed.add_note(f"There:\n{result}")
            raise failed
        return result

    def close(self) -> None:
        """End the process; one that does not end within seconds is killed."""
        self._connection.close()
        self.process.join(CLOSE_PATIENCE_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()

    def _lost(self) -> ShareError:
        self.process.join(CLOSE_PATIENCE_S)
        code = self.process.exitcode
        ending = f"exit code {code}" if code is None or code >= 0 else f"signal {-code}"
        hint = "; the system may have killed it for lack of memory" if code == -9 else ""
        return ShareError(f"a worker process ended unexpectedly ({ending}){hint}")


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
            reply: tuple[str | None, Any]
            try:
                share = share or Share(make_envs(num_envs), *args)
                reply = None, getattr(share, method)(*method_args)
            except Exception as error:
                reply = _describe(error), traceback.format_exc()
            connection.send(reply)
    except (EOFError, OSError):  # closed
        pass
    if share is not None:
        share.close()


def _describe(error: Exception) -> str:
    """What was raised and where, in one line."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text} ({Path(where.filename).name}:{where.lineno})"
