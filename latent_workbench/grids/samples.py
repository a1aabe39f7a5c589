"""Samples: from the prior and from what was fitted to the encodings, beside real images."""

from __future__ import annotations

import numpy as np
import streamlit as st

from latent_workbench.grids.sheets import Sheet, decoded, images_of
from latent_workbench.live.models import ready_torch
from latent_workbench.live.resources import model_of
from latent_workbench.shared.errors import errors_shown, redact
from latent_workbench.shared.inputs import draw_again
from latent_workbench.shared.tasks import job_button, job_shown
from vae_core.errors import UserError
from vae_core.runs import Run

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
    seed = draw_again(again, "samples")
    sheets = []
    for name in chosen:
        generator = torch.Generator().manual_seed(seed)
        try:
            z = sample(run, model, name, SIDE * SIDE, generator, temperature)
        except NotLearned:
            _learn(run, name)
            continue
        except UserError as error:
            st.info(redact(error))
            continue
        with torch.inference_mode():
            vectors = model.flatten(z).float().numpy().reshape(SIDE, SIDE, -1)
        title = priors[name].label
        sheets.append(Sheet(run, f"samples-{name}", decoded(run, vectors), vectors, title=title))
    with errors_shown(lambda sentence: st.info(f"Real images are not shown: {sentence}")):
        images = images_of(run)
        random, count = np.random.default_rng(seed), len(images.pictures)
        rows = random.choice(count, (SIDE, SIDE), replace=count < SIDE * SIDE)
        pictures, vectors = images.pictures[rows], images.survey.mu[rows]
        sheets.append(Sheet(run, "real", pictures, vectors, title="Real images"))
    return sheets


def _learn(run: Run, name: str) -> None:
    """A button that has a prior learned, in a process of its own, and how far that is."""
    from vae_core.latent.priors import priors

    key = f"samples-learning-{name}-{run.id}"
    if job_shown(key):
        return
    words, button = st.columns([3, 1], vertical_alignment="center")
    words.markdown(
        f"**{priors[name].label}**  \n{priors[name].blurb} It takes about half a minute."
    )
    with button:
        job_button(key, "Learn it", ":material/school:", run, "prior", run.id, width="stretch")
