"""The first page: take hold of a latent space, then see every run."""

from __future__ import annotations

import streamlit as st

from latent_workbench.components.explorer import explorer
from latent_workbench.gallery.cards import card
from latent_workbench.shared import access
from latent_workbench.shared.catalog import RunFacts, catalog
from latent_workbench.shared.current_run import no_runs, open_run
from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.formatting import grouped
from latent_workbench.shared.inputs import page_of
from latent_workbench.shared.train_start import train_on_own_images
from vae_core.data import datasets
from vae_core.runs import Store

HERO_HEIGHT = 310
PAGE = 12
COLUMNS = 4
SORTS = {
    "Newest": lambda facts: -facts.made,
    "Name": lambda facts: facts.id.lower(),
    "Best ELBO": lambda facts: (bool(facts.incomparable), -(facts.elbo or float("-inf"))),
    "Data set": lambda facts: (facts.dataset, -facts.made),
}


@st.fragment
def hero(facts: RunFacts) -> None:
    """Two live sliders on a trained model: the first thing anyone does here is drag."""
    known = facts.dataset in datasets and datasets[facts.dataset].subject
    what = known or f"images ({facts.dataset})"
    title = f"A model that has seen {grouped(facts.n_train or 0)} {what}. Drag."
    if facts.brought:
        title = "A network from elsewhere. Drag."
    with errors_shown(st.warning):
        explorer(facts.run, "hero", title)


def hero_buttons(facts: RunFacts) -> None:
    """Where to go from the hero."""
    explore, train, _ = st.columns([1, 1.4, 2.2])
    if explore.button("Open in Explore", icon=":material/tune:", type="primary", width="stretch"):
        open_run(facts.id)
    if not access.read_only_reason() and train.button(
        "Train on your own images", icon=":material/upload:", width="stretch"
    ):
        train_on_own_images()


def runs(found: list[RunFacts]) -> None:
    """Every run as a card, a page of them at a time."""
    title, search, order = st.columns([2, 2, 1], vertical_alignment="center")
    title.subheader("Runs")
    words = search.text_input(
        "Filter",
        placeholder="Name, family, data set or state",
        key="gallery-filter",
        label_visibility="collapsed",
    )
    sort = order.selectbox("Sort", list(SORTS), key="gallery-sort", label_visibility="collapsed")
    matching = [each for each in found if matches(each, words)]
    if not matching:
        st.info(f"No run matches “{words}”. Clear the filter to see all {len(found)}.")
        return
    place = st.container()
    shown = page_of(sorted(matching, key=SORTS[sort]), PAGE, "gallery-page")
    with place:
        for start in range(0, len(shown), COLUMNS):
            row = shown[start : start + COLUMNS]
            for column, facts in zip(st.columns(COLUMNS), row, strict=False):
                with column:
                    card(facts)


def matches(facts: RunFacts, words: str) -> bool:
    """True where every word occurs in what the card says."""
    text = f"{facts.id} {facts.family} {facts.dataset} {facts.state}".lower()
    return all(word in text for word in words.lower().split())


def page() -> None:
    """Draw the hero and the runs."""
    found = catalog()
    usable = {facts.id: facts for facts in found if facts.usable}
    met = Store().first_met(usable)
    if not found:
        no_runs("drag through what it learned")
        return
    if met is not None:
        place = st.container(height=HERO_HEIGHT, border=False)
        hero_buttons(usable[met])
    runs(found)
    if met is not None:
        # Last, so that the cards do not wait for the engine.
        with place:
            hero(usable[met])


page()
