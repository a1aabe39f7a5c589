"""What `evaluate --quality` adds: samples and reconstructions beside held-out images."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vae_core.cli.options import cell, print_table

QualityOption = Annotated[
    bool,
    typer.Option(
        "--quality",
        help="Compare samples of each prior and reconstructions with these images: FID, KID, "
        "precision, recall, density, coverage, copies of training images.",
    ),
]
SamplesOption = Annotated[
    int | None,
    typer.Option(min=6, max=50_000, help="Pictures of each prior; else as many as images."),
]
PriorsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--prior",
        help="Where samples are drawn from (repeat it; else every prior), and p(z) of log p(x), "
        "such as gaussian-mixture (one; else the model's own).",
    ),
]
FeaturesOption = Annotated[
    str,
    typer.Option(
        help="What pictures are compared by: classifier, random, inception; auto takes a "
        "classifier of the labels where there are some."
    ),
]

MEASURES = ("fid", "kid", "precision", "recall", "density", "coverage", "copying", "authenticity")


def print_quality(report: dict[str, Any]) -> None:
    """Print what `vae_core.quality.report` says as a table with intervals."""
    head = ("pictures", "n", *MEASURES)
    rows = [
        (name, str(each["pictures"]), *(_with_interval(each[key]) for key in MEASURES))
        for name, each in report["of"].items()
    ]
    print_table([head, *rows])
    print(report["features"]["said"])
    for sentence in (report["interval"], *report["notes"]):
        print(sentence)


def _with_interval(estimate: dict[str, Any] | None) -> str:
    if estimate is None:
        return cell(None)
    low, value, high = (cell(estimate[key]) for key in ("low", "value", "high"))
    return f"{value} [{low}, {high}]"
