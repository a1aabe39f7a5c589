"""Commands that take a run's results home: export, and the encodings and maps of whole parts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from vae_core import process
from vae_core.cli.answering import answering
from vae_core.cli.options import (
    DataDirOption,
    LinesOption,
    RunArgument,
    StoreOption,
    WeightsOption,
    print_progress,
)
from vae_core.runs import Store, in_words

app = typer.Typer()

SplitOption = Annotated[
    str,
    typer.Option(help="train, validation, test; cached for those that the run itself keeps."),
]


@app.command()
def export(
    run: RunArgument,
    to: Annotated[
        list[str],
        typer.Option(help="csv, parquet, npz, projector, safetensors, onnx or python; repeat it."),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("."),
    split: SplitOption = "train",
    data_dir: DataDirOption = None,
    weights: WeightsOption = "last",
    store: StoreOption = None,
) -> None:
    """Write a run's encodings or its model for other programs."""
    process.prepare()
    from vae_core.export import Source, formats, write_export
    from vae_core.export import export as made_of

    found = Store(store).get(run)
    source = Source(found, split, data_dir, progress=print_progress(), which=weights)
    for name in [formats[name].name for name in to]:  # all names are checked before any work
        made = made_of(source, name)
        suffix = f"-{name}" if len(made.files) > 1 else ""
        print(f"{write_export(made, out, run + suffix)}: {made.note}")
    if source.images_note:
        print(source.images_note, file=sys.stderr)


@app.command()
def encode(
    run: RunArgument,
    split: SplitOption = "train",
    drawn: Annotated[
        str | None, typer.Option("--map", help="Also draw a map: pca, tsne or umap.")
    ] = None,
    dimensions: Annotated[int, typer.Option(min=2, max=3, help="Of the map.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the map.")] = 0,
    data_dir: DataDirOption = None,
    store: StoreOption = None,
    as_lines: LinesOption = False,
) -> None:
    """Encode all images of a part, and keep the result in the run."""
    process.prepare()
    with answering(as_lines) as say:
        from vae_core.analysis import map_of, survey_of

        found = Store(store).get(run)
        survey = survey_of(found, split, data_dir, say)
        if drawn is not None:
            map_of(found, split, drawn, dimensions, seed, data_dir, say)
    if not as_lines:
        measured = {"recon": survey.recon, "kl": survey.kl, "elbo": survey.elbo}
        means = [f"{name} {v.mean():.2f}" for name, v in measured.items() if v is not None]
        print(f"{in_words(len(survey), split)}, {', '.join(means)} (nats per image)")
        if survey.note:
            print(survey.note, file=sys.stderr)


@app.command()
def complete(run: RunArgument, store: StoreOption = None, as_lines: LinesOption = False) -> None:
    """Make what a stopped run lacks: encodings and measurements of its weights."""
    process.prepare()
    with answering(as_lines) as say:
        from vae_core.completion import complete

        complete(Store(store).get(run), say)
