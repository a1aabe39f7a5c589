"""The configuration of a run: frozen, validated, JSON in and out, free of torch.

`objective` and `model.options` stay plain dictionaries here; the registered family and backbone
own the classes that validate them (`vae_core.families.complete`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError, field_validator

from vae_core.errors import UserError
from vae_core.locations import is_address
from vae_core.nested import merged, require_json
from vae_core.schedules import DecayName
from vae_core.settings import Auto, Settings, explain, setting
from vae_core.signed import without_signature

LEAST_SIDE, MOST_SIDE = 8, 512
"""In pixels."""

MOST_CHANNELS = 16


Binarisation = Literal["none", "threshold", "static", "dynamic"]


class Size(NamedTuple):
    """Sides of images in pixels; what a form calls them stands beside."""

    height: Annotated[int, "Height"]
    width: Annotated[int, "Width"]


class Window(NamedTuple):
    """The values of picture files that become black and white."""

    low: Annotated[float, "Black at"]
    high: Annotated[float, "White at"]


class DataConfig(Settings):
    """Which images, and how they are brought to one size and one scale."""

    dataset: str = setting("mnist", "Data set", "The images that the model learns.")
    data_dir: str | None = setting(
        None,
        "Data folder",
        "Where the data set lies, or your folder or file of images, or the address of archives; "
        "empty means the data folder.",
        more=True,
    )
    image_size: int | Size | None = setting(
        None,
        "Image size",
        "Height and width that every image is brought to, one of them for a square; empty keeps "
        "the data set's own, or what suits most of your images.",
        unit="px",
        more=True,
    )
    channels: int | None = setting(
        None,
        "Channels",
        "1 learns greyscale, 3 learns colour; empty keeps what the images have.",
        more=True,
        ge=1,
        le=MOST_CHANNELS,
    )
    resize: Literal["crop", "fit", "stretch"] = setting(
        "crop",
        "Resize",
        "Where proportions differ, crop cuts the sides, pad keeps the whole image and fills the "
        "rest, stretch changes the proportions.",
        more=True,
    )
    mask_padding: bool = setting(
        True, "Padding is masked", "What was filled in is not learned and not measured.", more=True
    )
    window: Window | None = setting(
        None,
        "Window",
        "The values of your files that are shown as black and as white, the same for all of them; "
        "empty takes their range.",
        more=True,
    )
    windowed: Literal["deep", "all", "file"] | None = setting(
        None,
        "Window for",
        "deep: files of more than 8 bits, all: every file. file knows no window and scales each "
        "by its own largest value. Empty is deep, or all where a window is given and no file is "
        "deep.",
        more=True,
    )
    binarise: Binarisation = setting(
        "none",
        "Binarise",
        "Makes grey images black and white: threshold by what is brighter than half, static with "
        "each grey value the chance of white, drawn once, dynamic drawn anew each time an image is "
        "learned from. Likelihoods of MNIST are published for the last two.",
        more=True,
    )
    shown_channels: tuple[int, int, int] | None = setting(
        None,
        "Channels shown",
        "Which three are shown as red, green and blue, from 1, where images have other than 1 or "
        "3; empty shows the first ones.",
        more=True,
    )
    pages: Literal["all", "first"] = setting(
        "all",
        "Pages",
        "Of a file of several pictures (pages, frames, slices, rows): all of them, or the first.",
        more=True,
    )
    label_column: str | None = setting(
        None,
        "Label column",
        "The column of a table beside your images that holds their labels, or folder; empty finds "
        "it.",
        more=True,
        min_length=1,
        max_length=1000,
    )
    validation_fraction: Auto[float] = setting(
        0.05,
        "Validation share",
        "Share of the training images kept aside to measure; 0 keeps 5 %, auto more of few.",
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

    letters: str | None = setting(
        None,
        "Letters",
        "Of the data set of letters: which ones, such as A or 0123456789; empty takes A to Z.",
        more=True,
        min_length=1,
        max_length=100,
    )
    selection: str | None = setting(
        None,
        "Selection",
        "NAME@RUN: images that were chosen among a run's encodings; empty takes every one.",
        more=True,
        max_length=200,
    )
    selection_use: Literal["only", "without"] = setting(
        "only",
        "Of the selection",
        "only learns from the selected images alone; without leaves them out.",
        more=True,
    )

    @field_validator("data_dir")
    @classmethod
    def _no_secret_in_an_address(cls, place: str | None) -> str | None:
        return without_signature(place) if place is not None and is_address(place) else place

    @field_validator("image_size", mode="before")
    @classmethod
    def _sides_in_words(cls, size: Any) -> Any:
        """`48x64` is 48 high and 64 wide, `64x64` is 64."""
        if isinstance(size, str) and re.fullmatch(r"\s*\d{1,6}\s*([x×,]\s*\d{1,6}\s*)?", size):
            size = [int(side) for side in re.split("[x×,]", size)]
        if isinstance(size, list | tuple) and (len(size) == 1 or size[0] == size[-1]):
            size = size[0]
        sides = size if isinstance(size, list | tuple) and len(size) == 2 else (size,)
        if size is not None and any(type(side) is not int for side in sides):
            raise ValueError("give one side, such as 64, or height and width, such as 48x64")
        return size

    @field_validator("image_size")
    @classmethod
    def _sides_in_bounds(cls, size: int | Size | None) -> int | Size | None:
        sides = size if isinstance(size, tuple) else () if size is None else (size,)
        if not all(LEAST_SIDE <= side <= MOST_SIDE for side in sides):
            raise ValueError(f"every side must lie between {LEAST_SIDE} and {MOST_SIDE} px")
        return size

    @field_validator("resize", mode="before")
    @classmethod
    def _pad_is_fit(cls, resize: Any) -> Any:
        return "fit" if resize == "pad" else resize

    @field_validator("window", "shown_channels", mode="before")
    @classmethod
    def _numbers_in_words(cls, numbers: Any) -> Any:
        """`1000,1100` on a command line."""
        return re.split("[,\\s]+", numbers.strip(" ()[]")) if isinstance(numbers, str) else numbers

    @field_validator("window")
    @classmethod
    def _window_is_one(cls, window: Window | None) -> Window | None:
        if window is not None and not window.low < window.high:
            raise ValueError("the lower end must lie below the upper one")
        return window

    @field_validator("shown_channels")
    @classmethod
    def _shown_are_channels(cls, shown: tuple[int, int, int] | None) -> Any:
        if shown is not None and not all(1 <= channel <= MOST_CHANNELS for channel in shown):
            raise ValueError(f"each must be a channel from 1 to {MOST_CHANNELS}")
        return shown

    @property
    def size(self) -> Size | None:
        """Both sides, None where they are left open."""
        sides = self.image_size
        return Size(sides, sides) if isinstance(sides, int) else sides


class ModelConfig(Settings):
    """The network: backbone, size of the latent space, and the likelihood of the pixels."""

    backbone: str = setting(
        "conv", "Backbone", "The network on both sides: conv sees neighbourhoods, mlp does not."
    )
    latent_dim: Auto[int] = setting(
        16,
        "Latent dimensions",
        "More keep more detail; with few, each has to mean something. Auto estimates how many "
        "the images have.",
        ge=1,
        le=1024,
    )
    likelihood: str = setting(
        "auto",
        "Likelihood",
        "How pixels vary around the decoder's picture; auto: Bernoulli for ink on paper, "
        "Gaussian with learned σ for photographs.",
        more=True,
    )
    mixture: int = setting(
        10,
        "Mixture components",
        "Of a mixture of logistics: more describe a pixel more closely and take longer.",
        more=True,
        ge=1,
        le=64,
    )
    sigma: float = setting(
        0.1,
        "Pixel noise σ",
        "Where σ is fixed: smaller asks for sharper reconstructions and weakens β.",
        unit="of the [0, 1] range",
        more=True,
        gt=1e-4,
        le=10,
    )
    output: Literal["sigmoid", "identity"] = setting(
        "sigmoid",
        "Output",
        "sigmoid keeps the means of pixels inside [0, 1]; identity leaves them free.",
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


TrackerName = Annotated[str, Field(pattern=r"^[a-z0-9_-]+$", max_length=60)]


class TrainConfig(Settings):
    """How the weights are found."""

    epochs: Auto[int] = setting(
        10,
        "Epochs",
        "Passes over the training images; more sharpen the result. Auto is a budget of steps.",
        ge=1,
        le=100_000,
    )
    batch_size: Auto[int] = setting(
        128,
        "Batch size",
        "Images a step; larger is smoother and faster. Auto takes fewer of few images.",
        unit="images",
        ge=1,
    )
    accumulate: int = setting(
        1,
        "Gradient accumulation",
        "Computes a batch in so many parts, one after the other, and takes one step on all of it: "
        "for batches that need more memory than there is.",
        unit="parts",
        more=True,
        ge=1,
        le=4096,
    )
    sampling: Literal["shuffled", "balanced"] = setting(
        "shuffled",
        "Sampling",
        "balanced draws every label equally often, where a few images of one would be lost among "
        "many of others.",
        more=True,
    )
    shuffling: Literal["auto", "whole", "windows"] = setting(
        "whole",
        "Shuffling",
        "whole mixes all images; windows mixes half a GB of them at a time, drawn in blocks from "
        "everywhere, which a disk reads many times faster where they do not fit in memory. auto "
        "takes windows from 8 GB on.",
        more=True,
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
    warmup_steps: int = setting(
        0,
        "Learning rate warm-up",
        "The learning rate rises over so many steps, as Adam has not seen enough gradients yet to "
        "know how long a step may be; 0 begins with all of it.",
        unit="steps",
        more=True,
        ge=0,
        le=10_000_000,
    )
    ema: float = setting(
        0.0,
        "Average of the weights",
        "What is shown, measured and saved is a running average of the weights, of which a step "
        "keeps this share, such as 0.999: calmer than the newest ones. 0 takes the newest.",
        more=True,
        ge=0,
        lt=1,
    )
    early_stopping_patience: Auto[int] = setting(
        0,
        "Early stopping patience",
        "Training ends after so many epochs without a better validation, and keeps the weights of "
        "the best; 0 goes on to the last epoch and keeps the last.",
        unit="epochs",
        more=True,
        ge=0,
        le=100_000,
    )
    validation_images: Auto[int] = setting(
        0,
        "Measured each epoch",
        "So many of the validation images, always the same ones; 0 takes all, auto no more than "
        "cost little. When the run ends all of them are measured.",
        unit="images",
        more=True,
        ge=0,
    )
    augmentation: Literal["auto", "none", "flip", "shift", "flip+shift"] = setting(
        "none",
        "Augmentation",
        "Shows each image mirrored every other time, or shifted by up to a sixteenth of its side; "
        "auto does what leaves the images of a kind.",
        more=True,
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
    precision: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "auto",
        "Precision",
        "Bits of the numbers that the networks compute with while they learn. bf16 and fp16 have "
        "half as many and are faster where the processor knows them; fp16 is for GPUs. auto tries "
        "and takes the faster where the loss stays the same.",
        more=True,
    )
    compress_gradients: Literal["none", "bf16"] = setting(
        "none",
        "Compress gradients",
        "bf16 halves what several processes send each other at every step, and rounds it; for "
        "slow networks between machines.",
        more=True,
    )
    compile: bool = setting(
        False, "Compile", "torch.compile; pays on long runs of large networks only.", more=True
    )

    track: tuple[TrackerName, ...] = setting(
        (),
        "Trackers",
        "Programs of yours in which the training can be watched as well. Their files lie in the "
        "run, and nothing is sent anywhere.",
        more=True,
        max_length=16,
    )

    continued_at: int = setting(
        0,
        "Trained on at",
        "The step at which the run had come to its end and was trained on: a falling learning rate "
        "and the patience begin anew there.",
        unit="step",
        more=True,
        ge=0,
    )

    def steps_per_epoch(self, images: int) -> int:
        """Steps of a pass over so many training images; the last one may have fewer."""
        return -(-images // self.batch_size)

    def total_steps(self, images: int) -> int:
        """Steps of the whole run, unless it ends early."""
        return self.steps_per_epoch(images) * self.epochs

    @field_validator("track", mode="before")
    @classmethod
    def _trackers_in_words(cls, names: Any) -> Any:
        """`tensorboard,wandb` on a command line."""
        if isinstance(names, str):
            names = filter(None, re.split("[,\\s]+", names.strip(" ()[]")))
        return tuple(dict.fromkeys(names)) if isinstance(names, Iterable) else names

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
    start_from: str | None = setting(
        None, "Start from", "The run whose weights this one began with; empty begins at random."
    )
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
