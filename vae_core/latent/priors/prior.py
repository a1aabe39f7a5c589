"""What a prior is, the registry of them, and drawing from the one that is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Generator, Tensor

from vae_core.errors import UserError
from vae_core.models import LatentModel, QuantisedModel
from vae_core.registry import Entry, Registry
from vae_core.runs import Run


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
