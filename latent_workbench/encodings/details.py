"""What was last pointed at: an image, a spot where none is, or images that were drawn around."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from latent_workbench.components.scatter import PlaneClick
from latent_workbench.encodings.encoded_images import EncodedImages
from latent_workbench.encodings.plane import Plane
from latent_workbench.encodings.query import more_like_it
from latent_workbench.encodings.selections import selection_actions
from latent_workbench.encodings.take_home import take_home
from latent_workbench.live.resources import corrupts
from latent_workbench.shared import access
from latent_workbench.shared.current_run import open_in_explore
from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.formatting import escape_markdown, grouped, image_count, number
from latent_workbench.shared.pictures import data_url
from latent_workbench.shared.state import session
from vae_core.data.columns import kind_of, known
from vae_core.names import shortened

if TYPE_CHECKING:
    from vae_core.latent.survey import Survey

SMALLEST, MEAN, LARGE = 56, 112, 128
"""Sides of pictures in px."""
NEAREST = 8
WHOLE = ", encoded whole; what the model makes of corrupted images is on Grids"
WORST = 4
MOST_LABELS = 5
MOST_KNOWN = 24
LONGEST_NAME = 60
"""Characters of a name as a heading; all of it stands in its tooltip."""

PX_A_LETTER = 7


def clicked_image(encoded: EncodedImages, row: int) -> None:
    """Original, reconstruction and neighbours of the image of `row`."""
    survey = encoded.survey
    mu = survey.mu[row]
    labels = None if survey.labels is None else survey.labels[[row]]
    label = "" if labels is None else f"{survey.label_name(int(labels[0]))} · "
    name = encoded.name(row)
    st.markdown(
        f"**{escape_markdown(label + shortened(name, LONGEST_NAME))}**",
        help=escape_markdown(name) if len(name) > LONGEST_NAME else None,
    )
    if more := known_of(survey, row):
        st.caption(" · ".join(escape_markdown(each) for each in more))
    rebuilt = encoded.decoded(mu[None], labels)
    original = matched(encoded.images.gather(np.array([row])), rebuilt.shape[2:])
    both = np.concatenate([original, rebuilt])
    pictures(both, ["original", "reconstruction"], LARGE)
    measured = {"recon": survey.recon, "KL": survey.kl, "ELBO": survey.elbo}
    known = [f"{name} {number(float(v[row]))}" for name, v in measured.items() if v is not None]
    if survey.kl_error is not None:
        from vae_core.models.posterior import EVALUATION_DRAWS

        error = number(float(survey.kl_error[row]))
        known.append(f"the KL estimated from {EVALUATION_DRAWS} draws, ± {error}")
    if known:
        whole = WHOLE * corrupts(encoded.run)
        st.caption(f"{', '.join(known)} nats, of {image_count(1, encoded.part)}{whole}")
    _neighbours(encoded, mu, row)
    with st.container(horizontal=True, gap="small"):
        _open_button(encoded, mu)
        more_like_it(encoded, row, encoded.run.id)


def known_of(survey: Survey, row: int) -> list[str]:
    """What else is known of an image, in words: "age: 3.5", "smiles", "not old"."""
    found = []
    for name, column in survey.columns.items():
        if not known(column[[row]])[0]:
            continue
        value = column[row]
        match kind_of(column):
            case "attribute":
                found.append(name if value else f"not {name}")
            case "number":
                found.append(f"{name}: {number(float(value))}")
            case "date":
                found.append(f"{name}: {str(value).removesuffix('T00:00:00').replace('T', ' ')}")
            case "text":
                found.append(f"{name}: {shortened(value, LONGEST_NAME)}")
    more = len(found) - MOST_KNOWN
    return found[:MOST_KNOWN] + ([f"and {more} more"] if more > 0 else [])


def clicked_plane(encoded: EncodedImages, plane: Plane, at: PlaneClick) -> None:
    """What the decoder draws at a point where no image was encoded."""
    assert plane.lift is not None
    z = plane.lift(at.x, at.y)
    st.markdown("**Decoded from empty space**")
    pictures(encoded.decoded(z[None]), ["decoded"], LARGE)
    st.caption(f"At {number(at.x)}, {number(at.y)}; all else as in the mean of the encodings.")
    _neighbours(encoded, z)
    _open_button(encoded, z)


def _open_button(encoded: EncodedImages, z: np.ndarray, label: str = "Open in Explore") -> None:
    if st.button(label, key=f"encodings-open-{encoded.run.id}", icon=":material/open_in_new:"):
        open_in_explore(encoded.run.id, z)


def nearest_rows(mu: np.ndarray, z: np.ndarray, n: int, without: int = -1) -> np.ndarray:
    """The rows of the n encodings of mu [N, D] nearest to z [D], but `without`, nearest first."""
    nearest = np.argsort(np.linalg.norm(mu - z, axis=1), kind="stable")
    return nearest[nearest != without][:n]


def _neighbours(encoded: EncodedImages, z: np.ndarray, without: int = -1) -> None:
    rows = nearest_rows(encoded.survey.mu, z, NEAREST, without)
    if not len(rows):
        return
    st.caption("Nearest images, by distance in the latent space")
    away = np.linalg.norm(encoded.survey.mu[rows] - z, axis=1)
    pictures(
        encoded.images.gather(rows),
        [number(float(each)) for each in away],
        files=[encoded.name(int(row)) for row in rows],
    )


def matched(images: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Thumbnails [N, C, h, w] enlarged to `size`, (H, W); images of that size as they are."""
    if images.shape[2:] == size:
        return images
    rows, columns = (np.arange(b) * a // b for a, b in zip(images.shape[2:], size, strict=True))
    return images[:, :, rows][:, :, :, columns]


# --- a selection, and the direction between two ---------------------------------------------------


def selected_images(encoded: EncodedImages, rows: np.ndarray) -> None:
    """The summary of the images at `rows` [M], their ends of a direction, and their tables."""
    from vae_core.latent.selection import label_mix, mean_image, mean_vector

    survey = encoded.survey
    st.markdown(
        f"**{grouped(len(rows))} {'image' if len(rows) == 1 else 'images'} selected** "
        f"{encoded.origin}"
    )
    mix = label_mix(survey, rows)
    if mix:
        named = [f"{name}: {100 * n / len(rows):.0f} %" for name, n in mix.items()]
        rest = len(named) - MOST_LABELS
        st.caption(" · ".join(named[:MOST_LABELS]) + (f" · {rest} more" if rest > 0 else ""))
    center = mean_vector(survey, rows)
    first, second = st.columns(2)
    with first:
        pictures(mean_image(encoded.images, rows)[None], ["mean image"], MEAN)
    with second:
        pictures(encoded.decoded(center[None]), ["decoded mean"], MEAN)
    if survey.recon is not None:
        worst = rows[np.argsort(-survey.recon[rows], kind="stable")[:WORST]]
        st.caption("Worst reconstructions, in nats")
        pictures(
            encoded.images.gather(worst),
            [number(float(survey.recon[i])) for i in worst],
            files=[encoded.name(int(i)) for i in worst],
        )
    _open_button(encoded, center, "Open its mean")
    take_home(encoded, rows, f"selection-{encoded.run.id}")
    selection_actions(encoded, rows)
    with st.container(horizontal=True, gap="small"):
        for end in "AB":
            if st.button(
                f"Keep as {end}", key=f"encodings-keep-{end}-{encoded.run.id}",
                help="Two kept selections make a direction from here to there.",
            ):  # fmt: skip
                _ends(encoded)[end] = rows


def direction_form(encoded: EncodedImages) -> None:
    """Once two selections are kept: the direction from one to the other, to be saved and used."""
    ends = _ends(encoded)
    if len(ends) < 2:
        if ends:
            kept = next(iter(ends))
            st.caption(f"Selection {kept} is kept. Select others and keep them as the other end.")
        return
    from vae_core.latent.saved import save_direction
    from vae_core.latent.selection import direction_between

    with st.form(f"encodings-direction-{encoded.run.id}", border=True):
        counts = f"{grouped(len(ends['A']))} → {grouped(len(ends['B']))} images"
        name = st.text_input("Direction from A to B", placeholder="name it", help=counts)
        if st.form_submit_button(
            "Save and open in Explore", icon=":material/trending_flat:", **access.widget_options()
        ):
            with errors_shown(st.warning):
                arrow = direction_between(encoded.survey, ends["A"], ends["B"])
                access.authorized(save_direction)(encoded.run, name, arrow.vector * arrow.length)
                ends.clear()
                open_in_explore(encoded.run.id, arrow.start)


@dataclass
class SelectionEnds:
    """The rows of selections A and B that somebody keeps, by the key of their images."""

    of: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)


