"""A shard in a process of its own.

On a CPU every core has a shard, and every shard but the first a process of its own: threads of one
Python process would wait for each other at each of acting's many small operations. What the losses
need of the whole batch lies in memory that all processes see.
"""

import signal
import traceback
from collections.abc import Callable
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import torch
from torch import multiprocessing

from agents.actor import Shard
from agents.batched_env import BatchedEnv
from agents.devices import keep_freed_memory, prepare_worker

CLOSE_PATIENCE_S = 5.0  # for a process that was told to end, or closed its connection


class ShardError(RuntimeError):
    """The process of a shard failed, ended or gives no answer; the message says which."""


class ShardProcess:
    """A shard in a process of its own; `call` starts a method there, `result` waits for it.

    Args as those of Shard, but that its environments are made in that process: `make_envs` and
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
        """Start a method of the shard. Raises ShardError."""
        try:
            self._connection.send((method, args))
        except OSError as error:
            raise self._lost() from error

    def result(self, patience_s: float) -> Any:
        """Wait for the method that was started. Raises ShardError: it failed, or takes longer."""
        try:
            if not self._connection.poll(patience_s):
                raise ShardError(
                    f"a worker process (number {self.process.pid}) gave no answer for "
                    f"{patience_s:.0f} s: it was stopped, or hangs"
                )
            cause, result = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._lost() from error
        if cause is not None:
            failed = ShardError(f"a worker process failed: {cause}")
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

    def _lost(self) -> ShardError:
        self.process.join(CLOSE_PATIENCE_S)
        code = self.process.exitcode
        ending = f"exit code {code}" if code is None or code >= 0 else f"signal {-code}"
        hint = "; the system may have killed it for lack of memory" if code == -9 else ""
        return ShardError(f"a worker process ended unexpectedly ({ending}){hint}")


def _serve(
    connection: Any,
    matmul_precision: str,
    make_envs: Callable[[int], BatchedEnv],
    num_envs: int,
    *args: Any,
) -> None:
    """Main function of a shard's process: run methods until the other end closes the pipe."""
    # A signal to the whole group is the parent's to handle: it saves first, with our help.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    keep_freed_memory()
    prepare_worker()
    torch.set_float32_matmul_precision(matmul_precision)
    shard = None
    try:
        while True:
            method, method_args = connection.recv()
            reply: tuple[str | None, Any]
            try:
                shard = shard or Shard(make_envs(num_envs), *args)
                reply = None, getattr(shard, method)(*method_args)
            except Exception as error:
                reply = _describe(error), traceback.format_exc()
            connection.send(reply)
    except (EOFError, OSError):  # closed
        pass
    if shard is not None:
        shard.close()


def _describe(error: Exception) -> str:
    """What was raised and where, in one line."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text} ({Path(where.filename).name}:{where.lineno})"
