"""The denoising autoencoder."""

from __future__ import annotations

from dataclasses import replace

from vae_core.config import ModelConfig
from vae_core.families.family import RECON, families
from vae_core.families.networks import deterministic
from vae_core.models import LatentModel
from vae_core.objectives.denoising import DenoisingObjective, DenoisingOptions
from vae_core.runs import DataCard

REPAIRED = replace(
    RECON, help="−log p(x|z) of the whole image where the encoder was shown the damaged one."
)


@families.family(
    "denoising",
    label="Denoising autoencoder",
    blurb="Sees damaged images and learns to give the whole ones back.",
    formula=r"-\log p(x \mid z), \\ z = f(\tilde{x}), \quad \tilde{x} \sim C(\tilde{x} \mid x)",
    when="You want codes that survive noise, or to clean images.",
    paper="Vincent et al. (2008), section 2.3; noises: Vincent et al. (2010), section 3.3",
    terms={"recon": REPAIRED},
    options=DenoisingOptions,
)
def denoising(
    config: ModelConfig, data: DataCard, options: DenoisingOptions
) -> tuple[LatentModel, DenoisingObjective]:
    """Deterministic code of a damaged image, reconstruction of the whole one."""
    model = deterministic(config, data)
    return model, DenoisingObjective(model.likelihood, options)
