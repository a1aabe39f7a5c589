"""What came out of a sweep, or of any runs: one row a run, where they differ, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from vae_core.diagnosis.symptoms import COLLAPSED
from vae_core.errors import UserError
from vae_core.in_force import beta_in_force
from vae_core.nested import flat
from vae_core.representation import columns as representation_columns
from vae_core.representation import representation
from vae_core.runs import Run, layout, measured_on
from vae_core.scoring import columns, scores
from vae_core.sweeps.convergence import not_converged
from vae_core.sweeps.resolved import resolved

K = TypeVar("K")

MEASURED = (
    "recon",
    "kl",
    "elbo",
    "nats_per_pixel",
    "bits_per_dim",
    "mse",
    "active_units",
    "latent_dim",
    "step",
)


@dataclass(frozen=True)
class Result:
    """A measured run: rate and distortion in nats per image, on validation images.

    condition: what it shares with its seeds under other β, by setting; see `Resolved.condition`.
    configured_beta: β as the settings have it, where it may have been turned by hand since.
    pixels: how pixels are described; nats of one description do not compare with another's.
    not_converged: why it was not trained to its end, "" where it was.
    """

    run: str
    beta: float
    rate: float
    distortion: float
    active: int
    latent_dim: int
    condition: tuple[tuple[str, str], ...] = ()
    configured_beta: float | None = None
    pixels: str = ""
    not_converged: str = ""

    @property
    def elbo(self) -> float:
        return -(self.rate + self.distortion)

    @property
    def collapsed(self) -> bool:
        """True where the code says nothing of an image; the diagnosis draws the same line."""
        return self.rate < COLLAPSED or self.active == 0


def results(runs: Iterable[Run]) -> list[Result]:
    """The runs that were measured and have a β and a KL; damaged ones are passed over."""
    return [result for run in runs if (result := result_of(run)) is not None]


def result_of(run: Run) -> Result | None:
    """What was measured of a run, None where that has not been done."""
    try:
        summary, same = run.summary(), resolved(run)
        beta = beta_in_force(run, summary["step"])
        return Result(
            run.id,
            float(beta),  # type: ignore[arg-type]
            float(summary["kl"]),
            float(summary["recon"]),
            int(summary["active_units"]),
            int(summary["latent_dim"]),
            same.condition,
            same.config.objective.get("beta"),
            same.pixels,
            not_converged(run),
        )
    except (UserError, KeyError, TypeError, ValueError):
        return None


def measured(run: Run) -> str:
    """ "ELBO −96.7 on 3000 validation images" in nats per image, recon of a model without one; ""
    before that. A UserError when summary.json is damaged."""
    for name, label in (("elbo", "ELBO"), ("recon", "recon")):
        value = run.summary().get(name)
        if isinstance(value, int | float):
            part = measured_on(run)
            return f"{label} {value:.4g}".replace("-", "−") + (f" on {part}" if part else "")
    return ""


def differences(settings: Mapping[K, Mapping[str, Any]]) -> dict[str, dict[K, Any]]:
    """The settings in which runs differ: {dotted setting: {run: value}}, absent ones as None."""
    keys = {key: None for values in settings.values() for key in values}
    table = {key: {name: values.get(key) for name, values in settings.items()} for key in keys}
    return {key: row for key, row in table.items() if len(set(map(repr, row.values()))) > 1}


def _settings(run: Run) -> dict[str, Any]:
    """As they were resolved, so that "auto" and what it stood for are the same."""
    if run.has(layout.DATA_CARD):
        return resolved(run).settings
    return flat(run.config().model_dump(mode="json"))  # it has not seen its data yet


def table(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One row a run: its name, the settings that differ, what was measured and what was scored."""
    differing = differences({run.id: _settings(run) for run in runs})
    return [
        {"run": run.id}
        | {key: row[run.id] for key, row in differing.items()}
        | {key: run.summary().get(key) for key in MEASURED}
        | {"measured on": str(measured_on(run) or "")}
        | columns(scores(run))
        | representation_columns(representation(run))
        for run in runs
    ]


def curves(run: Run) -> Iterator[dict[str, Any]]:
    """The recorded values of a run: a row for each term, with step, epoch and training time; of a
    long history as many as `some_records` reads.

    Epochs are counted in parts, so that curves of runs with other batch sizes lie on each other.
    """
    per_epoch = _steps_per_epoch(run)
    for record, _ in run.some_records(layout.HISTORY):
        terms, step = record.get("terms", {}), _number(record.get("step"))
        if record.get("kind") not in ("step", "validation") or not isinstance(terms, dict):
            continue
        for term, value in {**terms, "total": record.get("total")}.items():
            yield {
                "run": run.id,
                "split": "train" if record["kind"] == "step" else "validation",
                "step": step,
                "epoch": (step or 0) / per_epoch if per_epoch else _number(record.get("epoch")),
                "time": _number(record.get("time")),
                "term": term,
                "value": _number(value),
            }


def _number(value: object) -> float | int | None:
    """None for what is no number, in a record that somebody has damaged."""
    return value if isinstance(value, int | float) else None


def to_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV with a head; the columns of all rows, in the order of their appearance."""
    listed = list(rows)
    columns = list({key: None for row in listed for key in row})
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    return text.getvalue()


def _steps_per_epoch(run: Run) -> float:
    """0 where the run has not said how many images it has."""
    if not run.has(layout.DATA_CARD):
        return 0
    return run.config().train.steps_per_epoch(run.data_card().n_train)
