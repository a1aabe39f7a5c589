"""β between the conventions of tutorials and libraries, and nats per image.

Each of them weighs a squared error, or a binary cross-entropy, against a KL. Times a constant, its
loss is the −log p(x|z) + β·KL of this product, Gaussian or Bernoulli, so their gradients point the
same way: the constant makes the error one in nats per image, and what it makes of the weight is β.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """What a conversion has to know of the images and the model.

    values: numbers in an image, C·H·W (P in the formulas).
    latent_dim: latent dimensions (L).
    sigma: deviation of the Gaussian p(x|z), on the [0, 1] scale of pixels (σ).
    pixel_std: what the tutorial divides its pixels by, 1 where it does not (s); pixels brought to
        [−1, 1] were divided by 0.5.
    """

    values: int
    latent_dim: int
    sigma: float
    pixel_std: float = 1.0


GAUSSIAN, BERNOULLI = "gaussian", "bernoulli"


@dataclass(frozen=True)
class Convention:
    """One way to write the loss; `unit` is the β that the weight w = 1 stands for.

    pixels: the likelihood that its error belongs to, "" where it is any.
    """

    name: str
    label: str
    loss: str
    formula: str
    unit: Callable[[Scale], float]
    pixels: str = GAUSSIAN

    def beta(self, weight: float, scale: Scale) -> float:
        """β in nats per image of this convention's weight."""
        return weight * self.unit(scale)

    def weight(self, beta: float, scale: Scale) -> float:
        """This convention's weight of β in nats per image."""
        return beta / self.unit(scale)


def _squared(scale: Scale) -> float:
    """s²/(2σ²): nats of a squared error 1 between the tutorial's pixels."""
    return scale.pixel_std**2 / (2 * scale.sigma**2)


_ALL = (
    Convention(
        "nats", "This app", "−log p(x|z) + β · KL, in nats per image", "β", lambda _: 1.0, ""
    ),
    Convention(
        "mse-mean-kl-mean",
        "Means of both",
        "mse.mean() + w · kl.mean()",
        "w · P · s² / (2 · σ² · L)",
        lambda scale: scale.values * _squared(scale) / scale.latent_dim,
    ),
    Convention(
        "mse-mean-kl-sum",
        "Mean error, summed KL",
        "mse.mean() + w · kl.sum(dim=1).mean()",
        "w · P · s² / (2 · σ²)",
        lambda scale: scale.values * _squared(scale),
    ),
    # models/vanilla_vae.py: F.mse_loss, and the KL summed over dimensions; 0.00025 in its
    # configs/vae.yaml.
    Convention(
        "pytorch-vae",
        "PyTorch-VAE's kld_weight",
        "F.mse_loss(x̂, x) + kld_weight · kl.sum(dim=1).mean()",
        "kld_weight · P · s² / (2 · σ²)",
        lambda scale: scale.values * _squared(scale),
    ),
    # pythae 0.1.2, models/beta_vae/beta_vae_model.py; earlier versions left out the half.
    Convention(
        "pythae",
        "pythae's beta",
        "(½ · (x̂ − x)².sum(dim=1) + beta · kl.sum(dim=1)).mean()",
        "beta · s² / σ²",
        lambda scale: 2 * _squared(scale),
    ),
    # PyTorch's own example of a VAE, pytorch/examples/vae/main.py; its nats are those of an image.
    Convention(
        "bce-sum-kl-sum", "Sums of both", "bce.sum() + w · kl.sum()", "w", lambda _: 1.0, BERNOULLI
    ),
    Convention(
        "bce-mean-kl-sum",
        "Mean cross-entropy, summed KL",
        "bce.mean() + w · kl.sum(dim=1).mean()",
        "w · P",
        lambda scale: scale.values,
        BERNOULLI,
    ),
    Convention(
        "bce-mean-kl-mean",
        "Means of both, cross-entropy",
        "bce.mean() + w · kl.mean()",
        "w · P / L",
        lambda scale: scale.values / scale.latent_dim,
        BERNOULLI,
    ),
)

CONVENTIONS = {convention.name: convention for convention in _ALL}
"""By name; the first is this product's own."""
