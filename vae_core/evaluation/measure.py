"""What a run is judged by: measures, each one entry, and their figures with an interval.

A measure is a function `(run, request, progress) → Estimate` that is registered with its name, what
a table calls it, its unit, and what it takes; the command line, the page and the exports know no
more of it. What it comes to is kept in the cache by `measured`, for the very weights and images,
unless the measure keeps it itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError

from vae_core.errors import UserError
from vae_core.progress import Progress, no_progress, within
from vae_core.registry import Entry, Registry
from vae_core.runs import PARTS, WEIGHTS, Run, Tensors, derived, layout

NORMAL_95 = 1.96
"""Standard errors on either side of a mean that hold 95 % of a normal."""


@dataclass(frozen=True)
class Request:
    """What all runs of a table are measured by: the first `images` images of a part, all of them
    without a number, and k draws of each where a measure draws."""

    split: str = "validation"
    images: int | None = None
    k: int = 300


@dataclass(frozen=True)
class Estimate:
    """A figure, the 95 % interval around it where it has one, and what it was measured on, such as
    "3000 validation images". note: what has to be known beside it, a sentence a line.
    basis: what it shares with all that it can be held against, such as the data set and the
    features; figures of one measure whose bases differ have no best one."""

    value: float
    low: float | None = None
    high: float | None = None
    measured_on: str = ""
    note: str = ""
    basis: str = ""


def around(value: float, se: float | None, measured_on: str, note: str = "") -> Estimate:
    """A mean with its standard error as an estimate with an interval."""
    if se is None:
        return Estimate(value, None, None, measured_on, note)
    half = NORMAL_95 * se
    return Estimate(value, value - half, value + half, measured_on, note)


Build = Callable[[Run, Request, Progress], Estimate]


@dataclass(frozen=True, kw_only=True)
class Measure(Entry[Build]):
    """A measure, as tables show it.

    unit: of its figures, "" of a pure number. better: which end is the good one.
    of: what it judges, such as samples; forms list measures by it.
    head: the label as LaTeX, where it is more than the words.
    takes: what it goes by of a request, beside the part: a form asks for that alone.
    seconds: about how long it takes, None where that is not known.
    together: what several measures share the work of, which is then done once; "" of none.
    check: raises a `UserError` that says why it cannot be measured of this run.
    kept: what it came to before, of a measure that keeps that itself.
    """

    unit: str
    better: Literal["lower", "higher", "neither"]
    of: str = "Others"
    head: str = ""
    takes: frozenset[str] = frozenset({"images", "k"})
    together: str = ""
    seconds: Callable[[Run, Request], float | None] = lambda run, request: None
    check: Callable[[Run, Request], None] = lambda run, request: None
    kept: Callable[[Run, Request], Estimate | None] | None = None


measures: Registry[Measure] = Registry("measure", Measure)


def known(run: Run, name: str, request: Request) -> Estimate | None:
    """What a measure came to before, for the run's present weights and images; None where that is
    not known."""
    entry = measures[name]
    if entry.kept is not None:
        return entry.kept(run, request)
    made_of = _made_of(run, request)

    def read(file: Tensors) -> Estimate | None:
        facts = dict(file.metadata)
        told = facts.pop("estimate")
        with suppress(ValidationError):
            return _ESTIMATE.validate_json(told) if facts == made_of else None
        return None

    return derived.find(run, _name(name, request), read)


def measured(run: Run, name: str, request: Request, progress: Progress = no_progress) -> Estimate:
    """What a measure comes to, from before or now.

    Raises:
        UserError: when there is no such measure, or it cannot be measured of this run.
    """
    entry = measures[name]
    entry.check(run, request)
    found = known(run, name, request)
    if found is None:
        found = entry.build(run, request, progress)
        if entry.kept is None:
            facts = _made_of(run, request) | {"estimate": json.dumps(asdict(found))}
            derived.keep(run, _name(name, request), {"value": np.array([found.value])}, facts)
    return found


def all_measured(
    run: Run, names: Sequence[str], request: Request, progress: Progress = no_progress
) -> tuple[dict[str, Estimate], list[str]]:
    """What these come to, one after the other, and why some cannot be measured, a sentence each:
    whatever one of them lacks, the others are measured. Work that several share is done with the
    first of them, and counts once in how far it is.

    Raises:
        UserError: when there is no measure of one of these names.
    """
    work = [*dict.fromkeys(measures[name].together or name for name in names)]
    found, problems = {}, []
    for name in names:
        done = work.index(measures[name].together or name)
        try:
            share = within(progress, done / len(work), (done + 1) / len(work))
            found[name] = measured(run, name, request, share)
        except UserError as error:
            problems.append(str(error))
    return found, [*dict.fromkeys(problems)]


def seconds(run: Run, names: Iterable[str], request: Request) -> float | None:
    """About how long it takes to measure these of a run, work that they share counted once; None
    where that is not known of one of them."""
    pieces = {measures[name].together or name: measures[name] for name in names}
    each = [entry.seconds(run, request) for entry in pieces.values()]
    return None if None in each else sum(filter(None, each))


def refusal(run: Run, name: str, request: Request) -> str:
    """Why a measure cannot be taken of a run, "" where it can."""
    try:
        measures[name].check(run, request)
    except UserError as error:
        return str(error)
    return ""


_ESTIMATE: TypeAdapter[Estimate] = TypeAdapter(Estimate)


def _name(name: str, request: Request) -> str:
    return layout.estimate(name, request.split, request.images or 0)


def _made_of(run: Run, request: Request) -> dict[str, str]:
    return {
        "weights": derived.fingerprint(run, WEIGHTS),
        "parts": derived.fingerprint(run, PARTS),
        "k": str(request.k),
    }
