"""The image that was clicked, or what lies where no image is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from latent_workbench.components.scatter import Spot
from latent_workbench.encodings.pictures import pictures
from latent_workbench.encodings.plane import Plane
from latent_workbench.encodings.shown import Shown
from latent_workbench.live.loaded import corrupts
from latent_workbench.shared.numbers import images, number
from latent_workbench.shared.state import open_in_explore

if TYPE_CHECKING:
    from vae_core.latent.survey import Survey

LARGE = 128
NEAREST = 8
WHOLE = ", encoded whole; what the model makes of corrupted images is on Grids"


def image(shown: Shown, row: int) -> None:
    """Original, reconstruction and neighbours of the image of `row`."""
    survey = shown.survey
    mu = survey.mu[row]
    labels = None if survey.labels is None else survey.labels[[row]]
    title = "" if labels is None else f"{survey.label_name(int(labels[0]))} · "
    st.markdown(f"**{title}{shown.name(row)}**")
    both = np.concatenate([_matched(shown.images.gather(np.array([row])), shown),
                           shown.decoded(mu[None], labels)])  # fmt: skip
    pictures(both, ["original", "reconstruction"], LARGE)
    measured = {"recon": survey.recon, "KL": survey.kl, "ELBO": survey.elbo}
    known = [f"{name} {number(float(v[row]))}" for name, v in measured.items() if v is not None]
    known += estimated(survey, row)
    if known:
        whole = WHOLE * corrupts(shown.run)
        st.caption(f"{', '.join(known)} nats, of {images(1, shown.split)}{whole}")
    _neighbours(shown, mu, row)
    if st.button(
        "Open in Explore", key=f"encodings-open-{shown.run.id}", icon=":material/open_in_new:"
    ):
        open_in_explore(shown.run.id, mu)


def estimated(survey: Survey, row: int) -> list[str]:
    """How well an image's KL is known, where it has no closed form."""
    if survey.kl_error is None:
        return []
    from vae_core.models.posterior import EVALUATION_DRAWS

    error = number(float(survey.kl_error[row]))
    return [f"the KL estimated from {EVALUATION_DRAWS} draws, ± {error}"]


def spot(shown: Shown, plane: Plane, at: Spot) -> None:
    """What the decoder draws at a point where no image was encoded."""
    assert plane.lift is not None
    z = plane.lift(at.x, at.y)
    st.markdown("**Decoded from empty space**")
    pictures(shown.decoded(z[None]), ["decoded"], LARGE)
    st.caption(f"At {number(at.x)}, {number(at.y)}; all else as in the mean of the encodings.")
    _neighbours(shown, z)
    if st.button(
        "Open in Explore", key=f"encodings-open-{shown.run.id}", icon=":material/open_in_new:"
    ):
        open_in_explore(shown.run.id, z)


def nearest_rows(mu: np.ndarray, z: np.ndarray, n: int, without: int | None = None) -> np.ndarray:
    """The rows of the n encodings of mu [N, D] nearest to z [D], the nearest first."""
    distances = np.linalg.norm(mu - z, axis=1)
    if without is not None:
        distances[without] = np.inf
    n = min(n, len(mu) - (without is not None))
    return np.argsort(distances, kind="stable")[:n]


def _neighbours(shown: Shown, z: np.ndarray, without: int | None = None) -> None:
    rows = nearest_rows(shown.survey.mu, z, NEAREST, without)
    if not len(rows):
        return
    st.caption("Nearest images, by distance in the latent space")
    away = np.linalg.norm(shown.survey.mu[rows] - z, axis=1)
    pictures(shown.images.gather(rows), [number(float(each)) for each in away])


def _matched(images: np.ndarray, shown: Shown) -> np.ndarray:
    """Thumbnails enlarged to the size of what the model draws; images of that size as they are."""
    size = shown.run.data_card().image_shape[1:]
    if images.shape[2:] == size:
        return images
    rows, columns = (np.arange(b) * a // b for a, b in zip(images.shape[2:], size, strict=True))
    return images[:, :, rows][:, :, :, columns]
