"""The command that looks through a collection: curate."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from vae_core import process
from vae_core.cli.answering import answering
from vae_core.cli.export import SplitOption
from vae_core.cli.options import (
    DataDirOption,
    JsonOption,
    LinesOption,
    RunArgument,
    StoreOption,
    print_json,
)
from vae_core.cli.score_images import require_writable, write_csv
from vae_core.errors import UserError
from vae_core.runs import Store, in_words

app = typer.Typer()


@app.command()
def curate(
    run: RunArgument,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the tables and keep.txt; made if need be.")
    ] = None,
    split: SplitOption = "train",
    smallest: Annotated[
        int | None, typer.Option(min=2, help="Images of a group at least; else 0.5 % of all.")
    ] = None,
    data_dir: DataDirOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    as_lines: LinesOption = False,
) -> None:
    """Find copies, doubtful labels, groups and rare images among those of a run.

    curation.csv has a row each image, near-duplicates.csv one for each that has copies,
    doubtful-labels.csv one for each whose neighbours have another label; keep.txt names the images
    that are left when of each group of copies one is kept.
    """
    process.prepare()
    from vae_core.curation import copies_table, doubts_table, keep_list, table
    from vae_core.curation import curate as look_through

    with answering(as_lines) as say:
        if out is not None:
            with suppress(OSError):  # told by what follows
                out.mkdir(parents=True, exist_ok=True)
            require_writable(out / "curation.csv")
        made = look_through(Store(store).get(run), split, data_dir, smallest, say)
        if out is not None:
            try:
                write_csv(out / "curation.csv", table(made))
                write_csv(out / "near-duplicates.csv", copies_table(made))
                write_csv(out / "doubtful-labels.csv", doubts_table(made))
                names = "".join(f"{name}\n" for name in keep_list(made))
                (out / "keep.txt").write_text(names, encoding="utf-8")
            except OSError as error:
                raise UserError(f"{out} cannot be written: {error.strerror}.") from None
    if as_lines:
        return
    clusters, errors = made.clusters, made.errors
    found = {
        "images": len(made.survey),
        "copies": len(made.copies.superfluous),
        "groups_of_copies": len(made.copies.kept),
        "doubtful_labels": None if errors is None else len(errors.rows),
        "groups": None if clusters is None else clusters.sizes.tolist(),
        "far_from_all": made.coverage.lonely,
        "coverage": made.coverage.sentence,
        "in_no_group": None if clusters is None else int((clusters.number < 0).sum()),
    }
    if as_json:
        print_json(found)
        return
    print(
        f"{in_words(len(made.survey), split)}: {found['copies']} are near-duplicates of "
        f"{found['groups_of_copies']} others."
    )
    if errors is not None:
        print(f"{len(errors.rows)} have a label that most of their neighbours do not have.")
    if clusters is not None:
        sizes = ", ".join(map(str, clusters.sizes[:12])) or "none"
        print(f"{len(clusters)} groups ({sizes}); {found['in_no_group']} images are in none.")
    print(made.coverage.sentence)
    if made.survey.note:
        print(made.survey.note, file=sys.stderr)
