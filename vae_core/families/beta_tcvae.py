"""β-TCVAE: the KL taken apart, each part with a weight of its own."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from vae_core.families.family import KL, RECON, Quantity, families, need_two_images
from vae_core.families.networks import on_diagonal_gaussian, weight_setting
from vae_core.losses import gaussian_log_density, standard_normal_log_density
from vae_core.losses.minibatch import ESTIMATORS
from vae_core.models import GaussianPosterior, Output
from vae_core.objective import MODEL, Objective
from vae_core.settings import Settings, setting
from vae_core.shares import at_hand, batch_size, gathered
from vae_core.types import Context, Losses, Term


class BetaTcvaeOptions(Settings):
    """The three weights and the estimator of q(z)."""

    beta: float = weight_setting(
        6.0,
        "β on total correlation",
        "More makes dimensions independent of each other; 1 everywhere is the VAE.",
    )
    alpha: float = weight_setting(
        1.0, "α on mutual information", "More forgets more of each image.", more=True
    )
    gamma: float = weight_setting(
        1.0,
        "γ on dimension-wise KL",
        "More draws each dimension by itself towards N(0, 1).",
        more=True,
    )
    estimator: Literal["weighted", "stratified"] = setting(
        "stratified",
        "Estimator of q(z)",
        "stratified is unbiased; weighted, the paper's own, is off by about log N a dimension.",
        more=True,
    )


class BetaTcvaeObjective(Objective[GaussianPosterior]):
    """−log p(x|z) + α · mutual information + β · total correlation + γ · dimension-wise KL.

    Source: Chen, Li, Grosse and Duvenaud, Isolating Sources of Disentanglement in VAEs (2018).
    """

    options: BetaTcvaeOptions

    def controls(self, context: Context) -> dict[str, float]:
        return {"beta": context.overrides.get("beta", self.options.beta)}

    def losses(self, x: Tensor, output: Output[GaussianPosterior], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        mu, logvar = output.posterior.mu, output.posterior.logvar
        batch = batch_size(x)
        log_weights = ESTIMATORS[self.options.estimator](batch, max(batch, context.train_images))
        parts = decomposition(output.z, mu, logvar, log_weights.to(mu))
        weights = (self.options.alpha, self.controls(context)["beta"], self.options.gamma)
        for name, value, weight in zip(("mi", "tc", "dwkl"), parts, weights, strict=True):
            losses[MODEL][name] = Term(value, weight)
        losses[MODEL]["kl"] = Term(output.posterior.kl().sum(1).detach(), 0.0)
        return losses


def decomposition(
    z: Tensor, mu: Tensor, logvar: Tensor, log_weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """One-draw estimates whose means over images are the three parts of the mean KL: mutual
    information log q(z|x) − log q(z), total correlation log q(z) − Σ log q(z_d) and dimension-wise
    KL Σ log q(z_d) − log p(z), nats, [B] each. Their sum is log q(z|x) − log p(z).

    z, mu and logvar are [B, D], a draw and its posterior for each image; `log_weights` [B, B] those
    of image j's posterior (column) in the mixture that stands for q(z) at draw i (row).
    """
    every = gathered(mu), gathered(logvar)
    log_weights = at_hand(log_weights)
    log_q = gaussian_log_density(z[:, None], *every)  # [draw, posterior, D]
    log_q_given_x = gaussian_log_density(z, mu, logvar).sum(1)
    log_q_z = torch.logsumexp(log_weights + log_q.sum(2), 1)
    log_q_product = torch.logsumexp(log_weights[:, :, None] + log_q, 1).sum(1)
    log_p = standard_normal_log_density(z).sum(1)
    return log_q_given_x - log_q_z, log_q_z - log_q_product, log_q_product - log_p


families.register(
    "beta-tcvae",
    label="β-TCVAE",
    blurb="Only the dependence between dimensions is made expensive, not what they carry.",
    formula=r"-\log p(x \mid z) + \alpha\, I_q(z; x) \\ {} + "
    r"\beta\, D_{\mathrm{KL}}\!\left(q(z) \,\|\, \textstyle\prod_d q(z_d)\right) \\ {} + "
    r"\gamma\, \textstyle\sum_d D_{\mathrm{KL}}\!\left(q(z_d) \,\|\, p(z_d)\right)",
    when="You want one factor of the images in each dimension, sharper than β-VAE gives it.",
    paper="Chen et al. (2018)",
    terms={
        "recon": RECON,
        "kl": KL,
        "mi": Quantity(
            "Mutual information", weight=r"\alpha", help="What codes say about which image it was."
        ),
        "tc": Quantity(
            "Total correlation", weight=r"\beta", help="How much dimensions depend on each other."
        ),
        "dwkl": Quantity(
            "Dimension-wise KL", weight=r"\gamma", help="How far each dimension is from N(0, 1)."
        ),
    },
    options=BetaTcvaeOptions,
    check=need_two_images,
)(on_diagonal_gaussian(BetaTcvaeObjective))
