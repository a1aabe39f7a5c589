"""Maps of the encodings: two or three numbers for each image, near where the encodings are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vae_core.data import Progress, no_progress
from vae_core.errors import UserError
from vae_core.extras import extra, installed
from vae_core.latent.directions import principal_directions
from vae_core.latent.survey import finite
from vae_core.registry import Entry, Registry
from vae_core.runs import Run, Tensors, derived, layout

Draw = Callable[[np.ndarray, int, int, Progress], np.ndarray]

maps: Registry[Entry[Draw]] = Registry("map", Entry)
"""Functions `(mu [N, D], dimensions, seed, progress) -> [N, dimensions]`."""

FEWEST = 4
PERPLEXITY, NEIGHBOURS = 30, 15  # what the papers and both libraries start from
TSNE_ITERATIONS = 750  # openTSNE's own: 250 exaggerated, 500 more
LIBRARIES = {"tsne": "openTSNE", "umap": "umap-learn"}
INTERPOLATED_FROM = 10_000  # openTSNE's own; beyond it, it interpolates on a grid


@dataclass(frozen=True)
class Map:
    """A map of N encodings: points float32 [N, 2 or 3], and how it was drawn."""

    kind: str
    points: np.ndarray
    seed: int


def make_map(
    mu: np.ndarray, kind: str, dimensions: int = 2, seed: int = 0, progress: Progress = no_progress
) -> Map:
    """The map `kind` of encodings mu [N, D], the same for the same seed.

    Raises:
        UserError: where there is no such kind, too few images, nothing that varies, values that
            are not finite, or a library that is not installed.
    """
    draw = maps[kind].build
    finite(mu, "encoding")
    if len(mu) < FEWEST:
        raise UserError(f"A map needs at least {FEWEST} images; there are {len(mu)}.")
    if np.ptp(mu, axis=0).max() == 0:
        raise UserError(
            "All images have the same encoding, so there is nothing to map: the posterior has "
            "collapsed. Train with a smaller β."
        )
    points = draw(mu, dimensions, seed, progress)
    return Map(kind, np.ascontiguousarray(points, np.float32), seed)


@maps.register(
    "pca",
    label="Principal components",
    blurb="The flat view that keeps the most variance; distances can be trusted.",
    paper="Pearson (1901)",
)
def pca(mu: np.ndarray, dimensions: int, seed: int, progress: Progress) -> np.ndarray:
    """The first principal components; 0 where there are fewer latent dimensions."""
    found = principal_directions(mu)
    points = np.zeros((len(mu), dimensions), np.float32)
    along = (mu - found.center) @ found.vectors[:dimensions].T
    points[:, : along.shape[1]] = along
    return points


@maps.register(
    "tsne",
    label="t-SNE",
    blurb="Keeps neighbours together; sizes of groups and gaps between them mean little.",
    paper="van der Maaten and Hinton (2008)",
)
def tsne(mu: np.ndarray, dimensions: int, seed: int, progress: Progress) -> np.ndarray:
    """t-distributed stochastic neighbour embedding; the perplexity yields to small data sets."""
    openTSNE: Any = extra("openTSNE", "maps", "t-SNE")
    done = 0

    def report(iteration: int, error: float, embedding: np.ndarray) -> None:
        nonlocal done
        done += 10
        progress("Drawing the t-SNE map", min(1.0, done / TSNE_ITERATIONS))

    progress("Finding the neighbours of every image", None)
    interpolated = dimensions == 2 and len(mu) >= INTERPOLATED_FROM  # made for 2 dimensions only
    embed = openTSNE.TSNE(
        n_components=dimensions,
        perplexity=min(PERPLEXITY, (len(mu) - 1) / 3),
        initialization="pca" if mu.shape[1] >= dimensions else "random",
        negative_gradient_method="fft" if interpolated else "bh",
        random_state=seed,
        n_jobs=os.cpu_count() or 1,
        callbacks=report,
        callbacks_every_iters=10,
    )
    return np.asarray(embed.fit(mu))


@maps.register(
    "umap",
    label="UMAP",
    blurb="Keeps neighbours together and more of the large arrangement; faster than t-SNE.",
    paper="McInnes, Healy and Melville (2018)",
)
def umap(mu: np.ndarray, dimensions: int, seed: int, progress: Progress) -> np.ndarray:
    """Uniform manifold approximation; the neighbourhood yields to small data sets."""
    library: Any = extra("umap", "maps", "UMAP")
    progress("Finding the neighbours of every image", None)
    embed = library.UMAP(
        n_components=dimensions,
        n_neighbors=min(NEIGHBOURS, len(mu) - 1),
        # The spectral start solves for dimensions + 1 eigenvectors, of which there are fewer here.
        init="spectral" if len(mu) > dimensions + 2 else "random",
        random_state=seed,
        n_jobs=1,  # with a seed it allows no more
        tqdm_kwds={"disable": False, "file": _ProgressFile(progress), "bar_format": "{n}/{total}"},
    )
    return np.asarray(embed.fit_transform(mu))


class _ProgressFile:
    """A file that a progress bar writes "n/total" to: the one way UMAP tells how far it is."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def write(self, text: str) -> None:
        n, slash, total = text.strip("\r\n ").partition("/")
        if slash and n.isdigit() and total.isdigit():
            self._progress("Drawing the UMAP map", int(n) / max(1, int(total)))

    def flush(self) -> None:
        """Nothing is held back."""


def save_map(run: Run, split: str, drawn: Map, mu: np.ndarray) -> None:
    """Keep the map of encodings mu [N, D], where it can be kept."""
    made_of = {"of": _made_of(mu, drawn.kind, drawn.seed), "by": _drawn_by(drawn.kind)}
    name = layout.map_(split, drawn.kind, drawn.points.shape[1])
    derived.keep(run, name, {"points": drawn.points}, made_of)


def load_map(
    run: Run, split: str, kind: str, dimensions: int, seed: int, mu: np.ndarray
) -> Map | None:
    """The map of encodings mu [N, D] that is kept with a run; None where none is usable. One by
    another version of the library counts only where there is no library to draw it anew."""
    of, by = _made_of(mu, kind, seed), _drawn_by(kind)

    def read(file: Tensors) -> Map | None:
        if file.metadata.get("of") != of or (by and file.metadata.get("by") != by):
            return None
        points = file.array("points", "F32", (len(mu), dimensions))
        return Map(kind, points, seed) if np.isfinite(points).all() else None

    return derived.find(run, layout.map_(split, kind, dimensions), read)


def _made_of(mu: np.ndarray, kind: str, seed: int) -> str:
    """All that a map depends on: the encodings, and how it is drawn from them."""
    how = (kind, seed, PERPLEXITY, NEIGHBOURS, INTERPOLATED_FROM, mu.shape)
    digest = hashlib.blake2b(repr(how).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(mu, np.float32).data)
    return digest.hexdigest()


def _drawn_by(kind: str) -> str:
    """The version of the library that draws maps of this kind, "" without one."""
    return installed(LIBRARIES[kind]) if kind in LIBRARIES else ""
