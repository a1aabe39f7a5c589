"""By these doors: an ONNX pair, a TorchScript pair, a Python file, or a decoder alone of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from vae_core.bring.door import Found, Wishes, doors
from vae_core.bring.reading import bytes_of
from vae_core.errors import UserError
from vae_core.halves import DECODER, ENCODER, kinds
from vae_core.halves.python_file import NAME as PYTHON_FILE
from vae_core.runs.layout import MB

DECODERS = (DECODER, "generator")
"""What a decoder's file may be called in a folder."""

LARGEST_TEXT = MB


def _pair_in(paths: Sequence[Path], endings: tuple[str, ...]) -> dict[str, Path]:
    """The files of the halves that were named: a decoder, or encoder and decoder in this order, or
    a folder with them; {} where they are no such files."""
    if len(paths) == 1 and paths[0].is_dir():
        places = {
            half: [paths[0] / f"{name}{ending}" for name in names for ending in endings]
            for half, names in ((ENCODER, (ENCODER,)), (DECODER, DECODERS))
        }
        found = {half: [p for p in each if p.is_file()] for half, each in places.items()}
        return {half: each[0] for half, each in found.items() if each} if found[DECODER] else {}
    if len(paths) > 2 or any(path.suffix not in endings for path in paths):
        return {}
    halves = (DECODER,) if len(paths) == 1 else (ENCODER, DECODER)
    return dict(zip(halves, paths, strict=True))


def _recognises(endings: tuple[str, ...]) -> Callable[[Sequence[Path]], bool]:
    return lambda paths: bool(_pair_in(paths, endings))


def _is_python(paths: Sequence[Path]) -> bool:
    return len(paths) == 1 and paths[0].suffix in kinds["python"].endings


def given(kind: str, wishes: Wishes) -> dict[str, object]:
    """The settings of family "given" for what a person stated."""
    if (wishes.mean is None) != (wishes.std is None):
        raise UserError("A mean comes with a deviation.", shell="--mean and --std")
    inwards = _scale(wishes.range)
    if wishes.mean is not None and wishes.std is not None:
        inwards = {"mean": wishes.mean, "std": wishes.std}
    outwards = inwards if wishes.output_range is None else _scale(wishes.output_range)
    scales = {f"input_{name}": numbers for name, numbers in inwards.items()}
    scales |= {f"output_{name}": numbers for name, numbers in outwards.items()}
    return {"kind": kind, **scales}


def _scale(ends: tuple[float, float]) -> dict[str, tuple[float, ...]]:
    """Mean and deviation that bring [0, 1] to these ends."""
    low, high = ends
    if not low < high:
        raise UserError("The value of black has to lie below that of white.", shell="--range")
    return {"mean": (-low / (high - low),), "std": (1 / (high - low),)}


def _pair(kind: str) -> Callable[[Sequence[Path], Wishes], Found]:
    endings = kinds[kind].endings

    def pair(paths: Sequence[Path], wishes: Wishes) -> Found:
        """Both halves, or the decoder alone. A `UserError` where there is no decoder."""
        places = _pair_in(paths, endings)
        if not places:
            raise UserError(
                f"{paths[0]} has no {DECODER}{endings[0]}; name its file, or those of encoder and "
                "decoder in this order."
            )
        files = {f"{half}{path.suffix}": bytes_of(path) for half, path in places.items()}
        return Found(
            "given",
            objective=given(kind, wishes),
            files=files,
            kind=kind,
            encodes=ENCODER in places,
        )

    return pair


for order, (name, facts) in enumerate(
    {
        "onnx": "An ONNX pair: a folder with encoder.onnx and decoder.onnx, or both files.",
        "torchscript": "A TorchScript pair: encoder.pt and decoder.pt, likewise.",
    }.items()
):
    doors.register(
        name,
        label=kinds[name].label,
        blurb=facts,
        order=30 + order,
        recognises=_recognises(kinds[name].endings),
    )(_pair(name))


@doors.register(
    "python",
    label=kinds["python"].label,
    blurb="A Python file with encode(x) and decode(z), or decode(z) alone.",
    order=40,
    recognises=_is_python,
)
def python(paths: Sequence[Path], wishes: Wishes) -> Found:
    """The file, and what it reads beside itself. Whether it encodes is known once it runs."""
    if not _is_python(paths):
        raise UserError(f"{paths[0]} is no Python file.")
    files = {path.name: bytes_of(path) for path in wishes.beside}
    if len(files) < len(wishes.beside) or PYTHON_FILE in files:
        raise UserError("Two of the files beside the Python file have one name.", shell="--with")
    files[PYTHON_FILE] = bytes_of(paths[0], LARGEST_TEXT)
    return Found("given", objective=given("python", wishes), files=files, kind="python")
