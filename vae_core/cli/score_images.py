"""The command that takes new images through a trained model: score-images."""

from __future__ import annotations

import csv
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from vae_core import process
from vae_core.cli.answering import answering
from vae_core.cli.options import (
    JsonOption,
    LinesOption,
    RunArgument,
    StoreOption,
    WeightsOption,
    cell,
    print_json,
    print_table,
)
from vae_core.errors import UserError
from vae_core.imaging.reading import reason_of
from vae_core.runs import Store

app = typer.Typer()

SHOWN = 10


@app.command("score-images")
def score_images(
    run: RunArgument,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH...]", help="Folders, archives, single pictures."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="In place of a PATH, the run's own: train, validation, test or cached."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The CSV file to write.")] = None,
    by: Annotated[str, typer.Option(help="The score that outliers are told by.")] = "knn",
    false_alarms: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of images like the run's that may be flagged."),
    ] = 0.05,
    neighbours: Annotated[
        int, typer.Option(min=1, max=1000, help="Whose distance is the score knn.")
    ] = 10,
    normal: Annotated[
        list[str] | None,
        typer.Option(help="A label that is normal; repeat it. Else those of the run."),
    ] = None,
    data_dir: Annotated[str | None, typer.Option(help="Where the run's data set lies.")] = None,
    keep: Annotated[
        str | None, typer.Option(help="A name under which the scores are kept in the cache.")
    ] = None,
    weights: WeightsOption = "last",
    store: StoreOption = None,
    as_json: JsonOption = False,
    as_lines: LinesOption = False,
) -> None:
    """Take images through a trained model, and tell which are unlike those that it learned.

    The CSV has a row each image: nats, distances, the nearest training image, and for every score
    the share of validation images that are as strange (p). Where images lie in folders named by
    labels, it is told how well each score finds those with other labels than the normal ones.
    """
    process.prepare()
    from vae_core.latent.novelty import novelties
    from vae_core.score_images import save_scored, score_part, table
    from vae_core.score_images import score_images as scored_images

    novelties[by]  # a wrong name is told before any work
    with answering(as_lines) as say:
        if bool(paths) == bool(split):
            raise UserError("Name pictures, or a part of the run's own by --split; one of the two.")
        found = Store(store).get(run)
        if out is not None:
            require_writable(out)
        if paths:
            scored = scored_images(found, paths, data_dir, weights, neighbours, say)
        else:
            assert split is not None
            scored = score_part(found, split, data_dir, weights, neighbours, say)
        if keep:
            save_scored(found, keep, scored, weights)
        columns = table(scored, false_alarms, by)
        if out is not None:
            write_csv(out, columns)
    if as_lines:
        return
    rows = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    detections = scored.detections(normal or found.data_card().label_names)
    if as_json:
        print_json({
            "images": rows,
            "by": by,
            "false_alarms": false_alarms,
            "detection": {name: asdict(each) for name, each in detections.items()},
            "notes": scored.notes,
        })  # fmt: skip
        return
    shown = [
        name
        for name in ("file", "recon", "kl", "elbo", by, "nearest", "outlier")
        if name in columns
    ]
    strangest = sorted(range(len(rows)), key=lambda i: -scored.scores[by][i])[:SHOWN]
    print_table([tuple(shown), *(tuple(cell(rows[i][name]) for name in shown) for i in strangest)])
    if len(rows) > SHOWN:
        print(f"The {SHOWN} strangest of {len(rows)} images by {novelties[by].label.lower()}.")
    if detections:
        print_table([
            ("score", "AUROC", "average precision"),
            *((name, cell(d.auroc), cell(d.average_precision)) for name, d in detections.items()),
        ])  # fmt: skip
    if out is not None:
        print(f"{out}: {len(rows)} images.")
    for note in scored.notes:
        print(note, file=sys.stderr)


def require_writable(path: Path) -> None:
    """Refuse a file that cannot be written before any work is done for it.

    Raises:
        UserError: saying why it cannot.
    """
    there = path.exists()
    try:
        path.open("a").close()
        if not there:
            path.unlink()
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {reason_of(error)}. Name another file.", shell="--out"
        ) from None


def write_csv(path: Path, columns: dict[str, list[Any]]) -> None:
    """Write a table whose numbers read back unchanged; names of folders are bytes, and may be no
    text."""
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
