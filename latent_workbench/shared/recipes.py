"""What a training can start from: the presets, and each family with its own settings."""

from __future__ import annotations

from dataclasses import dataclass

from vae_core.config import DataConfig, RunConfig
from vae_core.data import datasets
from vae_core.families import complete, families
from vae_core.models import backbones
from vae_core.presets import presets
from vae_core.settings import Settings


@dataclass(frozen=True)
class Recipe:
    """A complete configuration under a label."""

    name: str
    label: str
    blurb: str
    config: RunConfig


def recipes() -> dict[str, Recipe]:
    """Every recipe by name: first the presets, then the families."""
    made = [Recipe(p.name, p.label, p.blurb, p.config) for p in presets]
    made += [
        Recipe(f.name, f"{f.label}, nothing preset", f.blurb, RunConfig(family=f.name))
        for f in families
    ]
    return {recipe.name: recipe for recipe in made}


def recommended(dataset: str) -> str:
    """The name of the recipe to begin with on a data set: made for it, or else for its kind."""
    for preset in presets:
        if preset.config.data.dataset == dataset:
            return preset.name
    colour = datasets[dataset].image_shape[0] != 1
    return "images-vae" if colour else "vae"


def on_data(recipe: Recipe, dataset: str, data_dir: str | None) -> RunConfig:
    """The recipe's configuration on another data set; its data settings stay if it is its own."""
    own = recipe.config.data.dataset == dataset
    data = recipe.config.data if own else DataConfig(dataset=dataset)
    data = data.model_copy(update={"data_dir": data_dir})
    return complete(recipe.config.model_copy(update={"data": data}))


def with_backbone(config: RunConfig, backbone: str) -> RunConfig:
    """The configuration on another backbone, with that backbone's own options."""
    if backbone == config.model.backbone:
        return config
    model = config.model.model_copy(update={"backbone": backbone, "options": {}})
    return complete(config.model_copy(update={"model": model}))


def options_of(config: RunConfig) -> dict[str, Settings]:
    """The settings behind the two dictionaries of a complete configuration, by dotted path."""
    objective = families[config.family].parse_options(config.objective, "objective")
    options = backbones[config.model.backbone].parse_options(config.model.options, "model.options")
    assert isinstance(objective, Settings) and isinstance(options, Settings)
    return {"objective": objective, "model.options": options}
