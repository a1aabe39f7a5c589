"""The list of terms, and where each can be seen."""

from __future__ import annotations

import streamlit as st

from latent_workbench.components.concepts import concepts
from latent_workbench.shared.glossary import TERM, Term, terms
from latent_workbench.shared.state import app_state

COLUMNS = 2


def glossary() -> None:
    """Draw all terms, or those that a word is looked for in; the address may name one."""
    asked = st.query_params.get(TERM, "")
    words = st.text_input(
        "Find a term", asked, key=f"glossary-find-{asked}", placeholder="ELBO, collapse, σ …"
    )
    found = matching(words)
    if not found:
        st.info(f"No term matches “{words}”. Clear the field to see all {len(terms())}.")
    for place, some in zip(st.columns(COLUMNS, gap="large"), halves(found), strict=True):
        with place:
            for term in some:
                entry(term)


def matching(words: str) -> list[Term]:
    """The terms that are called so, else those that have the words anywhere."""
    wanted = words.strip().lower()
    exact = [each for each in terms() if wanted in (name.lower() for name in called(each))]
    return exact or [
        each for each in terms() if wanted in " ".join((*called(each), each.says)).lower()
    ]


def called(term: Term) -> tuple[str, ...]:
    """All names of a term."""
    return (term.term, *term.also)


def halves(found: list[Term]) -> tuple[list[Term], ...]:
    """The terms column by column, in the order of the alphabet."""
    ordered = sorted(found, key=lambda each: each.term.lower())
    half = -(-len(ordered) // COLUMNS)
    return tuple(ordered[half * i : half * (i + 1)] for i in range(COLUMNS))


def entry(term: Term) -> None:
    """One term, its sentence, and the figure that shows it."""
    st.markdown(f"**{term.term}**: {term.says}")
    if term.figure:
        run = app_state().run_id
        st.page_link(
            "pages/concepts.py", label=concepts[term.figure].label, icon=":material/draw:",
            query_params={"figure": term.figure} | ({"run": run} if run else {}),
        )  # fmt: skip
