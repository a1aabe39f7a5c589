"""What a whole collection of pictures holds: sizes, channels, and the range of their values."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from vae_core.imaging.listing import Listing
from vae_core.imaging.look import LEVELS, Look
from vae_core.imaging.pool import batch_spans, decode_all
from vae_core.progress import Progress, ProgressMeter

SURVEYING = "Looking at the images"

SHALLOW_NAMES = (".jpg", ".jpeg", ".jpe", ".webp", ".gif", ".bmp")
"""Endings of what never has more than 8 bits a value: a share of these tells their sizes."""

MOST_SHALLOW = 2000

TAILS = (0.002, 0.998)
"""Shares of all values that lie below the window at most, and below its upper end at least."""

FAR = 0.5
"""The window ends with the values, unless their tail is longer than this share of what lies
between the tails. Noise of a Gaussian is not cut, a few hot pixels are."""


@dataclass(frozen=True)
class Depth:
    """The values of all pictures of one number type.

    low, high: the least and the greatest. tail_low, tail_high: the values at `TAILS`.
    """

    kind: str
    pictures: int
    low: float
    high: float
    tail_low: float
    tail_high: float

    @property
    def window(self) -> tuple[float, float]:
        """What is shown as black and as white: all values, or without few far ones (hot pixels)."""
        inner = self.tail_high - self.tail_low
        if not inner:  # nearly all are the same one: what differs is what there is to see
            return self.low, self.high if self.high > self.low else self.low + 1
        low = self.tail_low if self.tail_low - self.low > FAR * inner else self.low
        high = self.tail_high if self.high - self.tail_high > FAR * inner else self.high
        return low, high

    @property
    def type_range(self) -> tuple[float, float] | None:
        """What values of this type can be; None for floats."""
        if np.dtype(self.kind).kind not in "iu":
            return None
        info = np.iinfo(self.kind)
        return float(info.min), float(info.max)


@dataclass(frozen=True)
class Survey:
    """A collection.

    sizes: how often each (height, width) occurs among the pictures that were looked at; channels,
        kinds: likewise the channels and the number types.
    deep: the values of those of more than 8 bits, None where there are none.
    """

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    channels: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    deep: Depth | None = None

    @property
    def pictures(self) -> int:
        """How many were looked at."""
        return self.sizes.total()


def survey(listing: Listing, progress: Progress) -> tuple[Survey, bool]:
    """Look at the pictures of a listing; of those that have 8 bits by their names, at a sample.

    Returns:
        The survey, and whether it is whole: False where files could not be read. What is no
        picture does not count.
    """
    wanted = _wanted(listing.names)
    done = ~wanted
    looks: list[Look] = []
    meter = ProgressMeter(SURVEYING, len(done), lambda: int(done.sum()), progress)
    spans = batch_spans(wanted, listing.stamps[:, 0])
    for span, results in decode_all(listing, spans, None, meter.update):
        done[span.start : span.stop] = True
        looks += [each for each in results if isinstance(each, Look)]
        if any(isinstance(each, OSError) for each in results):
            return merge(looks), False  # whoever prepares them tells of it, and tries the others
    return merge(looks), True


def merge(looks: Iterable[Look]) -> Survey:
    """Many looks as one."""
    found = Survey()
    deep = []
    for each in looks:
        found.sizes[each.height, each.width] += 1
        found.channels[each.channels] += 1
        found.kinds[each.kind] += 1
        if each.quantiles:
            deep.append(each)
    return Survey(found.sizes, found.channels, found.kinds, _depth(deep) if deep else None)


def together(surveys: Iterable[Survey]) -> Survey:
    """Collections as one, whose values reach as far as those of each."""
    found = Survey()
    deep = []
    for each in surveys:
        found.sizes.update(each.sizes)
        found.channels.update(each.channels)
        found.kinds.update(each.kinds)
        deep += [each.deep] if each.deep else []
    if not deep:
        return found
    usual = max(deep, key=lambda each: each.pictures)
    depth = Depth(
        usual.kind,
        sum(each.pictures for each in deep),
        min(each.low for each in deep),
        max(each.high for each in deep),
        min(each.tail_low for each in deep),
        max(each.tail_high for each in deep),
    )
    return Survey(found.sizes, found.channels, found.kinds, depth)


def _depth(looks: Sequence[Look]) -> Depth:
    quantiles = np.array([each.quantiles for each in looks])  # [N, levels]
    counts = np.array([each.values for each in looks], np.float64)
    # Each picture as the middles of its steps: what lies between two of its quantiles.
    middles = (quantiles[:, 1:] + quantiles[:, :-1]).ravel() / 2
    weights = (counts[:, None] * np.diff(LEVELS)).ravel()
    order = np.argsort(middles, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    # A share that sums up to its tail but for rounding has reached it.
    places = np.minimum(np.searchsorted(share, np.subtract(TAILS, 1e-9)), len(order) - 1)
    tail_low, tail_high = middles[order[places]].tolist()
    kind = Counter(each.kind for each in looks).most_common(1)[0][0]
    whole = np.dtype(kind).kind in "iu"
    low, high = float(quantiles[:, 0].min()), float(quantiles[:, -1].max())
    if whole:
        tail_low, tail_high = float(np.floor(tail_low)), float(np.ceil(tail_high))
    return Depth(kind, len(looks), low, high, tail_low, tail_high)


def _wanted(names: Sequence[str]) -> np.ndarray:
    """bool [N]: which pictures are looked at."""
    shallow = np.array([is_shallow(name) for name in names], bool)
    places = np.flatnonzero(shallow)
    if len(places) > MOST_SHALLOW:
        shallow[places[:: -(-len(places) // MOST_SHALLOW)]] = False
        return ~shallow
    return np.ones(len(names), bool)


def is_shallow(name: str) -> bool:
    """Whether a name says that its values have 8 bits; `x.gif#03` is the third frame of one."""
    return os.path.splitext(name.partition("#")[0])[1].lower() in SHALLOW_NAMES
