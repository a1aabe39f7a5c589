"""What the JSON files of a run hold, as it is believed: checked, finite, bounded.

A key that is not known here was written by another version. It is set aside when a file is read,
however deep it lies, and `Run.notes` says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, FiniteFloat

from vae_core.settings import Settings

LONGEST_TEXT = 4000
"""Characters of a sentence for people; more of it is cut."""

SILENT_S, LONGEST_SILENCE_S = 60.0, 3600.0
"""A holder elsewhere that has not been seen to beat for so many seconds is taken for dead. The
holder says it in its job, from the environment variable VAE_SILENT_S where that is set."""

State = Literal["starting", "training", "paused", "finished", "stopped", "failed", "interrupted"]
ACTIVE: frozenset[State] = frozenset({"starting", "training", "paused"})


def _finite(value: Any) -> Any:
    """None, which stands for "not known", where a training that diverged left no number."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _moment(text: Any) -> Any:
    if isinstance(text, str) and text:
        try:
            if 0 <= datetime.fromisoformat(text).timestamp() < 2**36:
                return text
        except (ValueError, OverflowError, OSError):
            pass
        raise ValueError("no date and time")
    return text


def cut(message: object) -> object:
    """A reason may quote what it could not read; nobody reads more than a page of it."""
    if isinstance(message, str) and len(message) > LONGEST_TEXT:
        return message[: LONGEST_TEXT - 1] + "…"
    return message


