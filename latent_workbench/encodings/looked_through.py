"""What was found in a collection: by a process beside the server, once for everybody who looks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

from latent_workbench.components.scatter import Colouring
from latent_workbench.encodings.encoded_images import BY_KEY, EncodedImages
from latent_workbench.shared.formatting import escape_markdown
from latent_workbench.shared.state import session
from latent_workbench.shared.tasks import Task, command, result_of
from vae_core.data import Progress

if TYPE_CHECKING:
    from vae_core.curation import Curation

MANY = 20_000
"""Up to so many images a collection is looked through without being asked."""


@dataclass
class Looked:
    """asked: of which images, many, somebody wants to know. found: what was found, by the key of
    the images; smallest: the size from which a group counts. shown: the group whose points have a
    colour of their own. right: identities of images whose label somebody found right."""

    asked: set[str] = field(default_factory=set)
    found: dict[str, Curation] = field(default_factory=dict)
    smallest: dict[str, int] = field(default_factory=dict)
    shown: dict[str, int] = field(default_factory=dict)
    right: dict[str, set[int]] = field(default_factory=dict)


def found(encoded: EncodedImages) -> Curation | None:
    """What was found; None while it is looked for or has to be asked for, which is shown."""
    from vae_core.latent.clusters import smallest_cluster

    state, n = session(Looked), len(encoded.survey)
    if n < 2:
        st.info("One image has no others to be compared with.")
        return None
    if n > MANY and encoded.key not in state.asked:
        st.markdown(
            f"Looks through the {escape_markdown(encoded.description)} for near-duplicates, likely "
            "wrong labels, groups and what is rare. This takes a few minutes for so many."
        )
        if not st.button("Look through them", icon=":material/manage_search:",
                         key=f"collection-look-{encoded.run.id}"):  # fmt: skip
            return None
        state.asked.add(encoded.key)
    smallest = state.smallest.get(encoded.key, smallest_cluster(n))
    made = result_of(
        _looked_through(encoded, smallest), f"collection-{encoded.run.id}",
        lambda: _looked_through.clear(encoded, smallest),
    )  # fmt: skip
    if made is not None and state.found.get(encoded.key) is not made:
        state.found[encoded.key] = made
        st.rerun()  # the points can be coloured by groups now
    return made


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=BY_KEY)
def _looked_through(encoded: EncodedImages, smallest: int) -> Task[Curation]:
    """By a process beside the server; where nothing can be kept, in the server itself."""

    def work(progress: Progress) -> Curation:
        from vae_core.curation import curate, load_curation

        run, split = encoded.run, encoded.split
        made = load_curation(run, encoded.survey, smallest)
        if made is None:
            asked = ("--split", split, "--smallest", str(smallest))
            command(run, "curate", run.id, *asked)(progress)
            made = load_curation(run, encoded.survey, smallest)
        return made or curate(run, split, None, smallest, progress)

    return Task(work)


# --- among the points ---


def colourings(encoded: EncodedImages) -> list[Colouring]:
    """The groups that were found as colours of the points, and the one that is shown."""
    state = session(Looked)
    made = state.found.get(encoded.key)
    if made is None or made.clusters is None or not len(made.clusters):
        return []
    of = made.clusters.number
    every = Colouring(
        f"groups of {made.smallest} or more", of.astype(float), -1, len(made.clusters) - 1
    )
    shown = state.shown.get(encoded.key)
    if shown is None or shown >= len(made.clusters):
        return [every]
    return [every, Colouring(_colour_name(made, shown), (of == shown).astype(float), 0, 1)]


def colour_by(encoded: EncodedImages) -> str:
    """The colouring of the group that is shown; "" while none is."""
    state = session(Looked)
    made, shown = state.found.get(encoded.key), state.shown.get(encoded.key)
    if made is None or shown is None or made.clusters is None or shown >= len(made.clusters):
        return ""
    return _colour_name(made, shown)


def _colour_name(made: Curation, group: int) -> str:
    return f"in group {group + 1} of those of {made.smallest} or more"
