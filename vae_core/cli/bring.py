"""The command that makes a run of a network from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from vae_core import process
from vae_core.cli.answering import answering
from vae_core.cli.options import JsonOption, LinesOption, StoreOption, print_json
from vae_core.config import DataConfig
from vae_core.errors import UserError
from vae_core.runs import Store, layout
from vae_core.runs.store import OWN
from vae_core.settings import explain

app = typer.Typer()


@app.command()
def bring(
    source: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="Its folder or file, or the files of encoder and decoder; or a run that is code.",
        ),
    ],
    kind: Annotated[
        str | None,
        typer.Option("--from", help="diffusers, pythae, onnx, torchscript or python; else found."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder or archive of images that it encodes.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Or a data set that comes along.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the run; else after SOURCE.")] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Of the images, 64 or 48x64; else the network's or their own."),
    ] = None,
    channels: Annotated[int | None, typer.Option(help="1 for grey, 3 for colour.")] = None,
    limit: Annotated[int | None, typer.Option(min=2, help="Takes no more images.")] = None,
    values: Annotated[
        str, typer.Option("--range", metavar="LOW,HIGH", help="Values of black and white.")
    ] = "0,1",
    output_values: Annotated[
        str | None,
        typer.Option("--output-range", metavar="LOW,HIGH", help="Of its pictures, if others."),
    ] = None,
    mean: Annotated[
        str | None, typer.Option(help="Taken from pixels in [0, 1]; one or one a channel.")
    ] = None,
    std: Annotated[str | None, typer.Option(help="Divides them after that.")] = None,
    latent: Annotated[
        str | None, typer.Option(metavar="512 or 4x8x8", help="Shape that a decoder takes.")
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option("--with", help="A file that a Python file reads; repeat it."),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="SOURCE is code, and may run here and in the app.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    as_lines: LinesOption = False,
) -> None:
    """Bring a network that you have: pythae, diffusers, ONNX, TorchScript or a Python file."""
    process.prepare()
    from vae_core.bring import Wishes
    from vae_core.bring import bring as brought

    if len(source) == 1 and (source[0] / layout.BROUGHT).is_file():
        _trust_run(source[0], trust)
        return
    if images is not None and dataset is not None:
        raise UserError("--images and --dataset exclude each other; give one of them.")
    data = None
    if images is not None or dataset is not None:
        data = _images(
            dataset=dataset or OWN,
            data_dir=None if images is None else str(images.expanduser().absolute()),
            image_size=size,
            channels=channels,
            limit=limit,
        )
    wishes = Wishes(
        range=_ends("--range", values),
        output_range=None if output_values is None else _ends("--output-range", output_values),
        mean=None if mean is None else _numbers("--mean", mean),
        std=None if std is None else _numbers("--std", std),
        latent_shape=None if latent is None else _shape(latent),
        beside=tuple(beside or ()),
    )
    with answering(as_lines) as say:
        found = brought(source, Store(store), name, data, kind, wishes, trust, say)
    summary, card = found.run.summary(), found.run.data_card()
    if as_json:
        print_json(
            {"run": found.run.id, "kind": found.door.name, "image_shape": card.image_shape,
             "latent_dim": summary["latent_dim"], "mse": summary.get("mse"), "notes": found.notes}
        )  # fmt: skip
    elif not as_lines:
        shape = "×".join(map(str, card.image_shape))
        print(f"{found.run.id}: {found.door.label}, {summary['latent_dim']} latents, {shape} px")
        if "mse" in summary:
            on = f"on {card.n_validation} images that are held out"
            print(f"Squared error of reconstructions {summary['mse']:.4g} a value {on}")
        for note in found.notes:
            print(note)


def _trust_run(path: Path, trusted: bool) -> None:
    """Let the code of a run that somebody sent run here from now on."""
    from vae_core.halves import trust_run
    from vae_core.runs import Run

    run = Run(path.absolute())
    if not trusted:
        raise UserError(f"{run.title} is here already; say that you trust it.", shell="--trust")
    trust_run(run)
    print(f"The code of {run.id} is trusted here.")


def _images(**told: Any) -> DataConfig:
    try:
        return DataConfig.model_validate(told)
    except ValidationError as error:
        raise UserError(explain(error, "data", DataConfig)) from None


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in re.split(r"[,\s]+", text.strip()))
    except ValueError:
        raise UserError(
            f"{option}: {text!r} is no list of numbers, such as 0.5 or 0.5,0.4,0.4."
        ) from None


def _ends(option: str, text: str) -> tuple[float, float]:
    found = _numbers(option, text)
    if len(found) != 2:
        raise UserError(f"{option}: {text!r} are not two numbers, such as -1,1.")
    return found[0], found[1]


def _shape(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"[1-9]\d{0,6}(x[1-9]\d{0,6}){0,2}", text):
        raise UserError(f"--latent: {text!r} is no shape, such as 512 or 4x8x8.")
    return tuple(int(side) for side in text.split("x"))