Number = Annotated[float | None, BeforeValidator(_finite)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Short = Annotated[str, Field(max_length=LONGEST_TEXT)]
Side = Annotated[int, Field(ge=1, le=2**16)]
Channels = Annotated[int, Field(ge=1, le=64)]


class PartDigests(Settings):
    """Of each part: SHA-256 of its images in their order and of the names of their labels."""

    train: str
    validation: str
    test: str


class DataCard(Settings):
    """`data.json`: what is kept of the data set beside the model."""

    dataset: Short
    image_shape: tuple[Channels, Side, Side]
    n_train: Count
    n_validation: Count
    n_test: Count = 0
    label_names: Annotated[tuple[str, ...], FailFast(), Field(max_length=2**16)] = ()
    factor_names: Annotated[tuple[Short, ...], FailFast(), Field(max_length=1000)] = ()
    notes: Annotated[tuple[str, ...], FailFast(), Field(max_length=10_000)] = ()
    hold_outs: Annotated[tuple[Short, ...], FailFast(), Field(max_length=100)] = ()
    """Names of the files of the images that the previews show, where they came from files."""
    digest: PartDigests | None = None
    """None in runs that were trained before it was kept."""


class Brought(Settings):
    """`brought.json`: a network that came from elsewhere, and was not trained here.

    kind: by which door, such as "diffusers". source: what its file or folder is called.
    digest: SHA-256 of what was brought. notes: sentences for the person.
    """

    kind: Short
    source: Short
    digest: Short = ""
    notes: Annotated[tuple[Short, ...], FailFast(), Field(max_length=100)] = ()


class Chosen(Settings):
    """A setting that was left to the data, as `vae_core.choices.Choice` has it."""

    setting: Short
    value: Any = None
    reason: Short


class Choices(Settings):
    """`choices.json`: what the configuration had left open when the run began."""

    choices: Annotated[tuple[Chosen, ...], FailFast(), Field(max_length=1000)] = ()


class Job(Settings):
    """`job.json`: a process at work.

    started: when it began, as its kernel counts it: ticks since the boot, on Linux.
    host: the machine's name, for people. boot, pids: this boot of it, and whose process ids.
    token: this piece of work. lease: the number of its lease, see `lease.py`.
    silent_s: how many seconds without a heartbeat tell others that it is dead.
    ended: it said that it has ended.
    create_time: what earlier versions kept in place of all this.
    """

    pid: int
    started: float = 0.0
    host: str = Field(default="", pattern=r"^[A-Za-z0-9._-]*$", max_length=253)
    boot: str = ""
    pids: str = ""
    token: str = ""
    lease: int = Field(default=0, ge=0, lt=10**9)
    silent_s: float = Field(default=SILENT_S, gt=0, le=LONGEST_SILENCE_S)
    ended: bool = False
    create_time: float | None = None


class Placement(Settings):
    """`placement.json`: that a cluster trains the run. Its address is no part of it: whoever
    connects to a cluster trusts it, which a folder that somebody has sent shall decide for nobody.

    id: names its work in the cluster. cpus, gpus: what it takes of a machine there.
    """

    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    cpus: float = Field(default=1.0, gt=0, le=4096)
    gpus: float = Field(default=0.0, ge=0, le=1024)


class Status(Settings):
    """`status.json`: what the worker last said of itself. `updated` is ISO 8601 in UTC."""

    state: State = "starting"
    step: Count = 0
    total_steps: Count = 0
    epoch: Count = 0
    images_per_s: float | None = None
    seconds_left: float | None = None
    message: Annotated[str, BeforeValidator(cut)] = ""
    acceptable: bool = False
    """Resuming was refused because the images are not as they were, and may be asked for again."""
    updated: Short = ""


class SavedDirection(Settings):
    """A direction under a name; `vector` [D] is what was saved, of any length but 0."""

    name: str
    vector: tuple[float, ...]


class SavedDirections(Settings):
    """`saved_directions.json`, in the order in which they were saved."""

    directions: tuple[SavedDirection, ...] = ()


class SavedSelection(Settings):
    """Images under a name: the hashes of what they show, as base64 of uint64; `split` is the part
    that they were chosen in. `selection.json` of a run that learns from them is one."""

    name: Annotated[str, Field(max_length=60)]
    split: Annotated[str, Field(max_length=60)] = ""
    hashes: str


class SavedSelections(Settings):
    """`saved_selections.json`, in the order in which they were saved."""

    selections: Annotated[tuple[SavedSelection, ...], FailFast(), Field(max_length=200)] = ()


class Stored(BaseModel):
    """What is written anew with the keys of another version still in it."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Summary(Stored):
    """`summary.json`: what was measured of the trained model, in nats per image."""

    step: Count | None = None
    split: Short | None = None
    images: Count | None = None
    recon: Number = None
    kl: Number = None
    elbo: Number = None
    nats_per_pixel: Number = None
    bits_per_dim: Number = None
    mse: Number = None
    mean_mu: Number = None
    mean_sigma: Number = None
    sigma: Number = None
    beta: Number = None
    is_density: bool = True
    incomparable: Short = ""
    active_units: Count | None = None
    codes_in_use: Number = None
    code_perplexity: Number = None
    codes_drawn: Count | None = None
    latent_dim: Count | None = None
    weights: Count | None = None
    images_per_s: Number = None
    term_weights: dict[Short, FiniteFloat] | None = None
    controls: dict[Short, FiniteFloat] | None = None
    kl_per_dim: Annotated[list[Number] | None, FailFast()] = None


class Pulled(Settings):
    """`pulled.json`: the repository of the hub that a run came from; `revision` is its commit."""

    repository: Short
    revision: Short


class Reproduced(Settings):
    """`reproduced.json`: what a published result came to here.

    name: of the reproduction. figures: by the names that it has for them. step, total_steps: of its
    schedule. data: what images they are of, in words. training_s: seconds of all of its steps.
    version, torch: that trained it.
    """

    name: Short
    figures: Annotated[dict[Short, FiniteFloat], Field(max_length=100)]
    step: Count
    total_steps: Count
    data: Short = ""
    seed: Count
    training_s: Annotated[float, Field(ge=0)]
    measuring_s: Annotated[float, Field(ge=0)]
    device: Short = ""
    threads: Count = 0
    version: Short = ""
    torch: Short = ""

    @property
    def whole(self) -> bool:
        """Whether the schedule was run to its end."""
        return self.step == self.total_steps


class Environment(Stored):
    """`environment.json`: what a run was made with. `started` is ISO 8601."""

    version: Short = ""
    """Of this program; "" where it was not kept yet."""
    started: Annotated[str | None, BeforeValidator(_moment)] = None
    python: Short = ""
    platform: Short = ""
    device: Short = ""
    images_on_device: bool = False
    """Whether the training images lay in the memory of a GPU."""
    threads: Count = 0
    processes: Count = 1
    """How many trained it together."""
    packages: dict[Short, Short] = {}
    command: Annotated[list[Short], FailFast()] = []
    resumed: Annotated[list[dict[str, Any]], FailFast()] = []


def unknown_keys(value: Any, path: str = "") -> Iterator[str]:
    """The dotted names of what was set aside when `value` was read, in its order."""
    if isinstance(value, BaseModel):
        yield from (f"{path}{key}"[:80] for key in value.model_extra or {})
        for name in type(value).model_fields:
            yield from unknown_keys(getattr(value, name), f"{path}{name}.")
    elif isinstance(value, tuple):
        for index, inner in enumerate(value):
            if not isinstance(inner, BaseModel):
                return  # values alone, and there may be many
            yield from unknown_keys(inner, f"{path}{index}.")
