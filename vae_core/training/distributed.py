"""The processes that train one model together; a process alone is the smallest of such groups.

Each has the whole model and a share of every batch (`vae_core/shares.py`). What they tell each
other goes two ways: tensors are added up over all of them, and small messages come from the first
one, which alone listens to people, records and saves. Messages travel on the CPU, so that no GPU
is waited for.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor

from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.training.rank import LOST

STEP_S = 300.0
"""Longest that a process waits for the sums of the others: a slow disk, or a GPU's first step."""

MESSAGE_S = 3600.0
"""Longest that one waits for the first process, which prepares images, and encodes beside."""

DISMISSAL_S = 5.0
"""Longest that the first process waits for the others to hear that it has ended."""

BUCKET_BYTES = 25 * 2**20
"""Of what is added up in one go, as in torch's own DDP."""

MESSAGE_BYTES = 1024
"""Of a message that takes one journey; longer ones take two."""

COMPRESSED = {"none": None, "bf16": torch.bfloat16}
"""In what gradients travel, by the name that `train.compress_gradients` has for it."""


class Lost(UserError):
    """Another process of the training is gone, or does not answer."""

    exit_status = LOST


class Dismissed(Exception):
    """The first process has ended and needs the others no more; its reason, a sentence."""


@dataclass(frozen=True)
class Distributed:
    """One of `world` processes, number `rank`; alone, every method gives back what it is given.

    local_rank, local_world: its number, and how many there are, on this machine.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that records, saves and listens to people."""
        return self.rank == 0

    def reduce(self, tensors: Iterable[Tensor], dtype: torch.dtype | None = None) -> None:
        """Give each tensor, in place, the sum over all processes, which all call this with tensors
        of the same shapes; those of floats travel as `dtype`. A Lost when one does not."""

    def copy(self, tensors: Iterable[Tensor]) -> None:
        """Give each tensor, in place, the numbers that the first process has in it. A Lost when it
        is gone."""

    def gather(self, value: Any) -> list[Any]:
        """What each process calls this with, in the order of ranks: values that JSON has. A Lost
        when one does not."""
        return [value]

    def broadcast(self, value: Any = None) -> Any:
        """What the first process calls this with, a value that JSON has.

        Raises:
            Dismissed: when it has ended in place of calling this.
            Lost: when it is gone, or says nothing for `MESSAGE_S`.
        """
        return value

    def broadcast_bytes(self, data: bytes = b"") -> bytes:
        """As `broadcast`, for what is large."""
        return data

    def barrier(self) -> None:
        """Return once every process has called this. A Lost when one does not."""

    def dismiss(self, reason: str) -> None:
        """Of the first process, where it ends before the others expect it: whatever they wait to
        hear from it next is a Dismissed with this reason, a sentence."""

    def close(self) -> None:
        """Nothing is told to anybody any more."""


ALONE = Distributed()


def share_of(config: RunConfig, group: Distributed) -> RunConfig:
    """The settings of a training that computes at once what one process of a group does."""
    at_once = math.ceil(config.train.batch_size / (group.world * config.train.accumulate))
    return config.updated({"train": {"batch_size": at_once, "accumulate": 1}})


def join(cuda: bool, environment: Mapping[str, str] = os.environ) -> Distributed:
    """The group that this process was started in, as torchrun's variables say it; `ALONE` where
    there are none.

    Args:
        cuda: whether tensors lie on GPUs; they are added up by NCCL then, else by Gloo.

    Raises:
        Lost: when the others cannot be reached.
    """
    if int(environment.get("WORLD_SIZE") or 1) == 1:
        return ALONE
    try:
        rank, world = int(environment["RANK"]), int(environment["WORLD_SIZE"])
        local = int(environment.get("LOCAL_RANK", rank))
        local_world = int(environment.get("LOCAL_WORLD_SIZE", world))
    except (KeyError, ValueError) as error:
        raise UserError(
            f"This process is to be one of several, and the environment does not say which: {error}"
            " is missing or no number. Start them with torchrun."
        ) from None
    return Several(rank, world, local, local_world).connected(cuda)


