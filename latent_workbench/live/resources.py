"""Models, encodings and directions that pages use, each loaded once for each version of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from latent_workbench.live.engine import ENCODINGS, ENGINE
from latent_workbench.live.models import MODELS, ready_torch, weights_version
from latent_workbench.shared.explore_view import PRINCIPAL
from vae_core.errors import UserError
from vae_core.runs import Run

if TYPE_CHECKING:
    from vae_core.latent.directions import Directions
    from vae_core.latent.encodings import Encodings
    from vae_core.latent.region import Region
    from vae_core.models.posterior import GaussianMixture

PRIOR = "prior"


@dataclass(frozen=True)
class Sliders:
    """Directions with their kind and the names that pages give them."""

    kind: str
    directions: Directions
    names: tuple[str, ...]
    orthogonal: bool = True
    unused: int = 0
    """How many at the end carry no information."""


def model_of(run: Run) -> Any:
    """The run's LatentModel, shared with the live decoder of the same process.

    Raises:
        UserError: when the run has no weights yet or is damaged.
    """
    return MODELS.get(run)


def corrupts(run: Run) -> bool:
    """Whether the run's encoder learned from damaged images; elsewhere it is shown whole ones.

    Raises:
        UserError: as `model_of`.
    """
    return _corrupts(run.path, weights_version(run))


def encodings_of(run: Run) -> Encodings | None:
    """The run's cached encodings; None where there are none.

    Raises:
        UserError: when they are damaged.
    """
    version = encodings_version(run)
    return None if version is None else _encodings(run.path, version)


def encodings_version(run: Run) -> int | None:
    """Changes whenever the run's encodings are written; None while there are none."""
    return run.version(ENCODINGS)


def prior_of(run: Run) -> GaussianMixture | None:
    """The density that the run's model has over z; None where it has none.

    Raises:
        UserError: when the run has no weights yet or is damaged.
    """
    return _prior(str(run.path), weights_version(run))


@st.cache_resource(max_entries=4, show_spinner=False)
def _prior(path: str, version: int | None) -> GaussianMixture | None:
    found: GaussianMixture | None = model_of(Run(Path(path))).prior()
    return found


def region_of(run: Run) -> Region:
    """The region that the run's encodings fill, shared with the live decoder.

    Raises:
        UserError: when the encodings are missing, damaged or not finite.
    """
    return ENGINE.regions.get(run)


def sliders_of(run: Run, kind: str) -> Sliders:
    """Directions of `kind`; raw axes in units of the prior where the run has no encodings.

    Raises:
        UserError: when the run is gone, has no weights yet or is damaged.
    """
    if not run.path.is_dir():  # deleted while a page showed it
        raise UserError(f"There is no run called {run.id!r} any more. Choose another one.")
    return _sliders(run.path, weights_version(run), encodings_version(run), kind)


@st.cache_resource(max_entries=32, show_spinner=False)
def _corrupts(path: Path, version: int | None) -> bool:
    ready_torch()
    from vae_core.loading import load_run

    return load_run(Run(path)).objective.corrupts


@st.cache_resource(max_entries=8, show_spinner=False)
def _encodings(path: Path, version: int) -> Encodings:
    ready_torch()
    from vae_core.latent.encodings import load_encodings

    return load_encodings(Run(path))


@st.cache_resource(max_entries=32, show_spinner=False)
def _sliders(path: Path, weights: int | None, version: int | None, kind: str) -> Sliders:
    ready_torch()
    import numpy as np
    import torch

    from vae_core.latent.directions import (
        latent_axes,
        load_directions,
        principal_directions,
        prior_axes,
    )
    from vae_core.losses import gaussian_kl
    from vae_core.metrics.measure import ACTIVE_VARIANCE

    run = Run(path)
    if weights is None:
        raise UserError(f"Run {run.id!r} has no weights yet; they come with its first save.")
    encodings = encodings_of(run)
    if encodings is None or len(encodings.mu) < 2:
        size = model_of(run).latent_size
        found = prior_axes(size)
        return Sliders(PRIOR, found, tuple(f"z{i}" for i in range(len(found.vectors))))
    if kind == PRINCIPAL:
        kept = load_directions(run, encodings.step, encodings.mu.shape[1])
        directions = kept or principal_directions(encodings.mu)
        return Sliders(kind, directions, tuple(f"{i + 1}" for i in range(len(directions.vectors))))
    mu, logvar = encodings.mu, encodings.logvar
    variance = mu.var(axis=0)
    kl = None
    if logvar is not None:
        kl = gaussian_kl(torch.from_numpy(mu), torch.from_numpy(logvar)).mean(0).numpy()
    # Codes of an autoencoder have a scale of their own: unused is only what is always the same,
    # such as a sparse unit that speaks for no image.
    used = variance > (0.0 if kl is None else ACTIVE_VARIANCE)
    order = np.lexsort((-(variance if kl is None else kl), ~used))
    found = latent_axes(mu, order)
    shown = order[: len(found.vectors)]
    names = tuple(f"z{i}" for i in shown)
    return Sliders(kind, found, names, unused=int((~used[shown]).sum()))
