"""The same networks and draws in pythae: the same terms.

pythae's Gaussian likelihood has σ = 1 and leaves out its constant, P/2·log 2π nats, and so does its
IWAE for the two Gaussians in z, where the constants cancel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pythae import models as peers
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.models.vq_vae.vq_vae_utils import Quantizer
from torch import Tensor

from tests.test_families import settings
from vae_core.families import build, complete
from vae_core.families.factor_vae import density_ratio, permuted
from vae_core.losses.adversarial import discriminator_nll
from vae_core.models import LatentModel, Output
from vae_core.objective import MODEL, Objective
from vae_core.types import Context, LossTerms, total

BATCH, SHAPE, IMAGES = 8, (1, 16, 16), 100
CONSTANT = {"bernoulli": 0.0, "gaussian": math.prod(SHAPE) / 2 * math.log(2 * math.pi)}
THEIR_NAME = {"bernoulli": "bce", "gaussian": "mse"}

with_both_likelihoods = pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])


@dataclass
class Case:
    """One batch through one of our families."""

    model: LatentModel
    objective: Objective
    likelihood: str
    x: Tensor
    output: Output
    terms: LossTerms

    @property
    def pictures(self) -> Tensor:
        return self.objective.likelihood.mean(self.output.x_logits)

    @property
    def recon(self) -> Tensor:
        return self.terms["recon"].value.mean() - CONSTANT[self.likelihood]

    def peer(self, name: str, **config: Any) -> Any:
        """pythae's model `name` around our networks, with the draws of this case."""
        # Its one name that ends in a word of capitals has an underscore more.
        suffix = "_Config" if name == "INFOVAE_MMD" else "Config"
        made = getattr(peers, name + suffix)(
            input_dim=SHAPE,
            latent_dim=4,
            reconstruction_loss=THEIR_NAME[self.likelihood],
            **config,
        )
        peer = getattr(peers, name)(made, encoder=Encoder(self.model), decoder=Decoder(self.model))
        draws = len(self.output.z) // BATCH
        z = self.output.z.unflatten(0, (draws, BATCH)).transpose(0, 1)
        peer._sample_gauss = lambda mu, std: (z.reshape(mu.shape), None)
        return peer


class Encoder(BaseEncoder):  # type: ignore[misc]
    """Our encoder as pythae wants one."""

    def __init__(self, model: LatentModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> ModelOutput:
        q = self.model.encode(x)
        return ModelOutput(embedding=q.mu, log_covariance=q.logvar)


class Decoder(BaseDecoder):  # type: ignore[misc]
    """Our decoder as pythae wants one."""

    def __init__(self, model: LatentModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.model.likelihood.mean(self.model.decode(z)))


def case(family: str, likelihood: str, **options: Any) -> Case:
    torch.manual_seed(0)
    changes = {"objective": options, "model": {"likelihood": likelihood, "sigma": 1.0}}
    model, objective = build(complete(settings(family).updated(changes)), SHAPE)
    with torch.no_grad():  # posteriors apart from each other and from the prior
        model.bottleneck.mu.weight.mul_(30.0)
        model.bottleneck.scale.bias.fill_(-1.0)
    x = torch.rand(BATCH, *SHAPE)
    context = Context(0, torch.Generator().manual_seed(1), train_images=IMAGES)
    output = objective(model, x, context)
    return Case(
        model, objective, likelihood, x, output, objective.losses(x, output, context)[MODEL]
    )


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours.detach(), theirs.detach(), rtol=1e-4, atol=1e-4)


@with_both_likelihoods
def test_vae(likelihood: str) -> None:
    ours = case("vae", likelihood)
    theirs = ours.peer("VAE")({"data": ours.x})
    close(ours.recon, theirs.recon_loss)
    close(ours.terms["kl"].value.mean(), theirs.reg_loss)


@with_both_likelihoods
def test_beta_tcvae_with_weighted_sampling(likelihood: str) -> None:
    weights = {"alpha": 2.0, "beta": 5.0, "gamma": 0.5}
    ours = case("beta-tcvae", likelihood, estimator="weighted", **weights)
    peer = ours.peer("BetaTCVAE", use_mss=False, **weights)
    theirs = peer({"data": ours.x}, dataset_size=IMAGES)
    close(ours.recon, theirs.recon_loss)
    close(total({name: ours.terms[name] for name in ("mi", "tc", "dwkl")}), theirs.reg_loss)


