"""Commands that draw new pictures: prior (learn one over codes) and sample."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from vae_core import process
from vae_core.cli.answering import answering
from vae_core.cli.options import (
    JsonOption,
    LinesOption,
    RunArgument,
    StoreOption,
    print_json,
    print_table,
)
from vae_core.errors import UserError
from vae_core.runs import Store

app = typer.Typer()


@app.command()
def prior(
    run: RunArgument,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the run's encodings.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same prior.")] = 0,
    store: StoreOption = None,
    as_json: JsonOption = False,
    as_lines: LinesOption = False,
) -> None:
    """Learn an autoregressive prior over a run's codes, and tell what it saves in nats."""
    process.prepare()
    from vae_core.latent.priors.autoregressive import learn
    from vae_core.loading import load_run

    with answering(as_lines) as say:
        loaded = load_run(Store(store).get(run)).sound()
        lengths = dataclasses.asdict(learn(loaded.run, loaded.model, epochs, seed, say))
    if as_lines:
        return
    if as_json:
        print_json({"run": run, **lengths})
        return
    rows = [(name, f"{nats:.2f}") for name, nats in lengths.items()]
    print_table([("codes under", "nats per image"), *rows])


@app.command()
def sample(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="The PNG file to write.")],
    prior: Annotated[str, typer.Option(help="Where latents are drawn from.")] = "model",
    n: Annotated[int, typer.Option("-n", min=1, max=10_000, help="How many pictures.")] = 64,
    temperature: Annotated[float, typer.Option(help="Below 1 keeps to what is likely.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same pictures.")] = 0,
    store: StoreOption = None,
) -> None:
    """Write new pictures of a trained model as one PNG, drawn from one of its priors."""
    import torch

    from vae_core.imaging.png import tile, to_png
    from vae_core.latent.grids import decode_vectors
    from vae_core.latent.priors import sample as drawn
    from vae_core.loading import load_run

    loaded = load_run(Store(store).get(run)).sound()
    generator = torch.Generator().manual_seed(seed)
    z = drawn(loaded.run, loaded.model, prior, n, generator, temperature)
    with torch.inference_mode():
        vectors = loaded.model.flatten(z).numpy(force=True)
    columns = max(1, round(n**0.5))
    try:
        out.write_bytes(to_png(tile(decode_vectors(loaded.model, vectors), columns)))
    except OSError as error:
        raise UserError(f"--out: {out} cannot be written: {error.strerror}.") from None
    print(f"{out}: {n} pictures of {run}, prior {prior}")
