"""The tab Sweep: a new sweep, one at work, or all runs on the current data."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from latent_workbench.shared.catalog import RunFacts, catalog, facts_of
from latent_workbench.shared.errors import errors_shown, redact
from latent_workbench.shared.state import persistent, restore, session
from latent_workbench.tune.board import board
from latent_workbench.tune.comparison import comparison
from latent_workbench.tune.queue import label, queue, sweep_buttons
from latent_workbench.tune.rate_curve import curve_of, has_dial
from latent_workbench.tune.results import advice, sweep_results
from latent_workbench.tune.sweep_form import sweep_form
from vae_core.errors import UserError
from vae_core.runs import Run, Store
from vae_core.sweeps import BETA, Sweep, SweepState, sweeps_of
from vae_core.sweeps.resolved import resolved
from vae_core.sweeps.state import ACTIVE

NEW, ALL = "new", "all"
CHOICE = "sweep-choice"
LOOK_EVERY_S = 1.5
COMPARED = 12
"""Runs that are compared at first: their curves can be told apart."""


@dataclass
class NewSweep:
    """started: the sweep that was just begun, and is not yet chosen."""

    started: str = ""


def sweep_tab(run: Run) -> None:
    """Draw the choice, and beside it what was chosen."""
    store, new = Store(), session(NewSweep)
    if new.started:
        st.session_state[CHOICE], new.started = new.started, ""
    names = {NEW: "New sweep", ALL: f"All runs like {run.id}"}
    names |= {sweep.id: sweep.id for sweep in sweeps_of(store)}
    asked = st.query_params.get("sweep")
    start = asked if asked in names else (ALL if has_dial(run) else NEW)
    widths = [1.5, 1] if restore(CHOICE, start, names) == NEW else [1, 2.3]
    left, right = st.columns(widths, gap="medium")
    with left:
        chosen = persistent(
            st.selectbox, "Sweep", list(names), key=CHOICE, default=start,
            format_func=names.__getitem__,
        )  # fmt: skip
    if chosen == NEW:
        with left:
            new.started = sweep_form() or ""
        right.markdown(EXPLANATION)
        if new.started:
            st.rerun()
        return
    if chosen == ALL:
        with left:
            st.caption(
                "Measured runs whose nats mean the same: images, their size, likelihood, and the "
                "part measured on."
            )
            found = comparable(catalog(store), facts_of(run))
            advice(found)
        with right:
            _runs(found, run)
        return
    sweep = Sweep(store, chosen)
    try:
        state = sweep.state()
    except UserError as error:
        right.error(redact(error))
        return
    every = LOOK_EVERY_S if state.state in ACTIVE else None
    with left:
        sweep_buttons(sweep, state)
        st.fragment(_queue, run_every=every)(sweep, state)
    with right:
        st.fragment(_progress, run_every=every)(sweep, run.id)
    _compare(_facts(sweep), sweep.id)


def comparable(runs: list[RunFacts], current: RunFacts) -> list[RunFacts]:
    """Measured runs whose nats mean the same: equal images, size, likelihood and part measured."""
    same = _nats(current)
    return [run for run in _measured(runs) if same is not None and _nats(run) == same]


def _measured(runs: list[RunFacts]) -> list[RunFacts]:
    return [run for run in runs if None not in (run.kl, run.recon)]


def _nats(facts: RunFacts) -> tuple[object, ...] | None:
    try:
        return (*resolved(facts.run).nats, facts.measured and facts.measured.split)
    except UserError:  # it has not seen its images yet, or is damaged, as is told where it is shown
        return None


def _queue(sweep: Sweep, seen: SweepState) -> None:
    """The queue as it is now, and what it teaches; the page runs again where its buttons, drawn
    of the state `seen`, have become others."""
    with errors_shown():
        state, total = sweep.state(), sweep.spec().total
        active = state.state in ACTIVE
        if active:
            queue(sweep, state, total)
        advice(_facts(sweep))
        if not active:  # what came out matters more than in which order
            queue(sweep, state, total)
        was_paused, paused = (each.target == "pause" for each in (seen, state))
        if seen.state in ACTIVE and (not active or paused != was_paused):
            st.rerun()


def _progress(sweep: Sweep, current: str) -> None:
    with errors_shown():
        sweep_results(_measured(_facts(sweep)), current)
        by_beta = sorted(sweep.state().entries, key=lambda entry: float(entry.params.get(BETA, 0)))
        board([(label(entry), _run_of(sweep, entry.run)) for entry in by_beta])


def _runs(runs: list[RunFacts], run: Run) -> None:
    sweep_results(runs, run.id, curve_of(run))
    ordered = sorted(runs, key=lambda facts: facts.beta or 0.0)
    board([(facts.id, facts.run) for facts in ordered])
    _compare(ordered, ALL)


def _compare(offered: list[RunFacts], of: str) -> None:
    """Runs beside each other; histories and models are only read once somebody looks."""
    compare = st.expander(
        "Compare", key="compare", icon=":material/compare_arrows:", on_change="rerun"
    )
    if not compare.open:
        return
    with compare:
        ids = [facts.id for facts in offered]
        chosen = st.multiselect("Runs", ids, default=ids[:COMPARED], key=f"comparison-runs-{of}")
        comparison([facts.run for facts in offered if facts.id in chosen])


def _facts(sweep: Sweep) -> list[RunFacts]:
    runs = (_run_of(sweep, entry.run) for entry in sweep.state().entries)
    return [facts_of(run) for run in runs if run is not None]


def _run_of(sweep: Sweep, name: str) -> Run | None:
    """The run of an entry; None before it has one, and once it is deleted."""
    try:
        return sweep.store.get(name) if name else None
    except UserError:
        return None


EXPLANATION = """
#### What a sweep tells

One model for each β, everything else equal: the same images, the same first weights, the same
z. Beside each other they show

- the **rate–distortion curve**: what each nat of KL buys in reconstruction. Points on one dotted
  line have the same ELBO;
- **active dimensions**: how many of them still carry something;
- a **board**: samples, reconstructions and traversals, β from left to right.

A VAE minimises **distortion + β · rate**, both in nats per image. At β = 1 the sum is −ELBO. A
larger β buys order and costs sharpness; a smaller one draws better and leaves holes from which
the prior draws nonsense.
"""
