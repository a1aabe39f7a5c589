"""The commands put together."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer
from typer.main import get_command

from vae_core.cli import (
    bring,
    catalogue,
    curate,
    evaluate,
    export,
    inspect,
    pull,
    rates,
    representation,
    reproduce,
    score_images,
    sweep,
    track,
    train,
)
from vae_core.cli.errors import NAME, exit_after

app = typer.Typer(
    help="Train variational autoencoders and look at what they learned.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for module in (
    train,
    bring,
    sweep,
    track,
    inspect,
    evaluate,
    representation,
    score_images,
    curate,
    export,
    pull,
    rates,
    reproduce,
    catalogue,
):
    app.add_typer(module.app)


def main() -> None:
    """Run the command that the arguments of this process name."""
    exit_after(lambda: run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> None:
    """Run a command.

    Raises:
        UserError: for what a person can mend; what `vae_core.cli.errors` knows besides.
    """
    command = get_command(app)
    with command.make_context(NAME, list(arguments)) as context:
        command.invoke(context)