def _ends(encoded: EncodedImages) -> dict[str, np.ndarray]:
    return session(SelectionEnds).of.setdefault(encoded.key, {})


# --- pictures in a row ----------------------------------------------------------------------------


STYLE = (
    "<style>.row-of-pictures {display: flex; flex-wrap: wrap; gap: 8px}"
    ".row-of-pictures figure {margin: 0}"
    ".row-of-pictures img {display: block; object-fit: contain; image-rendering: pixelated;"
    " border-radius: 3px}"
    ".row-of-pictures figcaption {font-size: 12px; opacity: 0.75; overflow: hidden;"
    " text-overflow: ellipsis; white-space: nowrap}</style>"
)


def pictures(
    images: np.ndarray,
    names: Sequence[str],
    side: int = SMALLEST,
    files: Sequence[str] = (),
    wide: int = 1,
) -> None:
    """Images uint8 [N, C, H, W], `side` px high and `wide` times as wide, above their names, and
    where they have some, the names of their files: as much of each as there is room for, all of
    it when pointed at."""
    files = files or [""] * len(names)
    figures = "".join(
        _figure(image, name, file, side, wide * side)
        for image, name, file in zip(images, names, files, strict=True)
    )
    st.html(f'{STYLE}<div class="row-of-pictures">{figures}</div>')


def _figure(image: np.ndarray, name: str, file: str, side: int, wide: int) -> str:
    said = html.escape(f"{file}: {name}" if file else name)
    lines = [*filter(None, [name]), *filter(None, [shortened(file, wide // PX_A_LETTER)])]
    captions = "".join(
        f'<figcaption style="width: {wide}px">{html.escape(line)}</figcaption>' for line in lines
    )
    return (
        f'<figure title="{said}"><img src="{data_url(image)}" alt="{said}"'
        f' style="width: {wide}px; height: {side}px">{captions}</figure>'
    )
