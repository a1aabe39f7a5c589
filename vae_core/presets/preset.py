"""What a preset is: a whole configuration under a name, and where its numbers come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vae_core.config import RunConfig, parse_config
from vae_core.registry import Listed, Registry


@dataclass(frozen=True, kw_only=True)
class Preset(Listed):
    """`image_shape` is that of the data set in `config`, for counting weights.

    source: the paper or system that is rebuilt, "" for our own.
    published: its hyper-parameters in its own convention, what they are in nats per image, and
        what departs from it here.
    """

    image_shape: tuple[int, int, int]
    config: RunConfig
    source: str = ""
    published: str = ""


presets: Registry[Preset] = Registry("preset", Preset)


def preset(
    name: str,
    label: str,
    blurb: str,
    image_shape: tuple[int, int, int],
    *,
    source: str = "",
    published: str = "",
    order: int = 100,
    **config: Any,
) -> None:
    """Add a preset whose configuration bears its name; `config` as `parse_config` takes it."""
    presets.add(
        Preset(
            name=name,
            label=label,
            blurb=blurb,
            image_shape=image_shape,
            config=parse_config({"preset": name, **config}),
            source=source,
            published=published,
            order=order,
        )
    )
