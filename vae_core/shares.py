"""A batch of which only a share is at hand: that of one process among several, or of one pass.

Each image has the same numbers wherever it is computed: whoever draws noise for the images of a
batch draws it for all of them and keeps the rows at hand, and whoever looks at a whole batch
gathers it. Both ask here for the share of the step that is being computed; without one, what is at
hand is the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Generator, Tensor

from vae_core.errors import UserError


class Group(Protocol):
    """The processes among which a batch is shared out, see `training.distributed.Distributed`."""

    @property
    def rank(self) -> int: ...

    @property
    def world(self) -> int: ...

    def reduce(self, tensors: Sequence[Tensor]) -> None:
        """Give each tensor, in place, the sum over all processes."""

    def gather(self, value: Any) -> list[Any]:
        """The value of each process, in the order of ranks."""


@dataclass(frozen=True)
class Share:
    """Which rows of a batch are at hand.

    group: the processes among which `part` is shared out.
    batch: images of the whole batch.
    part: its rows that all processes compute together, (first, behind the last); all of them
        unless gradients are accumulated.
    first: the first row at hand. rows: how many there are, at least one.
    counted: how many of these count: all, or none where there are fewer images than processes; the
        row at hand then stands in, so that every process takes part in everything.
    """

    group: Group
    batch: int
    part: tuple[int, int]
    first: int
    rows: int
    counted: int

    @property
    def places(self) -> slice:
        """Of the rows at hand in the batch."""
        return slice(self.first, self.first + self.rows)

    @property
    def in_part(self) -> slice:
        """Of those that count, in the part."""
        start = self.first - self.part[0]
        return slice(start, start + self.counted)


def share_of(batch: int, group: Group) -> Share | None:
    """What of a batch this process has, where it is one of several."""
    return None if group.world == 1 else shares_of(batch, group)[0]


def shares_of(batch: int, group: Group, parts: int = 1) -> list[Share]:
    """What of a batch this process has: a share of each of its parts, of which there are `parts`
    where there are so many images. All are rows that follow each other, as even as they come."""
    found = []
    for part in _cut(0, batch, min(parts, batch)):
        first, behind = _cut(*part, group.world)[group.rank]
        counted = behind - first
        first = first if counted else part[0]
        found.append(Share(group, batch, part, first, max(1, counted), counted))
    return found


def _cut(first: int, behind: int, pieces: int) -> list[tuple[int, int]]:
    """A stretch of rows in so many pieces, (first, behind the last) each."""
    least, more = divmod(behind - first, pieces)
    ends = [first + least * (i + 1) + min(i + 1, more) for i in range(pieces)]
    return list(zip([first, *ends[:-1]], ends, strict=True))


_share: ContextVar[Share | None] = ContextVar("share", default=None)


@contextmanager
def sharing(share: Share | None) -> Iterator[None]:
    """Within it the rows at hand are this share of their batch; None for all of it."""
    token = _share.set(share)
    try:
        yield
    finally:
        _share.reset(token)


def normal_like(like: Tensor, generator: Generator | None) -> Tensor:
    """Standard normal noise for images, of the shape [k·B, …], type and device of `like`: k draws
    for each, one whole batch after the other."""
    return _drawn(torch.randn, like, generator)


def uniform_like(like: Tensor, generator: Generator | None) -> Tensor:
    """As `normal_like`, evenly from [0, 1)."""
    return _drawn(torch.rand, like, generator)


def _drawn(draw: Callable[..., Tensor], like: Tensor, generator: Generator | None) -> Tensor:
    share = _share.get()
    shape = list(like.shape)
    if share is not None:
        shape[0] = shape[0] // share.rows * share.batch
    drawn = draw(shape, generator=generator, dtype=like.dtype, device=like.device)
    if share is None:
        return drawn
    return drawn.unflatten(0, (-1, share.batch))[:, share.places].flatten(0, 1)


def gathered(rows: Tensor) -> Tensor:
    """One row for each image at hand [b, …] → those of the whole batch, [B, …], on every process.
    Gradients flow back to whoever has the image.

    Raises:
        UserError: where gradients are accumulated, so that no process ever has the whole batch.
    """
    share = _share.get()
    if share is None:
        return rows
    if share.part != (0, share.batch):
        raise UserError(
            "train.accumulate: this family compares all images of a batch, which are never there "
            "together where gradients are accumulated; leave it at 1 and take a smaller batch."
        )
    return gathered_part(rows)


def gathered_part(rows: Tensor) -> Tensor:
    """As `gathered`, for what is only watched: where gradients are accumulated, those of the images
    that are computed together."""
    share = spread()
    if share is None:
        return rows
    gathered: Tensor = _Gather.apply(rows, share)
    return gathered


def at_hand(whole: Tensor) -> Tensor:
    """Of what is known of the whole batch, [B, …], the rows of the images at hand."""
    share = _share.get()
    return whole if share is None else whole[share.places]


def batch_size(rows: Tensor) -> int:
    """Images of the whole batch, of which those at hand have one row each."""
    share = _share.get()
    return len(rows) if share is None else share.batch


def counted(rows: Tensor) -> Tensor:
    """Those of the rows at hand, one for each image, that count."""
    share = _share.get()
    return rows if share is None else rows[: share.counted]


def batch_mean(rows: Tensor) -> Tensor:
    """What the images at hand [b] add to the mean over the whole batch, a scalar: over all shares
    these add up to it."""
    share = _share.get()
    return rows.mean() if share is None else rows[: share.counted].sum() / share.batch


def mean_of_shares(value: Tensor, weight: Tensor | float) -> Tensor:
    """A mean over what is at hand, of so much `weight`, scalars → the mean over all processes,
    through which no gradient flows; `value` itself where there is one process."""
    share = spread()
    if share is None:
        return value
    weight = value.new_tensor(float(share.counted > 0)) * weight
    sums = torch.stack([value.detach() * weight, weight])
    share.group.reduce([sums])
    return sums[0] / sums[1]


def spread() -> Share | None:
    """The share at hand, where other processes have others of the same batch."""
    share = _share.get()
    return None if share is None or share.group.world == 1 else share


class _Gather(torch.autograd.Function):
    """Rows of all processes: each adds its own to zeros."""

    @staticmethod
    def forward(context: Any, rows: Tensor, share: Share) -> Tensor:
        context.share = share
        first, behind = share.part
        whole = rows.new_zeros((behind - first, *rows.shape[1:]))
        whole[share.in_part] = rows[: share.counted]
        share.group.reduce([whole])
        return whole

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        share: Share = context.share
        whole = gradients[0].clone(memory_format=torch.contiguous_format)
        share.group.reduce([whole])
        own = whole[share.in_part]
        if not share.counted:
            own = whole.new_zeros((share.rows, *whole.shape[1:]))
        return own, None
