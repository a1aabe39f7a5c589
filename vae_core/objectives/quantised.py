"""Reconstruction from codes out of a finite set, and how the set is used."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vae_core.models.likelihoods import Likelihood
from vae_core.models.posteriors import QuantisedPosterior
from vae_core.objectives.objective import MODEL, Objective
from vae_core.settings import Settings, setting
from vae_core.types import Context, LossTerms, Output, Term


class QuantisedObjective(Objective):
    """−log p(x|z) + places · log K, the latter a constant.

    A code is certain given the image and, before anything is learned about codes, one of K: its
    KL is log K (van den Oord et al. 2017, section 3.1). Watched in training: the perplexity of the
    batch's codes, exp of their entropy, and how many of them are in use. Who measures a whole part
    counts them over all its images (`vae_core.metrics`).
    """

    def __init__(self, likelihood: Likelihood, codes: int) -> None:
        super().__init__(likelihood)
        self.nats_a_place = math.log(codes)

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        losses = super().losses(x, output, context)
        indices = output.posterior.aux["indices"]
        watched = x.new_ones(len(x))
        losses[MODEL]["kl"] = Term(watched * (indices[0].numel() * self.nats_a_place))
        if self.training:
            used, perplexity = usage(indices)
            losses[MODEL]["perplexity"] = Term(watched * perplexity, 0.0)
            losses[MODEL]["codes_used"] = Term(watched * used, 0.0)
        return losses


class VectorQuantisedOptions(Settings):
    """The codebook, and how the encoder is held to it."""

    codes: int = setting(
        256, "Codes", "Size of the codebook; more keep more detail.", ge=2, le=65_536
    )
    commitment: float = setting(
        0.25,
        "Commitment β",
        "How strongly encodings are drawn to their code; too little lets them run away.",
        more=True,
        ge=0,
        le=1e4,
    )
    decay: float = setting(
        0.97,
        "Codebook memory γ",
        "Share of its running mean that a code keeps at every step.",
        more=True,
        ge=0,
        le=0.9999,
    )
    restart: float = setting(
        0.1,
        "Restart below",
        "Codes used less than this share of an even use are put onto a fresh encoding; 0 never.",
        more=True,
        ge=0,
        le=0.9,
    )

    def code_count(self, latent_dim: int) -> int:
        """How many codes there are, K."""
        return self.codes


class VectorQuantisedObjective(QuantisedObjective):
    """−log p(x|z) + places · log K + β · |z_e − sg(e)|².

    Source: van den Oord, Vinyals and Kavukcuoglu, Neural Discrete Representation Learning (2017),
    equation 3; the codebook's own term is replaced by running means, appendix A.1.
    """

    def __init__(self, likelihood: Likelihood, options: VectorQuantisedOptions) -> None:
        super().__init__(likelihood, options.codes)
        self.commitment = options.commitment

    def controls(self, context: Context) -> dict[str, float]:
        return {"commitment": context.overrides.get("commitment", self.commitment)}

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        losses = super().losses(x, output, context)
        posterior = output.posterior
        assert isinstance(posterior, QuantisedPosterior)
        distance = (posterior.continuous - posterior.z.detach()).square().flatten(1).sum(1)
        losses[MODEL]["commitment"] = Term(distance, self.controls(context)["commitment"])
        return losses


def usage(indices: Tensor) -> tuple[int, Tensor]:
    """How many codes occur in indices, and their perplexity: exp of their entropy in nats."""
    counts = torch.unique(indices, return_counts=True)[1]
    shares = counts / counts.sum()
    return len(counts), torch.special.entr(shares).sum().exp()
