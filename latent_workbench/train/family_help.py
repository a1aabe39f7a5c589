"""What a family is: one sentence, what it minimises with its present weights, when to take it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import streamlit as st

from latent_workbench.live.history import latest_weights
from latent_workbench.shared.formatting import number
from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.families import Family, families
from vae_core.in_force import weights_in_force
from vae_core.runs import ACTIVE, WEIGHTS, Run

LIVE_S = 2.0
WIDTH = 460
ICON = ":material/function:"


def about_choice(config: RunConfig) -> None:
    """A button beside the picker that explains the family with the weights that are set."""
    family = families[config.family]
    with st.popover(
        "", icon=ICON, key="about-choice", help=f"What {family.label} is and what it minimises"
    ):
        _note(family, _configured(family, config))


def about_run(run: Run, config: RunConfig, state: str) -> None:
    """The same for a run, with the weights of its newest step; they move while it trains."""
    with st.popover(
        "Loss", icon=ICON, key="about-run", type="tertiary", help="What this run minimises"
    ):
        st.fragment(_live, run_every=LIVE_S if state in ACTIVE else None)(run, config, state)


def _live(run: Run, config: RunConfig, state: str) -> None:
    family = families[config.family]
    _note(family, _configured(family, config) | _newest(run, state))


def _newest(run: Run, state: str) -> dict[str, float]:
    """The weights that move while it trains; afterwards those of what was kept of it."""
    if state not in ACTIVE and run.has(WEIGHTS):
        with suppress(UserError):  # damaged weights, which the page tells of elsewhere
            return weights_in_force(run)
    return latest_weights(run)


def _configured(family: Family, config: RunConfig) -> dict[str, float]:
    return family.weights_in(family.parse_options(config.objective, "objective"))


def _note(family: Family, weights: Mapping[str, float]) -> None:
    with st.container(width=WIDTH, gap="small"):
        st.markdown(f"**{family.label}.** {family.blurb}")
        formula = family.formula_with(weights, number)
        st.latex(rf"\begin{{gathered}} {formula} \end{{gathered}}")
        st.markdown(family.when)
        st.caption(
            "  \n".join(
                f"**{quantity.label}** ({quantity.unit}). {quantity.help}"
                for quantity in family.terms.values()
            )
        )
        st.caption(f"Source: {family.paper}.")
