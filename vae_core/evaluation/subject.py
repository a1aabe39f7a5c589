"""What is asked of a run before its weights are read: its network, its images, its usual prior."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

from vae_core.config import parse_config
from vae_core.families import build_on_meta
from vae_core.latent.priors import NotLearned, priors
from vae_core.models import LatentModel, QuantisedModel
from vae_core.progress import Progress
from vae_core.runs import DataCard, Run

T = TypeVar("T")

SIZES = {"train": "n_train", "validation": "n_validation", "test": "n_test"}
"""Of the parts, on the data card."""

OWN, OF_CODES = "model", "autoregressive"
"""The priors that are taken unless another is asked for."""


def without_weights(run: Run) -> LatentModel:
    """The run's model on torch's meta device: what it is, without what it has learned."""
    return _built(run.config().to_json(), run.data_card().model_dump_json())


@functools.lru_cache(maxsize=256)
def _built(config: str, card: str) -> LatentModel:
    return build_on_meta(parse_config(config), DataCard.model_validate_json(card))[0]


def images_of(run: Run) -> str:
    """What runs on the same images have in common: the data set and the size."""
    card = run.data_card()
    return f"{card.dataset} {'×'.join(map(str, card.image_shape))}"


def usual_prior(model: LatentModel) -> str:
    """The name of the prior that a model is judged under: its own, and of codes a learned one."""
    return OF_CODES if isinstance(model, QuantisedModel) else OWN


def once_learned(
    ask: Callable[[], T],
    run: Run,
    model: Callable[[], LatentModel],
    prior: str,
    progress: Progress,
) -> T:
    """`ask()`; where that finds the prior not learned yet, it is learned first.

    Raises:
        NotLearned: where nothing here can learn it.
    """
    try:
        return ask()
    except NotLearned:
        learn = priors[prior].learn
        if learn is None:
            raise
        learn(run, model(), progress)
        return ask()
