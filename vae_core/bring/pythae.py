"""By this door: a folder that pythae saved, `model_config.json` and `model.pt`.

A network of one's own lies there as a pickle (`encoder.pkl`), which is never opened. Those of
pythae's benchmarks lie there as pickles too, but are known by the shapes of their weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vae_core.bring.door import Found, Shapes, Wishes, doors
from vae_core.bring.reading import json_of, pickled_weights, weights_by_name
from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.families import build_on_meta
from vae_core.families.pythae import SIZES

CONFIG, WEIGHTS = "model_config.json", "model.pt"
FINAL = "final_model"
"""Where the trainer puts the folder."""

KNOWN = frozenset(
    {
        "AE", "Adversarial_AE", "BetaTCVAE", "BetaVAE", "CIWAE", "DisentangledBetaVAE", "FactorVAE",
        "INFOVAE_MMD", "IWAE", "MIWAE", "MSSSIM_VAE", "PIWAE", "RAE_GP", "RAE_L2", "VAE", "VAEGAN",
        "WAE_MMD",
    }
)  # fmt: skip
"""Whose codes are what their encoder says, and whose pictures what their decoder makes of them."""

HEADS = {
    "encoder.embedding.": "bottleneck.{mean}.",
    "encoder.log_var.": "bottleneck.scale.",
}

NETWORKS = ("mlp", *SIZES)
LARGEST_SIDE = 512


def _recognises(paths: Sequence[Path]) -> bool:
    return len(paths) == 1 and _folder_in(paths[0]) is not None


def _folder_in(path: Path) -> Path | None:
    places = (path, path / FINAL)
    return next((place for place in places if (place / CONFIG).is_file()), None)


@doors.register(
    "pythae",
    label="pythae",
    blurb="A folder that pythae saved, with model_config.json and model.pt.",
    order=20,
    recognises=_recognises,
)
def pythae(paths: Sequence[Path], wishes: Wishes) -> Found:
    """The network whose weights lie there, among pythae's own; pixels lie in [0, 1].

    Raises:
        UserError: for a model whose codes pass through something else, a network of one's own, or
            files that are damaged or would have to be executed.
    """
    folder = _folder_in(paths[0])
    if folder is None:
        raise UserError(f"{paths[0]} has no {CONFIG}.")
    told = json_of(folder / CONFIG)
    name = str(told.get("name", "")).removesuffix("Config").rstrip("_")
    if name not in KNOWN:
        raise UserError(f"{folder / CONFIG}: models of kind {name[:40]!r} cannot be rebuilt here.")
    shape, dim = _sizes(told, folder / CONFIG)
    values = _state(folder / WEIGHTS)
    gaussian = any(key.startswith("encoder.log_var.") for key in values)
    likelihood = "bernoulli" if told.get("reconstruction_loss") == "bce" else "gaussian-optimal"
    model = {"latent_dim": dim, "likelihood": likelihood, "output": "sigmoid"}
    for encoder, decoder in _pairs(shape):
        objective = {
            "encoder": encoder,
            "decoder": decoder,
            "posterior": "gaussian" if gaussian else "point",
        }
        names = _names(model, objective, shape, values)
        if names is not None:
            return Found(
                "pythae",
                model,
                objective,
                image_shape=shape,
                weights=_reader(folder / WEIGHTS, values, names),
            )
    raise UserError(
        f"The network in {folder} is none of pythae's own. It lies there as a pickle, which would "
        "have to be executed and is not opened: export its encoder and decoder as ONNX, and bring "
        "those."
    )


def _sizes(told: Mapping[str, Any], path: Path) -> tuple[tuple[int, int, int], int]:
    shape, dim = told.get("input_dim"), told.get("latent_dim")
    sides = tuple(shape) if isinstance(shape, list) else ()
    known = all(type(side) is int and 1 <= side <= LARGEST_SIDE for side in sides)
    if len(sides) != 3 or not known:
        raise UserError(f"{path}: input_dim has to be channels, height and width of images.")
    if type(dim) is not int or not 1 <= dim <= 1024:
        raise UserError(f"{path}: latent_dim has to be 1 to 1024.")
    channels, height, width = sides
    return (channels, height, width), dim


def _state(path: Path) -> Mapping[str, Any]:
    found = pickled_weights(path).get("model_state_dict")
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise UserError(f"{path} holds no model_state_dict.")
    return found


def _pairs(shape: tuple[int, int, int]) -> Iterator[tuple[str, str]]:
    """The networks for images of this shape, those of one kind first."""
    fitting = [name for name in NETWORKS if SIZES.get(name, shape) == shape]
    yield from ((name, name) for name in fitting)
    yield from ((a, b) for a in fitting for b in fitting if a != b)


def _names(
    model: Mapping[str, Any],
    objective: Mapping[str, Any],
    shape: tuple[int, int, int],
    values: Mapping[str, Any],
) -> dict[str, str] | None:
    """For each weight of this network the name that it has there; None where weights differ."""
    config = RunConfig.model_validate(
        {"family": "pythae", "model": dict(model), "objective": dict(objective)}
    )
    own = build_on_meta(config, shape)[0].state_dict()
    mean = "z" if objective["posterior"] == "point" else "mu"
    heads = {theirs: ours.format(mean=mean) for theirs, ours in HEADS.items()}
    layers = {"encoder.layers.": "encoder.", "decoder.layers.": "decoder."}
    found: dict[str, str] = {}
    for theirs, ours in (layers | heads).items():
        here = [key for key in own if key.startswith(ours)]
        there = [key for key in values if key.startswith(theirs)]
        if [_tail(key, own) for key in here] != [_tail(key, values) for key in there]:
            return None
        found |= dict(zip(here, there, strict=True))
    return found


def _tail(key: str, values: Mapping[str, Any]) -> tuple[str, tuple[int, ...]]:
    value = values[key]
    return key.rpartition(".")[2], tuple(value.shape) if isinstance(value, Tensor) else (-1,)


def _reader(path: Path, values: Mapping[str, Any], names: Mapping[str, str]) -> Any:
    def read(shapes: Shapes) -> dict[str, Tensor]:
        there = {names[here]: shape for here, shape in shapes.items() if here in names}
        found = weights_by_name(path, values, there)
        return {
            here: found[names[here]].to(torch.int64 if here.endswith("tracked") else torch.float32)
            for here in shapes
            if here in names
        }

    return read
