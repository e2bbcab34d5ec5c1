"""The processes that torchrun started for one run: ranks, each with a part of the environments.

Every rank has all parameters, and steps them by the gradient's sum over the ranks. What is drawn at
random is drawn by all ranks alike, for the whole batch. So all of a learner but its environments is
the same everywhere.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from agents.parallel.shards import split

X = TypeVar("X")
# How long a rank waits for the others: at first, when they compile, and then, or as long as its own
# work took since they last met. torchrun gives a hanging process 30 s to end: a minute in all.
START_PATIENCE_S = 600.0
PATIENCE_S = 20.0
CENSUS_S = 2.0  # in which those who miss somebody say so


class RankError(RuntimeError):
    """Another rank ended or gives no answer; the message says which."""


class Ranks:
    """The ranks of a run, seen from one of them; made by `join_ranks`, or one alone.

    Methods that speak of all ranks are called on all of them, in the same order. They raise
    RankError.

    Args:
        number: of this rank, from 0.
        count: of all.
        store: where they leave word for each other; None for one rank alone.
        more_patience_s: to be added to how long the others are waited for.
    """

    def __init__(self, number: int = 0, count: int = 1, store: dist.Store | None = None) -> None:
        self.number = number
        self.count = count
        self.more_patience_s = 0.0
        self._store = store
        self._met: float | None = None  # when all had last come to the gradient's sum
        if store is not None:
            store.set(f"who/{number}", f"process {os.getpid()} on {socket.gethostname()}")
            # For what is not timed by itself, see `_timed`.
            self._group = dist.new_group(backend="gloo", timeout=timedelta(seconds=PATIENCE_S))

    @property
    def first(self) -> bool:
        """Whether this is the rank that prints, logs and saves."""
        return self.number == 0

    def part(self, num_envs: int) -> slice:
        """This rank's environments of `num_envs`.

        Raises ValueError, in one sentence, if there are fewer environments than ranks.
        """
        if num_envs < self.count:
            raise ValueError(
                f"env.num_envs is {num_envs}, but there are {self.count} ranks; "
                "each needs an environment at least."
            )
        return split(num_envs, self.count)[self.number]

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the ranks: one flat buffer, one all-reduce."""
        if self.count > 1:
            self._combine(tensors, torch.cat([x.reshape(-1) for x in tensors]))
            self._met = time.monotonic()

    def copy_first(self, tensors: Sequence[Tensor]) -> None:
        """Give `tensors` the numbers that they have on the first rank."""
        if self.count > 1:
            flat = torch.cat([x.detach().reshape(-1) for x in tensors])
            self._combine(tensors, flat if self.first else torch.zeros_like(flat))

    @torch.no_grad()
    def _combine(self, tensors: Sequence[Tensor], flat: Tensor) -> None:
        """Sum `flat` over the ranks, and put its parts into `tensors`."""
        self._all_reduce(flat)
        parts = flat.split([x.numel() for x in tensors])
        for x, part in zip(tensors, parts, strict=True):
            x.copy_(part.view(x.shape))

    def total(self, x: Tensor) -> Tensor:
        """The sum over the ranks."""
        if self.count == 1:
            return x
        result = x.clone()
        self._all_reduce(result)
        return result

    def mean_and_deviation(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of all ranks' numbers, of which one may have none."""
        total, count = self.total(torch.stack([x.sum(), x.new_tensor(float(x.numel()))]))
        mean = total / count
        return mean, (self.total((x - mean).square().sum()) / count).sqrt()

    def agree(self, *wishes: int) -> list[int]:
        """The highest number that any rank has, for each of some."""
        if self.count == 1:
            return list(wishes)
        highest = torch.tensor(wishes)
        self._all_reduce(highest, dist.ReduceOp.MAX)
        return highest.tolist()

    def gather(self, x: X) -> list[X]:
        """What each rank has, on the first rank; on the others nothing."""
        if self.count == 1:
            return [x]
        self.agree(0)  # all are here: what follows is quick
        found: list[X | None] | None = [None] * self.count if self.first else None
        with self._naming_who_is_missing():
            dist.gather_object(x, found, dst=0, group=self._group)
        return [] if found is None else found  # type: ignore[return-value]

    def from_first(self, make: Callable[[], X]) -> X:
        """What `make` returns on the first rank. What it raises there, RankError on the others."""
        if self.count == 1:
            return make()
        # Seen before it is waited for: the first rank may read a large file.
        result: list[X | None] = [make() if self.first else None]
        self.agree(0)
        with self._naming_who_is_missing():
            dist.broadcast_object_list(result, src=0, group=self._group)
        return result[0]  # type: ignore[return-value]

    def _all_reduce(self, x: Tensor, op: dist.ReduceOp.RedOpType = dist.ReduceOp.SUM) -> None:
        """Combine x over the ranks, in place; wait for it."""
        patience_s = START_PATIENCE_S
        if self._met is not None:
            patience_s = max(PATIENCE_S, time.monotonic() - self._met) + self.more_patience_s
        with self._naming_who_is_missing():
            work = dist.all_reduce(x, op, async_op=True)
            work.wait(timedelta(seconds=patience_s))

    @contextmanager
    def _naming_who_is_missing(self) -> Iterator[None]:
        """Raise RankError where PyTorch reports that ranks did not meet."""
        start = time.monotonic()
        try:
            yield
        except RuntimeError as error:
            waited = time.monotonic() - start
            if waited < PATIENCE_S:
                why = "ended, which its own output explains, or was killed"
            else:
                why = f"gave no answer for {waited:.0f} s: it was stopped, or hangs"
            raise RankError(f"{self._missing()} {why}") from error

    def _missing(self) -> str:
        """Which ranks do not miss others, in words: those who do say so in the store."""
        missing = []
        try:
            assert self._store is not None
            self._store.set(f"misses others/{self.number}", "")
            time.sleep(CENSUS_S)
            for k in range(self.count):
                if not self._store.check([f"misses others/{k}"]):
                    missing.append(f"rank {k} ({self._store.get(f'who/{k}').decode()})")
        except RuntimeError:  # the store went with the machine that held it
            return "another rank, or the machine of rank 0,"
        return " and ".join(missing) or "the network between the ranks"


ALONE = Ranks()


@contextmanager
def join_ranks(device: str = "auto") -> Iterator[Ranks]:
    """The ranks of this run, once all have come; this process alone where torchrun is not used.

    device: "cpu", "cuda" or "auto". On GPUs each rank sees one from now on, that of its number on
    this machine, and gradients go by NCCL; all else goes by gloo.
    Raises ValueError, in one sentence, if only some ranks have a GPU.
    """
    if not dist.is_torchelastic_launched():
        yield ALONE
        return
    store, number, count = next(dist.rendezvous("env://"))
    backend = "gloo"
    if device != "cpu":
        show_one_gpu(int(os.environ["LOCAL_RANK"]))
        store.set(f"GPUs/{number}", str(torch.cuda.device_count()))
        without = [k for k in range(count) if store.get(f"GPUs/{k}") == b"0"]
        if 0 < len(without) < count:
            raise ValueError(
                f"device is {device!r}, but rank {without[0]} finds no GPU of its own; "
                "start as many ranks on a machine as it has GPUs, or set device=cpu."
            )
        if not without:
            backend = "cpu:gloo,cuda:nccl"
    patience = timedelta(seconds=START_PATIENCE_S)
    dist.init_process_group(backend, store=store, rank=number, world_size=count, timeout=patience)
    yield Ranks(number, count, store)
    dist.destroy_process_group()  # not after an error: it would wait for the others


def show_one_gpu(number: int) -> None:
    """Let this process see only the GPU of that number among those it was to see; or none.

    Before CUDA is used: what is made on "cuda", in any thread, then lies there.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    own = str(number)
    if visible is not None:
        names = visible.split(",")
        own = names[number] if number < len(names) else ""
    os.environ["CUDA_VISIBLE_DEVICES"] = own
