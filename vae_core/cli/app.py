"""The commands put together, and what a user error looks like on a terminal."""

from __future__ import annotations

import sys
from contextlib import suppress

import typer

from vae_core.cli import cache, catalogue, export, inspect, priors, sweep, train
from vae_core.errors import UserError

app = typer.Typer(
    help="Train variational autoencoders and look at what they learned.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for module in (train, sweep, inspect, priors, export, catalogue, cache):
    app.add_typer(module.app)


def main() -> None:
    """Run a command. Exit status: 0 done, 1 a defect (with its traceback), 2 bad input."""
    try:
        app()
    except UserError as error:
        with suppress(OSError):  # the log may be on the disk that is full
            print(f"error: {error}" + (f" ({error.shell})" if error.shell else ""), file=sys.stderr)
        sys.exit(2)
