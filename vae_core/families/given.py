"""A network from elsewhere that is run as it came: an ONNX pair, TorchScript, a Python file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from vae_core.config import ModelConfig
from vae_core.errors import UserError
from vae_core.families.elsewhere import ELBO_FORMULA, TERMS, measured
from vae_core.families.family import Built, families
from vae_core.families.networks import likelihood_of_pictures
from vae_core.models import GivenModel, Scale
from vae_core.runs import DataCard
from vae_core.settings import Settings, setting

Side = Annotated[int, Field(ge=1, le=2**20)]
Numbers = Annotated[tuple[float, ...], Field(min_length=1, max_length=16)]

MOST_LATENTS = 2**20


class GivenOptions(Settings):
    """What runs the network, and on which scales."""

    kind: str = setting("onnx", "Run by", "What runs the network.", max_length=40)
    posterior: Literal["gaussian", "point", "none"] = setting(
        "point", "Encoder gives", "μ and log σ², codes alone, or nothing: there is no encoder."
    )
    latent_shape: Annotated[tuple[Side, ...], Field(min_length=1, max_length=3)] = setting(
        (1,), "Latents", "Their shape for one image."
    )
    input_mean: Numbers = setting((0.0,), "Input mean", "Taken from the pixels of an image.")
    input_std: Numbers = setting((1.0,), "Input deviation", "Divides the pixels of an image.")
    output_mean: Numbers = setting((0.0,), "Output mean", "Added to what the decoder gives.")
    output_std: Numbers = setting((1.0,), "Output deviation", "Multiplies what the decoder gives.")

    @property
    def scales(self) -> tuple[Scale, Scale]:
        """Of the encoder's images and of the decoder's pictures."""
        return (
            Scale(self.input_mean, self.input_std),
            Scale(self.output_mean, self.output_std),
        )


@families.register(
    "given",
    label="Brought network",
    blurb="A network from elsewhere, run as it came.",
    formula=ELBO_FORMULA,
    when="You have a network already, and want to explore it.",
    terms=TERMS,
    options=GivenOptions,
    brought=True,
)
def given(config: ModelConfig, data: DataCard, options: GivenOptions) -> Built[Any]:
    """The halves come when the run is opened, see `vae_core.halves`."""
    channels = data.image_shape[0]
    numbers = (getattr(options, f"{a}_{b}") for a in ("input", "output") for b in ("mean", "std"))
    if any(len(each) not in (1, channels) for each in numbers):
        raise UserError(
            f"objective: mean and deviation are one number or one for {channels} channels."
        )
    if not all(each > 0 for each in (*options.input_std, *options.output_std)):
        raise UserError("objective: a deviation has to be larger than 0.")
    size = 1
    for side in options.latent_shape:
        size *= side
    if size > MOST_LATENTS:
        raise UserError(
            f"objective.latent_shape: {size} latents are too many; at most {MOST_LATENTS}."
        )
    model = GivenModel(
        data.image_shape,
        options.latent_shape,
        options.kind,
        options.posterior,
        options.scales,
        likelihood_of_pictures(config, data),
    )
    return model, measured(model)
