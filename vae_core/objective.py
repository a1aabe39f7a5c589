"""The contract of every objective: terms × weights for one or more players."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

import torch
from torch import Generator, Tensor, nn

from vae_core.models import LatentModel, Output
from vae_core.models.likelihoods import Likelihood
from vae_core.models.posterior import Posterior, posterior_class
from vae_core.types import Context, Losses, Term

MODEL = "model"
P = TypeVar("P", bound=Posterior)


class Objective(nn.Module, Generic[P]):
    """Reconstruction alone. A variant overrides one hook and names the terms it adds.

    Its parameter is the class of posterior that it works with: `Objective[GaussianPosterior]`.
    It is a module because some objectives own weights (a critic) that are trained and saved too.
    """

    needs: type[Posterior] = Posterior  # type: ignore[type-abstract]
    """That class at run time: a family whose encoder returns another is refused."""

    samples = 1
    """Draws of z for each image in training and measurement."""

    optimizers: Mapping[str, Mapping[str, Any]] = {}
    """What a player's optimiser has of its own, such as `{"critic": {"lr": 1e-4}}`."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.needs = posterior_class(cls) or cls.needs

    def __init__(self, likelihood: Likelihood, options: Any = None) -> None:
        super().__init__()
        self.options = options
        # In a tuple, so that the model's likelihood is not registered a second time here.
        self._likelihood = (likelihood,)

    @property
    def likelihood(self) -> Likelihood:
        return self._likelihood[0]

    def corrupt(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """What the encoder is shown in place of x, [B, C, H, W]; x itself unless denoising."""
        return x

    @property
    def corrupts(self) -> bool:
        """Whether the encoder is shown anything but the images themselves."""
        return type(self).corrupt is not Objective.corrupt

    def corrupted(self, x: Tensor, numbers: Iterable[int]) -> Tensor:
        """`corrupt` for pictures x [B, C, H, W] that are looked at: the noise of each follows its
        number, such as its place in a data set, so that it is the same whenever it is shown."""
        if not self.corrupts:
            return x
        seeds = (torch.Generator(x.device).manual_seed(int(number)) for number in numbers)
        each = [self.corrupt(image, seed) for image, seed in zip(x.split(1), seeds, strict=True)]
        return torch.cat(each)

    def forward(self, model: LatentModel[P], x: Tensor, context: Context) -> Output[P]:
        """Run the model on images [B, C, H, W] as this objective needs it."""
        model = model.conditioned(context.labels)
        shown = self.corrupt(x, context.generator)
        if self.samples == 1:
            return model(shown, context.generator)
        posterior = model.encode(shown)
        z = torch.cat([posterior.sample(context.generator) for _ in range(self.samples)])
        return Output(posterior, z, model.decode(z))

    def losses(self, x: Tensor, output: Output[P], context: Context) -> Losses:
        """The unweighted terms of each player, [B] each, with their weights at this moment; a
        player without terms is not trained in this step."""
        return {MODEL: {"recon": Term(self.nll(x, output, context).mean(0))}}

    def nll(self, x: Tensor, output: Output[P], context: Context) -> Tensor:
        """−log p(x|z) of every draw in nats, [samples, B]; padding does not count."""
        draws, mask = len(output.x_logits) // len(x), context.mask
        if draws > 1:
            x = x.repeat(draws, 1, 1, 1)
            mask = None if mask is None else mask.repeat(draws, 1, 1, 1)
        return self.likelihood.nll(output.x_logits, x, mask).unflatten(0, (draws, -1))

    def controls(self, context: Context) -> dict[str, float]:
        """What may be changed by hand during a run, and its values at this moment."""
        return {}

    def networks(self, model: LatentModel) -> list[nn.Module]:
        """What a step spends its time in, for the compiler and for bf16: what is called, not what
        holds it."""
        return [model.encoder, model.decoder]

    def players(self, model: nn.Module) -> dict[str, list[nn.Parameter]]:
        """Who is trained on whose terms; each player has an optimiser of its own."""
        return {MODEL: list(model.parameters())}
