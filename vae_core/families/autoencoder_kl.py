"""The autoencoder of latent diffusion, as diffusers keeps it: AutoencoderKL, rebuilt here.

Modules have the names of that format, so that its weights fit as they lie in the file.

Source: Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models (2022),
section 3.1 and appendix G; Esser, Rombach and Ommer, Taming Transformers (2021), table 7, for the
network.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from vae_core.config import ModelConfig
from vae_core.errors import UserError
from vae_core.families.elsewhere import ELBO_FORMULA, TERMS, Measured
from vae_core.families.family import Built, families
from vae_core.families.networks import likelihood_of_pictures
from vae_core.models import Bottleneck, DensityPosterior, GaussianPosterior, LatentModel
from vae_core.models.backbones import Backbone
from vae_core.runs import DataCard
from vae_core.settings import Settings, setting

EPSILON = 1e-6
"""Of the group norms."""

LOGVAR_RANGE = (-30.0, 20.0)

ACTIVATIONS = {
    "silu": nn.SiLU,
    "swish": nn.SiLU,
    "mish": nn.Mish,
    "gelu": nn.GELU,
    "relu": nn.ReLU,
}

NOTE = (
    "The latents are a map of {shape}, and a slider moves all places of it. What N(0, I) draws are "
    "no pictures: such a decoder belongs to a diffusion model, which draws the maps."
)

Channels = Annotated[int, Field(ge=1, le=4096)]
Numbers = Annotated[tuple[float, ...], Field(min_length=1, max_length=1024)]


class AutoencoderKlOptions(Settings):
    """The fields of the format's `config.json`, under their own names."""

    block_out_channels: Annotated[tuple[Channels, ...], Field(min_length=1, max_length=8)] = (
        setting((64,), "Channels", "Of each stage; the image is halved between two of them.")
    )
    layers_per_block: int = setting(1, "Blocks", "Residual blocks of a stage.", ge=1, le=16)
    norm_num_groups: int = setting(32, "Groups", "Of the group norms.", ge=1, le=4096)
    act_fn: Literal["silu", "swish", "mish", "gelu", "relu"] = setting(
        "silu", "Activation", "Between the layers."
    )
    mid_block_add_attention: bool = setting(True, "Attention", "In the middle of both halves.")
    use_quant_conv: bool = setting(True, "Before the latents", "A 1×1 convolution.")
    use_post_quant_conv: bool = setting(True, "After the latents", "A 1×1 convolution.")
    scaling_factor: float = setting(
        0.18215, "Scaling factor", "Multiplies latents, so that their deviation is about 1.", gt=0,
        le=1e6,
    )  # fmt: skip
    shift_factor: float | None = setting(None, "Shift", "Taken from latents before that.")
    latents_mean: Numbers | None = setting(None, "Means", "Of the latents of each channel.")
    latents_std: Numbers | None = setting(None, "Deviations", "Of the latents of each channel.")


class ResnetBlock2D(nn.Module):
    """x + conv(act(norm(conv(act(norm(x)))))), x by a 1×1 convolution where channels change."""

    def __init__(self, channels: int, out: int, options: AutoencoderKlOptions) -> None:
        super().__init__()
        groups = options.norm_num_groups
        self.norm1 = nn.GroupNorm(groups, channels, EPSILON)
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, out, EPSILON)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.nonlinearity = ACTIVATIONS[options.act_fn]()
        if channels != out:
            self.conv_shortcut = nn.Conv2d(channels, out, 1)
        self.widens = channels != out

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(self.nonlinearity(self.norm1(x)))
        inner = self.conv2(self.nonlinearity(self.norm2(inner)))
        return inner + (self.conv_shortcut(x) if self.widens else x)


class Attention(nn.Module):
    """Every place looks at all others with one head: x + W softmax(qkᵀ/√C) v."""

    def __init__(self, channels: int, options: AutoencoderKlOptions) -> None:
        super().__init__()
        self.group_norm = nn.GroupNorm(options.norm_num_groups, channels, EPSILON)
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        places = self.group_norm(x).flatten(2).transpose(1, 2)
        # The one head has an axis of its own, without which this is no operator of ONNX.
        q, k, v = (to(places).unsqueeze(1) for to in (self.to_q, self.to_k, self.to_v))
        mixed = functional.scaled_dot_product_attention(q, k, v).squeeze(1)
        return x + self.to_out[0](mixed).transpose(1, 2).unflatten(2, x.shape[2:])


