"""`latent-workbench`: start the app, from any folder."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vae_core.errors import UserError
from vae_core.locations import APP, DATA_VARIABLE, STORE_VARIABLE

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(context_settings={"ignore_unknown_options": True})
def serve(
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="STREAMLIT OPTIONS", help="Any of `streamlit run --help`."),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Where it listens; else 8501.")] = None,
    address: Annotated[
        str | None, typer.Option(help="For whom it listens; else for this machine alone.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="Folder of the runs; else VAE_STORE, else your own.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data sets; else VAE_DATA, else your own.")
    ] = None,
    trust: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN", help="A run from elsewhere whose code may run; repeat it."),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Nobody trains, deletes or uploads.")
    ] = False,
) -> None:
    """Train variational autoencoders in the browser and explore their latent spaces by hand."""
    for variable, folder in ((STORE_VARIABLE, store), (DATA_VARIABLE, data)):
        if folder is not None:
            os.environ[variable] = str(folder.expanduser().absolute())
    _trust(trust or ())
    named = {"--server.port": port, "--server.address": address}
    server = [f"{name}={value}" for name, value in named.items() if value is not None]
    script = [str(APP / "streamlit_app.py"), *server, *(options or [])]
    sys.argv = ["streamlit", "run", *script, *(["--", "--read-only"] if read_only else [])]
    runpy.run_module("streamlit", run_name="__main__")  # what `python -m streamlit` does


def _trust(names: Sequence[str]) -> None:
    """Remember that the code of these runs, as it is now, may run."""
    if not names:
        return
    from vae_core.halves import trust_run  # torch, which the server imports when it has started
    from vae_core.runs import Store

    try:
        for name in names:
            trust_run(Store().get(name))
    except UserError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None


def main() -> None:
    """Run the command of this process."""
    app(prog_name="latent-workbench")


if __name__ == "__main__":
    main()
