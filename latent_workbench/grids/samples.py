"""Samples: from the prior and from what was fitted to the encodings, beside real images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from latent_workbench.grids.images import images_of
from latent_workbench.grids.sheets import Sheet, decoded
from latent_workbench.live.loaded import model_of
from latent_workbench.live.models import ready_torch
from latent_workbench.shared import access
from latent_workbench.shared.numbers import number
from latent_workbench.shared.task import Task
from latent_workbench.shared.waiting import awaited
from latent_workbench.shared.without_paths import without_paths
from vae_core.data import Progress
from vae_core.errors import UserError
from vae_core.runs import Run

if TYPE_CHECKING:
    from vae_core.latent.priors import PriorEntry
    from vae_core.models import LatentModel

SIDE = 6


def draw(run: Run) -> list[Sheet]:
    """The controls, and one sheet for each source; what cannot be shown says why."""
    torch = ready_torch()
    from vae_core.latent.priors import NotLearned, priors, sample, suitable

    model = model_of(run)
    names = suitable(model)
    which, warmth, again = st.columns([3, 2, 1], vertical_alignment="bottom")
    chosen = which.pills(
        "Draw from",
        names,
        selection_mode="multi",
        default=names[:2],
        format_func=lambda name: priors[name].label,
        key=f"samples-priors-{run.id}",
        help="Where samples of the two differ, the prior has holes: regions that no image is "
        "encoded to.",
    )
    temperature = warmth.slider(
        "Temperature", 0.1, 2.0, 1.0, 0.1, key="samples-temperature",
        help="Times the deviation: below 1 samples keep to what is likely.",
    )  # fmt: skip
    if again.button("Draw again", icon=":material/casino:", key="samples-again"):
        st.session_state["samples-seed"] = st.session_state.get("samples-seed", 0) + 1
    seed = st.session_state.get("samples-seed", 0)
    sheets = []
    for name in chosen:
        generator = torch.Generator().manual_seed(seed)
        try:
            z = sample(run, model, name, SIDE * SIDE, generator, temperature)
        except NotLearned:
            _learn(run, model, priors[name])
            continue
        except UserError as error:
            st.info(without_paths(error))
            continue
        with torch.inference_mode():
            vectors = model.flatten(z).float().numpy().reshape(SIDE, SIDE, -1)
        title = priors[name].label
        sheets.append(Sheet(run, f"samples-{name}", decoded(run, vectors), vectors, title=title))
    try:
        sheets.append(_real(run, seed))
    except UserError as error:
        st.info(f"Real images are not shown: {without_paths(error)}")
    return sheets


def _learn(run: Run, model: LatentModel, entry: PriorEntry) -> None:
    """A button that learns a prior, and how far that is."""
    key = f"samples-learning-{entry.name}-{run.id}"
    work: Task[object] | None = st.session_state.get(key)
    if work is not None:
        if awaited(work, key, lambda: st.session_state.pop(key)) is not None:
            del st.session_state[key]
            st.rerun()
        return
    words, button = st.columns([3, 1], vertical_alignment="center")
    words.markdown(f"**{entry.label}**  \n{entry.blurb} It takes about half a minute.")
    learn = entry.learn
    assert learn is not None, "only what can be learned says that it is not"

    def learned(tell: Progress) -> object:
        said = ""

        def report(epoch: int, of: int, nats: float) -> None:
            nonlocal said
            said = f"Epoch {epoch} of {of}: {number(nats)} nats per image held out"

        def progress(message: str, share: float | None) -> None:
            tell(said or message, share)

        return learn(run, model, report=report, progress=progress)

    if button.button(
        "Learn it",
        icon=":material/school:",
        key=f"{key}-start",
        width="stretch",
        **access.control(),
    ):
        st.session_state[key] = access.acting(Task)(learned)
        st.rerun()


def _real(run: Run, seed: int) -> Sheet:
    images = images_of(run)
    count = len(images.pictures)
    chosen = np.random.default_rng(seed).choice(count, SIDE * SIDE, replace=count < SIDE * SIDE)
    pictures = images.pictures[chosen].reshape(SIDE, SIDE, *images.pictures.shape[1:])
    vectors = images.survey.mu[chosen].reshape(SIDE, SIDE, -1)
    return Sheet(run, "real", pictures, vectors, title="Real images")
