"""Figure 3: the holes of an autoencoder beside the plane of a VAE."""

from __future__ import annotations

from typing import Any

import numpy as np

from latent_workbench.components.concepts import Data, concepts
from latent_workbench.components.concepts.models import fitting, has_images, kept
from latent_workbench.live.arrays import sent
from latent_workbench.live.resources import sliders_of
from latent_workbench.shared.catalog import RunFacts
from latent_workbench.shared.explore_view import PRINCIPAL
from vae_core.latent.explored import LABEL_COLORS
from vae_core.runs import Run

POINTS = 800
OTHERS = 32
"""Real images that are held against the first ones, as draws are."""
MOST_DIMENSIONS = 256
FAMILIES = ("autoencoder", "denoising", "contractive")


@concepts.register(
    "holes",
    label="Holes",
    blurb="An autoencoder may put its codes wherever it likes, and its decoder has never been "
    "asked about what lies between them. A VAE pays for every code that leaves the prior, so its "
    "codes fill one region, and its decoder knows all of it. Drag the dot through both planes, "
    "then draw random codes for both.",
    formula=r"z\sim\mathcal N(0,I),\qquad x=\mathrm{decoder}(z)",
    question="Draw from a Gaussian fitted to the autoencoder's own codes. Does that mend it?",
    answer="Partly: the draws are now where codes are on average, but codes of an autoencoder do "
    "not fill a Gaussian, and between the clusters lie holes. What is needed is a density that "
    "fits them (a mixture, a flow), or a loss that makes them fit: the VAE's KL.",
    page="explore",
    parameters={"directions": "principal"},
    look="Drag the dot on the map: Explore says how far each point is from what was trained on.",
    paper="Ghosh et al., From Variational to Deterministic Autoencoders (2020)",
    order=3,
)
def data(run: Run | None) -> Data:
    plain = fitting(
        run,
        lambda each: has_images(each) and each.family in FAMILIES and _small(each),
        "an autoencoder that keeps its images",
        ("mnist-ae",),
    )
    smooth = fitting(
        run,
        lambda each: (
            has_images(each)
            and each.kl is not None
            and each.dataset == plain.dataset
            and each.image_shape == plain.image_shape
            and _small(each)
        ),
        f"a VAE on the images of the autoencoder {plain.id!r}",
        ("mnist-vae",),
    )
    sides = [side(plain, "autoencoder"), side(smooth, "VAE")]
    images = kept(smooth).thumbnails
    return {
        "sides": sides,
        "images": sent(images[:POINTS], "u1"),
        "others": sent(images[-OTHERS:], "u1"),
        "colors": list(LABEL_COLORS),
    }


def _small(facts: RunFacts) -> bool:
    return facts.latent_size is not None and 2 <= facts.latent_size <= MOST_DIMENSIONS


def side(facts: RunFacts, name: str) -> dict[str, Any]:
    """What is told of one of the two: its plane, the codes on it, and a Gaussian that fits them."""
    encodings, found = kept(facts), sliders_of(facts.run, PRINCIPAL).directions
    two = found.vectors[:2]
    scale = np.maximum(found.deviations[:2], 1e-9)
    mu = encodings.mu.astype(np.float64)
    points = ((mu[:POINTS] - found.center) @ two.T) / scale
    covariance = np.cov(mu, rowvar=False) + 1e-8 * np.eye(mu.shape[1])
    labels = encodings.labels
    shown = np.zeros(len(points)) if labels is None else np.clip(labels[:POINTS], 0, 255)
    return {
        "run": facts.id,
        "name": name,
        "size": mu.shape[1],
        "center": sent(found.center),
        "axes": sent(two * scale[:, None]),
        "points": sent(points),
        "labels": sent(shown, "u1"),
        "mean": sent(mu.mean(axis=0)),
        "root": sent(np.linalg.cholesky(covariance)),
    }
