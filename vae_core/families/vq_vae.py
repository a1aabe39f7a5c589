"""The vector-quantised autoencoder: a picture as a small table of learned codes."""

from __future__ import annotations

from vae_core.config import ModelConfig
from vae_core.families.codes import CODES, quantised_model
from vae_core.families.family import Quantity, families
from vae_core.families.maps import MapOptions
from vae_core.models.bottlenecks import VectorQuantised
from vae_core.models.quantised import QuantisedModel
from vae_core.models.quantisers import VectorQuantiser
from vae_core.objectives.quantised import VectorQuantisedObjective, VectorQuantisedOptions
from vae_core.runs import DataCard


class VqVaeOptions(VectorQuantisedOptions, MapOptions):
    """The codebook, and where the codes lie."""


@families.family(
    "vq-vae",
    label="VQ-VAE",
    blurb="Every place takes the nearest vector of a learned codebook; sharp and discrete.",
    formula=r"-\log p(x \mid e) + \textstyle\sum_{i,j} \log K + "
    r"\beta\, \lVert z_e - \mathrm{sg}(e) \rVert^2",
    when="You want discrete codes, to compress or to learn a prior over them afterwards.",
    paper="van den Oord, Vinyals and Kavukcuoglu (2017), equation 3 and appendix A.1",
    terms=CODES
    | {
        "commitment": Quantity(
            "Commitment",
            "squared distance",
            r"\beta",
            "How far encodings are from their codes, over all places.",
            "commitment",
        )
    },
    options=VqVaeOptions,
)
def vq_vae(
    config: ModelConfig, data: DataCard, options: VqVaeOptions
) -> tuple[QuantisedModel, VectorQuantisedObjective]:
    """`latent_dim` is the length of a code's vector."""
    quantiser = VectorQuantiser(options.codes, config.latent_dim, options.decay, options.restart)
    model = quantised_model(config, data, options, quantiser, VectorQuantised)
    return model, VectorQuantisedObjective(model.likelihood, options)
