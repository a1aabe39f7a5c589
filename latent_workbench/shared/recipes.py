"""What a training can start from: the presets, and each family with its own settings."""

from __future__ import annotations

from dataclasses import dataclass

from latent_workbench.shared.train_start import TrainStart
from vae_core.config import DataConfig, RunConfig
from vae_core.data import datasets
from vae_core.families import complete, families
from vae_core.models import backbones
from vae_core.presets import LEFT_TO_THE_DATA, presets
from vae_core.runs import Run
from vae_core.settings import Settings
from vae_core.training.initial import config_from_run


@dataclass(frozen=True)
class Recipe:
    """A complete configuration under a label.

    source: the run whose weights come with it, None for none.
    """

    name: str
    label: str
    blurb: str
    config: RunConfig
    source: Run | None = None


def recipes(start: TrainStart | None = None) -> dict[str, Recipe]:
    """Every recipe by name: that of a run that was asked for, the presets, then the families."""
    run = start.run if start is not None else None
    made = [] if start is None or run is None else [_of_run(run, start)]
    made += [Recipe(p.name, p.label, p.blurb, p.config) for p in presets]
    made += [
        Recipe(f.name, f"{f.label}, nothing preset", f.blurb, RunConfig(family=f.name))
        for f in families
    ]
    return {recipe.name: recipe for recipe in made}


def _of_run(run: Run, start: TrainStart) -> Recipe:
    if start.weights:
        label, blurb = f"Weights of {run.id}", "Goes on from what that run has learned."
        return Recipe(start.recipe, label, blurb, config_from_run(run), run)
    config = run.config().updated({"train": {"continued_at": 0}})
    label, blurb = f"Settings of {run.id}", "As that run was trained, from the start."
    return Recipe(start.recipe, label, blurb, config)


def recommended(dataset: str) -> str:
    """The name of the recipe to begin with on a data set: made for it, or else for its kind."""
    for preset in presets:
        if preset.config.data.dataset == dataset:
            return preset.name
    colour = datasets[dataset].image_shape[0] != 1
    return "images-vae" if colour else "vae"


def on_data(recipe: Recipe, dataset: str, data_dir: str | None) -> RunConfig:
    """The recipe's configuration on another data set; its data settings stay if it is its own.

    Of a person's own images everything is left to them that the recipe does not fix.
    """
    own = recipe.config.data.dataset == dataset
    place = data_dir or (recipe.config.data.data_dir if own else None)
    if recipe.source is not None:
        data = DataConfig(dataset=dataset, data_dir=place)
        return complete(config_from_run(recipe.source, data))
    data = recipe.config.data if own else DataConfig(dataset=dataset)
    data = data.model_copy(update={"data_dir": place})
    config = recipe.config.model_copy(update={"data": data})
    if recipe.name in families and datasets[dataset].origin == "own":
        config = config.updated(LEFT_TO_THE_DATA)
    return complete(config)


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
