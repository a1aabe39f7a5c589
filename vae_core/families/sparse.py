"""The sparse autoencoder: only few units may speak for each image."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from vae_core.config import ModelConfig, RunConfig
from vae_core.families.family import RECON, Built, Quantity, families, need_two_images
from vae_core.families.networks import latent_model, weight_setting
from vae_core.models import (
    Autoencoder,
    Deterministic,
    LatentModel,
    Output,
    PointPosterior,
)
from vae_core.objective import MODEL, Objective
from vae_core.runs import DataCard
from vae_core.settings import Settings, setting
from vae_core.shares import gathered
from vae_core.types import Context, Losses, LossTerms, Term


class SparseOptions(Settings):
    """Which penalty, its weight, and the activation that is aimed at."""

    penalty: Literal["l1", "kl"] = setting(
        "l1",
        "Penalty",
        "l1 draws the codes of each image to exactly 0; kl asks each unit to fire for a given "
        "share of the images.",
    )
    weight: float = weight_setting(
        1.0, "λ on sparsity", "More silences more units and costs sharpness."
    )
    target: float = setting(
        0.05,
        "Target activation ρ",
        "The share of the images for which the kl penalty lets a unit fire.",
        more=True,
        gt=0,
        lt=1,
    )
    measure: Literal["relative", "absolute"] = setting(
        "relative",
        "Size of codes",
        "relative sets the penalty against it; absolute is met by making all codes smaller, and "
        "none becomes 0.",
        more=True,
    )


class SparseObjective(Objective[PointPosterior]):
    """−log p(x|z) + λ · Σ_d |z_d| / ‖z‖, or λ · Σ_d KL(ρ ‖ share of images unit d fires for).

    Both are free of the codes' scale: a decoder that may have any weights undoes whatever codes
    lose in size, so that plain sums reward small codes, not silent ones.

    Source: L1: Goodfellow, Bengio and Courville, Deep Learning (2016), section 14.2.1; over L2:
    Hoyer (2004), section 3.1; KL: Ng, Sparse Autoencoder, CS294A lecture notes (2011), section 3.
    """

    options: SparseOptions

    def losses(self, x: Tensor, output: Output[PointPosterior], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        penalty = penalty_of(self.options)(output.z)
        losses[MODEL]["sparsity"] = Term(penalty, self.options.weight)
        losses[MODEL] |= activity(output.z)
        return losses


def penalty_of(options: SparseOptions) -> Callable[[Tensor], Tensor]:
    """Codes [B, D] → what they cost unweighted, [B]."""
    relative = options.measure == "relative"
    if options.penalty == "l1":
        return l1_over_l2 if relative else l1
    rate = firing_share if relative else mean_rate
    return lambda z: activation_kl(z, options.target, rate)


_SMALLEST = 1e-6  # keeps the logarithm finite where a unit never or always fires


def l1(codes: Tensor) -> Tensor:
    """Σ |z_d| of codes [B, D], [B]. Smaller codes cost less, whether or not any of them is 0."""
    return codes.abs().sum(1)


def l1_over_l2(codes: Tensor) -> Tensor:
    """Σ |z_d| / √(Σ z_d²) of codes [B, D], [B]: 1 where one unit speaks, √D where all do alike.

    The same at every scale of the codes; 0 where all of them are 0.

    Source: Hoyer, Non-negative Matrix Factorization with Sparseness Constraints (2004), section
    3.1: the part of his sparseness that depends on the codes.
    """
    return codes.abs().sum(1) / codes.norm(dim=1).clamp_min(_SMALLEST)


def mean_rate(activations: Tensor) -> Tensor:
    """The mean activation of every unit, [B, D] → [D]. A faint, steady glow counts as rare firing.

    Source: Ng, Sparse Autoencoder, CS294A lecture notes (2011), section 3.
    """
    return gathered(activations).mean(0)


def firing_share(activations: Tensor) -> Tensor:
    """⟨a⟩² / ⟨a²⟩ of every unit over the batch, [B, D] → [D]: how many images it fires for.

    The share itself where a unit is off or on, 1 where it never changes; the same at every scale.

    Source: Rolls and Tovee, Sparseness of the Neuronal Representation of Stimuli in the Primate
    Temporal Visual Cortex (1995), equation 1; by unit: Willmore and Tolhurst (2001), equation 2.
    """
    activations = gathered(activations)
    return activations.mean(0).square() / activations.square().mean(0).clamp_min(_SMALLEST**2)


def activation_kl(
    activations: Tensor, target: float, rate_of: Callable[[Tensor], Tensor] = mean_rate
) -> Tensor:
    """Σ_d KL(target ‖ rate of unit d) between Bernoulli rates, in nats; the same for all B images.

    `activations` [B, D] are in (0, 1); `rate_of` says what counts as their rate over the batch.

    Source: Ng, Sparse Autoencoder, CS294A lecture notes (2011), section 3.
    """
    rate = rate_of(activations).clamp(_SMALLEST, 1 - _SMALLEST)
    on = target * (target / rate).log()
    off = (1 - target) * ((1 - target) / (1 - rate)).log()
    return (on + off).sum().expand(len(activations))


@torch.no_grad()
def activity(z: Tensor) -> LossTerms:
    """What is watched of codes [B, D], in percent of D: how many speak, and how many are exactly 0.

    Speaking counts as many units as would have the same Σ|z| over ‖z‖ if they spoke alike.
    """
    dims = z.shape[1]
    return {
        "active": Term(100.0 * l1_over_l2(z).square() / dims, 0.0),
        "zeros": Term(100.0 * (z == 0).float().mean(1), 0.0),
    }


LEAK = 0.1
"""Of the gradient reaches a unit that is silent. With none of it, 17 of 32 units stayed silent for
every image of the digits (plain reconstruction, 20 epochs); with a tenth 3 did, and the error was
lower."""


class CodeRange(nn.Module):
    """An activation at the end of an encoder, of whose values alone the decoder knows; sliders and
    priors move through the whole space. Here any number is a code."""

    note = ""
    """What a person who moves codes should know, one sentence."""

    def forward(self, z: Tensor) -> Tensor:
        return z

    def nearest(self, z: Tensor) -> Tensor:
        """The code nearest to each z [B, D]: z itself where z is one."""
        return z


class NonNegative(CodeRange):
    """max(z, 0): a unit is exactly 0 or speaks. Silent ones still hear a little of the gradient."""

    note = "Codes of this model are never negative: below 0 a slider shows what it shows at 0."

    def forward(self, z: Tensor) -> Tensor:
        return leaky(z.relu(), z)

    def nearest(self, z: Tensor) -> Tensor:
        with torch.no_grad():
            return self(z)


class Rate(CodeRange):
    """1 / (1 + exp(−z)): the rate at which a unit fires, between 0 and 1."""

    note = "Codes of this model are rates: beyond 0 and 1 a slider shows what it shows there."

    def forward(self, z: Tensor) -> Tensor:
        return z.sigmoid()

    def nearest(self, z: Tensor) -> Tensor:
        return z.clamp(0.0, 1.0)


def leaky(codes: Tensor, z: Tensor) -> Tensor:
    """The codes, exactly; where they are 0, `LEAK` of their gradient goes on to z."""
    if not torch.is_grad_enabled():
        return codes
    slope = torch.where(codes > 0, 1.0, LEAK)
    return codes.detach() + slope * (z - z.detach())


class SparseAutoencoder(Autoencoder):
    """`decode` takes the code nearest to what it is given, so that only codes are ever shown."""

    @property
    def _range(self) -> CodeRange:
        """What codes can be: the activation of the bottleneck, a `Deterministic`."""
        assert isinstance(self.bottleneck, Deterministic)
        assert isinstance(self.bottleneck.activation, CodeRange)
        return self.bottleneck.activation

    @property
    def latent_note(self) -> str:
        return self._range.note

    def forward(self, x: Tensor, generator: Generator | None = None) -> Output[PointPosterior]:
        """As of any model; codes that come from the encoder are in range already."""
        posterior = self.encode(x)
        z = posterior.sample(generator)
        return Output(posterior, z, self.decoder(z))

    def decode(self, z: Tensor) -> Tensor:
        """Logits of p(x|code nearest to z), [B, C, H, W]."""
        return super().decode(self._range.nearest(z))


def sparse_autoencoder(
    config: ModelConfig, data: DataCard, codes: CodeRange
) -> LatentModel[PointPosterior]:
    """A backbone with a point as code, kept to a range."""
    bottleneck = partial(Deterministic, activation=codes)
    return latent_model(config, data, bottleneck, SparseAutoencoder)


def range_of(options: SparseOptions) -> CodeRange:
    """What codes can be: 0 or above, or any number or a rate as in runs from before `measure`."""
    if options.penalty == "kl":
        return Rate()
    return NonNegative() if options.measure == "relative" else CodeRange()


ACTIVITY = {
    "active": Quantity(
        "Speaking units",
        "% of the units, each image",
        help="(Σ|z|)² / Σz² over all units: as if so many spoke, all alike.",
    ),
    "zeros": Quantity(
        "Silent units", "% of the units, each image", help="Share of the codes that are exactly 0."
    ),
}


def check_batch(config: RunConfig, data: DataCard, options: SparseOptions) -> None:
    """A mean activation needs several images."""
    if options.penalty == "kl":
        need_two_images(config, data, options)


@families.register(
    "sparse",
    label="Sparse autoencoder",
    blurb="Many units, of which only a few speak for each image.",
    formula=r"-\log p(x \mid z) + \lambda\, \Omega(z), \\ \Omega(z) = "
    r"\frac{\sum_d |z_d|}{\sqrt{\sum_d z_d^2}} \;\text{or}\; "
    r"\textstyle\sum_d \mathrm{KL}\!\left(\rho \,\|\, \langle z_d \rangle^2 / "
    r"\langle z_d^2 \rangle\right)",
    when="You want parts and strokes as units; give it more latent dimensions than you need. "
    "Codes are never negative, and with l1 most of them are exactly 0.",
    paper="Ng, CS294A lecture notes (2011), section 3; free of scale: Hoyer (2004), section 3.1",
    terms={
        "recon": RECON,
        "sparsity": Quantity(
            "Sparsity penalty",
            "units or nats",
            r"\lambda",
            "l1: Σ|z| over the length of z, 1 where one unit speaks. kl: nats of Bernoulli rates.",
            "weight",
        ),
    }
    | ACTIVITY,
    options=SparseOptions,
    check=check_batch,
    before={"measure": "absolute"},
)
def sparse(config: ModelConfig, data: DataCard, options: SparseOptions) -> Built[PointPosterior]:
    """Deterministic code whose range fits the penalty."""
    model = sparse_autoencoder(config, data, range_of(options))
    return model, SparseObjective(model.likelihood, options)
