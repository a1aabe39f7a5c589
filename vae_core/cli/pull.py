"""The command that makes a run of a repository of the Hugging Face hub."""

from __future__ import annotations

from typing import Annotated

import typer

from vae_core import process
from vae_core.cli.options import StoreOption, print_progress
from vae_core.runs import Store

app = typer.Typer()


@app.command()
def pull(
    repository: Annotated[str, typer.Argument(metavar="USER/REPO", help="Of the hub.")],
    revision: Annotated[str | None, typer.Option(help="A branch, a tag or a commit.")] = None,
    name: Annotated[str | None, typer.Option("--as", metavar="RUN", help="Its name here.")] = None,
    store: StoreOption = None,
) -> None:
    """Make a run of a model on the Hugging Face hub that was exported there."""
    process.prepare()
    from vae_core.hub import pull

    run = pull(Store(store), repository, revision, name, print_progress())
    print(f"Run {run.id} in {run.path}")