def test_beta_tcvae_with_stratified_sampling_differs_where_pythae_errs() -> None:
    """Its matrix puts the weight 1/N into the first column for every row; the paper's appendix
    C.2 gives it to the image that z came from, which is the diagonal. tests/test_decomposition.py
    counts out that ours is unbiased. With the matrix put right, both agree."""
    ours = case("beta-tcvae", "bernoulli", estimator="stratified")
    peer = ours.peer("BetaTCVAE", use_mss=True, beta=6.0)
    parts = total({name: ours.terms[name] for name in ("mi", "tc", "dwkl")})
    wrong = peer({"data": ours.x}, dataset_size=IMAGES).reg_loss
    assert abs(float((parts - wrong).detach())) > 0.1
    weights = torch.full((BATCH, BATCH), 1 / (BATCH - 1))
    for row in range(BATCH):
        weights[row, row] = 1 / IMAGES
        weights[row, (row + 1) % BATCH] = (IMAGES - BATCH + 1) / (IMAGES * (BATCH - 1))
    peer._log_importance_weight_matrix = lambda batch, images: weights.log()
    # Summing over dimensions, it broadcasts [B, B] as [B, B, 1], as ours does.
    close(parts, peer({"data": ours.x}, dataset_size=IMAGES).reg_loss)


@with_both_likelihoods
def test_factor_vae(likelihood: str) -> None:
    """It takes the two halves of a batch for model and critic, we the same codes for both; with
    the same codes put in, the terms are the same."""
    ours = case("factor-vae", likelihood, gamma=7.0, critic_units=16)
    critic: Any = ours.objective.get_submodule("critic")
    peer = ours.peer("FactorVAE", gamma=7.0)
    peer.discriminator.layers = critic
    shuffled = permuted(ours.output.z.detach(), torch.Generator().manual_seed(5))
    q = ours.output.posterior
    recon, model, of_critic = peer.loss_function(
        ours.pictures, ours.x, q.mu, q.logvar, ours.output.z, shuffled
    )
    close(ours.recon, recon)
    close(total(ours.terms) - CONSTANT[likelihood], model)
    real, mixed = density_ratio(critic(ours.output.z)), density_ratio(critic(shuffled))
    close(discriminator_nll(real, mixed).mean(), of_critic)


@pytest.mark.parametrize("kernel", ["imq", "rbf"])
def test_info_vae(kernel: str) -> None:
    ours = case("info-vae", "bernoulli", beta=0.2, mmd=9.0, kernel=kernel)
    peer = ours.peer(
        "INFOVAE_MMD", kernel_choice=kernel, alpha=0.8, lbd=9.2, kernel_bandwidth=1.0, scales=[1.0]
    )
    noise = torch.Generator().manual_seed(1)
    torch.randn(BATCH, 4, generator=noise)  # what was drawn for z
    prior = torch.randn(BATCH, 4, generator=noise)
    q, z = ours.output.posterior, ours.output.z
    loss, recon, kl, mmd = peer.loss_function(ours.pictures, ours.x, z, prior, q.mu, q.logvar)
    close(ours.recon, recon)
    close(ours.terms["kl"].value.mean(), kl)
    close(ours.terms["mmd"].value.mean(), mmd)
    close(total(ours.terms), loss)


def test_iwae_has_the_same_gradient() -> None:
    """Its value is Σ w̃ log w, not the bound log 1/k Σ w; the gradients are one and the same."""
    ours = case("iwae", "bernoulli", samples=5)
    theirs = ours.peer("IWAE", number_samples=5)({"data": ours.x})
    close(ours.recon, theirs.recon_loss)
    weights = list(ours.model.parameters())
    gradients = torch.autograd.grad(total(ours.terms), weights, retain_graph=True)
    for mine, other in zip(gradients, torch.autograd.grad(theirs.loss, weights), strict=True):
        close(mine, other)


def test_vq_vae_chooses_the_same_codes_at_the_same_cost() -> None:
    """Its commitment is the mean over all numbers of all encodings, ours their sum an image. Its
    term for the codebook has weight 0 here: ours follows running means instead."""
    torch.manual_seed(0)
    config = settings("vq-vae").updated({"objective": {"codes": 16, "commitment": 0.25}})
    model, objective = build(config, SHAPE)
    model.eval()
    x = torch.rand(BATCH, *SHAPE)
    context = Context(0, torch.Generator().manual_seed(1))
    output = objective(model, x, context)
    posterior: Any = output.posterior
    encodings = posterior.continuous.permute(0, 2, 3, 1)
    peer = Quantizer(
        SimpleNamespace(
            embedding_dim=4,
            num_embeddings=16,
            commitment_loss_factor=0.25,
            quantization_loss_factor=0.0,
        )
    )
    quantiser: Any = model.get_submodule("quantiser")
    peer.embeddings.weight.data.copy_(quantiser.codebook)
    theirs = peer(encodings)
    assert torch.equal(theirs.quantized_indices[:, 0], posterior.indices)
    assert len(posterior.indices.unique()) > 1
    close(output.z, theirs.quantized_vector)
    term = objective.losses(x, output, context)[MODEL]["commitment"]
    close(total({"commitment": term}) / encodings[0].numel(), theirs.loss)
