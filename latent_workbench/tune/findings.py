"""The collapse monitor: what is wrong with a run, and buttons that start a mended one."""

from __future__ import annotations

import functools
from pathlib import Path

import streamlit as st

from latent_workbench.shared import access
from latent_workbench.shared.catalog import facts_of
from latent_workbench.shared.current_run import choose_run
from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.formatting import image_count, number
from vae_core.diagnosis import Finding, LearningCurves, Remedy, diagnose, learning_curves
from vae_core.errors import UserError
from vae_core.runs import ACTIVE, Run, Store, layout, validated_on
from vae_core.training import jobs

TAIL_BYTES = 2**21
"""About ten thousand records: what is wrong now shows in them, and they are read in 0.1 s."""

LOOK_EVERY_S = 2.0

LOOKS = {"warning": ("red", "warning"), "notice": ("orange", "info")}
"""Colour and icon by severity."""


def monitor_strip(run: Run) -> None:
    """What is wrong with the run, or that nothing is; looks again while it trains."""
    active = facts_of(run).state in ACTIVE
    st.fragment(_strip, run_every=LOOK_EVERY_S if active else None)(run)


def findings_of(run: Run) -> list[Finding]:
    """What is wrong with a run, read once for each version of its history."""
    try:
        status = run.status()
        message = status.message if status.state == "failed" else ""
        return _findings(run.path, run.size(layout.HISTORY), message)
    except UserError:  # its damage is told where the run is shown
        return []


def shares(run: Run) -> None:
    """How −ELBO is spent, and on how many dimensions, as last measured on unseen images."""
    validations = _curves(run.path, run.size(layout.HISTORY), "").validations
    if not validations or (last := validations[-1]).rate is None:
        return
    recon, kl = last.terms["recon"], last.rate
    share = f", {100 * kl / (recon + kl):.0f} % of −ELBO" if recon > 0 else ""
    heaviest = sorted(last.kl_per_dim, reverse=True)
    few = "" if not heaviest else f"; the fullest dimension has {number(heaviest[0])}"
    st.markdown("**Where the nats are**")
    part = validated_on(run)
    st.caption(
        f"Reconstruction {number(recon)}, KL {number(kl)} nats per image{share}{few}. "
        f"Measured on {image_count(last.images or part.images, part.split, part.binarise)}.",
        help="After the last epoch. A KL near 0 % is a collapse; near 100 % the "
        "code holds far more than the pictures show.",
    )


@functools.lru_cache(maxsize=512)
def _findings(path: Path, size: int, message: str) -> list[Finding]:
    return diagnose(_curves(path, size, message))


@functools.lru_cache(maxsize=32)
def _curves(path: Path, size: int, message: str) -> LearningCurves:
    run = Run(path)
    records = run.last_records(layout.HISTORY, TAIL_BYTES)
    return learning_curves(records, run.config(), message)


def _strip(run: Run) -> None:
    found = findings_of(run)
    with st.container(key="monitor-strip"):
        if not found and not run.size(layout.HISTORY):
            st.caption(f":material/schedule: The monitor waits for the first steps of {run.id}.")
        elif not found:
            st.caption(
                f":material/check_circle: The monitor sees nothing wrong with {run.id}.",
                help="It looks for a collapsed posterior, an exploding KL, a loss about to "
                "diverge, dead codes, overfitting, and a β too small to matter.",
            )
        for finding in found:
            _card(run, finding)


def _card(run: Run, finding: Finding) -> None:
    """The sentence, its evidence, the first remedy as a button and the others behind one."""
    color, icon = LOOKS[finding.severity]
    with st.container(border=True, key=f"finding-{finding.name.replace(' ', '-')}"):
        words, mend = st.columns([2.6, 1], vertical_alignment="center")
        words.markdown(
            f":{color}[:material/{icon}: **{finding.sentence}**]  \n"
            f":gray[:small[{run.id}: {finding.evidence}.]]"
        )
        with mend.container(horizontal=True, horizontal_alignment="right", gap="small"):
            for index, remedy in enumerate(finding.remedies[:1]):
                _button(run, finding, remedy, index)
            if len(finding.remedies) > 1:
                with st.popover("More", key=f"more-{finding.name}"):
                    for index, remedy in enumerate(finding.remedies[1:], 1):
                        _button(run, finding, remedy, index)


def _button(run: Run, finding: Finding, remedy: Remedy, index: int) -> None:
    """Trains the mended configuration as a run of its own, and shows it."""
    if st.button(
        remedy.label,
        key=f"remedy-{finding.name.replace(' ', '-')}-{index}",
        icon=":material/healing:",
        **access.widget_options(remedy.help),
    ):
        store = Store()
        with errors_shown():
            name = store.free_name(f"{run.id.removesuffix('-mended')}-mended")
            mended = access.authorized(jobs.start)(store, name, remedy.applied(run.config()))
            choose_run(mended.id)
            st.rerun()
