"""What a prior is, the registry of them, drawing from the one that is named, and what is kept of
those that were fitted to the encodings of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor

from vae_core.errors import UserError
from vae_core.latent.encodings import encoded_step, load_encodings
from vae_core.models import LatentModel, QuantisedModel
from vae_core.registry import Entry, Registry
from vae_core.runs import Run, Tensors, derived, layout


class Prior(Protocol):
    """A distribution over latents."""

    def sample(self, n: int, generator: Generator | None, temperature: float) -> Tensor:
        """n draws z, [n, *latent_shape]; below 1 the temperature keeps to what is likely."""


Build = Callable[[Run, LatentModel], Prior]


class NotLearned(UserError):
    """The prior has to be learned first (`python -m vae_core prior RUN`)."""


@dataclass(frozen=True, kw_only=True)
class PriorEntry(Entry[Build]):
    """A prior; whether it is one over codes out of a finite set."""

    of_codes: bool = False

    def suits(self, model: LatentModel) -> bool:
        """Whether it can be drawn from for this model."""
        return not self.of_codes or isinstance(model, QuantisedModel)


priors: Registry[PriorEntry] = Registry("prior", PriorEntry)
"""By name; each builder `(run, model)` fits a prior to the run or finds it there."""


@priors.register(
    "model",
    label="The model's own",
    blurb="What the model was trained towards: for most families N(0, I).",
)
@dataclass(frozen=True)
class OwnPrior:
    """What `sample_prior` of the model draws from."""

    run: Run
    model: LatentModel

    def sample(self, n: int, generator: Generator | None, temperature: float) -> Tensor:
        return self.model.sample_prior(n, generator, temperature)


def suitable(model: LatentModel) -> list[str]:
    """Names of the priors that can be drawn from for this model."""
    return [entry.name for entry in priors if entry.suits(model)]


def sample(
    run: Run,
    model: LatentModel,
    prior: str,
    n: int,
    generator: Generator | None = None,
    temperature: float = 1.0,
) -> Tensor:
    """n latents z [n, *latent_shape] of a run's model, drawn from the prior called `prior`.

    What can be fitted within seconds is fitted to the run's encodings when it is first needed,
    and kept in the cache.

    Raises:
        NotLearned: when it has to be learned first.
        UserError: when there is no such prior, it does not suit the model, the run has no
            encodings, or the temperature is not positive.
    """
    entry = priors[prior]
    if not entry.suits(model):
        raise UserError(
            f"The prior {prior!r} draws codes, and run {run.id!r} has none; "
            f"choose one of {', '.join(suitable(model))}."
        )
    if not temperature > 0:
        raise UserError(f"The temperature has to be above 0 (it is {temperature:g}).")
    return entry.build(run, model).sample(n, generator, temperature)


def save_prior(
    run: Run, name: str, tensors: dict[str, Tensor], step: int, version: int = 1
) -> None:
    """Cache the prior called `name`, fitted to the encodings that the run has of `step`, where that
    can be done; `version` is that of the way in which it is fitted."""
    arrays = {key: tensor.detach().cpu().numpy() for key, tensor in tensors.items()}
    derived.keep(run, layout.prior(name), arrays, _made_of(run, step, version))


def load_prior(
    run: Run,
    name: str,
    version: int = 1,
    fits: Callable[[dict[str, Tensor]], bool] = lambda tensors: True,
) -> dict[str, Tensor] | None:
    """What `save_prior` wrote for the encodings that the run has now, of this `version`; None where
    there is nothing, or nothing that `fits` takes for the tensors of such a prior."""
    step = encoded_step(run)
    if step is None:
        return None
    made_of = _made_of(run, step, version)

    def read(file: Tensors) -> dict[str, Tensor] | None:
        # Earlier versions kept neither the version nor which encodings it was fitted to.
        if made_of != {"version": "1", "of": made_of["of"]} | file.metadata:
            return None
        tensors = {
            key: torch.from_numpy(file.array(key, spec.dtype, spec.shape))
            for key, spec in file.specs.items()
        }
        return tensors if fits(tensors) else None

    return derived.find(run, layout.prior(name), read)


def are_codes(vocabulary: Tensor, model: QuantisedModel) -> bool:
    """Whether `vocabulary` [V] holds numbers of the model's codes."""
    within = 0 <= int(vocabulary.min()) <= int(vocabulary.max()) < model.quantiser.codes
    return vocabulary.dtype == torch.int64 and vocabulary.ndim == 1 and within


def encoded_codes(run: Run, model: QuantisedModel) -> tuple[Tensor, int]:
    """The codes of the run's encodings, int64 [N, h, w], and the step that encoded them; raises as
    `load_encodings`."""
    encodings = load_encodings(run)
    with torch.inference_mode():
        parts = model.unflatten(torch.from_numpy(encodings.mu)).split(512)
        codes = [model.quantiser.indices(part.to(model.device)).cpu() for part in parts]
    return torch.cat(codes), encodings.step


def _made_of(run: Run, step: int, version: int) -> dict[str, str]:
    of = derived.fingerprint(run, layout.ENCODINGS)
    return {"step": str(step), "version": str(version), "of": of}
