"""Recipes: whole configurations under a name, many of them published systems rebuilt.

What departs from the published system stands in `Preset.published`; `tests/test_published.py`
holds the rest to it. Each keeps a validation part: the test part is for `evaluate --split test`.

A new source is one new file with its `PRESETS` and its name below.
"""

from vae_core.presets import burda, celeba, cifar, course, dsprites, starters
from vae_core.presets.preset import Preset
from vae_core.registry import unknown

presets: dict[str, Preset] = {
    preset.name: preset
    for source in (starters, course, cifar, celeba, burda, dsprites)
    for preset in source.PRESETS
}


def get_preset(name: str) -> Preset:
    """The preset called `name`.

    Raises:
        UserError: when there is none; the sentence lists those there are.
    """
    if name in presets:
        return presets[name]
    raise unknown("preset", name, presets)


__all__ = ["Preset", "get_preset", "presets"]
