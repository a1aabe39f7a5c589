"""Changed runs that mend what symptoms show; each is offered only where its setting exists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vae_core.config import RunConfig

PLAIN = "vae"
"""The family that free bits are a variant of."""

FREE_BITS = 0.25
"""Nats a dimension may carry for nothing: enough to be used, little beside a rate of some nats."""

LEARNED = {"gaussian": "gaussian-optimal", "laplace": "laplace-optimal"}
"""Likelihoods of a fixed σ, and those that find it by themselves."""

RESTART = 0.03
"""Share of an even use below which a code is restarted: the setting's own default."""

CLIP = 1.0
STEPS = 1000
"""Of a warm-up: what it takes a small network to learn to reconstruct."""


@dataclass(frozen=True)
class Remedy:
    """A button: its label, what it does to the result, and the nested changes of the settings."""

    label: str
    help: str
    changes: dict[str, Any]

    def applied(self, config: RunConfig) -> RunConfig:
        """The changed configuration, which no preset is; a `UserError` for what is out of range."""
        return config.updated({**self.changes, "preset": None})


def applicable(*remedies: Remedy | None) -> tuple[Remedy, ...]:
    """Those that there are."""
    return tuple(remedy for remedy in remedies if remedy is not None)


def set_beta(config: RunConfig, beta: float, steps: int) -> Remedy | None:
    """β = `beta`, reached by a warm-up of `steps` where the family has one."""
    if not isinstance(config.objective.get("beta"), int | float):
        return None
    changes: dict[str, object] = {"beta": beta}
    if "schedule" in config.objective:
        changes |= {"schedule": "linear", "schedule_steps": max(1, steps)}
    return Remedy(
        f"Train with β = {beta:.3g}",
        f"β rises to {beta:.3g} over the first {steps} steps.",
        {"objective": changes},
    )


def warm_up(config: RunConfig, steps: int) -> Remedy | None:
    """The same β, reached from 0: reconstruction is learned before the KL has to be paid."""
    if config.objective.get("schedule", "linear") == "linear":
        return None
    return Remedy(
        f"Warm β up over {steps} steps",
        "Reconstruction is learned first, before the KL has to be paid.",
        {"objective": {"schedule": "linear", "schedule_steps": max(1, steps)}},
    )


def free_bits(config: RunConfig, beta: float) -> Remedy | None:
    """Some nats for nothing in every dimension: Kingma et al. (2016)."""
    if config.family != PLAIN:
        return None
    return Remedy(
        f"Free bits: {FREE_BITS:g} nats a dimension",
        "Each dimension may carry that much at no price, so that none is switched off.",
        {"family": "free-bits", "objective": {"beta": beta, "free": FREE_BITS}},
    )


def learned_noise(config: RunConfig) -> Remedy | None:
    """A σ far wider than the pixels' errors makes every nat of detail too dear."""
    learned = LEARNED.get(config.model.likelihood)
    if learned is None:
        return None
    return Remedy(
        "Learn the pixel noise",
        f"σ = {config.model.sigma:g} is fixed; a learned one follows the errors.",
        {"model": {"likelihood": learned}},
    )


def gentler_steps(config: RunConfig) -> Remedy:
    """A tenth of the learning rate."""
    rate = float(f"{config.train.learning_rate / 10:.1g}")
    return Remedy(
        f"Learning rate {rate:.1g}",
        "Smaller steps: slower, but they do not overshoot.",
        {"train": {"learning_rate": rate}},
    )


def clipped_steps(config: RunConfig) -> Remedy | None:
    """The same, and gradients cut at norm 1 where they are not yet."""
    if config.train.gradient_clip is not None:
        return None
    return Remedy(
        f"The same with gradients clipped at {CLIP:g}",
        "One unusual batch can no longer throw the network off.",
        {"train": gentler_steps(config).changes["train"] | {"gradient_clip": CLIP}},
    )


def stop_at(epoch: int) -> Remedy:
    """End where the validation was best."""
    return Remedy(
        f"Stop after epoch {epoch}",
        "The validation was best there; what came later was learned by heart.",
        {"train": {"epochs": max(1, epoch)}},
    )


def restarted_codes(config: RunConfig) -> Remedy | None:
    """Unused codes are put where the encodings are: Dhariwal et al., Jukebox (2020), section 3."""
    if config.objective.get("restart") != 0:
        return None
    return Remedy(
        "Restart unused codes",
        "Codes that are hardly used are put onto fresh encodings.",
        {"objective": {"restart": RESTART}},
    )


def fewer_codes(codes: int) -> Remedy:
    """A smaller codebook, all of which can be kept in use."""
    return Remedy(
        f"{codes} codes",
        "As many as are used, and room for twice that.",
        {"objective": {"codes": codes}},
    )
