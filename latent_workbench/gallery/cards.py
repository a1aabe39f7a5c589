"""A run as a card in the gallery, with what can be done to it."""

from __future__ import annotations

import streamlit as st

from latent_workbench.shared import access
from latent_workbench.shared.catalog import DAMAGED, RunFacts, age
from latent_workbench.shared.current_run import describe, open_run
from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.formatting import escape_markdown, number
from latent_workbench.shared.theme import state_badge
from latent_workbench.shared.train_start import train_like

PICTURE = 168
"""Side of a thumbnail in px: 4 × 4 samples of 42 px."""

BITS_OF_A_DENSITY = (
    "Bits per dimension of 8-bit images, as papers give them: −ELBO in bits, over C·H·W, and 8 "
    "bits more because the density is that of pixels on the [0, 1] scale."
)
BITS_OF_A_PROBABILITY = (
    "−ELBO in bits, over C·H·W. The Bernoulli likelihood takes a grey value for the chance of a "
    "white pixel: this is no density of the images, and compares with binarised data only."
)
BITS_OF_BLACK_AND_WHITE = "−ELBO in bits, over C·H·W, of images in black and white."


def card(facts: RunFacts) -> None:
    """Draw one run."""
    with st.container(border=True, key=f"card-{facts.id}", height="stretch"):
        _picture(facts)
        figures = f":red[{escape_markdown(facts.problem)}]" if facts.problem else _numbers(facts)
        if facts.note:
            figures += f"  \n:orange[{escape_markdown(facts.note)}]"
        about = _dotted(*describe(facts).split(" · "), _unbroken(age(facts.made)))
        figures = figures.replace("\u2009", "\u202f")  # as thin a gap, in which no line breaks
        # One element for three lines: a page of cards is sent and drawn sooner.
        st.markdown(
            f"**{facts.id}**  \n:gray[:small[{about}]]  \n:small[{figures}]", help=_meaning(facts)
        )
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if facts.brought:
                st.badge("brought", icon=":material/input:", color="blue")
            else:
                state_badge(facts.state, facts.host)
            st.space("stretch")
            if facts.usable and st.button("Explore", key=f"explore-{facts.id}", type="tertiary"):
                open_run(facts.id)
            with st.popover(
                "", icon=":material/more_vert:", key=f"menu-{facts.id}", type="tertiary"
            ):
                _menu(facts)


def _picture(facts: RunFacts) -> None:
    with st.container(height=PICTURE, border=False, horizontal_alignment="center"):
        if facts.thumbnail:
            st.image(facts.thumbnail, width=PICTURE)
        else:
            st.caption("Not shown." if facts.state == DAMAGED else "No samples yet.")


def _numbers(facts: RunFacts) -> str:
    if facts.recon is None:
        return "Decoder alone, not measured." if facts.brought else "Not measured yet."
    dims = f"{number(facts.active_units)}/{number(facts.latent_size)} active"
    return _dotted(
        comparable(facts).replace(" bits", "\u00a0bits"), dims, _unbroken(facts.measured_on)
    )


def _dotted(*parts: str) -> str:
    """Parts with dots between, for a narrow line, which never begins with a dot."""
    return "\u00a0· ".join(part for part in parts if part)


def _unbroken(part: str) -> str:
    """A line breaks before it, not in it."""
    return part.replace(" ", "\u00a0")


def _meaning(facts: RunFacts) -> str | None:
    """What the figure that compares says, and what it does not."""
    if facts.incomparable or facts.bits_per_dim is None:
        return facts.incomparable or None
    if facts.is_density:
        return BITS_OF_A_DENSITY
    is_grey = facts.measured is None or facts.measured.binarise == "none"
    return BITS_OF_A_PROBABILITY if is_grey else BITS_OF_BLACK_AND_WHITE


def comparable(facts: RunFacts) -> str:
    """The figure by which a measured run compares with others, with its unit.

    The ELBO, and in bits for each value of the images where that is known, so that other sizes
    compare. Where σ is fixed the ELBO is a matter of σ: then the squared error and the KL.
    """
    if facts.incomparable and facts.mse is not None:
        kl = "" if facts.kl is None else f" · KL {number(facts.kl)} nats"
        return f"MSE {number(facts.mse)} a value{kl}"
    if facts.incomparable and facts.kl is not None:
        return f"KL {number(facts.kl)} nats"
    if facts.elbo is None:
        return f"Recon {number(facts.recon)} nats"
    bits = "" if facts.bits_per_dim is None else f" ({number(facts.bits_per_dim)} bits/dim)"
    return f"ELBO {number(facts.elbo)} nats{bits}"


def _menu(facts: RunFacts) -> None:
    if facts.best_step is not None:
        st.caption(f"Best validation: step {number(facts.best_step)}. Export offers its weights.")
    if facts.can_resume and st.button(
        "Resume training", key=f"resume-{facts.id}", icon=":material/play_arrow:", width="stretch",
        **access.widget_options(),
    ):  # fmt: skip
        from vae_core.training.jobs import resume  # torch, which the gallery can do without

        with errors_shown():
            access.authorized(resume)(facts.run)
            open_run(facts.id, "train")
    if facts.usable and not facts.brought and st.button(
        "Start from its weights", key=f"weights-{facts.id}", icon=":material/account_tree:",
        width="stretch",
        **access.widget_options("A new run goes on from what this one has learned."),
    ):  # fmt: skip
        with errors_shown():
            access.authorized(train_like)(facts.run, weights=True)
            open_run(facts.id, "train")
    if facts.run.shipped:
        st.caption("Comes with the app: explore or export it. It cannot be changed or deleted.")
        return
    sure = st.checkbox("Delete for good", key=f"sure-{facts.id}")
    if st.button(
        f"Delete {facts.id}",
        key=f"delete-{facts.id}",
        icon=":material/delete:",
        width="stretch",
        **access.widget_options(disabled=not sure),
    ):
        with errors_shown():
            access.authorized(facts.run.delete)()
            st.toast(f"Run {facts.id} is deleted.")
            st.rerun()
