"""Selections under a name: saved, recalled, combined, taken home, and trained on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from latent_workbench.components.scatter import PointsSelected, Recalled, ScatterEvent
from latent_workbench.encodings.encoded_images import EncodedImages
from latent_workbench.encodings.take_home import take_home
from latent_workbench.shared import access
from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.formatting import escape_markdown, grouped
from latent_workbench.shared.state import rerun_fragment, session
from latent_workbench.shared.train_on import USES, train_on
from vae_core.analysis import survey_hashes
from vae_core.selections import (
    COMBINATIONS,
    Selection,
    find_selection,
    forget_selection,
    keep_selections,
    load_selections,
    reference,
    rename_selection,
    save_selection,
)

SIGNS = {"union": "or in", "intersection": "and in", "difference": "but not in"}
ICONS = {"only": ":material/model_training:", "without": ":material/block:"}


@dataclass
class SelectionState:
    """What this session knows of selections, by the key of the images where it is of them.

    recalled: what was asked for last; since: the time of the event that it was asked for after.
    last: the time of the event that was seen last. removed: by run, what it had before a removal.
    typed: how many names were taken; each empties the field.
    """

    recalled: dict[str, Recalled] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    removed: dict[str, tuple[Selection, ...]] = field(default_factory=dict)
    typed: int = 0


def recalled(encoded: EncodedImages) -> Recalled | None:
    """The saved selection that is to be shown among the points."""
    return session(SelectionState).recalled.get(encoded.key)


def newest(encoded: EncodedImages, event: ScatterEvent) -> ScatterEvent:
    """What the browser said last, or the selection that was recalled since."""
    state = session(SelectionState)
    at = 0.0 if event is None else event.at
    state.last[encoded.key] = at
    shown = state.recalled.get(encoded.key)
    if shown is not None and at == state.since[encoded.key]:
        return PointsSelected(shown.rows, at=at)
    return event


def _recall(encoded: EncodedImages, selection: Selection, rows: np.ndarray) -> None:
    state = session(SelectionState)
    state.typed += 1
    state.recalled[encoded.key] = Recalled(f"{selection.name}/{state.typed}", rows)
    state.since[encoded.key] = state.last.get(encoded.key, 0.0)
    rerun_fragment()


# --- what is selected now -------------------------------------------------------------------------


def selection_actions(encoded: EncodedImages, rows: np.ndarray) -> None:
    """Save the images at `rows` [M], train on them or without them."""
    run, state = encoded.run, session(SelectionState)
    key = f"encodings-selection-{run.id}"
    writes = access.widget_options()
    field, button = st.columns([2, 1], vertical_alignment="bottom")
    name = field.text_input(
        "Save the selection", key=f"{key}-name-{state.typed}", placeholder="name it", **writes
    )
    save = button.button(
        "Save", key=f"{key}-save", icon=":material/bookmark_add:", width="stretch", **writes
    )
    with errors_shown(st.warning):
        if save:
            _saved(encoded, name, rows)
            state.typed += 1
            st.toast(f"Saved “{escape_markdown(name.strip())}”.")
            rerun_fragment()
        with st.container(horizontal=True, gap="small"):
            _train_buttons(encoded, key, rows, name)


def _train_buttons(
    encoded: EncodedImages, key: str, rows: np.ndarray, name: str, saved: str = ""
) -> None:
    for use, label in USES.items():
        if st.button(label, key=f"{key}-{use}", icon=ICONS[use], **access.widget_options()):
            if not saved:
                saved = _saved(encoded, name or _free_name(encoded), rows).name
            train_on(encoded.run, reference(encoded.run, saved), use)


def _saved(encoded: EncodedImages, name: str, rows: np.ndarray) -> Selection:
    hashes = survey_hashes(encoded.run, encoded.survey)[rows]
    return access.authorized(save_selection)(encoded.run, name, encoded.split, hashes)


def _free_name(encoded: EncodedImages) -> str:
    taken = {each.name for each in load_selections(encoded.run)}
    return next(name for k in range(1, 10**6) if (name := f"selection {k}") not in taken)


# --- those that are saved -------------------------------------------------------------------------


def saved_selections(encoded: EncodedImages) -> None:
    """What is saved with the run, and what can be done with it; nothing where nothing is."""
    with errors_shown(st.warning):
        run = encoded.run
        known = load_selections(run)
        _offer_undo(encoded, known)
        if not known:
            return
        with st.expander(f"Saved selections ({len(known)})", icon=":material/bookmarks:"):
            _one_of(encoded, known)


def _one_of(encoded: EncodedImages, known: tuple[Selection, ...]) -> None:
    run, key = encoded.run, f"encodings-saved-{encoded.run.id}"
    counts = {each.name: len(each) for each in known}
    name = st.selectbox(
        "Selection", list(counts), index=len(counts) - 1, key=f"{key}-{len(known)}",
        format_func=lambda each: f"{each} ({grouped(counts[each])})",
    )  # fmt: skip
    chosen = find_selection(run, name)
    rows = chosen.rows(survey_hashes(run, encoded.survey))
    if len(rows) < len(chosen):
        st.caption(
            f"{grouped(len(rows))} of its {grouped(len(chosen))} images are among those shown."
        )
    with st.container(horizontal=True, gap="small"):
        if st.button(
            "Show", key=f"{key}-show", icon=":material/visibility:", disabled=not len(rows)
        ):
            _recall(encoded, chosen, rows)
        _train_buttons(encoded, key, rows, name, saved=name)
    if len(rows):
        take_home(encoded, rows, f"saved-{run.id}", name)
    _rename_or_delete(encoded, name, key)
    if len(known) > 1:
        _combine(encoded, chosen, known, key)


def _rename_or_delete(encoded: EncodedImages, name: str, key: str) -> None:
    run, state, writes = encoded.run, session(SelectionState), access.widget_options()
    new = st.text_input("Name of the selection", name, key=f"{key}-new-{name}", **writes)
    rename, delete = st.columns(2)
    if rename.button("Rename", key=f"{key}-rename", width="stretch", **writes):
        access.authorized(rename_selection)(run, name, new)
        rerun_fragment()
    if delete.button("Delete", key=f"{key}-delete", width="stretch", **writes):
        state.removed[run.id] = access.authorized(forget_selection)(run, name)
        rerun_fragment()


def _offer_undo(encoded: EncodedImages, known: tuple[Selection, ...]) -> None:
    """Bring back what was deleted last, beside whatever was saved since."""
    run, removed = encoded.run, session(SelectionState).removed
    gone = [each for each in removed.get(run.id, ()) if each.name not in {k.name for k in known}]
    if not gone:
        return
    words, button = st.columns([2, 1], vertical_alignment="center")
    words.caption(f"Deleted “{escape_markdown(gone[-1].name)}”.")
    if button.button("Undo", key=f"encodings-saved-undo-{run.id}", icon=":material/undo:"):
        access.authorized(keep_selections)(run, (*known, gone[-1]))
        del removed[run.id]
        rerun_fragment()


def _combine(
    encoded: EncodedImages, chosen: Selection, known: tuple[Selection, ...], key: str
) -> None:
    st.caption(f"Images in “{escape_markdown(chosen.name)}” …")
    how, other = st.columns([1, 1.2])
    sign = how.selectbox(
        "How", list(SIGNS), key=f"{key}-how", format_func=SIGNS.__getitem__,
        label_visibility="collapsed",
    )  # fmt: skip
    others = {each.name: each for each in known if each.name != chosen.name}
    second = other.selectbox(
        "Other selection", list(others), key=f"{key}-other-{chosen.name}",
        label_visibility="collapsed",
    )  # fmt: skip
    if st.button("Combine", key=f"{key}-combine", **access.widget_options()):
        made = COMBINATIONS[sign](chosen.hashes, others[second].hashes)
        name = f"{chosen.name} {SIGNS[sign].removesuffix(' in')} {second}"[:60]
        access.authorized(save_selection)(encoded.run, name, chosen.split, made)
        rerun_fragment()
