"""What a user reads about a failure: one sentence, where there is one."""

import errno
import os
import re
import sys
import traceback


def sentence(error: Exception) -> str:
    """Return what a user should read about `error`: an OSError's cause and file, or its message."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error) or type(error).__name__
    hint = " (`ulimit -n` allows more)" if error.errno == errno.EMFILE else ""
    which = "" if error.filename is None else f": {error.filename}"
    return f"{error.strerror}{hint}{which}"


def report(error: Exception, name: str) -> None:
    """Print what went wrong in one sentence, with the run's name where there are several."""
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        traceback.print_exception(error)
    print(f"{name}: " * bool(name) + sentence(error), file=sys.stderr, flush=True)


def report_unexpected(error: Exception, name: str) -> bool:
    """Report an error of no known kind; return whether the machine has too little of something.

    Else it is a fault in the program, which the next run may not meet: its traceback is printed.
    """
    short = _shortage(error)
    if short is None:
        traceback.print_exception(error)
    else:
        report(ValueError(short), name)
    return short is not None


def _shortage(error: Exception) -> str | None:
    """Say what this machine has too little of, if that is the error; PyTorch has no type for it."""
    text = str(error)
    too_little = re.search(r"(can't allocate|Cannot allocate|CUDA out of) memory", text)
    if isinstance(error, MemoryError) or too_little:
        return (
            "There is not enough memory; smaller are env.num_envs, agent.unroll_length, "
            "agent.network.hidden_size and the observations."
        )
    if "Too many open files" in text:
        return "Too many open files (`ulimit -n` allows more)."
    return None
