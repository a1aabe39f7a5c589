"""Commands that make something of a run: exports, encodings and maps, priors and new pictures."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from vae_core import process
from vae_core.cli.answering import answering
from vae_core.cli.options import (
    DataDirOption,
    JsonOption,
    LinesOption,
    RunArgument,
    StoreOption,
    WeightsOption,
    print_json,
    print_table,
)
from vae_core.errors import UserError
from vae_core.runs import Store, in_words

app = typer.Typer()

SplitOption = Annotated[
    str,
    typer.Option(help="train, validation, test; cached for those that the run itself keeps."),
]


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


@app.command()
def export(
    run: RunArgument,
    to: Annotated[
        list[str],
        typer.Option(
            help="csv, parquet, npz, projector, html, safetensors, onnx, python, hub; repeat it."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write into; of one file, the file.")] = Path(
        "."
    ),
    split: SplitOption = "train",
    data_dir: DataDirOption = None,
    weights: WeightsOption = "last",
    repository: Annotated[
        str | None, typer.Option("--repo", metavar="USER/NAME", help="Of hub; else yours/RUN.")
    ] = None,
    license: Annotated[str, typer.Option(help="That hub is to name, such as mit.")] = "",
    store: StoreOption = None,
    as_lines: LinesOption = False,
) -> None:
    """Write a run's encodings or its model for other programs.

    hub also uploads what it has written, where the hub's own tools are logged in.
    """
    process.prepare()
    from vae_core.export import Source, formats, write_export
    from vae_core.export import export as made_of

    with answering(as_lines) as say:
        found = Store(store).get(run)
        source = Source(found, split, data_dir, progress=say, which=weights, license=license)
        for entry in [formats[name] for name in to]:  # all names are checked before any work
            name, made = entry.name, made_of(source, entry.name)
            suffix = f"-{name}" if len(made.files) > 1 else ""
            written = write_export(made, out, run + suffix)
            print(f"{written}: {made.note}")
            if entry.publish is not None:
                say("Uploading", None)
                print(entry.publish(written, repository or run))
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
