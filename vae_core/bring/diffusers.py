"""By this door: a folder of diffusers' AutoencoderKL. Nothing of diffusers is needed.

Format: https://huggingface.co/docs/diffusers/api/models/autoencoderkl
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from vae_core.bring.door import Found, Shapes, Wishes, doors
from vae_core.bring.reading import json_of, pickled_weights, safe_weights, weights_by_name
from vae_core.errors import UserError
from vae_core.families import families
from vae_core.families.autoencoder_kl import AutoencoderKlOptions, halving

CLASS = "AutoencoderKL"
CONFIG = "config.json"
WEIGHTS = (
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
)
PICKLED = "diffusion_pytorch_model.bin"

PLACES = (".", "vae")
"""Of the autoencoder in what a person names: itself, or in a pipeline's folder."""

BLOCKS = {"down_block_types": "DownEncoderBlock2D", "up_block_types": "UpDecoderBlock2D"}

HERE_TO_THERE = (
    ("bottleneck.quant_conv.", "quant_conv."),
    ("decoder.1.", "post_quant_conv."),
    ("decoder.2.", "decoder."),
)
"""Beginnings of the names that weights have here, and there; others are the same."""

EARLIER = (
    (".to_q.", ".query."),
    (".to_k.", ".key."),
    (".to_v.", ".value."),
    (".to_out.0.", ".proj_attn."),
)
"""What the attention's weights were called before 2023."""

MOST_LATENTS = 1024


def _recognises(paths: Sequence[Path]) -> bool:
    return len(paths) == 1 and _folder_in(paths[0]) is not None


def _folder_in(path: Path) -> Path | None:
    for place in PLACES:
        with suppress(UserError):
            if json_of(path / place / CONFIG).get("_class_name") == CLASS:
                return path / place
    return None


@doors.register(
    "diffusers",
    label="diffusers AutoencoderKL",
    blurb="A folder of diffusers' AutoencoderKL, or of a pipeline with one in vae/.",
    order=10,
    recognises=_recognises,
)
def diffusers(paths: Sequence[Path], wishes: Wishes) -> Found:
    """The network of its config.json; pixels lie in [−1, 1], as every such network is trained.

    Raises:
        UserError: for another class, blocks of another kind, or settings out of range.
    """
    folder = _folder_in(paths[0])
    if folder is None:
        raise UserError(f"{paths[0]} has no {CONFIG} of an {CLASS}.")
    told = json_of(folder / CONFIG)
    for name, known in BLOCKS.items():
        others = [block for block in told.get(name, []) if block != known]
        if others:
            raise UserError(
                f"{folder / CONFIG}: {name} has {str(others[0])[:60]}; only {known} is known."
            )
    channels, latents = told.get("in_channels", 3), told.get("latent_channels", 4)
    if channels != told.get("out_channels", 3):
        raise UserError(f"{folder / CONFIG}: it draws other channels than it is shown.")
    if not (isinstance(latents, int) and 1 <= latents <= MOST_LATENTS):
        raise UserError(f"{folder / CONFIG}: latent_channels has to be 1 to {MOST_LATENTS}.")
    if not (isinstance(channels, int) and 1 <= channels <= 16):
        raise UserError(f"{folder / CONFIG}: in_channels has to be 1 to 16.")
    names = AutoencoderKlOptions.model_fields.keys() & told.keys()
    objective = {name: told[name] for name in names}
    options = families["autoencoder-kl"].parse_options(objective, str(folder / CONFIG))
    assert isinstance(options, AutoencoderKlOptions)
    model = {
        "latent_dim": latents,
        "likelihood": "gaussian-optimal",
        "output": "identity",
        "pixel_mean": 0.5,
        "pixel_std": 0.5,
    }
    return Found(
        "autoencoder-kl",
        model,
        objective,
        image_shape=(channels, None, None),
        multiple=halving(options),
        weights=lambda shapes: _weights(folder, shapes),
    )


def _weights(folder: Path, shapes: Shapes) -> dict[str, Tensor]:
    names = {here: _names_of(here) for here in shapes}
    for file in WEIGHTS:
        if (folder / file).is_file():
            return safe_weights(folder / file, names, shapes)
    if (folder / PICKLED).is_file():
        return _pickled(folder / PICKLED, names, shapes)
    raise UserError(f"{folder} has no {WEIGHTS[0]}.")


def _pickled(path: Path, names: Mapping[str, tuple[str, ...]], shapes: Shapes) -> dict[str, Tensor]:
    values: Mapping[str, Any] = pickled_weights(path)
    there = {here: next((n for n in each if n in values), each[0]) for here, each in names.items()}
    found = weights_by_name(path, values, {there[here]: shape for here, shape in shapes.items()})
    return {here: found[name].float() for here, name in there.items()}


def _names_of(here: str) -> tuple[str, ...]:
    """Those that a weight may have in the file."""
    for ours, theirs in HERE_TO_THERE:
        if here.startswith(ours):
            here = theirs + here.removeprefix(ours)
            break
    earlier = here
    for now, before in EARLIER:
        earlier = earlier.replace(now, before)
    return (here,) if earlier == here else (here, earlier)
