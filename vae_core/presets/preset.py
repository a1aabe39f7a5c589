"""What a preset is: a whole configuration under a name, and where its numbers come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vae_core.config import RunConfig, parse_config


@dataclass(frozen=True)
class Preset:
    """`image_shape` is that of the data set in `config`, for counting weights.

    source: the paper or system that is rebuilt, "" for our own.
    published: its hyper-parameters in its own convention, what they are in nats per image, and
        what departs from it here.
    """

    name: str
    label: str
    blurb: str
    image_shape: tuple[int, int, int]
    config: RunConfig
    source: str = ""
    published: str = ""


def preset(
    name: str,
    label: str,
    blurb: str,
    image_shape: tuple[int, int, int],
    *,
    source: str = "",
    published: str = "",
    **config: Any,
) -> Preset:
    """A preset whose configuration bears its name; `config` as `parse_config` takes it."""
    parsed = parse_config({"preset": name, **config})
    return Preset(name, label, blurb, image_shape, parsed, source, published)
