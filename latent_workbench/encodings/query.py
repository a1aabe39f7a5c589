"""What somebody wants to find images like: a point of the latent space, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from latent_workbench.encodings.encoded_images import EncodedImages
from latent_workbench.shared.state import session
from vae_core.runs import Run

TAB = "Search"
TABS_KEY = "encodings-tab"


@dataclass(frozen=True)
class Query:
    """title: in words. z: float32 [D]. picture: as the model sees it, the address that holds it;
    "" without one. own: the part and the row of the image itself, which is not to be found again.
    """

    title: str
    z: np.ndarray
    picture: str = ""
    own: tuple[str, int] | None = None


@dataclass
class Queries:
    """The last question about each run."""

    of: dict[str, Query] = field(default_factory=dict)


def query_of(run: Run) -> Query | None:
    """What was asked last about a run."""
    return session(Queries).of.get(run.id)


def ask(run: Run, query: Query) -> None:
    """Make `query` the question that the search answers."""
    session(Queries).of[run.id] = query


def more_like_it(encoded: EncodedImages, row: int, key: str) -> None:
    """A button that searches for images like the one of a row."""

    def clicked() -> None:
        own = encoded.split, row
        ask(encoded.run, Query(encoded.name(row), encoded.survey.mu[row], "", own))
        st.session_state[TABS_KEY] = TAB

    if st.button("Find more like it", key=f"encodings-like-{key}", icon=":material/image_search:",
                 on_click=clicked):  # fmt: skip
        st.rerun()  # the tabs are no part of the fragment that the button is in
