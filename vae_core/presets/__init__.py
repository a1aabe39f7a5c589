"""Recipes: whole configurations under a name, many of them published systems rebuilt.

What departs from the published system stands in `Preset.published`; `tests/test_published.py`
holds the rest to it. Each keeps a validation part: the test part is for `evaluate --split test`.

A new source is one new file in this folder.
"""

from vae_core.presets.preset import Preset, presets
from vae_core.presets.starters import LEFT_TO_THE_DATA

presets.discover(__name__, plugins="vae_core.presets")

__all__ = ["LEFT_TO_THE_DATA", "Preset", "presets"]
