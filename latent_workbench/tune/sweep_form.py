"""The form of a new sweep."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import streamlit as st

from latent_workbench.shared import access
from latent_workbench.shared.current_run import current_run
from latent_workbench.shared.errors import errors_shown, redact
from latent_workbench.shared.formatting import number
from latent_workbench.shared.inputs import bounded, field_error
from latent_workbench.shared.recipes import recipes
from latent_workbench.shared.state import persistent, restore
from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.families import families
from vae_core.runs import Store
from vae_core.sweeps import BETA, SEED, SweepSpec, parse_values
from vae_core.sweeps.spec import MOST_RUNS, PrunerName, SamplerName, check
from vae_core.sweeps.sweep import create_sweep, launch, sweeps_of

NOTHING = "nothing"
SECOND = {
    NOTHING: ("nothing else", ""),
    "model.latent_dim": ("latent dimensions", "4, 16"),
    "model.sigma": ("pixel noise σ", "0.05, 0.1, 0.2"),
    "family": ("family", "vae, free-bits"),
    "train.learning_rate": ("learning rate", "0.0005, 0.002"),
}
"""What can be varied beside β: its label, and values to begin with."""

SAMPLERS: dict[SamplerName, str] = {
    "grid": "every combination",
    "random": "random draws between the ends",
    "tpe": "TPE: towards the best ELBO",
}
PRUNERS: dict[PrunerName, str] = {
    "none": "nothing: all runs end",
    "median": "what is below the median",
    "hyperband": "what loses in Hyperband",
}
"""What is stopped early."""

CURRENT = "current"


def sweep_form() -> str | None:
    """Draw the form; the name of the sweep that was just started, else None."""
    if reason := access.read_only_reason():
        st.info(reason, icon=":material/visibility:")
        return None
    left, right = st.columns(2)
    with left:
        base = _base()
    with right:
        typed = _text("Name", "sweep-name", "", "Its runs' names begin with it.")
    name = typed or _free_name(base.data.dataset)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    with left:
        start = "0.1, 0.3, 1, 3, 10"
        betas = _values("Values of β", "sweep-betas", BETA, start, "Separated by commas.")
    with right.popover("Log grid", width="stretch"):
        _log_grid()
    left, right = st.columns(2)
    second = left.selectbox(
        "Vary also", list(SECOND), format_func=lambda key: SECOND[key][0], key="sweep-second"
    )
    values = ""
    if second != NOTHING:
        with right:
            values = _values("Its values", f"sweep-{second}", second, SECOND[second][1])
    left, right = st.columns(2)
    epochs, of_epochs = bounded(left, "Epochs", "sweep-epochs", 1, 100_000, base.train.epochs)
    beside = "Runs beside each other; they share out all cores."
    workers, of_workers = bounded(right, "At a time", "sweep-workers", 1, 64, 2, help=beside)
    with st.expander("More"):
        seeds, more, of_more = _more()
    if problem := of_epochs or of_workers or of_more:
        st.error(problem)
        return None
    try:
        varied = {BETA: parse_values(BETA, betas)}
        if second != NOTHING:
            varied[second] = parse_values(second, values)
        if len(found := parse_values(SEED, seeds)) > 1:
            varied[SEED] = found
        spec = check(
            SweepSpec(
                base=base.updated({"train": {"epochs": epochs, "seed": found[0]}}),
                vary=varied,
                workers=workers,
                **more,
            )
        )
    except UserError as error:
        st.error(redact(error))
        return None
    pressed = st.button(
        f"Start {spec.total} runs",
        key="start-sweep",
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        **access.widget_options(),
    )
    st.caption(f"“{name}”: the same data, first weights, hold-out images and z in every run.")
    with errors_shown():
        if pressed:
            made = access.authorized(create_sweep)(Store(), name, spec)
            access.authorized(launch)(made)
            return made.id
    return None


def _more() -> tuple[str, dict[str, Any], str]:
    """Seeds, what else the specification is made of, and why one of them cannot be taken."""
    left, right = st.columns(2)
    with left:
        seeds = _values("Seeds", "sweep-seeds", SEED, "0", "One run of each β for each seed.")
    sampler = right.selectbox(
        "Order", list(SAMPLERS), key="sweep-sampler", format_func=SAMPLERS.__getitem__
    )
    left, right = st.columns(2)
    more: dict[str, Any] = {"sampler": sampler}
    more["pruner"] = left.selectbox(
        "Stop early", list(PRUNERS), key="sweep-pruner", format_func=PRUNERS.__getitem__,
        help="Runs whose ELBO on unseen images falls behind that of the others at the same epoch.",
    )  # fmt: skip
    problem = ""
    if sampler != "grid":
        more["trials"], problem = bounded(right, "How many runs", "sweep-trials", 1, MOST_RUNS, 12)
    if access.is_local_visitor():  # a visitor could make this server call, or write to, anything
        storage = persistent(
            st.text_input, "Shared storage", key="sweep-storage", default="",
            help="URL of a database or a journal; empty: here.", type="password",  # it may hold one
        ).strip()  # fmt: skip
        more["storage"] = storage or None
    return seeds, more, problem


def _base() -> RunConfig:
    """What all runs share: the settings of the current run, or a recipe."""
    run = current_run()
    offered = {name: recipe.label for name, recipe in recipes().items() if _has_beta(recipe.config)}
    own = None
    if run is not None:
        with suppress(UserError):  # its damage is told where the run is shown
            own = run.config()
        if own is not None and _has_beta(own):
            offered = {CURRENT: f"settings of {run.id}", **offered}
    first = next(iter(offered))
    restore("sweep-base", first, offered)
    chosen = persistent(
        st.selectbox, "Start from", list(offered), key="sweep-base", default=first,
        format_func=offered.__getitem__,
    )  # fmt: skip
    return own if own is not None and chosen == CURRENT else recipes()[chosen].config


def _has_beta(config: RunConfig) -> bool:
    return "beta" in families[config.family].options.model_fields


def _text(label: str, key: str, start: str, help: str | None = None) -> str:
    return persistent(st.text_input, label, key=key, default=start, help=help).strip()


def _values(label: str, key: str, setting: str, start: str, help: str | None = None) -> str:
    """Values of a setting as they are typed; what is wrong with them is said below them."""
    typed = _text(label, key, start, help)
    try:
        parse_values(setting, typed)
    except UserError as error:
        field_error(st.container(), redact(error))
    return typed


def _log_grid() -> None:
    place = st.container(gap="small")
    low, of_low = bounded(place, "From", "log-grid-low", 1e-6, 1e6, 0.1, format="%g")
    high, of_high = bounded(place, "To", "log-grid-high", 1e-6, 1e6, 10.0, format="%g")
    count, of_count = bounded(place, "Values", "log-grid-count", 2, 50, 5)
    if of_low or of_high or of_count:
        return
    grid = [float(f"{beta:.2g}") for beta in np.geomspace(low, high, count)]
    text = ", ".join(f"{beta:g}" for beta in grid)
    st.caption(f"{number(count)} values: {text}")
    st.button("Use them", key="log-grid-use", on_click=_use_grid, args=(text,))


def _use_grid(text: str) -> None:
    st.session_state["sweep-betas"] = text


def _free_name(dataset: str) -> str:
    names = {sweep.id for sweep in sweeps_of(Store())}
    wish = f"{dataset}-sweep"
    wishes = (wish, *(f"{wish}-{n}" for n in range(2, len(names) + 3)))
    return next(name for name in wishes if name not in names)
