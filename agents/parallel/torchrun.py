"""What a process that torchrun started does at its start and its end: it joins the others.

Nothing of it is needed where torchrun is not used.
"""

import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import timedelta
from typing import NoReturn

import torch.distributed as dist

from agents.parallel.ranks import ALONE, POLL_S, START_PATIENCE_S, Ranks


@contextmanager
def join_ranks() -> Iterator[Ranks]:
    """The ranks of this run, once all have come; this process alone where torchrun is not used.

    They meet over gloo, and GPUs over NCCL.
    """
    if not dist.is_torchelastic_launched():
        yield ALONE
        return
    patience = timedelta(seconds=START_PATIENCE_S)
    store, rank, world_size = next(dist.rendezvous("env://", timeout=patience))
    store = _unwritten(store, rank, world_size)
    longest = timedelta(days=1)  # `_all_reduce` sets its own
    dist.init_process_group("gloo", store=store, rank=rank, world_size=world_size, timeout=longest)
    ranks = Ranks(rank, world_size, store)
    yield ranks
    dist.destroy_process_group()


def _unwritten(store: dist.Store, rank: int, world_size: int) -> dist.Store:
    """A part of the store that is these ranks' alone.

    torchrun keeps one store over its restarts, where ranks would find the addresses of dead ones.
    So the first rank names a part that only this start has, to whoever calls with a name of its
    own; what an earlier start has left gets an answer too, which nobody reads.
    """
    own = uuid.uuid4().hex
    if rank > 0:
        store.set(f"caller/{rank}", own)
        name = _read(store, f"part for/{own}")
        store.set(f"{name}/called/{rank}", "")
        return dist.PrefixStore(name, store)
    while silent := [k for k in range(1, world_size) if not store.check([f"{own}/called/{k}"])]:
        for k in silent:
            store.set(f"part for/{_read(store, f'caller/{k}')}", own)
        time.sleep(POLL_S)
    return dist.PrefixStore(own, store)


def _read(store: dist.Store, key: str) -> str:
    """What stands in the store, once it does; signals are answered meanwhile."""
    while not store.check([key]):
        time.sleep(POLL_S)
    return store.get(key).decode()


@contextmanager
def first_rank_prints() -> Iterator[None]:
    """Inside, what other ranks of torchrun print goes nowhere; errors do not."""
    if not dist.is_torchelastic_launched() or os.environ["RANK"] == "0":
        yield
        return
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing):
        yield


def exit_at_once(code: int) -> NoReturn:
    """End this process as it is: what Python does at an exit may wait for a rank that hangs."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def code_after_signal(code: int) -> int:
    """The exit code after a signal: 0 where torchrun would start the ranks again after another."""
    return 0 if int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", 0)) > 0 else code
