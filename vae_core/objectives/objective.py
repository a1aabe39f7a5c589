"""The contract of every objective: terms × weights for one or more players."""

from __future__ import annotations

from torch import Generator, Tensor, nn

from vae_core.models.likelihoods import Likelihood
from vae_core.types import Context, LossTerms, Output, Term

MODEL = "model"


class Objective(nn.Module):
    """Reconstruction alone. A variant overrides one hook and names the terms it adds.

    It is a module because some objectives own weights (a critic) that are trained and saved too.
    """

    settable: tuple[str, ...] = ()
    """Names of the values that may be changed by hand during a run."""

    def __init__(self, likelihood: Likelihood) -> None:
        super().__init__()
        # In a tuple, so that the model's likelihood is not registered a second time here.
        self._likelihood = (likelihood,)

    @property
    def likelihood(self) -> Likelihood:
        return self._likelihood[0]

    def corrupt(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """What the encoder is shown in place of x, [B, C, H, W]; x itself unless denoising."""
        return x

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        """The unweighted terms of each player, [B] each, with their weights at this moment."""
        return {MODEL: {"recon": Term(self.likelihood.nll(output.x_logits, x))}}

    def players(self, model: nn.Module) -> dict[str, list[nn.Parameter]]:
        """Who is trained on whose terms; each player has an optimiser of its own."""
        return {MODEL: list(model.parameters())}
