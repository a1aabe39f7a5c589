"""What families with a discriminator share: its training, beside the model and against it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from vae_core.families.family import Quantity
from vae_core.losses.adversarial import discriminator_accuracy, discriminator_nll
from vae_core.models import LatentModel, Likelihood
from vae_core.objective import Objective, P
from vae_core.settings import Settings, setting
from vae_core.types import Context, LossTerms, Term

DISCRIMINATOR = "discriminator"


class AdversaryOptions(Settings):
    """How the discriminator is trained."""

    discriminator_learning_rate: float = setting(
        5e-4, "Discriminator's learning rate", "Size of its steps.", more=True, gt=0, le=10
    )
    discriminator_adam_betas: tuple[float, float] = setting(
        (0.5, 0.9),
        "Discriminator's Adam betas",
        "How long its running averages remember.",
        more=True,
    )
    discriminator_every: int = setting(
        1,
        "Discriminator learns every",
        "In the steps between it rests, so that the model can catch up with it.",
        unit="steps",
        more=True,
        ge=1,
        le=1000,
    )


class AdversarialObjective(Objective[P]):
    """An objective with a discriminator D, which owns its weights and learns from its own terms.

    Both learn in one step, from the same draws: the model against D as it was before the step.
    When D rests is a matter of the step alone, so that all processes of a group agree on it and a
    GPU is asked nothing.

    Source: Goodfellow et al., Generative Adversarial Nets (2014), algorithm 1.
    """

    options: AdversaryOptions

    def __init__(self, likelihood: Likelihood, options: Any, discriminator: nn.Module) -> None:
        super().__init__(likelihood, options)
        self.discriminator = discriminator
        self.optimizers = {
            DISCRIMINATOR: {
                "lr": options.discriminator_learning_rate,
                "betas": options.discriminator_adam_betas,
            }
        }

    def rests(self, context: Context) -> bool:
        """Whether the discriminator learns nothing in this step; it is measured all the same."""
        return self.training and context.step % self.options.discriminator_every != 0

    def networks(self, model: LatentModel) -> list[nn.Module]:
        return [*super().networks(model), self.discriminator]

    def players(self, model: nn.Module) -> dict[str, list[nn.Parameter]]:
        return super().players(model) | {DISCRIMINATOR: list(self.discriminator.parameters())}


def lessons(real: Tensor, drawn: Tensor) -> LossTerms:
    """The discriminator's terms, of its log-odds [B] for what is real and for what is not."""
    return {
        "discriminator": Term(discriminator_nll(real, drawn)),
        "accuracy": Term(discriminator_accuracy(real, drawn).detach(), 0.0),
    }


def of_discriminator(what: str) -> dict[str, Quantity]:
    """How charts name `lessons`; `what` it tells from what."""
    return {
        "discriminator": Quantity(
            "Discriminator's loss", "nats", help="log 2 = 0.69 is guessing, 0 is certainty."
        ),
        "accuracy": Quantity(
            "Discriminator's accuracy", "%", help=f"{what}; 50 is guessing, which is the aim."
        ),
    }
