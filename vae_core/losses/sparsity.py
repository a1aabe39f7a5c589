"""What dense codes cost."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

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
    return activations.mean(0)


def firing_share(activations: Tensor) -> Tensor:
    """⟨a⟩² / ⟨a²⟩ of every unit over the batch, [B, D] → [D]: how many images it fires for.

    The share itself where a unit is off or on, 1 where it never changes; the same at every scale.

    Source: Rolls and Tovee, Sparseness of the Neuronal Representation of Stimuli in the Primate
    Temporal Visual Cortex (1995), equation 1; by unit: Willmore and Tolhurst (2001), equation 2.
    """
    return activations.mean(0).square() / activations.square().mean(0).clamp_min(_SMALLEST**2)


def activation_kl(
    activations: Tensor, target: float, rate_of: Callable[[Tensor], Tensor] = mean_rate
) -> Tensor:
    """Σ_d KL(target ‖ rate of unit d) between Bernoulli rates, in nats.

    Args:
        activations: in (0, 1), [B, D]; the rate of a unit is taken over the batch.
        target: the rate at which a unit ought to fire, in (0, 1).
        rate_of: what counts as the rate, [B, D] → [D].

    Returns:
        the same for every image, [B].

    Source: Ng, Sparse Autoencoder, CS294A lecture notes (2011), section 3.
    """
    rate = rate_of(activations).clamp(_SMALLEST, 1 - _SMALLEST)
    on = target * (target / rate).log()
    off = (1 - target) * ((1 - target) / (1 - rate)).log()
    return (on + off).sum().expand(len(activations))