@dataclass(frozen=True)
class Several(Distributed):
    """One of several processes, over torch.distributed; the default group adds up, another one
    that is patient carries messages."""

    step_s: float = STEP_S
    message_s: float = MESSAGE_S
    messages: Any = None
    """The group that carries them."""

    def connected(self, cuda: bool) -> Several:
        """The same, once all have met at the address that the environment names."""
        import torch.distributed as dist

        backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
        with self._waiting("meet", self.step_s):
            dist.init_process_group(
                backend,
                store=self._store(),
                rank=self.rank,
                world_size=self.world,
                timeout=timedelta(seconds=self.step_s),
            )
            messages = dist.new_group(backend="gloo", timeout=timedelta(seconds=self.message_s))
        return replace(self, messages=messages)

    def _store(self) -> Any:
        """Where the processes meet, by names that no earlier ones have used there.

        The agent of torchrun goes on with its store when it starts processes anew, and torch reads
        from it where those that have ended were to be reached. All processes are started as often
        as each of them, so that their count names the attempt.
        """
        import torch.distributed as dist
        from torch.distributed.rendezvous import rendezvous

        store, _, _ = next(rendezvous("env://", timeout=timedelta(seconds=self.step_s)))
        restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        these = f"{os.environ.get('TORCHELASTIC_RUN_ID', '')}/{restarts}/{self.world}"
        number = store.add(f"vae_core/{these}/{self.rank}", 1)
        return dist.PrefixStore(  # type: ignore[attr-defined]
            f"vae_core/{these}/{number}", store
        )

    def reduce(self, tensors: Iterable[Tensor], dtype: torch.dtype | None = None) -> None:
        import torch.distributed as dist

        with self._waiting("add up", self.step_s), torch.no_grad():
            sent = []
            for bucket in _buckets(tensors):
                flat = torch.cat([each.detach().reshape(-1) for each in bucket])
                if dtype is not None and flat.is_floating_point():
                    flat = flat.to(dtype)
                sent.append((bucket, flat, dist.all_reduce(flat, async_op=True)))
            for bucket, flat, work in sent:
                work.wait()
                _spread(flat, bucket)

    def copy(self, tensors: Iterable[Tensor]) -> None:
        import torch.distributed as dist

        with self._waiting("begin alike", self.step_s), torch.no_grad():
            for bucket in _buckets(tensors):
                flat = torch.cat([each.detach().reshape(-1) for each in bucket])
                dist.broadcast(flat, 0)
                _spread(flat, bucket)

    def gather(self, value: Any) -> list[Any]:
        import torch.distributed as dist

        said = json.dumps(value).encode()
        with self._waiting("say how they stand", self.message_s):
            lengths = torch.zeros(self.world, dtype=torch.int64)
            lengths[self.rank] = len(said)
            dist.all_reduce(lengths, group=self.messages)
            padded = torch.zeros(int(lengths.max()), dtype=torch.uint8)
            padded[: len(said)] = torch.frombuffer(bytearray(said), dtype=torch.uint8)
            all_of_them = [torch.empty_like(padded) for _ in range(self.world)]
            dist.all_gather(all_of_them, padded, group=self.messages)
        told = zip(all_of_them, lengths.tolist(), strict=True)
        return [json.loads(bytes(each[:length].tolist())) for each, length in told]

    def broadcast(self, value: Any = None) -> Any:
        return self._tell({"value": value})["value"]

    def broadcast_bytes(self, data: bytes = b"") -> bytes:
        import torch.distributed as dist

        length = self.broadcast(len(data))
        buffer = torch.empty(length, dtype=torch.uint8)
        if self.is_main and length:
            buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        with self._waiting("hear from the first", self.message_s):
            for part in buffer.split(BUCKET_BYTES):
                dist.broadcast(part, 0, group=self.messages)
        return buffer.numpy().tobytes()

    def barrier(self) -> None:
        self.gather(None)

    def dismiss(self, reason: str) -> None:
        if self.is_main:
            with suppress(Lost):  # who is gone needs not be told
                self._tell({"dismissed": reason}, DISMISSAL_S)

    def close(self) -> None:
        import torch.distributed as dist

        dist.destroy_process_group()

    def _tell(self, message: Mapping[str, Any], seconds: float | None = None) -> Mapping[str, Any]:
        """The message of the first process, after the eight bytes of its length; it waits so many
        `seconds` for the others to take it."""
        import torch.distributed as dist

        said = json.dumps(message).encode() if self.is_main else b""
        said = len(said).to_bytes(8, "little") + said
        first = torch.zeros(MESSAGE_BYTES, dtype=torch.uint8)
        first[: len(said)] = torch.frombuffer(bytearray(said[:MESSAGE_BYTES]), dtype=torch.uint8)
        seconds = seconds or self.message_s
        with self._waiting("hear from the first", seconds):
            sent = dist.broadcast(first, 0, group=self.messages, async_op=True)
            if sent is not None:
                sent.wait(timedelta(seconds=seconds))
            told = bytes(first.tolist())
            length = 8 + int.from_bytes(told[:8], "little")
            if length > MESSAGE_BYTES:
                rest = torch.zeros(length - MESSAGE_BYTES, dtype=torch.uint8)
                if self.is_main:
                    rest = torch.frombuffer(bytearray(said[MESSAGE_BYTES:]), dtype=torch.uint8)
                dist.broadcast(rest, 0, group=self.messages)
                told += bytes(rest.tolist())
        heard: Mapping[str, Any] = json.loads(told[8:length])
        if "dismissed" in heard and not self.is_main:
            raise Dismissed(heard["dismissed"])
        return heard

    @contextmanager
    def _waiting(self, purpose: str, seconds: float) -> Iterator[None]:
        """A sentence in place of what a network says when somebody is gone."""
        try:
            yield
        except RuntimeError as error:
            said = " ".join(str(error).split())[:160]
            raise Lost(
                f"The {self.world} processes of this training could not {purpose}: one of them "
                f"has ended, is cut off, or has not answered for {seconds:g} s ({said}). What "
                "the last save holds is kept; resume the run to go on from there."
            ) from error


def _spread(flat: Tensor, bucket: Sequence[Tensor]) -> None:
    """Give each tensor of a bucket its numbers out of those of all, one after the other."""
    parts = flat.split([each.numel() for each in bucket])
    for each, part in zip(bucket, parts, strict=True):
        each.detach().copy_(part.view(each.shape))


def _buckets(tensors: Iterable[Tensor]) -> Iterator[Sequence[Tensor]]:
    """Tensors of one type on one device, so many that they fill a bucket."""
    kinds: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for each in tensors:
        bucket = kinds.setdefault((each.dtype, each.device), [])
        bucket.append(each)
        if sum(one.nbytes for one in bucket) >= BUCKET_BYTES:
            yield kinds.pop((each.dtype, each.device))
    yield from kinds.values()
