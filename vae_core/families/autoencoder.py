"""The plain autoencoder."""

from __future__ import annotations

from typing import Any

from vae_core.config import ModelConfig
from vae_core.families.family import RECON, Built, families
from vae_core.families.networks import deterministic
from vae_core.models import PointPosterior
from vae_core.objective import Objective
from vae_core.runs import DataCard


@families.register(
    "autoencoder",
    label="Autoencoder",
    blurb="Learns to copy through a narrow code; sharp, but its space has holes.",
    formula=r"-\log p(x \mid z)",
    when="Take it to compress or compare images, and as the yardstick for every other family.",
    paper="Hinton and Salakhutdinov (2006)",
    terms={"recon": RECON},
)
def autoencoder(config: ModelConfig, data: DataCard, options: Any) -> Built[PointPosterior]:
    """Deterministic code, reconstruction only."""
    model = deterministic(config, data)
    return model, Objective(model.likelihood)