class Downsample2D(nn.Module):
    """A convolution of stride 2 that sees one row and column of zeros below and to the right."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.conv(functional.pad(x, (0, 1, 0, 1)))
        return found


class Upsample2D(nn.Module):
    """Every pixel becomes four, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        return found


class Stage(nn.Module):
    """Residual blocks, and a change of size behind them but for the last stage."""

    def __init__(
        self, channels: int, out: int, count: int, resized: str, options: AutoencoderKlOptions
    ) -> None:
        """`resized`: "downsamplers", "upsamplers", or "" for none."""
        super().__init__()
        widths = pairwise([channels, *[out] * count])
        self.resnets = nn.ModuleList([ResnetBlock2D(a, b, options) for a, b in widths])
        if resized:
            one = Downsample2D(out) if resized == "downsamplers" else Upsample2D(out)
            setattr(self, resized, nn.ModuleList([one]))
        self.resized = resized

    def forward(self, x: Tensor) -> Tensor:
        for block in self.resnets:
            x = block(x)
        return getattr(self, self.resized)[0](x) if self.resized else x


class Middle(nn.Module):
    """A residual block, attention where it is asked for, another residual block."""

    def __init__(self, channels: int, options: AutoencoderKlOptions) -> None:
        super().__init__()
        attends = options.mid_block_add_attention
        self.attentions = nn.ModuleList([Attention(channels, options)] if attends else [])
        self.resnets = nn.ModuleList([ResnetBlock2D(channels, channels, options) for _ in "ab"])

    def forward(self, x: Tensor) -> Tensor:
        x = self.resnets[0](x)
        for attention in self.attentions:
            x = attention(x)
        found: Tensor = self.resnets[1](x)
        return found


class Ends(nn.Module):
    """What both halves have at their ends, and the order in which the middle comes."""

    def __init__(
        self, inwards: int, ends: tuple[int, int], out: int, options: AutoencoderKlOptions
    ) -> None:
        """`ends`: channels behind the first convolution, and before the last."""
        super().__init__()
        first, last = ends
        self.conv_in = nn.Conv2d(inwards, first, 3, padding=1)
        self.conv_norm_out = nn.GroupNorm(options.norm_num_groups, last, EPSILON)
        self.conv_act = nn.SiLU()  # whichever there is between the other layers
        self.conv_out = nn.Conv2d(last, out, 3, padding=1)

    def stages(self) -> Iterator[nn.Module]:
        """Between the ends, in order."""
        raise AssertionError("a half defines its stages")

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for stage in self.stages():
            x = stage(x)
        found: Tensor = self.conv_out(self.conv_act(self.conv_norm_out(x)))
        return found


class Encoder(Ends):
    """[B, C, H, W] in [−1, 1] → μ and log σ² below each other, [B, 2·latents, h, w]."""

    def __init__(self, channels: int, latents: int, options: AutoencoderKlOptions) -> None:
        widths = options.block_out_channels
        super().__init__(channels, (widths[0], widths[-1]), 2 * latents, options)
        resized = ["downsamplers"] * (len(widths) - 1) + [""]
        pairs = pairwise([widths[0], *widths])
        self.down_blocks = nn.ModuleList(
            Stage(a, b, options.layers_per_block, how, options)
            for (a, b), how in zip(pairs, resized, strict=True)
        )
        self.mid_block = Middle(widths[-1], options)

    def stages(self) -> Iterator[nn.Module]:
        yield from (*self.down_blocks, self.mid_block)


class Decoder(Ends):
    """[B, latents, h, w] → [B, C, H, W] in about [−1, 1]."""

    def __init__(self, channels: int, latents: int, options: AutoencoderKlOptions) -> None:
        widths = options.block_out_channels[::-1]
        super().__init__(latents, (widths[0], widths[-1]), channels, options)
        resized = ["upsamplers"] * (len(widths) - 1) + [""]
        pairs = pairwise([widths[0], *widths])
        self.up_blocks = nn.ModuleList(
            Stage(a, b, options.layers_per_block + 1, how, options)
            for (a, b), how in zip(pairs, resized, strict=True)
        )
        self.mid_block = Middle(widths[0], options)

    def stages(self) -> Iterator[nn.Module]:
        yield from (self.mid_block, *self.up_blocks)


