"""What families with a finite set of codes share: their network, and how the set is used."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from vae_core.config import ModelConfig
from vae_core.families.family import RECON, Quantity
from vae_core.families.networks import MapOptions, model_on_maps
from vae_core.models import (
    LatentModel,
    Likelihood,
    Output,
    QuantisedBottleneck,
    QuantisedModel,
    QuantisedPosterior,
    Quantiser,
)
from vae_core.objective import MODEL, Objective
from vae_core.runs import DataCard
from vae_core.shares import gathered_part
from vae_core.types import Context, Losses, Term


class QuantisedObjective(Objective[QuantisedPosterior]):
    """−log p(x|z) + places · log K, the latter a constant.

    A code is certain given the image and, before anything is learned about codes, one of K: its
    KL is log K (van den Oord et al. 2017, section 3.1). Watched in training: the perplexity of the
    batch's codes, exp of their entropy, and how many of them are in use.
    """

    def __init__(self, likelihood: Likelihood, codes: int) -> None:
        super().__init__(likelihood)
        self.nats_per_place = math.log(codes)

    def losses(self, x: Tensor, output: Output[QuantisedPosterior], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        indices = output.posterior.indices
        watched = x.new_ones(len(x))
        losses[MODEL]["kl"] = Term(watched * (indices[0].numel() * self.nats_per_place))
        if self.training:
            used, perplexity = usage(gathered_part(indices))
            losses[MODEL]["perplexity"] = Term(watched * perplexity, 0.0)
            losses[MODEL]["codes_used"] = Term(watched * used, 0.0)
        return losses


def usage(indices: Tensor) -> tuple[Tensor, Tensor]:
    """How many codes occur in indices, and their perplexity: exp of their entropy in nats.

    In order, equal ones are a stretch, told by its first. `torch.unique` would make the host wait
    for a GPU, to learn how many there are.
    """
    ordered = indices.flatten().sort().values
    begins, ends = (torch.searchsorted(ordered, ordered, right=right) for right in (False, True))
    first = begins == torch.arange(len(ordered), device=indices.device)
    entropy = torch.special.entr((ends - begins) / len(ordered)).where(first, 0.0).sum()
    return first.sum(), entropy.exp()


CODES = {
    "recon": RECON,
    "kl": Quantity(
        "Code length", help="Places × log K: what the codes cost while all count as equally likely."
    ),
    "codes_in_use": Quantity(
        "Codes in use",
        "codes",
        help="Different codes over all validation images together.",
        measured="of {codes}, {n_validation} images",
    ),
    "code_perplexity": Quantity(
        "Perplexity",
        "codes",
        help="exp of the entropy of the codes of all validation images: as if so many were used, "
        "all alike.",
        measured="codes, {n_validation} images",
    ),
    "perplexity": Quantity(
        "Perplexity, one batch",
        "codes",
        help="The same within one training batch, whose size bounds it.",
    ),
    "codes_used": Quantity(
        "Codes in use, one batch",
        "codes",
        help="Different codes within one training batch, whose size bounds them.",
    ),
}


def quantised(
    config: ModelConfig, data: DataCard, options: MapOptions, quantiser: Quantiser
) -> LatentModel[QuantisedPosterior]:
    """A trunk cut where the codes lie, a quantiser between its halves."""
    bottleneck = partial(QuantisedBottleneck, quantiser=quantiser)
    return model_on_maps(config, data, options, quantiser.dim, bottleneck, QuantisedModel)
