"""One figure at a time: what it says, the figure itself, its formula, a question, and the way to a
run of one's own."""

from __future__ import annotations

import streamlit as st

from latent_workbench.components.concepts import Concept, concepts
from latent_workbench.shared.current_run import RUN_PARAMETER, current_run
from latent_workbench.shared.errors import errors_shown

FIGURE = "figure"
_PICKER = "concept-picker"
STYLE = "<style>.st-key-concept-words { font-size: 0.92em; } .st-key-concept-words .katex-display \
{ overflow: auto hidden; margin: 0; padding: 2px 0 8px; font-size: 0.85em; }</style>"


def figures() -> None:
    """Draw the list of figures and the one that is chosen, which the address names."""
    names = [each.name for each in concepts]
    asked = st.query_params.get(FIGURE)
    # The widget follows the address: its own binding would put the figure's label there.
    st.session_state[_PICKER] = asked if asked in names else names[0]
    chosen = st.pills(
        "Figure", names, format_func=lambda name: concepts[name].label, required=True, key=_PICKER,
        label_visibility="collapsed", on_change=_name,
    )  # fmt: skip
    concept = concepts[chosen or names[0]]
    st.html(STYLE)
    shown, told = st.columns([2.3, 1], gap="medium")
    with told, st.container(key="concept-words"):
        words(concept)
    with shown:
        st.fragment(drawn)(concept)


def _name() -> None:
    st.query_params[FIGURE] = st.session_state[_PICKER]


def drawn(concept: Concept) -> None:
    """The figure, of the current run where it fits."""
    with errors_shown(st.info):
        concept.mount(current_run())


def words(concept: Concept) -> None:
    """What stands beside the figure."""
    st.markdown(concept.blurb)
    st.latex(concept.formula)
    with st.expander(concept.question):
        st.markdown(concept.answer)
    run = current_run()
    if st.button(
        "See it in your run", icon=":material/arrow_forward:", key=f"see-{concept.name}",
        help=concept.look, disabled=run is None,
    ):  # fmt: skip
        parameters = {} if run is None else {RUN_PARAMETER: run.id}
        st.switch_page(f"pages/{concept.page}.py", query_params=parameters | concept.parameters)
    st.caption(f"{concept.look} Source: {concept.paper}." if concept.paper else concept.look)
