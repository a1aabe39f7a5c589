"""The k-sparse autoencoder: the k largest codes speak, all others are 0."""

from __future__ import annotations

import torch
from torch import Tensor

from vae_core.config import ModelConfig, RunConfig
from vae_core.errors import UserError
from vae_core.families.family import RECON, Built, families
from vae_core.families.sparse import ACTIVITY, NonNegative, activity, leaky, sparse_autoencoder
from vae_core.models import Output, PointPosterior
from vae_core.objective import MODEL, Objective
from vae_core.runs import DataCard
from vae_core.settings import Settings, setting
from vae_core.types import Context, Losses


class KSparseOptions(Settings):
    """How many units may speak."""

    k: int = setting(
        4, "Speaking units k", "Codes that may differ from 0 in each image; more keep more.", ge=1
    )


class KSparseObjective(Objective[PointPosterior]):
    """−log p(x|z): the codes themselves are sparse.

    Source: Makhzani and Frey, k-Sparse Autoencoders (2014), section 2.1.
    """

    def losses(self, x: Tensor, output: Output[PointPosterior], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        losses[MODEL] |= activity(output.z)
        return losses


class KLargest(NonNegative):
    """The k largest of max(z, 0); all others are exactly 0.

    Source: Makhzani and Frey, k-Sparse Autoencoders (2014), section 2.1; never below 0 as in Gao
    et al., Scaling and Evaluating Sparse Autoencoders (2024), section 2.3.
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k
        self.note = (
            f"At most {k} codes of this model differ from 0, none is negative: of what sliders "
            f"are set to, the {k} largest count."
        )

    def forward(self, z: Tensor) -> Tensor:
        values, places = z.topk(min(self.k, z.shape[1]), dim=1)
        return leaky(torch.zeros_like(z).scatter(1, places, values.relu()), z)


def check_k(config: RunConfig, data: DataCard, options: KSparseOptions) -> None:
    """More units than there are cannot speak."""
    if options.k > config.model.latent_dim:
        raise UserError(
            f"objective.k: {options.k} units cannot speak where there are "
            f"{config.model.latent_dim} latent dimensions; take fewer, or raise model.latent_dim."
        )


@families.register(
    "k-sparse",
    label="k-sparse autoencoder",
    blurb="Keeps the k largest codes of each image; all others are exactly 0.",
    formula=r"-\log p(x \mid z), \\ z = \mathrm{top}_k\!\left(\max(f(x), 0)\right)",
    when="You want parts as units and to say how many make an image; take k well below the "
    "latent dimensions.",
    paper="Makhzani and Frey (2014), section 2.1",
    terms={"recon": RECON} | ACTIVITY,
    options=KSparseOptions,
    check=check_k,
)
def k_sparse(config: ModelConfig, data: DataCard, options: KSparseOptions) -> Built[PointPosterior]:
    """Deterministic code of at most k units that are not 0."""
    model = sparse_autoencoder(config, data, KLargest(options.k))
    return model, KSparseObjective(model.likelihood)
