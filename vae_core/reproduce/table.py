"""docs/results.md: what was printed and what came out here, from the records of the runs alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from vae_core.errors import UserError
from vae_core.files import replacing
from vae_core.locations import IS_CHECKOUT
from vae_core.reproduce.reproduction import Figure, Reproduction, reproductions
from vae_core.reproduce.running import run_name
from vae_core.runs import Store, layout
from vae_core.runs.schemas import Reproduced

RECORDS = Path(__file__).parent / "records"
"""One file of JSON for each reproduction that was run, as its run has it."""

LARGEST = 100_000
"""Bytes of a record that is believed."""

HEAD = """# Results

Published figures beside what comes out here. Written by `python -m vae_core reproduce --table`
from the records of the runs, in `vae_core/reproduce/records/`; `python -m vae_core reproduce NAME`
makes such a run, and goes on with one that was cut off. Partial: so much of the schedule was run,
at the learning rates that the whole of it has, so the figure is not yet that of the result.
"""


def kept() -> dict[str, Reproduced]:
    """The records that come with this version, by the names of their reproductions.

    Raises:
        UserError: when one of them is damaged.
    """
    found = {}
    for path in sorted(RECORDS.glob("*.json")):
        try:
            if path.stat().st_size > LARGEST:
                raise ValueError(f"it has more than {LARGEST} bytes")
            found[path.stem] = Reproduced.model_validate_json(path.read_bytes())
        except (OSError, ValueError, ValidationError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"The record {path.name} is damaged: {reason}.") from None
    return found


def own(store: Store) -> dict[str, Reproduced]:
    """The records of the runs in a store; a damaged one is passed over, its run says so."""
    found = {}
    for run in store:
        entry = next((each for each in reproductions if run_name(each) == run.id), None)
        if entry is None or not run.has(layout.REPRODUCED):
            continue
        try:
            found[entry.name] = run.parse(layout.REPRODUCED, Reproduced)
        except UserError:
            continue
    return found


def keep(entry: Reproduction, store: Store) -> Path:
    """Put the record of a run among those that come with this version.

    Raises:
        UserError: where this is no checkout, or the run has no record.
    """
    if not IS_CHECKOUT:
        raise UserError(
            "Records are kept in a checkout of the repository; this is an installation."
        )
    record = own(store).get(entry.name)
    if record is None:
        raise UserError(
            f"{entry.label} has no record in {store.path} yet; it comes once its run was measured."
        )
    path = RECORDS / f"{entry.name}.json"
    with replacing(path) as file:
        file.write(f"{record.model_dump_json(indent=2)}\n".encode())
    return path


@dataclass(frozen=True)
class Row:
    """A printed figure beside ours; `record` is None before it was run."""

    entry: Reproduction
    figure: Figure
    record: Reproduced | None

    @property
    def ours(self) -> float | None:
        return None if self.record is None else self.record.figures.get(self.figure.name)

    @property
    def schedule(self) -> str:
        """How much of it was run."""
        if self.record is None:
            return "not run yet"
        done = self.record.step / max(1, self.record.total_steps)
        return "whole" if self.record.whole else f"partial, {done:.2g} of it"

    def cells(self) -> dict[str, str]:
        """By the titles of the columns."""
        return {
            "Result": f"{self.entry.label}: {self.figure.label}",
            "Unit": self.figure.unit,
            "Printed": shown(self.figure.printed),
            "Ours": shown(self.ours),
            "Distance": _distance(self.figure, self.ours),
            "Schedule": self.schedule,
            **_circumstances(self.record),
        }


def rows(records: Mapping[str, Reproduced]) -> list[Row]:
    """One for each printed figure, by the names of their reproductions."""
    return [
        Row(entry, figure, records.get(entry.name))
        for entry in reproductions
        for figure in entry.figures
    ]


def shown(value: float | None) -> str:
    """A figure with as many digits as papers print; a dash for none."""
    if value is None:
        return "–"
    if value == int(value):
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def _distance(figure: Figure, ours: float | None) -> str:
    if ours is None or figure.printed is None:
        return "–"
    apart = ours - figure.printed
    sign = "+" if apart > 0 else "−" if apart < 0 else "±"
    return f"{sign}{shown(abs(apart))} ({abs(apart / figure.printed):.1%})"


def _circumstances(record: Reproduced | None) -> dict[str, str]:
    if record is None:
        return dict.fromkeys(("Data", "Seed", "Training", "Device"), "–")
    several = f", {record.threads} threads" if record.threads > 1 else ""
    return {
        "Data": record.data or "–",
        "Seed": str(record.seed),
        "Training": in_words(record.training_s),
        "Device": record.device + several,
    }


def in_words(seconds: float) -> str:
    """A time as a person says it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def markdown(records: Mapping[str, Reproduced]) -> str:
    """The page: a table of all figures, then what each of them stands for."""
    table = [row.cells() for row in rows(records)]
    titles = list(table[0])
    lines = [_line(titles), _line(["---"] * len(titles)), *(_line(row.values()) for row in table)]
    about = [line for entry in reproductions for line in _about(entry)]
    return "\n".join([HEAD, *lines, "", *about])


def _about(entry: Reproduction) -> Iterator[str]:
    yield f"## {entry.label}\n"
    yield f"{entry.paper}.\n"
    yield f"Protocol: {entry.protocol}\n"
    if entry.departs:
        yield f"Otherwise here: {entry.departs}\n"
    if entry.cost:
        yield f"Cost: {entry.cost}\n"
    yield f"    python -m vae_core reproduce {entry.name}\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
