"""Search by image: what is nearest, in the whole set, to a picture uploaded, drawn or clicked."""

from __future__ import annotations

import csv
import html
import io
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from latent_workbench.components.question import question
from latent_workbench.encodings.details import matched, pictures
from latent_workbench.encodings.encoded_images import (
    CACHED,
    EncodedImages,
    PartImages,
    opening_spinner,
    splits_of,
)
from latent_workbench.encodings.query import Query, ask, query_of
from latent_workbench.encodings.take_home import take_home
from latent_workbench.live.models import weights_version
from latent_workbench.live.resources import encodings_of, encodings_version
from latent_workbench.shared import access
from latent_workbench.shared.current_run import open_in_explore
from latent_workbench.shared.errors import errors_shown, redact
from latent_workbench.shared.formatting import escape_markdown, image_count, number
from latent_workbench.shared.state import app_state, persistent
from latent_workbench.shared.tasks import command, job_shown, start_job
from vae_core.data import ArrayImages, Progress
from vae_core.data.dataset import Images
from vae_core.errors import UserError
from vae_core.runs import Run, derived, layout

if TYPE_CHECKING:
    from vae_core.latent.search import Hits, ImageSearch

COUNTS = (12, 24, 48, 96, 200)
PARTS = ("train", "validation", "test")
SIDE = 64


@dataclass(frozen=True)
class Whole:
    """All images of a run whose encodings are known, part by part, and the search among them."""

    parts: tuple[EncodedImages, ...]
    search: ImageSearch

    def place(self, own: tuple[str, int] | None) -> tuple[int, int] | None:
        """Where the image of a part and a row stands here; None where it does not."""
        if own is None:
            return None
        splits = [part.split for part in self.parts]
        if own[0] in splits:
            return splits.index(own[0]), own[1]
        hashes = self.parts[0].survey.hashes if splits and splits[0] == "train" else None
        kept = encodings_of(self.parts[0].run) if own[0] == CACHED and hashes is not None else None
        if kept is None or kept.hashes is None or hashes is None:
            return None
        same = np.flatnonzero(hashes == kept.hashes[own[1]])
        return (0, int(same[0])) if len(same) else None


def draw(encoded: EncodedImages) -> None:
    """The question: a file, a drawing, what was clicked or left in Explore; then the answer."""
    run = encoded.run
    view = app_state().views.get(run.id)
    place, button = st.columns([3, 1], vertical_alignment="center")
    with place:
        asked = question(f"search-question-{run.id}", run.id, encoded.survey.mu.shape[1])
    if asked is not None:
        ask(run, Query(asked.name, asked.z, asked.picture))
    if button.button("The picture in Explore", key=f"search-explore-{run.id}", width="stretch",
                     disabled=view is None or view.z is None, icon=":material/tune:",
                     help="As you left it there."):  # fmt: skip
        assert view is not None and view.z is not None
        ask(run, Query("the picture in Explore", np.frombuffer(view.z, "<f4")))
    query = query_of(run)
    if query is None:
        st.caption("Choose or draw a picture, or click a point above and press Find more like it.")
        return
    answer(run, query, f"encodings-{run.id}")


def like_this(run: Run, slot: str = "") -> None:
    """Below Explore's sliders: the images nearest to the picture that they make."""
    view = app_state().views.get(run.id)
    wanted = persistent(
        st.toggle, "Images like this one", key=f"explore-like{slot}", default=False,
        help="Searches all images whose encodings are known for those nearest to this picture.",
    )  # fmt: skip
    if not wanted:
        return
    kept = encodings_of(run)
    z = np.frombuffer(view.z, "<f4") if view is not None and view.z is not None else None
    if z is None and kept is not None:
        z = kept.mu.mean(axis=0)
    if z is None:
        st.caption("Move a slider first.")
        return
    answer(run, Query("", z), f"explore-{run.id}{slot}")


# --- the answer -----------------------------------------------------------------------------------


def answer(run: Run, query: Query, key: str) -> None:
    """The nearest images with names and distances, each beside its reconstruction."""
    whole = _whole(run.path, _version(run))
    if whole is None or len(query.z) != whole.parts[0].survey.mu.shape[1]:
        st.caption("There are no encodings to search among yet.")
        return
    words, count, both = st.columns([4, 1.6, 1.4], vertical_alignment="bottom")
    k = persistent(count.selectbox, "How many", COUNTS, key=f"search-count-{key}", default=24)
    paired = persistent(
        both.toggle, "Reconstructions", key=f"search-both-{key}", default=True,
        help="Beside each image what the model makes of it.",
    )  # fmt: skip
    hits = whole.search.nearest(query.z, k, whole.place(query.own))
    with words:
        _question(run, query, whole)
    with errors_shown(st.warning):
        _shown(whole, hits, paired)
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Result as CSV", partial(_csv, whole, hits), f"{run.id}-nearest.csv", "text/csv",
            key=f"search-csv-{key}", icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        with st.popover("Take home", icon=":material/folder_zip:"):
            for i, part in enumerate(whole.parts):
                if len(rows := hits.rows[hits.parts == i]):
                    st.caption(image_count(len(rows), part.split))
                    take_home(part, rows, f"{key}-{part.split}", "nearest")
        if len(hits) and st.button("Open the nearest in Explore", key=f"search-open-{key}",
                                   icon=":material/open_in_new:"):  # fmt: skip
            nearest = whole.parts[int(hits.parts[0])].survey.mu[int(hits.rows[0])]
            open_in_explore(run.id, nearest)


