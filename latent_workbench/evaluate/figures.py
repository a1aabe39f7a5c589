"""What is known of what was asked for: figures, what is missing, and what cannot be."""

from __future__ import annotations

from dataclasses import dataclass

from vae_core.errors import UserError
from vae_core.evaluation import Estimate, Request, known, refusal
from vae_core.evaluation.table import Table
from vae_core.runs import Run


@dataclass(frozen=True)
class Asked:
    """These measures of these runs, on images and with draws as the request says."""

    runs: list[Run]
    names: list[str]
    request: Request


def found(asked: Asked) -> Table:
    """What is known of it."""
    table: dict[str, dict[str, Estimate]] = {}
    for run in asked.runs:
        table[run.id] = {}
        for name in asked.names:
            try:
                estimate = known(run, name, asked.request)
            except UserError:  # it cannot be measured, which `refusals` tells
                continue
            if estimate is not None:
                table[run.id][name] = estimate
    return table


def missing(asked: Asked, table: Table) -> list[tuple[Run, list[str]]]:
    """The measures of each run that are not known yet and could be taken."""
    left = [
        (
            run,
            [
                name
                for name in asked.names
                if name not in table[run.id] and not refusal(run, name, asked.request)
            ],
        )
        for run in asked.runs
    ]
    return [(run, names) for run, names in left if names]


def refusals(asked: Asked) -> list[str]:
    """Why some cannot be taken, a sentence each, said once."""
    said = (refusal(run, name, asked.request) for run in asked.runs for name in asked.names)
    return [*dict.fromkeys(filter(None, said))]
