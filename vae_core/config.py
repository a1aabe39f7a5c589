"""The configuration of a run: frozen, validated, JSON in and out, free of torch.

`objective` and `model.options` stay plain dictionaries here; the registered family and backbone
own the classes that validate them (`vae_core.families.complete`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ValidationError, field_validator

from vae_core.errors import UserError
from vae_core.nested import merged, require_json
from vae_core.schedules import DecayName
from vae_core.settings import Settings, explain, setting


class DataConfig(Settings):
    """Which images, and how they are brought to one size."""

    dataset: str = setting("mnist", "Data set", "The images that the model learns.")
    data_dir: str | None = setting(
        None,
        "Data folder",
        "Where the data set lies, or your folder or .zip of images; empty means the data folder.",
        more=True,
    )
    image_size: int | None = setting(
        None,
        "Image size",
        "Side of the square that every image is brought to; empty keeps the data set's own.",
        unit="px",
        more=True,
        ge=8,
        le=512,
    )
    channels: Literal[1, 3] | None = setting(
        None,
        "Channels",
        "1 learns greyscale, 3 learns colour; empty keeps what the images have.",
        more=True,
    )
    resize: Literal["crop", "fit"] = setting(
        "crop",
        "Resize",
        "crop cuts the centre square; fit keeps the whole image and pads it.",
        more=True,
    )
    pages: Literal["all", "first"] = setting(
        "all",
        "Pages",
        "Of a file of several pictures (pages, frames, slices, rows): all of them, or the first.",
        more=True,
    )
    validation_fraction: float = setting(
        0.05,
        "Validation share",
        "Share of the training images kept aside to measure; 0 keeps 5 %.",
        more=True,
        ge=0,
        le=0.9,
    )
    validation: Literal["content", "last"] = setting(
        "content", "Validation images", "By what they show, or the last of the files.", more=True
    )
    limit: int | None = setting(
        None,
        "At most",
        "Learn from this many images, the same share of every label; empty takes every one.",
        unit="images",
        more=True,
        ge=2,
    )


class ModelConfig(Settings):
    """The network: backbone, size of the latent space, and the likelihood of the pixels."""

    backbone: str = setting(
        "conv", "Backbone", "The network on both sides: conv sees neighbourhoods, mlp does not."
    )
    latent_dim: int = setting(
        16,
        "Latent dimensions",
        "More keep more detail; with few, each has to mean something.",
        ge=1,
        le=1024,
    )
    likelihood: str = setting(
        "auto",
        "Likelihood",
        "How pixels vary around the decoder's picture; auto: Bernoulli for grey, "
        "Gaussian with learned σ for colour.",
        more=True,
    )
    sigma: float = setting(
        0.1,
        "Pixel noise σ",
        "For a fixed Gaussian: smaller asks for sharper reconstructions and weakens β.",
        unit="of the [0, 1] range",
        more=True,
        gt=1e-4,
        le=10,
    )
    output: Literal["sigmoid", "identity"] = setting(
        "sigmoid",
        "Output",
        "sigmoid keeps Gaussian means inside [0, 1]; identity leaves them free.",
        more=True,
    )
    pixel_mean: float = setting(
        0.0, "Pixel mean", "Taken from every pixel before the network sees it.", more=True
    )
    pixel_std: float = setting(
        1.0, "Pixel deviation", "Divides every pixel before the network sees it.", more=True, gt=0
    )
    scale_head: Literal["logvar", "logsigma"] = setting(
        "logvar",
        "Scale head",
        "What the second head of the encoder predicts: log σ² or log σ.",
        more=True,
    )
    logvar_range: tuple[float, float] = setting(
        (-30.0, 20.0),
        "Log-variance range",
        "log σ² of the codes is kept in it, so that nothing overflows.",
        more=True,
    )
    options: dict[str, Any] = setting({}, "Backbone options", "Widths and depths of the backbone.")

    @field_validator("logvar_range")
    @classmethod
    def _range_is_one(cls, limits: tuple[float, float]) -> tuple[float, float]:
        if not -100 <= limits[0] < limits[1] <= 80:
            raise ValueError("the lower end must lie below the upper one, both in [-100, 80]")
        return limits


class TrainConfig(Settings):
    """How the weights are found."""

    epochs: int = setting(
        10, "Epochs", "Passes over the training images; more sharpen the result.", ge=1, le=100_000
    )
    batch_size: int = setting(
        128, "Batch size", "Images a step; larger is smoother and faster.", unit="images", ge=1
    )
    learning_rate: float = setting(
        1e-3, "Learning rate", "Size of a step; halve it when the loss jumps.", gt=0, le=10
    )
    decay: DecayName = setting(
        "constant",
        "Learning rate decay",
        "cosine lets the steps shrink to nothing by the end, which settles the result.",
        more=True,
    )
    decay_factor: float = setting(
        0.95,
        "Decay factor",
        "What an epoch leaves of the learning rate where its decay is exponential.",
        more=True,
        gt=0,
        le=1,
    )
    optimizer: Literal["adam", "adamw"] = setting(
        "adam", "Optimiser", "adamw decouples the weight decay.", more=True
    )
    adam_betas: tuple[float, float] = setting(
        (0.9, 0.999), "Adam betas", "How long the two running averages remember.", more=True
    )
    adam_epsilon: float = setting(
        1e-8, "Adam epsilon", "Damps the steps of weights with tiny gradients.", more=True, gt=0,
        le=1,
    )  # fmt: skip
    weight_decay: float = setting(
        0.0, "Weight decay", "Pulls weights towards zero.", more=True, ge=0
    )
    gradient_clip: float | None = setting(
        None, "Gradient clip", "Largest norm of a gradient; empty leaves it free.", more=True, gt=0
    )
    seed: int = setting(
        0,
        "Seed",
        "Same seed, same settings, same machine: same result.",
        more=True,
        ge=0,
        le=2**32 - 1,
    )
    log_every: int = setting(
        10,
        "Log every",
        "Steps that one point of the curves averages; fewer where they take over 0.4 s.",
        unit="steps",
        more=True,
        ge=1,
    )
    preview_every: int | None = setting(
        None, "Preview every", unit="steps", more=True, ge=1,
        help="Steps between pictures of the hold-out images; empty takes about 40 in a run.",
    )  # fmt: skip
    checkpoint_every: int | None = setting(
        None, "Save every", unit="steps", more=True, ge=1,
        help="Steps between saves beside those by time and at the ends of epochs.",
    )  # fmt: skip
    save_every_s: float | None = setting(
        30.0,
        "Save at least every",
        "Training that a kill can cost; longer where a save takes over 1 % of it. Empty saves at "
        "the ends of epochs alone.",
        unit="s",
        more=True,
        gt=0,
    )
    spike: float | None = setting(
        None,
        "Skip spikes",
        "Skips a step whose loss lies as many times as far above the median of the 100 before it "
        "as they do at the median; empty takes every finite step.",
        unit="× their spread",
        more=True,
        gt=0,
    )
    threads: int | None = setting(
        None, "Threads", "CPU threads; empty takes every core.", more=True, ge=1, le=256
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = setting(
        "auto", "Device", "auto takes a GPU where there is one.", more=True
    )
    compile: bool = setting(
        False, "Compile", "torch.compile; pays on long runs of large networks only.", more=True
    )

    @field_validator("adam_betas")
    @classmethod
    def _betas_below_one(cls, betas: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError("both must lie in [0, 1)")
        return betas


class RunConfig(Settings):
    """Everything that decides what a run computes. Equal configs on one machine: equal runs."""

    family: str = setting("vae", "Family", "What is learned and what is minimised.")
    preset: str | None = setting(None, "Preset", "The recipe that this run started from.")
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    objective: dict[str, Any] = setting({}, "Objective", "The family's own settings, such as β.")
    train: TrainConfig = TrainConfig()

    def to_json(self) -> str:
        """Indented JSON, keys in declaration order."""
        return self.model_dump_json(indent=2)

    def updated(self, changes: Mapping[str, Any]) -> RunConfig:
        """A copy with nested values replaced, e.g. `{"model": {"latent_dim": 8}}`.

        The options of a family or backbone go with it: under another one, only those among the
        changes count.

        Raises:
            UserError: as `parse_config`.
        """
        old = self.model_dump()
        if changes.get("family", self.family) != self.family:
            old["objective"] = {}
        model = changes.get("model")
        if isinstance(model, Mapping) and model.get("backbone") not in (None, self.model.backbone):
            old["model"]["options"] = {}
        return parse_config(merged(old, changes))


def parse_config(values: Mapping[str, Any] | str | bytes) -> RunConfig:
    """A `RunConfig` from a mapping or JSON text.

    Raises:
        UserError: on text that is no JSON, unknown keys, wrong types or values out of range.
    """
    if isinstance(values, str | bytes):
        try:
            values = json.loads(values)
        except (ValueError, RecursionError) as error:
            raise UserError(f"The configuration is not valid JSON: {error}.") from None
    require_json(values)
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise UserError(explain(error, "", RunConfig)) from None
