"""The processes that torchrun started for one run: ranks, each with a part of the environments.

Every rank has all parameters, and steps them by the gradient's sum over the ranks. What is drawn at
random is drawn by all ranks alike, for the whole batch. So all of a learner but its environments is
the same everywhere.
"""

import io
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from agents.devices import choose_device
from agents.parallel.shards import split

X = TypeVar("X")
# How long a rank waits for the others: at first, when they compile, and then, or as long as its own
# work took since they last met. torchrun gives a hanging process 30 s to end: a minute in all.
START_PATIENCE_S = 600.0
PATIENCE_S = 20.0
CENSUS_S = 2.0  # in which those who miss somebody say so
LEAVE_S = 5.0  # in which those who end by themselves have said why
POLL_S = 0.02


class RankError(RuntimeError):
    """Another rank ended or gives no answer; the message says which."""


class Ranks:
    """The ranks of a run, seen from one of them; made by `join_ranks`, or this process alone.

    Methods that speak of all ranks are called on all of them, in the same order, and raise
    RankError where one is missing.

    Args:
        rank: number of this one, from 0.
        world_size: of all.
        store: where they leave word for each other; None for one rank alone.

    `more_patience_s` is added to how long the others are waited for.
    """

    def __init__(self, rank: int = 0, world_size: int = 1, store: dist.Store | None = None) -> None:
        self.rank = rank
        self.world_size = world_size
        self.more_patience_s = 0.0
        self._store = store
        self._met: float | None = None  # when all had last come to the gradient's sum
        self._gpus: dist.ProcessGroup | None = None
        if store is not None:
            store.set(f"who/{rank}", f"process {os.getpid()} on {socket.gethostname()}")
            # What is gathered waits by the group's clock, all else by `_all_reduce`'s.
            self._quick = dist.new_group(backend="gloo", timeout=timedelta(seconds=PATIENCE_S))

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that prints, logs and saves."""
        return self.rank == 0

    @property
    def local_world_size(self) -> int:
        """How many ranks share this machine's cores."""
        return 1 if self._store is None else int(os.environ["LOCAL_WORLD_SIZE"])

    def part(self, num_envs: int) -> slice:
        """This rank's environments of `num_envs`.

        Raises ValueError, in one sentence, if there are fewer environments than ranks.
        """
        if num_envs < self.world_size:
            raise ValueError(
                f"env.num_envs is {num_envs}, but there are {self.world_size} ranks, "
                "each of which needs an environment."
            )
        return split(num_envs, self.world_size)[self.rank]

    def choose_device(self, name: str) -> torch.device:
        """The device for "cpu", "cuda" or "auto"; each rank sees a GPU of its own from now on.

        Raises ValueError, in one sentence, if only some ranks have one, or cuda is asked for and
        there is none.
        """
        if self._store is None or name == "cpu":
            return choose_device(name)
        show_one_gpu(int(os.environ["LOCAL_RANK"]))
        has_gpu = torch.cuda.is_available()
        some_have, some_lack = self.all_reduce_max(has_gpu, not has_gpu)
        if some_have and some_lack:
            raise ValueError(
                f"device is '{name}', but only some ranks have a GPU of their own; "
                "start as many on a machine as it has GPUs, or set device=cpu."
            )
        device = choose_device(name)
        if device.type == "cuda":
            self._gpus = dist.new_group(backend="nccl", timeout=timedelta(days=1))
        return device

    def all_reduce_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the ranks: one flat buffer, one all-reduce."""
        if self.world_size > 1:
            self._combine(tensors, torch.cat([x.reshape(-1) for x in tensors]))
            self._met = time.monotonic()

    def broadcast_(self, tensors: Sequence[Tensor]) -> None:
        """Give `tensors` the numbers that they have on the first rank."""
        if self.world_size > 1:
            flat = torch.cat([x.detach().reshape(-1) for x in tensors])
            self._combine(tensors, flat if self.is_first else torch.zeros_like(flat))

    @torch.no_grad()
    def _combine(self, tensors: Sequence[Tensor], flat: Tensor) -> None:
        """Sum `flat` over the ranks, and put its parts into `tensors`."""
        self._all_reduce(flat)
        parts = flat.split([x.numel() for x in tensors])
        for x, part in zip(tensors, parts, strict=True):
            x.copy_(part.view(x.shape))

    def all_reduce(self, x: Tensor) -> Tensor:
        """The sum over the ranks."""
        if self.world_size == 1:
            return x
        result = x.clone()
        self._all_reduce(result)
        return result

    def mean_and_deviation(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of all ranks' numbers, of which one may have none."""
        total, count = self.all_reduce(torch.stack([x.sum(), x.new_tensor(float(x.numel()))]))
        mean = total / count
        return mean, (self.all_reduce((x - mean).square().sum()) / count).sqrt()

    def all_reduce_max(self, *wishes: int) -> list[int]:
        """The highest number that any rank has, for each of some."""
        if self.world_size == 1:
            return list(wishes)
        highest = torch.tensor(wishes, dtype=torch.int64)
        self._all_reduce(highest, dist.ReduceOp.MAX)
        return highest.tolist()

    def barrier(self) -> None:
        """Go on when the first rank comes here, which may have to wait for a slow disk."""
        if self.world_size > 1:
            self._all_reduce(torch.zeros(1), patience_s=START_PATIENCE_S)

    def gather(self, x: X) -> list[X]:
        """What each rank has, on the first rank; on the others nothing."""
        if self.world_size == 1:
            return [x]
        self.all_reduce_max(0)  # all are here: what follows is quick
        found = [b""] * self.world_size if self.is_first else None
        with self._naming_who_is_missing():
            dist.gather_object(_to_bytes(x), found, dst=0, group=self._quick)
        return [_from_bytes(content) for content in found or []]

    def broadcast_object(self, make: Callable[[], X], patience_s: float = START_PATIENCE_S) -> X:
        """What `make` returns on the first rank, which the others wait for.

        Where it raises there, RankError on the others.
        """
        if self.world_size == 1:
            return make()
        content = [_to_bytes(make()) if self.is_first else b""]
        self._all_reduce(torch.zeros(1), patience_s=patience_s)
        with self._naming_who_is_missing():
            dist.broadcast_object_list(content, src=0)
        result: X = _from_bytes(content[0])
        return result

    def is_first_to_say(self, text: str) -> bool:
        """Whether no other rank has said this, so that all of them together say it once."""
        try:
            return self._store is None or self._store.add(f"said/{text}", 1) == 1
        except RuntimeError:  # the store went with the machine that held it
            return True

    def leave(self) -> None:
        """Say that this rank ends. The first one, with which the store may go, waits a little."""
        if self._store is None:
            return
        with suppress(RuntimeError):  # the store is gone
            self._store.add("left", 1)
            end = time.monotonic() + LEAVE_S
            while (
                self.is_first
                and self._store.add("left", 0) < self.world_size
                and time.monotonic() < end
            ):
                time.sleep(POLL_S)

    def _all_reduce(
        self,
        x: Tensor,
        op: dist.ReduceOp.RedOpType = dist.ReduceOp.SUM,
        patience_s: float | None = None,
    ) -> None:
        """Combine x over the ranks, in place; wait for it."""
        if patience_s is None:
            patience_s = START_PATIENCE_S
            if self._met is not None:
                since = time.monotonic() - self._met
                patience_s = max(PATIENCE_S, since) + self.more_patience_s
        with self._naming_who_is_missing():
            work = dist.all_reduce(x, op, self._gpus if x.is_cuda else None, async_op=True)
            work.wait(timedelta(seconds=patience_s))

    @contextmanager
    def _naming_who_is_missing(self) -> Iterator[None]:
        """Raise RankError where PyTorch reports that ranks did not meet."""
        start = time.monotonic()
        try:
            yield
        except RuntimeError as error:
            waited = time.monotonic() - start
            why = "ended, which its own output explains, or was killed"
            if waited >= PATIENCE_S:
                why = f"gave no answer for {waited:.0f} s: it was stopped, or hangs"
            missing = " and ".join(self._missing())
            cause = str(error).splitlines()[0]
            raise RankError(
                f"{missing} {why}" if missing else f"the ranks did not meet: {cause}"
            ) from error

    def _missing(self) -> list[str]:
        """Which ranks do not miss others, in words: those who do say so in the store."""
        assert self._store is not None
        missing = []
        try:
            self._store.set(f"misses others/{self.rank}", "")
            time.sleep(CENSUS_S)
            for k in range(self.world_size):
                if not self._store.check([f"misses others/{k}"]):
                    missing.append(f"rank {k} ({self._store.get(f'who/{k}').decode()})")
        except RuntimeError:  # the store is on the machine of torchrun's own rank 0
            return ["the machine that torchrun's ranks meet on"]
        return missing


def _to_bytes(x: Any) -> bytes:
    """What other ranks make x of; by pickle alone, tensors of some kinds cannot be read again."""
    buffer = io.BytesIO()
    torch.save(x, buffer)
    return buffer.getvalue()


def _from_bytes(content: bytes) -> Any:
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)


ALONE = Ranks()


def show_one_gpu(number: int) -> None:
    """Let this process see only the GPU of that number among those it was to see; or none.

    Before CUDA is used: what is made on "cuda", in any thread, then lies there.
    """
    names = os.environ.get("CUDA_VISIBLE_DEVICES", str(number)).split(",")
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        names = names[number : number + 1]
    os.environ["CUDA_VISIBLE_DEVICES"] = "".join(names)
