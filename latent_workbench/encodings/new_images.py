"""Images that no run has seen: taken through the model, and held against what it learned."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from latent_workbench.components.uploader import uploader
from latent_workbench.components.uploader.given import presence, typed_path
from latent_workbench.encodings.encoded_images import EncodedImages
from latent_workbench.encodings.explained import draw_explained
from latent_workbench.encodings.marks import MOST, Marked, mark
from latent_workbench.encodings.score_view import draw_scores, pick_image
from latent_workbench.encodings.scored_images import ScoredImages, scoring_new
from latent_workbench.live.models import weights_version
from latent_workbench.live.upload_sessions import LOOKS, SessionUploads, most_looked_at
from latent_workbench.shared import access
from latent_workbench.shared.errors import redact
from latent_workbench.shared.formatting import escape_markdown, grouped
from latent_workbench.shared.state import session
from latent_workbench.shared.tasks import Task, result_of
from vae_core.runs import Run


@dataclass
class NewImages:
    """What this session brings to be looked at, and what was found in it, by run and place."""

    uploads: SessionUploads | None = None
    tasks: dict[tuple[str, int | None, str], Task[ScoredImages]] = field(default_factory=dict)


def draw(encoded: EncodedImages) -> None:
    """Where they are given, then their scores, and the one that is picked."""
    run = encoded.run
    path = _given()
    found = None if path is None else _found(run, path)
    if found is None:
        left(encoded)
        if path is None:
            st.caption(
                "Every image is encoded and drawn by the model, and compared with those that it "
                "learned from: its loss, its nearest neighbours, its place among the points, and "
                "how many validation images are as strange. Nothing of the run changes."
            )
        return
    scored, key = found.scored, "new-images"
    for note in scored.notes:
        st.info(redact(note))
    ranking = draw_scores(found, key, run.data_card().label_names)
    table, detail = st.columns([1.15, 1], gap="medium")
    with table:
        row = pick_image(found, ranking, key)
        which = f"the first {grouped(MOST)}" if len(scored.survey) > MOST else "these images"
        st.caption(f"Rings among the points above: {which}; the thick one is picked.")
    with detail:
        draw_explained(found, row, ranking, key)
    names = tuple(found.name(each) for each in range(len(scored.survey)))
    if mark(run.id, Marked(scored.survey.mu, names, row)):
        st.rerun()  # the points are drawn above, and not with this tab


def left(encoded: EncodedImages) -> None:
    """Nobody looks at new images now, so none are among the points."""
    if mark(encoded.run.id, None):
        st.rerun()  # the points are drawn above


def _given() -> str | None:
    """Ask for pictures; their path, None while nothing was given. A path goes before an upload."""
    state = session(NewImages)
    if state.uploads is None or state.uploads.closed:
        most = most_looked_at() if access.read_only_reason() else None
        state.uploads = LOOKS.open(presence(), most)
    left, right = st.columns([1.4, 1], gap="medium", vertical_alignment="bottom")
    with left:
        uploader(
            "new-images-upload",
            state.uploads,
            "Show the model a picture, a folder or an archive",
            "One picture is enough.",
        )
    with right:
        label = "Or the path of a picture, a folder or an archive"
        is_typed, path = typed_path("new-images-path", label)
    if is_typed:
        return path
    return str(state.uploads.finished.path) if state.uploads.finished is not None else None


def _found(run: Run, path: str) -> ScoredImages | None:
    """What was found at a path; None while it is looked at, which the page then shows."""
    tasks = session(NewImages).tasks
    which = (run.id, weights_version(run), path)
    for other in [each for each in tasks if each != which]:
        tasks.pop(other).stop()
    if which not in tasks:
        tasks[which] = scoring_new(run, path)
    result = result_of(tasks[which], f"new-images-{run.id}", lambda: tasks.pop(which))
    if result is not None and not np.isfinite(result.scored.survey.mu).all():
        st.warning("The model makes no numbers of these images.")
        return None
    if result is not None:
        count = len(result.scored.survey)
        text, button = st.columns([5, 1], vertical_alignment="center")
        text.markdown(
            f"**{grouped(count)} new {'image' if count == 1 else 'images'}** beside "
            f"{escape_markdown(_reference(result))}"
        )
        if button.button("Score again", key="new-images-again", icon=":material/refresh:"):
            del tasks[which]
            st.rerun()
    return result


def _reference(found: ScoredImages) -> str:
    from latent_workbench.shared.formatting import image_count

    reference = found.scored.reference
    return image_count(len(reference), reference.split)
