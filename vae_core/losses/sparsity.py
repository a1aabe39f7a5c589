"""What dense codes cost."""

from __future__ import annotations

from torch import Tensor

_SMALLEST = 1e-6  # keeps the logarithm finite where a unit never or always fires


def l1(codes: Tensor) -> Tensor:
    """Σ |z_d| of codes [B, D], [B]."""
    return codes.abs().sum(1)


def activation_kl(activations: Tensor, target: float) -> Tensor:
    """Σ_d KL(target ‖ mean activation of unit d) between Bernoulli rates, in nats.

    Args:
        activations: in (0, 1), [B, D]; the mean is over the batch.
        target: the rate at which a unit ought to fire, in (0, 1).

    Returns:
        the same for every image, [B].

    Source: Ng, Sparse Autoencoder, CS294A lecture notes (2011), section 3.
    """
    rate = activations.mean(0).clamp(_SMALLEST, 1 - _SMALLEST)
    on = target * (target / rate).log()
    off = (1 - target) * ((1 - target) / (1 - rate)).log()
    return (on + off).sum().expand(len(activations))
