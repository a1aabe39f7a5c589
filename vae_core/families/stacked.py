"""The stacked denoising autoencoder."""

from __future__ import annotations

from vae_core.config import ModelConfig
from vae_core.families.denoising import REPAIRED
from vae_core.families.family import Quantity, families
from vae_core.families.networks import deterministic
from vae_core.models import LatentModel
from vae_core.models.layers import layers_of
from vae_core.objectives.stacked import StackedObjective, StackedOptions
from vae_core.runs import DataCard


@families.family(
    "stacked-denoising",
    label="Stacked denoising autoencoder",
    blurb="Learns to undo noise layer by layer from the image inwards, then all layers together.",
    formula=r"\tfrac{1}{2}\left\| h_{l-1} - g_l\!\left(f_l(\tilde{h}_{l-1})\right) \right\|^2 "
    r"\;\text{for}\; l = 1, 2, \dots, \\ \text{then}\quad -\log p(x \mid z)",
    when="You want to see how deep networks were trained before they could be trained at once.",
    paper="Vincent et al. (2010), section 3.5",
    terms={
        "recon": REPAIRED,
        "layer": Quantity("Layer's reconstruction", help="Of the one layer that learns now."),
    },
    options=StackedOptions,
)
def stacked_denoising(
    config: ModelConfig, data: DataCard, options: StackedOptions
) -> tuple[LatentModel, StackedObjective]:
    """Deterministic code; layers as players of their own, then the whole network."""
    model = deterministic(config, data)
    layers = layers_of(model, config.backbone)
    return model, StackedObjective(model.likelihood, options, layers)
