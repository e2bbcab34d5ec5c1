"""A program that works only while it is waited for."""

import atexit
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

PATIENCE_S = 300.0  # for one line; the first one follows its start
END_S = 20.0  # to end by itself


class PausedProcess:
    """Runs `command` in `folder`, but holds it and its child processes between calls of `wait_for`.

    For agents that go on working by themselves, where others are timed in turns with them. Its
    standard input ends when this process does, however that ends: then it must end as well.
    """

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._program = command[0]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            process_group=0,
        )
        atexit.register(self.close)

    def wait_for(self, line: str) -> None:
        """Let it work until it writes `line`.

        Raises RuntimeError, with the last that it wrote on stderr: it ended, or took too long.
        """
        assert self._process.stdout is not None
        self._signal(signal.SIGCONT)
        too_late = threading.Timer(PATIENCE_S, self._signal, [signal.SIGKILL])
        too_late.start()
        found = any(written.strip() == line for written in iter(self._process.stdout.readline, ""))
        too_late.cancel()
        if found:
            self._signal(signal.SIGSTOP)
            return
        self._errors.seek(0)
        last = (self._errors.read().strip().splitlines() or ["it wrote nothing"])[-1]
        self.close()
        raise RuntimeError(f"{self._program} ended, or took {PATIENCE_S:.0f} s: {last}")

    def _signal(self, number: int) -> None:
        """Send a signal to it and its children, if there are any left."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def close(self) -> None:
        """End it as Ctrl-C does; kill what is left of it."""
        atexit.unregister(self.close)
        self._signal(signal.SIGINT)
        self._signal(signal.SIGCONT)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        self._signal(signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            assert stream is not None
            stream.close()
