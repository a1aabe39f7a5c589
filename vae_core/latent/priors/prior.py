"""What a prior is, the registry of them, drawing from the one that is named, and what is kept of
those that were fitted to the encodings of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor

from vae_core.errors import UserError
from vae_core.latent.encodings import encoded_step, load_encodings
from vae_core.models import GaussianMixture, LatentModel, QuantisedModel
from vae_core.progress import Progress
from vae_core.registry import Entry, Registry
from vae_core.runs import Run, Tensors, derived, layout


class Prior(Protocol):
    """A distribution over latents."""

    def sample(self, n: int, generator: Generator | None, temperature: float) -> Tensor:
        """n draws z, [n, *latent_shape]; below 1 the temperature keeps to what is likely."""


@runtime_checkable
class Weighing(Prior, Protocol):
    """A prior that also says how likely latents are."""

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats of latents z [B, *latent_shape], [B]: of a density, or of the
        probability of codes, whose vectors z then holds. Raises as its builder."""


Build = Callable[[Run, LatentModel], Prior]
Learn = Callable[[Run, LatentModel, Progress], object]


class NotLearned(UserError):
    """The prior has to be learned first (`python -m vae_core prior RUN`)."""


@dataclass(frozen=True, kw_only=True)
class PriorEntry(Entry[Build]):
    """A prior; whether it is one over codes out of a finite set, and how it is learned where that
    takes longer than a person waits for."""

    of_codes: bool = False
    learn: Learn | None = None

    def suits(self, model: LatentModel) -> bool:
        """Whether it can be drawn from for this model."""
        return not self.of_codes or isinstance(model, QuantisedModel)

    def weighs(self, model: LatentModel) -> bool:
        """Whether it can say how likely this model's latents are: codes have a probability, others
        a density."""
        return self.of_codes == isinstance(model, QuantisedModel)


NUMBERS_AT_ONCE = 1 << 22
"""Of the meetings of latents with the components of a mixture: 16 MB."""

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

    def log_prob(self, z: Tensor) -> Tensor:
        rows = max(1, NUMBERS_AT_ONCE // self._density.mu.numel())
        return torch.cat([self._density.log_prob(v) for v in self.model.flatten(z).split(rows)])

    @cached_property
    def _density(self) -> GaussianMixture:
        found = self.model.prior()
        if found is None:
            raise UserError(f"Run {self.run.id!r} has no density of its latents.")
        return found


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


def weighing(run: Run, model: LatentModel, prior: str) -> Weighing:
    """The prior called `prior`, that says how likely latents of a run's model are.

    Raises:
        NotLearned: when it has to be learned first.
        UserError: when there is no such prior, it does not suit the model, or the run has no
            encodings.
    """
    entry = priors[prior]
    if not entry.weighs(model):
        others = ", ".join(each.name for each in priors if each.weighs(model))
        why = "draws codes, and this model has none" if entry.of_codes else "has no codes"
        raise UserError(
            f"The prior {prior!r} {why}, so it cannot say how likely the latents of run {run.id!r} "
            f"are; choose one of {others}."
        )
    found = entry.build(run, model)
    if not isinstance(found, Weighing):
        raise UserError(f"The prior {prior!r} can be drawn from alone: it has no log_prob.")
    return found


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
