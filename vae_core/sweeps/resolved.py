"""What a run's settings come to once its data are known: which runs may be compared or averaged."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vae_core.config import RunConfig
from vae_core.data import datasets
from vae_core.families import build, complete
from vae_core.models import likelihoods
from vae_core.models.likelihoods import SETTINGS, settings_of
from vae_core.nested import flat
from vae_core.runs import Run, layout
from vae_core.sweeps.spec import BETA, OTHER_NATS, SEED

WITHOUT_EFFECT = frozenset(
    {
        "preset",
        "train.threads",
        "train.device",
        "train.compile",
        "train.precision",
        "train.log_every",
        "train.preview_every",
        "train.checkpoint_every",
        "train.save_every_s",
        "train.track",
    }
)
"""Settings that say where a run came from, how fast it went or how often it was looked at."""


@dataclass(frozen=True)
class Resolved:
    """A run's settings with nothing left to be chosen by data, family or machine.

    config: its configuration with every option spelt out, "auto" and empty ones resolved.
    pixels: how pixels are described, such as "bernoulli" or "gaussian, σ = 0.1".
    images: what is known of the images and of the parts they were cut into.
    """

    config: RunConfig
    pixels: str
    images: tuple[tuple[str, str], ...]

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides what comes out, by dotted name."""
        found = flat(self.config.model_dump(mode="json"))
        kept = {key: value for key, value in found.items() if key not in WITHOUT_EFFECT}
        for name in set(SETTINGS) - set(settings_of(self.config.model.likelihood)):
            del kept[f"model.{name}"]
        return kept

    @property
    def nats(self) -> tuple[object, ...]:
        """What a nat per image is measured of: runs that share it can be compared."""
        kept = {key: repr(value) for key, value in self.settings.items()}
        return tuple(each for each in kept.items() if _is_below(each[0], OTHER_NATS))

    @property
    def condition(self) -> tuple[tuple[str, str], ...]:
        """What seeds of one β share: every setting but these two, and the images."""
        shared = {key: repr(value) for key, value in self.settings.items()}
        return (*((k, v) for k, v in shared.items() if k not in (BETA, SEED)), *self.images)


def _is_below(key: str, names: Iterable[str]) -> bool:
    """True of a setting itself and of what it is made of, such as the ends of a window."""
    return any(f"{key}.".startswith(f"{name}.") for name in names)


def resolved(run: Run) -> Resolved:
    """What the run's settings come to; read once for each version of its files. A UserError when
    its configuration or its data card is missing or damaged."""
    names = (layout.CONFIG, layout.DATA_CARD)
    return _resolved(run.path, tuple(map(run.version, names)))


@functools.lru_cache(maxsize=1024)
def _resolved(path: Path, versions: tuple[int | None, ...]) -> Resolved:
    import torch

    run = Run(path)
    config, card = complete(run.config()), run.data_card()
    with torch.device("meta"):  # the likelihood alone is asked; no weight is allocated
        model, _ = build(config, card)
    likelihood = next(each.name for each in likelihoods if each.build is type(model.likelihood))
    channels, height, width = card.image_shape
    name = config.data.dataset
    is_own = name not in datasets or datasets[name].origin == "own"
    config = config.updated(
        {
            "data": {
                "image_size": [height, width],
                "channels": channels,
                # Where known images lie is nobody's business; one's own are known by their place.
                "data_dir": config.data.data_dir if is_own else None,
            },
            "model": {"likelihood": likelihood},
        }
    )
    called = {"sigma": "σ = {:g}", "mixture": "{} components"}
    more = [called[name].format(getattr(config.model, name)) for name in settings_of(likelihood)]
    told = card.model_dump(mode="json", exclude={"notes", "label_names", "factor_names"})
    images = tuple((f"images.{key}", repr(value)) for key, value in told.items())
    return Resolved(config, ", ".join((likelihood, *more)), images)
