"""How many pictures files hold: only those are opened whose kind may hold several, and only at
their heads. What has to be parsed for it is parsed in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from vae_core.imaging.decoder import Decoder, DecoderDied
from vae_core.imaging.files import Files
from vae_core.imaging.kinds import Contents, NotAnImage
from vae_core.imaging.reading import Picture, Refused
from vae_core.progress import Progress
from vae_core.units import grouped

COUNTING = "Counting the pictures in the files"
HEADS = 256
"""Files whose heads one thread looks at before it says how far it is."""

THREADS = 8
"""On a network drive each waits for a file."""

ASKED, ASKED_BYTES = 64, 16 * 2**20
"""Files that the process is asked about at once, and the size from which it is fewer."""


@dataclass(frozen=True)
class Counted:
    """What F files hold.

    counts: int64 [F]; 0 where there is no picture.
    contents: of those that hold several, or say something of what they hold, by place.
    reasons: why there is none.
    """

    counts: np.ndarray
    contents: dict[int, Contents]
    reasons: dict[int, str]


def count_pictures(files: Files, progress: Progress) -> Counted:
    """Count the pictures of each file.

    A file that cannot be read counts as one: whoever reads it is told why.
    """
    counted = Counted(np.ones(len(files), np.int64), {}, {})
    asked = _may_hold_several(files, progress)
    for start in range(0, len(asked), ASKED):
        some = asked[start : start + ASKED]
        if start == 0:
            decoder = Decoder(None)
        progress(f"{COUNTING}: {grouped(start)} of {grouped(len(asked))}", start / len(asked))
        try:
            decoder = _ask(files, some, counted, decoder)
        except BaseException:
            decoder.kill()
            raise
    if asked:
        decoder.kill()
    return counted


def _may_hold_several(files: Files, progress: Progress) -> list[int]:
    asked, looked = [], []
    for i in range(len(files)):
        several = files.format(i).several
        if several is True:
            asked.append(i)
        elif several is not False:
            looked.append(i)
    spans = [looked[start : start + HEADS] for start in range(0, len(looked), HEADS)]

    def look(span: Sequence[int]) -> list[int]:
        return [i for i in span if _has_several(files, i)]

    with ThreadPoolExecutor(THREADS) as threads:
        for number, found in enumerate(threads.map(look, spans)):
            asked += found
            progress(f"{COUNTING}: {grouped(number * HEADS)} of {grouped(len(looked))}", None)
    return sorted(asked)


def _has_several(files: Files, i: int) -> bool:
    several = files.format(i).several
    assert callable(several)
    try:
        with files.open(i) as file:
            return several(file)
    except Exception:  # of a damaged head or archive, which is told when the whole is read
        return False


def _ask(files: Files, asked: list[int], counted: Counted, decoder: Decoder) -> Decoder:
    """Ask the process about some files; another one where it breaks on one of them."""
    for some in _batches(files, asked, counted):
        try:
            answers = decoder.contents([picture for _, picture in some])
        except DecoderDied:
            answers = []
            for _, picture in some:  # which of them it was is seen when each goes alone
                decoder = Decoder(None)
                try:
                    answers += decoder.contents([picture])
                    decoder.kill()
                except DecoderDied:
                    answers.append("damaged: its reader breaks on it")
            decoder = Decoder(None)
        for (i, _), answer in zip(some, answers, strict=True):
            if isinstance(answer, str):
                counted.counts[i], counted.reasons[i] = 0, answer
            elif isinstance(answer, Contents):
                counted.counts[i] = answer.count
                if answer.count != 1 or answer.labels or answer.columns:
                    counted.contents[i] = answer
    return decoder


def _batches(
    files: Files, asked: list[int], counted: Counted
) -> Iterator[list[tuple[int, Picture]]]:
    """The files in lots that memory can hold."""
    some: list[tuple[int, Picture]] = []
    for i in asked:
        try:
            picture = files.picture(i, alone=False)
        except OSError:
            continue
        except (Refused, NotAnImage) as reason:
            counted.counts[i], counted.reasons[i] = 0, str(reason)
            continue
        if some and sum(each.size for _, each in some) + picture.size > ASKED_BYTES:
            yield some
            some = []
        some.append((i, picture))
    if some:
        yield some
