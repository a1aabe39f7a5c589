"""The sparse autoencoder."""

from __future__ import annotations

from torch import nn

from vae_core.config import ModelConfig, RunConfig
from vae_core.families.family import NATS, RECON, Quantity, families, need_two_images
from vae_core.families.networks import latent_model
from vae_core.models import LatentModel
from vae_core.models.autoencoder import Autoencoder
from vae_core.models.bottlenecks import Deterministic
from vae_core.objectives.sparse import SparseObjective, SparseOptions
from vae_core.runs import DataCard

ACTIVATIONS: dict[str, type[nn.Module]] = {"l1": nn.Identity, "kl": nn.Sigmoid}
"""Of the codes: a rate of firing lies between 0 and 1."""


def need_a_batch(config: RunConfig, data: DataCard, options: SparseOptions) -> None:
    """A mean activation needs several images."""
    if options.penalty == "kl":
        need_two_images(config, data, options)


@families.family(
    "sparse",
    label="Sparse autoencoder",
    blurb="Many units, of which only a few may speak for each image.",
    formula=r"-\log p(x \mid z) + \lambda\, \Omega(z), \\ \Omega(z) = "
    r"\textstyle\sum_d |z_d| \;\text{or}\; \sum_d \mathrm{KL}(\rho \,\|\, \bar{z}_d)",
    when="You want parts and strokes as units; give it more latent dimensions than you need.",
    paper="Ng, CS294A lecture notes (2011), section 3; sparse codes: Makhzani and Frey (2014)",
    terms={
        "recon": RECON,
        "sparsity": Quantity(
            "Sparsity penalty",
            NATS,
            r"\lambda",
            "Σ|z| in nats of a Laplace prior, or nats of Bernoulli rates.",
            "weight",
        ),
        "active": Quantity(
            "Speaking units", "%", help="Share of units above a tenth of the largest activation."
        ),
    },
    options=SparseOptions,
    check=need_a_batch,
)
def sparse(
    config: ModelConfig, data: DataCard, options: SparseOptions
) -> tuple[LatentModel, SparseObjective]:
    """Deterministic code with an activation that fits the penalty."""

    def bottleneck(features: int, latent_dim: int) -> nn.Module:
        return Deterministic(features, latent_dim, ACTIVATIONS[options.penalty]())

    model = latent_model(config, data, bottleneck, Autoencoder)
    return model, SparseObjective(model.likelihood, options)
