"""Weights of another run to begin with: fine-tuning.

A new run has them in a file of its own, so that it needs the other no more. It begins at step 0
like any: optimisers, schedules, warm-ups and decay start anew, for what they have averaged and
counted is of other images.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from vae_core.config import DataConfig, RunConfig
from vae_core.errors import UserError
from vae_core.families import build_on_meta, families
from vae_core.models.likelihoods import resolve_likelihood
from vae_core.presets import LEFT_TO_THE_DATA
from vae_core.runs import WEIGHTS, DataCard, Run, layout
from vae_core.weights import load_weights, require_weights


def config_from_run(source: Run, data: DataConfig | None = None) -> RunConfig:
    """The settings of a run, for one that starts from its weights.

    Args:
        data: names other images: they are brought to the shape that the run knows, and what
            depends on how many they are is left to them.

    Raises:
        UserError: when files of the run are missing or damaged.
    """
    source.require_trained_here()
    config, card = source.config(), source.data_card()
    likelihood = resolve_likelihood(config.model.likelihood, card.image_shape[0])
    kept = {"start_from": source.id, "model": {"likelihood": likelihood}}
    config = config.updated({**kept, "train": {"continued_at": 0}})
    if data is None or (data.dataset, data.data_dir) == (config.data.dataset, config.data.data_dir):
        return config
    channels, height, width = card.image_shape
    side = height if height == width else (height, width)
    shape = {"channels": channels, "image_size": side}
    other = {"dataset": data.dataset, "data_dir": data.data_dir, "limit": None, **shape}
    anew = {part: values for part, values in LEFT_TO_THE_DATA.items() if part != "model"}
    return config.updated(anew).updated({"data": other})


def refuse_misfit(config: RunConfig, card: DataCard, source: Run) -> None:
    """Refuse settings and images whose network is not that of the weights that they start from.

    Raises:
        UserError: naming what differs; or when files of the source are missing or damaged.
    """
    theirs = source.config()
    _refuse_other_images(config, card, source.data_card())
    for name in ("backbone", "latent_dim"):
        there, here = getattr(theirs.model, name), getattr(config.model, name)
        if there != here:
            raise _misfit(source.id, f"model.{name} is {there} there, and {here} here")
    try:
        with source.tensors(WEIGHTS) as file:
            require_weights(file, *build_on_meta(config, card))
    except FileNotFoundError:
        raise UserError(f"Run {source.id!r} has no weights yet to start from.") from None
    except (OSError, ValueError) as error:
        if config.family == theirs.family:
            raise _misfit(source.id, str(error)) from None
        labels = [families[each.family].label for each in (theirs, config)]
        what = f"its network is that of {labels[0]}, and this is {labels[1]}"
        raise _misfit(source.id, what) from None


def take_weights(run: Run, source: Run) -> None:
    """Copy the weights of `source` into a new run that is to start from them.

    Raises:
        UserError: when they do not fit the settings of the run, or cannot be read or written.
    """
    card = source.data_card()
    refuse_misfit(run.config(), card, source)
    try:
        run.write_json(layout.INITIAL_CARD, card)
        run.write_bytes(layout.INITIAL, source.read(WEIGHTS))
    except OSError as error:
        raise UserError(f"The weights of run {source.id!r} cannot be read: {error}.") from None


def load_initial(
    run: Run, config: RunConfig, card: DataCard, model: nn.Module, objective: nn.Module
) -> None:
    """Give model and objective the weights that the run starts from, where it does.

    Raises:
        UserError: when they do not fit its images or settings, or are missing or damaged.
    """
    if config.start_from is None:
        return
    _refuse_other_images(config, card, run.parse(layout.INITIAL_CARD, DataCard))
    try:
        with run.tensors(layout.INITIAL) as file:
            load_weights(file, model, objective)
    except (OSError, ValueError) as error:
        raise _misfit(config.start_from, str(error)) from None


def _refuse_other_images(config: RunConfig, card: DataCard, known: DataCard) -> None:
    source = config.start_from or ""
    if card.image_shape != known.image_shape:
        there, here = ("×".join(map(str, each.image_shape)) for each in (known, card))
        raise _misfit(source, f"its images are {there}, and these are {here}")
    if families[config.family].needs_labels and card.label_names != known.label_names:
        there, here = (_listed(each.label_names) for each in (known, card))
        raise _misfit(source, f"it was told the labels {there}, and these images have {here}")


def _misfit(source: str, what: str) -> UserError:
    return UserError(f"The weights of run {source!r} do not fit: {what}.")


def _listed(labels: Sequence[str], most: int = 6) -> str:
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return (", ".join(labels[:most]) or "none") + more