def _question(run: Run, query: Query, whole: Whole) -> None:
    among = ", ".join(image_count(len(part.survey), part.split) for part in whole.parts)
    searched = {part.split for part in whole.parts}
    if CACHED in searched and len(whole.parts[0].survey) == run.data_card().n_train:
        searched.add("train")  # the run keeps all of them
    left = [split for split in PARTS if split in splits_of(run) and split not in searched]
    to = f" to **{escape_markdown(query.title)}**" if query.title else ""
    if query.picture:
        st.html(
            f'<img alt="{html.escape(query.title)}" src="{query.picture}" style="width: {SIDE}px; '
            f'height: {SIDE}px; object-fit: contain; image-rendering: pixelated">'
        )
    st.markdown(f"Nearest{to} among {among}")
    job = f"search-encode-{run.id}"
    if left and not job_shown(job):
        total = splits_of(run)
        named = " and ".join(total[split].removeprefix("All ") for split in left)
        options = access.widget_options("Encodes them, which takes a moment, once.")
        if st.button(f"Search {named} too", key=f"{job}-start", icon=":material/add:", **options):
            start_job(job, partial(_encode, run, left))


def _encode(run: Run, splits: list[str], progress: Progress) -> None:
    for split in splits:
        command(run, "encode", run.id, "--split", split)(progress)


def _shown(whole: Whole, hits: Hits, paired: bool) -> None:
    """Rows of pictures; reconstructions alone where the images are not at hand."""
    images: list[np.ndarray] = [np.empty(0)] * len(hits)
    rebuilt, names, files = list(images), [""] * len(hits), [""] * len(hits)
    missing: UserError | None = None
    for i, part in enumerate(whole.parts):
        places = np.flatnonzero(hits.parts == i)
        if not len(places):
            continue
        rows, survey = hits.rows[places], part.survey
        known = survey.labels
        labels = None if known is None else known[rows]
        drawn = part.decoded(survey.mu[rows], labels)
        try:
            with opening_spinner(part.images):
                originals = matched(part.images.gather(rows), drawn.shape[2:])
        except UserError as error:
            originals, missing = drawn, error
        for at, row, original, copy in zip(places, rows, originals, drawn, strict=True):
            label = f" · {survey.label_name(int(known[row]))}" if known is not None else ""
            images[at], rebuilt[at] = original, copy
            names[at] = f"{number(float(hits.distances[at]))}{label}"
            files[at] = survey.name(int(row))
    if missing is not None:
        st.info(f"What is not at hand is drawn by the model. {redact(missing)}")
    if paired and len(hits):
        gap = np.full((*images[0].shape[:2], 1), 255, np.uint8)
        images = [np.concatenate([a, gap, b], axis=2) for a, b in zip(images, rebuilt, strict=True)]
    if len(hits):
        pictures(np.stack(images), names, SIDE, files, wide=2 if paired else 1)


def _csv(whole: Whole, hits: Hits) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["rank", "part", "file", "label", "distance"])
    for rank, (i, row, away) in enumerate(
        zip(hits.parts.tolist(), hits.rows.tolist(), hits.distances.tolist(), strict=True), 1
    ):
        survey = whole.parts[i].survey
        label = "" if survey.labels is None else survey.label_name(int(survey.labels[row]))
        writer.writerow([rank, survey.split, survey.name(row), label, away])
    return text.getvalue().encode()


# --- what is searched -----------------------------------------------------------------------------


def _version(run: Run) -> tuple[int | None, ...]:
    """Changes with the weights, the encodings that the run keeps and the surveys of its parts."""
    surveys = (derived.version(run, layout.survey(split)) for split in PARTS)
    return weights_version(run), encodings_version(run), *surveys


@st.cache_resource(max_entries=2, show_spinner="Gathering the encodings")
def _whole(path: Path, version: tuple[int | None, ...]) -> Whole | None:
    from vae_core.analysis import known_surveys
    from vae_core.latent.search import ImageSearch

    run = Run(path)
    parts = []
    for survey in known_surveys(run):
        kept = encodings_of(run) if survey.split == CACHED else None
        images: Images = PartImages(run, survey.split, len(survey))
        if kept is not None:
            images = ArrayImages(kept.thumbnails)
        parts.append(EncodedImages(run, survey, images, f"{path}/{version}/{survey.split}"))
    if not parts:
        return None
    return Whole(tuple(parts), ImageSearch([part.survey for part in parts]))