class Standardised(nn.Module):
    """z = (latent − shift) · scale for each channel, and back."""

    def __init__(self, latents: int, options: AutoencoderKlOptions) -> None:
        super().__init__()
        shift = options.latents_mean or (options.shift_factor or 0.0,) * latents
        deviations = options.latents_std or (1.0,) * latents
        scale = [options.scaling_factor / deviation for deviation in deviations]
        for name, numbers in (("shift", shift), ("scale", scale)):
            found = torch.tensor(numbers).view(-1, 1, 1)
            self.register_buffer(name, found, persistent=False)

    shift: Tensor
    scale: Tensor

    def forward(self, z: Tensor) -> Tensor:
        """z → the decoder's own latents."""
        return z / self.scale + self.shift


class KlBottleneck(Bottleneck[GaussianPosterior]):
    """From what the encoder gives to q(z|x) in the units that diffusion models see."""

    def __init__(self, latents: int, options: AutoencoderKlOptions) -> None:
        super().__init__()
        pair = 2 * latents
        self.quant_conv = nn.Conv2d(pair, pair, 1) if options.use_quant_conv else nn.Identity()
        self.units = Standardised(latents, options)

    def forward(self, maps: Tensor) -> GaussianPosterior:
        """maps [B, 2·latents, h, w] → N(μ, σ²) over [B, latents, h, w]."""
        mu, logvar = self.quant_conv(maps).chunk(2, dim=1)
        scale = self.units.scale
        logvar = logvar.clamp(*LOGVAR_RANGE) + 2 * scale.log()
        return GaussianPosterior((mu - self.units.shift) * scale, logvar)


class AutoencoderKl(LatentModel[GaussianPosterior]):
    """A `LatentModel` with latents on maps."""

    @property
    def latent_note(self) -> str:
        return NOTE.format(shape=" × ".join(map(str, self.latent_shapes[0])))


def halving(options: AutoencoderKlOptions) -> int:
    """Pixels along a side for one place of the map."""
    return int(2 ** (len(options.block_out_channels) - 1))


@families.register(
    "autoencoder-kl",
    label="AutoencoderKL",
    blurb="The autoencoder of a latent diffusion model, read from its diffusers folder.",
    formula=ELBO_FORMULA,
    when="You want to see what the latents of a diffusion model hold.",
    paper="Rombach et al. (2022), section 3.1",
    terms=TERMS,
    options=AutoencoderKlOptions,
    brought=True,
)
def autoencoder_kl(
    config: ModelConfig, data: DataCard, options: AutoencoderKlOptions
) -> Built[DensityPosterior]:
    """`latent_dim` is the number of channels of the map."""
    latents, (channels, height, width) = config.latent_dim, data.image_shape
    _require_fit(options, latents, height, width)
    units = Standardised(latents, options)
    after = nn.Conv2d(latents, latents, 1) if options.use_post_quant_conv else nn.Identity()
    encoder = Encoder(channels, latents, options)
    decoder = nn.Sequential(units, after, Decoder(channels, latents, options))
    step = halving(options)
    model = AutoencoderKl(
        data.image_shape,
        (latents, height // step, width // step),
        Backbone(encoder, 2 * latents, decoder),
        KlBottleneck(latents, options),
        likelihood_of_pictures(config, data),
        config.pixel_mean,
        config.pixel_std,
    )
    return model, Measured(model.likelihood)


def _require_fit(options: AutoencoderKlOptions, latents: int, height: int, width: int) -> None:
    step, groups = halving(options), options.norm_num_groups
    if height % step or width % step:
        raise UserError(f"The images are {height}×{width}; this network takes multiples of {step}.")
    if any(width % groups for width in options.block_out_channels):
        raise UserError(
            f"objective.norm_num_groups: {groups} groups do not divide the channels "
            f"{options.block_out_channels}."
        )
    for name in ("latents_mean", "latents_std"):
        numbers = getattr(options, name)
        if numbers is not None and len(numbers) != latents:
            raise UserError(f"objective.{name}: {len(numbers)} numbers for {latents} channels.")
    if options.latents_std is not None and not all(each > 0 for each in options.latents_std):
        raise UserError("objective.latents_std: deviations have to be larger than 0.")
