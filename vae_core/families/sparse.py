"""The sparse autoencoder, by a penalty and by keeping the k largest codes."""

from __future__ import annotations

from functools import partial

from vae_core.config import ModelConfig, RunConfig
from vae_core.errors import UserError
from vae_core.families.family import RECON, Quantity, families, need_two_images
from vae_core.families.networks import latent_model
from vae_core.models import LatentModel
from vae_core.models.bottlenecks import Deterministic
from vae_core.models.ranged import RangedModel
from vae_core.models.ranges import KLargest, NonNegative, Range, Rate, Unbounded
from vae_core.objectives.sparse import (
    KSparseObjective,
    KSparseOptions,
    SparseObjective,
    SparseOptions,
)
from vae_core.runs import DataCard

SILENCE = {
    "active": Quantity(
        "Speaking units",
        "% of the units, each image",
        help="(Σ|z|)² / Σz² over all units: as if so many spoke, all alike.",
    ),
    "zeros": Quantity(
        "Silent units", "% of the units, each image", help="Share of the codes that are exactly 0."
    ),
}


def need_a_batch(config: RunConfig, data: DataCard, options: SparseOptions) -> None:
    """A mean activation needs several images."""
    if options.penalty == "kl":
        need_two_images(config, data, options)


@families.family(
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
    | SILENCE,
    options=SparseOptions,
    check=need_a_batch,
    before={"measure": "absolute"},
)
def sparse(
    config: ModelConfig, data: DataCard, options: SparseOptions
) -> tuple[LatentModel, SparseObjective]:
    """Deterministic code whose range fits the penalty."""
    model = ranged(config, data, range_of(options))
    return model, SparseObjective(model.likelihood, options)


def range_of(options: SparseOptions) -> Range:
    """What codes can be: 0 or above, or any number or a rate as in runs from before `measure`."""
    if options.penalty == "kl":
        return Rate()
    return NonNegative() if options.measure == "relative" else Unbounded()


def fits_the_code(config: RunConfig, data: DataCard, options: KSparseOptions) -> None:
    """More units than there are cannot speak."""
    if options.k > config.model.latent_dim:
        raise UserError(
            f"objective.k: {options.k} units cannot speak where there are "
            f"{config.model.latent_dim} latent dimensions; take fewer, or raise model.latent_dim."
        )


@families.family(
    "k-sparse",
    label="k-sparse autoencoder",
    blurb="Keeps the k largest codes of each image; all others are exactly 0.",
    formula=r"-\log p(x \mid z), \\ z = \mathrm{top}_k\!\left(\max(f(x), 0)\right)",
    when="You want parts as units and to say how many make an image; take k well below the "
    "latent dimensions.",
    paper="Makhzani and Frey (2014), section 2.1",
    terms={"recon": RECON} | SILENCE,
    options=KSparseOptions,
    check=fits_the_code,
)
def k_sparse(
    config: ModelConfig, data: DataCard, options: KSparseOptions
) -> tuple[LatentModel, KSparseObjective]:
    """Deterministic code of at most k units that are not 0."""
    model = ranged(config, data, KLargest(options.k))
    return model, KSparseObjective(model.likelihood)


def ranged(config: ModelConfig, data: DataCard, codes: Range) -> LatentModel:
    """A backbone with a point as code, kept to a range."""
    bottleneck = partial(Deterministic, activation=codes)
    return latent_model(config, data, bottleneck, RangedModel)
