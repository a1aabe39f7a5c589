"""A network is tried: what its latents are like, and how far its reconstructions are off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vae_core.data import ImageSet
from vae_core.data.batches import labelled
from vae_core.data.images import subset
from vae_core.errors import UserError
from vae_core.families import families
from vae_core.families.given import GivenOptions
from vae_core.models import GivenModel, Halves, LatentModel, Scale
from vae_core.models.likelihoods import OptimalGaussian
from vae_core.progress import Progress, no_progress

TRIED = 2
MOST_FITTED = 512
"""Images from which σ is computed: its standard error is then below a hundredth."""

BATCH = 32

MUCH_BETTER = 0.5
"""Share of an error that another scale has to leave, to be spoken of."""

USUAL_SCALES = {"0 to 1": Scale(), "−1 to 1": Scale((0.5,), (0.5,))}
"""Of images, by the values of black and white."""


@dataclass(frozen=True)
class Facts:
    """What a network that is kept as it came showed when it ran."""

    latent_shape: tuple[int, ...]
    posterior: str
    image_shape: tuple[int, int, int]


@dataclass(frozen=True)
class Fit:
    """How well images are reconstructed, on the [0, 1] scale: the mean squared error of a value,
    and that of the images' mean in its place."""

    mse: float
    variance: float

    @property
    def absurd(self) -> bool:
        """Whether the mean of the images would be a better reconstruction of each."""
        return not self.mse < self.variance

    def complaints(self, model: LatentModel[Any], images: ImageSet) -> tuple[str, ...]:
        """What a person should know, in sentences; () where all is well."""
        better = _better_scale(model, images, self.mse)
        hint = f" With values from {better} it would be far better." if better else ""
        if self.absurd:
            return (
                f"Reconstructions are no good: their squared error is {self.mse:.3g}, and that of "
                f"the mean of your images {self.variance:.3g}. The network may expect other values "
                f"of pixels, or other images.{hint}",
            )
        return (f"The network may expect other values of pixels.{hint}",) if better else ()


@torch.inference_mode()
def probed(
    halves: Halves,
    objective: Mapping[str, Any],
    image_shape: tuple[int, int, int] | None,
    images: ImageSet | None,
    latent_shape: tuple[int, ...] | None,
) -> Facts:
    """Run a network once, and see what it takes and gives.

    Raises:
        UserError: when it does not run, or its halves do not fit each other or the images.
    """
    options = families["given"].parse_options(dict(objective), "objective")
    assert isinstance(options, GivenOptions)
    posterior = "none"
    if halves.encode is not None:
        assert images is not None and image_shape is not None
        x = next(iter(labelled(_some(images, TRIED), TRIED, torch.device("cpu"))))[0]
        found = _run("encoder", halves.encode, options.scales[0].into(x))
        sides = {tuple(each.shape[1:]) for each in found}
        if len(sides) != 1 or any(len(each) != len(x) for each in found):
            shapes = " and ".join(str(tuple(each.shape)) for each in found)
            raise UserError(
                f"The encoder gave {shapes} for {len(x)} images; it has to give one latent, or one "
                "μ and one log σ² of the same shape, for each."
            )
        latent_shape = sides.pop()
        posterior = "gaussian" if len(found) == 2 else "point"
    elif latent_shape is None:
        latent_shape = _asked_by(halves)
    if not latent_shape or len(latent_shape) > 3:
        raise UserError(f"Latents of shape {latent_shape} cannot be explored: 1 to 3 axes can.")
    z = torch.zeros((TRIED, *latent_shape)) if image_shape is None else None
    if z is None:
        assert halves.encode is not None
        z = found[0].float()
    drawn = _run("decoder", halves.decode, z)
    shape = tuple(drawn.shape[1:]) if isinstance(drawn, Tensor) else ()
    if len(shape) != 3 or len(drawn) != TRIED or (image_shape and shape != tuple(image_shape)):
        wanted = f"(…, {', '.join(map(str, image_shape))})" if image_shape else "(…, C, H, W)"
        got = tuple(drawn.shape) if isinstance(drawn, Tensor) else type(drawn).__name__
        raise UserError(f"The decoder gave {got}; pictures {wanted} were expected.")
    if not drawn.isfinite().all():
        raise UserError("The decoder draws no numbers.")
    return Facts(tuple(latent_shape), posterior, (shape[0], shape[1], shape[2]))


def _asked_by(halves: Halves) -> tuple[int, ...]:
    """The latent shape that a decoder's graph says it takes."""
    asked = halves.latent_shape
    known = tuple(side for side in asked or () if side is not None)
    if asked is None or len(known) < len(asked):
        raise UserError(
            "How many latents does this decoder take? Its file does not say.", shell="--latent 512"
        )
    return known


def _run(half: str, call: Any, values: Tensor) -> Any:
    try:
        return call(values)
    except UserError:
        raise
    except Exception as error:  # whatever a foreign network raises
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"The {half} does not take {tuple(values.shape)}: {lines[-1][:200].rstrip('.')}."
        ) from None


def _some(images: ImageSet, most: int) -> ImageSet:
    """At most so many, evenly spread."""
    return subset(images, np.unique(np.linspace(0, len(images) - 1, most).astype(np.int64)))


@torch.inference_mode()
def fit_noise(model: LatentModel[Any], images: ImageSet, progress: Progress = no_progress) -> Fit:
    """Reconstruct images, each at the mode of its posterior, and give a likelihood that learns σ
    the one that fits them best: their mean squared error (Rybkin, Daniilidis and Levine 2021,
    equation 7). The model is changed in place."""
    some = _some(images, MOST_FITTED)
    squares = total = mean = 0.0
    per_pixel = torch.zeros((), dtype=torch.float64)
    done = count = 0
    for x, labels in labelled(some, BATCH, model.device):
        progress("Trying the network on images", done / len(some))
        done += len(x)
        told = model.conditioned(labels)
        pictures = model.picture(told.decode(told.encode(x).mode()))
        squares += float((pictures - x).square().sum())
        total += float(x.double().square().sum())
        per_pixel = per_pixel + x.double().sum(0)
        count += x.numel()
    mean = float((per_pixel / done).square().sum()) * done
    fit = Fit(squares / count, (total - mean) / count)
    if isinstance(model.likelihood, OptimalGaussian):
        model.likelihood.variance.fill_(max(fit.mse, OptimalGaussian.FLOOR))
    return fit


@torch.inference_mode()
def _better_scale(model: LatentModel[Any], images: ImageSet, mse: float) -> str:
    """The usual scale of images with which a network would do far better; "" where none would."""
    if not isinstance(model, GivenModel):
        return ""
    x = next(iter(labelled(_some(images, BATCH), BATCH, model.device)))[0]
    now = model.scales
    found = {}
    try:
        for name, scale in USUAL_SCALES.items():
            model.scales = (scale, scale)
            pictures = model.picture(model.decode(model.encode(x).mode()))
            found[name] = float((pictures - x).square().mean())
    finally:
        model.scales = now
    best = min(found, key=lambda name: found[name])
    return best if found[best] < MUCH_BETTER * mse else ""
