"""One worker process, seen from the learner: started, called, waited for, killed."""

import os
import pickle
import socket
import subprocess
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle

from envs.pool.last_words import LastWords
from envs.pool.worker import Job

COMMAND = "from envs.pool.worker import main; main()"


class WorkerError(Exception):
    """A worker does not do what it should; the message says why.

    `final`: its environment contradicts itself, and would do so again in another process.
    """

    def __init__(self, cause: str, final: bool = False) -> None:
        super().__init__(cause)
        self.final = final


class WorkerProcess:
    """A process that runs `job`.

    `memory` and `lifeline` are descriptors that it inherits: the file of SharedArrays, and the end
    of a pipe whose closing ends it.

    Not made by multiprocessing, whose new processes import the main script again, and with it
    PyTorch: seconds and hundreds of megabytes per worker.
    """

    def __init__(self, job: Job, memory: int, lifeline: int) -> None:
        here, there = socket.socketpair()
        with there:
            self._process = subprocess.Popen(
                # -P: the current folder does not come first, as it does not here
                [
                    sys.executable,
                    "-P",
                    "-c",
                    COMMAND,
                    *map(str, (there.fileno(), lifeline, memory)),
                ],
                pass_fds=(there.fileno(), lifeline, memory),
                env={
                    "OMP_NUM_THREADS": "1",  # the workers together use all cores
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
                },
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C and SIGTERM are the learner's: it saves first
            )
        assert self._process.stderr is not None
        self._words = LastWords(self._process.stderr)
        self._connection = Connection(here.detach())
        self._send(cloudpickle.dumps(job))

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def call(self, method: str, *arguments: Any) -> None:
        """Start a method of the worker's Environments. Does not raise: `result` does."""
        self._words.mark()
        self._send(pickle.dumps((method, arguments)))

    def _send(self, message: bytes) -> None:
        with suppress(OSError):  # it has ended; what it said before may still be there to read
            self._connection.send_bytes(message)

    def result(self, timeout_s: float) -> Any:
        """Wait for what was started. Raises WorkerError: it failed, ended, or takes longer."""
        try:
            if not self._connection.poll(timeout_s):
                raise WorkerError(f"the process gave no answer within {timeout_s:g} s")
            result, cause, final = self._connection.recv()
        except (EOFError, OSError):
            raise WorkerError(f"the process ended unexpectedly ({self._ending()})") from None
        if cause is not None:
            raise WorkerError(cause, final)
        return result

    def _ending(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "it closed its connection"
        words = self._words.since_mark()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"{how}; it said: {words}" if words else how

    def hang_up(self) -> None:
        """Let the process close its environments and end; do not wait for it."""
        self._send(pickle.dumps(None))

    def kill(self, patience_s: float = 0.0) -> None:
        """End the process, at once or after `patience_s`; return when it has ended."""
        self._connection.close()
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
