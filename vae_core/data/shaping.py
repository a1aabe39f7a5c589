"""What a person's pictures become where the configuration leaves it open: decided from a survey of
all of them, with reasons, and sentences on what is lost on the way."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np

from vae_core.choices import Choice
from vae_core.config import LEAST_SIDE, MOST_CHANNELS, MOST_SIDE, DataConfig, Size, Window
from vae_core.data.cache import mark_used
from vae_core.data.dataset import Images
from vae_core.data.npy import SUMMARY
from vae_core.errors import UserError
from vae_core.files import replacing
from vae_core.imaging.fit import Target, content_box, cut_share
from vae_core.imaging.listing import Listing
from vae_core.imaging.look import LEVELS
from vae_core.imaging.survey import TAILS, Depth, Survey, survey
from vae_core.locations import cache_folder
from vae_core.progress import Progress
from vae_core.units import grouped

PIXEL_BUDGET = 64 * 64
"""Of an image whose size is decided here: trains within minutes on two cores."""

LEAST_DECIDED = 12
"""Pixels of a side that is decided here."""

STEP = 4
"""What the sides of pictures that are reduced are rounded to, so that halving them stays even."""

ALIKE = 0.05
"""Proportions are the same up to about so many parts of one."""

ENLARGED = 0.1
"""Share of the pictures that may be smaller than the size that is decided: one thumbnail among
scans does not make thumbnails of all."""

SAID_FROM = 0.01
"""Share of a side from which it is said that it is cut off."""

KEEP_FROM_S = 1.0
"""Time of a survey from which it is kept for the next process."""

FORMAT = 1
"""Of the kept survey; counted up when looking finds something else."""

FLAT = 2.0
"""Standard deviation of grey levels of 255 below which an image shows next to nothing."""

MANY = 0.1
"""Share of images that are nearly constant from which it is said; a few empty ones are usual."""

MOST_JUDGED = 2000


@dataclass(frozen=True)
class Shaping:
    """config: with nothing left open. notes: what is lost, and what would keep it, for the person.
    lost: the first alone, without a full stop."""

    config: DataConfig
    choices: tuple[Choice, ...] = ()
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def target(self) -> Target:
        """What every picture is brought to."""
        return target_of(self.config)


def target_of(config: DataConfig, shape: tuple[int, int, int] | None = None) -> Target:
    """What a configuration without open ends brings a picture to.

    Args:
        shape: (C, H, W) of the images of a run, where its configuration may have left them open.
    """
    size = shape[1:] if shape else config.size
    assert size is not None, "decided by `shaped`"
    return Target(
        *size,
        config.resize,
        shape[0] if shape else config.channels,
        window=config.window,
        windowed=config.windowed or "deep",
    )


def shaped(config: DataConfig, listing: Listing, progress: Progress) -> Shaping:
    """Decide what `config` leaves open for the pictures of `listing`.

    Raises:
        UserError: when their channels differ so that no image can have them all.
    """
    if config.windowed == "file" and config.size is not None:
        return Shaping(config)  # nothing is open, and nobody asked then
    found = kept_survey(listing, progress)
    if not found.pictures:
        return Shaping(config.model_copy(update={"image_size": config.image_size or 64}))
    choices: list[Choice] = []
    notes: list[str] = []
    require_channels(config, found, listing)
    if config.size is None:
        size, why = natural_size(found.sizes)
        side = size.height if size.height == size.width else size
        config = config.model_copy(update={"image_size": side})
        choices.append(Choice("data.image_size", side, why))
    if config.windowed != "file":
        windowed = config.windowed
        if windowed is None:
            windowed = "all" if config.window is not None and found.deep is None else "deep"
            config = config.model_copy(update={"windowed": windowed})
            if windowed == "all":
                why = "The window is for all images, as none has more than 8 bits."
                choices.append(Choice("data.windowed", windowed, why))
        if config.window is None and found.deep is not None:
            window = Window(*found.deep.window)
            config = config.model_copy(update={"window": window})
            choices.append(Choice("data.window", list(window), range_note(found, window)))
        elif config.window is not None:
            notes.append(range_note(found, config.window))
    losses = _losses(found.sizes, target_of(config))
    return Shaping(
        config,
        tuple(choices),
        (*notes, *(f"{what}.{cure}" for what, cure in losses)),
        (*(note.rstrip(".") for note in notes), *(what for what, _ in losses)),
    )


def shaped_as(
    config: DataConfig, shape: tuple[int, int, int], found: Survey
) -> tuple[Target, tuple[str, ...]]:
    """How pictures that a run has not seen are brought to what its own were, and what is lost.

    Where its own had 8 bits each, deeper ones have one scale for all of them, which is said.

    Args:
        config: of the run. shape: (C, H, W) of its images. found: a survey of the new ones.
    """
    target = target_of(config, shape)
    notes = [f"{what}." for what, _ in _losses(found.sizes, target)] if found.pictures else []
    deep = found.deep
    if target.windowed == "file" or not found.pictures:
        return target, tuple(notes)
    if deep is None:
        if target.window is not None and target.windowed == "deep":
            notes.append(
                "The images of the run have more than 8 bits, of which "
                f"{number(target.window[0])} to {number(target.window[1])} are black to white; "
                "these have 8 bits and stay as they are."
            )
    elif target.window is None:
        target = replace(target, window=deep.window, windowed="deep")
        notes.append(f"Unlike those of the run: {_lower(range_note(found, deep.window))}")
    elif deep.low < target.window[0] or target.window[1] < deep.high:
        notes.append(range_note(found, target.window))
    return target, tuple(notes)


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


# --- size ---------------------------------------------------------------------------------------


def natural_size(sizes: Counter[tuple[int, int]]) -> tuple[Size, str]:
    """The size that suits pictures of these (height, width), and why.

    The most common proportions; no larger than nine in ten of the pictures that have these, so
    that nothing is enlarged; and no more pixels than `PIXEL_BUDGET`.
    """
    ratio_of = {size: round(math.log(size[1] / size[0]) / ALIKE) for size in sizes}
    counts: Counter[int] = Counter()
    for size, count in sizes.items():
        counts[ratio_of[size]] += count
    most, having = counts.most_common(1)[0]
    same = {size: count for size, count in sizes.items() if ratio_of[size] == most}
    usual = max(same, key=lambda size: (same[size], size))
    area = _low_quantile({size: size[0] * size[1] for size in same}, same)
    scale = min(1.0, math.sqrt(area / math.prod(usual)))
    height, width = usual[0] * scale, usual[1] * scale
    source = f"{width:.0f}×{height:.0f}"
    total = sum(sizes.values())
    of_all = "all" if having == total else f"{having / total:.0%} of"
    who = f"{of_all} {grouped(total)} images looked at have about these proportions"
    if height * width <= PIXEL_BUDGET and max(height, width) <= MOST_SIDE:
        size = _bounded(round(height), round(width))
        return size, f"{_said(size)}: {who}, and none is enlarged beyond {source}."
    size = _reduced(height, width)
    return size, (
        f"{_said(size)}: {who}; {source} is reduced to about {grouped(PIXEL_BUDGET)} pixels, "
        "which trains within minutes on a CPU."
    )


def _reduced(height: float, width: float) -> Size:
    """Sides of about as many pixels as the budget has, in proportions close to these."""
    scale = math.sqrt(PIXEL_BUDGET / (height * width))
    ideal = height * scale, width * scale
    if min(ideal) < LEAST_DECIDED:  # long strips: what is short decides
        scale = LEAST_DECIDED / min(height, width)
        return _bounded(round(height * scale), round(width * scale))

    def around(side: float) -> range:
        first = max(LEAST_DECIDED, int(side / STEP - 4) * STEP)
        return range(first, int(side) + 3 * STEP, STEP)

    def cost(size: tuple[int, int]) -> float:
        distorted = abs(math.log(size[1] / size[0] / (width / height)))
        return 4 * distorted + 0.5 * math.log(PIXEL_BUDGET / (size[0] * size[1]))

    fitting = [(h, w) for h in around(ideal[0]) for w in around(ideal[1]) if h * w <= PIXEL_BUDGET]
    return _bounded(*min(fitting, key=cost))


def _bounded(height: int, width: int) -> Size:
    least = LEAST_SIDE if max(height, width) < LEAST_DECIDED else LEAST_DECIDED
    return Size(*(min(max(side, least), MOST_SIDE) for side in (height, width)))


def _low_quantile(areas: dict[tuple[int, int], int], counts: dict[tuple[int, int], int]) -> int:
    """The area below which a share of `ENLARGED` lies at most."""
    below, allowed = 0, ENLARGED * sum(counts.values())
    for size in sorted(areas, key=areas.__getitem__):
        below += counts[size]
        if below > allowed:
            return areas[size]
    raise AssertionError("the last one is above every share")


def _said(size: tuple[int, int]) -> str:
    return f"{size[1]}×{size[0]} (width×height)"


def _losses(sizes: Counter[tuple[int, int]], target: Target) -> list[tuple[str, str]]:
    """What a crop cuts off, what is padding, how many pictures are enlarged; each with a sentence
    on what would keep it, "" where there is none."""
    total = sum(sizes.values())
    shares = {size: cut_share(size, target) for size in sizes}
    cut = {size: max(share) for size, share in shares.items() if max(share) >= SAID_FROM}
    losses = []
    if cut:
        count = sum(sizes[size] for size in cut)
        worst = max(cut, key=lambda size: (sizes[size] if len(cut) == 1 else cut[size], size))
        side = "height" if shares[worst][0] >= shares[worst][1] else "width"
        who = "" if count == total else f" {grouped(count)} of {grouped(total)} images are cut;"
        up_to = "" if len(cut) == 1 else "up to "
        losses.append((
            f"{worst[1]}×{worst[0]} → {target.width}×{target.height}:{who} {up_to}{cut[worst]:.0%} "
            f"of the {side} is cut",
            " To keep all of it, let data.resize pad or stretch, or leave data.image_size empty.",
        ))  # fmt: skip
    boxes = {size: content_box(size, target) for size in sizes}
    padding = {
        size: 1 - (bottom - top) * (right - left) / (target.height * target.width)
        for size, (top, left, bottom, right) in boxes.items()
    }
    most = max(padding, key=padding.__getitem__)
    if padding[most] >= SAID_FROM:
        mean = sum(padding[size] * n for size, n in sizes.items()) / total
        on_average = "" if len(sizes) == 1 else f", {mean:.0%} on average"
        losses.append((
            f"{most[1]}×{most[0]} → {target.width}×{target.height}: {padding[most]:.0%} is padding"
            f"{on_average}",
            "",
        ))  # fmt: skip
    small = sum(n for (h, w), n in sizes.items() if h < target.height and w < target.width)
    if small:
        losses.append((
            f"{grouped(small)} of {grouped(total)} images are smaller than "
            f"{target.width}×{target.height} and are enlarged",
            "",
        ))  # fmt: skip
    return losses


# --- values -------------------------------------------------------------------------------------


def range_note(found: Survey, window: tuple[float, float]) -> str:
    """What is shown as black and as white, of what there is."""
    low, high = window
    deep = found.deep
    if deep is None:
        return f"Values {number(low)} to {number(high)} of 0 to 255 are shown as black to white."
    whole = deep.type_range
    of_all = f" of {number(whole[0])} to {number(whole[1])}" if whole else ""
    said = f"Values {number(low)} to {number(high)}{of_all} are shown as black to white"
    if deep.low < low or high < deep.high:
        reach = f"{number(deep.low)} to {number(deep.high)}"
        said += f"; the images reach from {reach}, and what lies beyond is cut"
        said += f" (at most {2 * TAILS[0]:.1%})" if (low, high) == deep.window else ""
    shallow = found.pictures - deep.pictures
    if shallow:
        said += f"; {grouped(shallow)} of {grouped(found.pictures)} images have 8 bits and stay"
    return f"{said}."


def number(value: float) -> str:
    """A value of a picture: 65 535, −1 000, 0.0125."""
    if value == int(value) and abs(value) < 1e12:
        return grouped(int(value)).replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def flatness_notes(images: Images, files: tuple[str, ...], config: DataConfig) -> tuple[str, ...]:
    """A warning where many images come out nearly constant, or all nearly alike."""
    count = images.shape[0]
    places = np.unique(np.linspace(0, count - 1, min(count, MOST_JUDGED)).astype(np.int64))
    pixels = images.gather(places).reshape(len(places), -1)
    flat = pixels.std(axis=1, dtype=np.float32) < FLAT
    of_all = f"the {grouped(count)}" if len(places) == count else f"{len(places)} of the"
    if flat.mean() >= MANY:
        return (
            f"{grouped(int(flat.sum()))} of {of_all} images come out nearly constant, such as "
            f"{files[places[int(np.argmax(flat))]]}. {_way_out(config)}",
        )
    spread = float(pixels.std(axis=0, dtype=np.float32).max())
    if count > 1 and spread < FLAT:
        return (
            f"All images come out nearly alike: no pixel varies by more than {spread:.1f} of 255. "
            f"{_way_out(config)}",
        )
    return ()


def require_difference(hashes: np.ndarray, shaping: Shaping) -> None:
    """Refuse images uint64 [N] that are all the same one where that is of our making.

    Raises:
        UserError: saying what made them so.
    """
    if len(hashes) > 1 and len(np.unique(hashes)) == 1 and shaping.notes:
        raise UserError(
            f"All {grouped(len(hashes))} images come out as copies of one "
            f"({'; '.join(shaping.lost)}): {_lower(_way_out(shaping.config))}"
        )


def _way_out(config: DataConfig) -> str:
    window = (
        f", which is {number(config.window.low)} to {number(config.window.high)}"
        if config.window is not None
        else ""
    )
    return f"Look at the images, at data.resize and at data.window{window}."


# --- channels -----------------------------------------------------------------------------------


def require_channels(config: DataConfig, found: Survey, listing: Listing) -> None:
    """Grey and colour can be had together; other counts of channels stand alone.

    Raises:
        UserError: when they do not go together, or not with what the configuration asks for.
    """
    told = ", ".join(
        f"{grouped(n)} with {channels}" for channels, n in sorted(found.channels.items())
    )
    kinds = set(found.channels)
    if max(kinds) > MOST_CHANNELS:
        raise UserError(
            f"{listing.root} holds images of up to {max(kinds)} channels; at most {MOST_CHANNELS} "
            "can be learned. Leave out some of them."
        )
    odd = kinds - {1, 3}
    if odd and len(kinds) > 1:
        raise UserError(
            f"The images in {listing.root} differ in their channels ({told}), and one model takes "
            "one number of them. Put each kind into a folder of its own."
        )
    if config.channels is not None:
        wrong = {own for own in kinds if own not in (1, config.channels)}
        if wrong and not (config.channels == 1 and wrong == {3}):
            raise UserError(
                f"data.channels: the images in {listing.root} have other channels ({told}) than "
                f"the {config.channels} asked for; leave it empty."
            )


def require_shown(config: DataConfig, channels: int) -> None:
    """Refuse to show channels that images do not have.

    Raises:
        UserError: naming them.
    """
    shown = config.shown_channels
    if shown is not None and max(shown) > channels > 1:
        raise UserError(
            f"data.shown_channels: the images have {channels} channels, and {max(shown)} is asked "
            f"for; name three from 1 to {channels}."
        )


# --- kept between calls -------------------------------------------------------------------------


def kept_survey(listing: Listing, progress: Progress) -> Survey:
    """The survey of a listing, made now or, where that took long, by an earlier call for it."""
    key = sha256(json.dumps([FORMAT, LEVELS, TAILS, listing.digest()]).encode()).hexdigest()
    entry = cache_folder() / f"survey-{key[:20]}"
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        found = _from_json(json.loads((entry / SUMMARY).read_text()))
        mark_used(entry)
        return found
    began = time.monotonic()
    found, whole = survey(listing, progress)
    if whole and time.monotonic() - began > KEEP_FROM_S:
        with suppress(OSError):  # a full disk costs time at the next start, and nothing else
            entry.mkdir(parents=True, exist_ok=True)
            with replacing(entry / SUMMARY) as file:
                file.write(json.dumps(_to_json(found)).encode())
    return found


def _to_json(found: Survey) -> dict[str, Any]:
    return {
        "sizes": [[*size, n] for size, n in found.sizes.items()],
        "channels": list(found.channels.items()),
        "kinds": list(found.kinds.items()),
        "deep": found.deep and asdict(found.deep),
    }


def _from_json(kept: dict[str, Any]) -> Survey:
    return Survey(
        Counter({(h, w): n for h, w, n in kept["sizes"]}),
        Counter(dict(kept["channels"])),
        Counter(dict(kept["kinds"])),
        kept["deep"] and Depth(**kept["deep"]),
    )
