"""A first experiment of ten minutes: five steps on the real pages, a note on each at the side."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from latent_workbench.shared.current_run import RUN_PARAMETER, choose_run
from latent_workbench.shared.state import session
from vae_core.errors import UserError
from vae_core.runs import Store


@dataclass(frozen=True)
class Step:
    """page: where it takes place; run: the run to choose, "" for the current one; do, see: what to
    do there, and what one should find."""

    title: str
    page: str
    do: str
    see: str
    run: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


STEPS = (
    Step(
        "Drag a digit",
        "explore",
        "Drag the first two sliders slowly from end to end. Then press *Random* a few times.",
        "Digits turn into each other without a jump: nearby codes are similar pictures. The bar "
        "under the picture says when you have left what the model was trained on.",
        run="mnist-vae",
    ),
    Step(
        "See the whole plane",
        "grids",
        "Look at *Manifold* of a model with two latents, and click a picture between two digits.",
        "Every place of the plane is some picture, and classes border on each other. Explore opens "
        "at the place that you clicked.",
        run="mnist-plane",
    ),
    Step(
        "Train your own",
        "train",
        "Choose the data set *digits* and the recipe *Small digits VAE*, and start. It takes about "
        "a minute and needs no download.",
        "Reconstruction falls first, then the KL rises as codes begin to say something, and "
        "samples of the prior become digits.",
    ),
    Step(
        "Raise β",
        "tune_beta",
        "While it trains, or after you started it once more, set β to 10 on the *Live* tab. Then "
        "set it back to 1.",
        "The KL falls, dimension by dimension, and pictures blur: codes have become dear. Back at "
        "1, some dimensions return.",
        parameters={"tune-tab": "Live"},
    ),
    Step(
        "Look for the classes",
        "encodings",
        "Colour the points by label, point at one that lies among others, and open *Does it look "
        "like the prior?* below.",
        "Labels form groups although the model was never told them. Together the codes should look "
        "like N(0, I): where they do not, samples will be poor.",
    ),
)


@dataclass
class Guide:
    """At which step somebody is; None where no experiment is under way."""

    step: int | None = None


def start_guide() -> None:
    """Begin with the first step."""
    _go(0)


def guide_note() -> None:
    """The note of the step, in the sidebar of whatever page; nothing without an experiment."""
    guide = session(Guide)
    if guide.step is None:
        return
    step, last = STEPS[guide.step], len(STEPS) - 1
    with st.sidebar.container(border=True, key="guide"):
        st.markdown(f"**{guide.step + 1} of {len(STEPS)}: {step.title}**")
        st.markdown(step.do)
        st.caption(step.see)
        back, on = st.columns(2)
        if back.button("Back", key="guide-back", disabled=guide.step == 0, width="stretch"):
            _go(guide.step - 1)
        label = "Next" if guide.step < last else "Done"
        if on.button(label, key="guide-next", type="primary", width="stretch"):
            if guide.step < last:
                _go(guide.step + 1)
            guide.step = None
            st.rerun()
        if st.button("End the experiment", key="guide-end", type="tertiary"):
            guide.step = None
            st.rerun()


def _go(number: int) -> None:
    session(Guide).step = number
    step, parameters = STEPS[number], {}
    if step.run:
        try:
            parameters[RUN_PARAMETER] = Store().get(step.run).id
            choose_run(step.run)
        except UserError:  # not here: the current run does as well
            pass
    st.switch_page(f"pages/{step.page}.py", query_params=parameters | step.parameters)
