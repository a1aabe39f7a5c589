"""What is asked for: of which runs, by which measures, on which images, and how long it takes."""

from __future__ import annotations

from itertools import groupby

import streamlit as st

from latent_workbench.evaluate.figures import Asked, missing
from latent_workbench.shared import access
from latent_workbench.shared.catalog import catalog, companions
from latent_workbench.shared.errors import errors_shown, redact
from latent_workbench.shared.formatting import escape_markdown
from latent_workbench.shared.inputs import bounded
from latent_workbench.shared.state import persistent, put_widget_value, widget_value
from latent_workbench.shared.tasks import job_shown, start_job
from vae_core.child import in_process
from vae_core.data import Progress
from vae_core.errors import UserError
from vae_core.evaluation import Request, measures
from vae_core.evaluation.measure import Measure, seconds
from vae_core.evaluation.table import Table
from vae_core.progress import duration
from vae_core.runs import Run, Store, part_name

EVALUATING, RUNS = "evaluating", "evaluate-runs"
SPLITS = ("validation", "test")
MOST_START = 6
"""Runs that are offered at first: those on the same images."""

MOST_RUNS, MOST_DRAWS, MOST_IMAGES = 50, 1_000_000, 10_000_000
USUAL_IMAGES = 200
"""Few, so that a first table is there within minutes; its intervals say what that costs."""

FIRST = ("nll", "bits-per-dim")


def choose(current: Run) -> Asked | None:
    """Draw the choices; None while one of them cannot be taken."""
    offered = [facts.id for facts in catalog() if facts.usable]
    likely = [current.id, *(facts.id for facts in companions(current, same_size=True))]
    start = [name for name in likely if name in offered][:MOST_START]
    before = widget_value(RUNS, start)
    if not set(before) <= set(offered):  # deleted since
        put_widget_value(RUNS, [name for name in before if name in offered])
    names = persistent(
        st.multiselect, "Runs", offered, key=RUNS, default=start,
        max_selections=MOST_RUNS,
    )  # fmt: skip
    chosen = _measures()
    _explained()
    split = persistent(
        st.segmented_control, "Images", SPLITS, key="evaluate-split", default=SPLITS[0],
        format_func=lambda name: part_name(name).capitalize(),
    ) or SPLITS[0]  # fmt: skip
    takes = frozenset().union(*(measures[name].takes for name in chosen))
    left, right = st.columns(2)
    images, problem = bounded(
        left, "First images", "evaluate-images", 1, MOST_IMAGES, USUAL_IMAGES,
        help="Of the part, the same of every run; more make intervals narrower. "
        f"{_for_those('images')}", disabled="images" not in takes,
    )  # fmt: skip
    k, another = bounded(
        right, "Draws k", "evaluate-k", 1, MOST_DRAWS, Request.k,
        help="Weighted draws of each image: more bring the bound closer to log p(x). "
        f"{_for_those('k')}", disabled="k" not in takes,
    )  # fmt: skip
    if problem or another:
        return None
    runs = [run for run in map(_find, names) if run is not None]
    return Asked(runs, list(chosen), Request(split, images, k))


def _measures() -> list[str]:
    """The chosen measures: buttons in groups behind one that names those, and what each says."""
    picked = {of: list(before) for of, before in _picked().items()}
    names = [name for some in picked.values() for name in some]
    labels = ", ".join(measures[name].label for name in names) or "none"
    with st.popover(f"Measures: {labels}", width="stretch", icon=":material/checklist:"):
        for of, entries in _groups().items():
            picked[of] = persistent(
                st.pills, of, [entry.name for entry in entries], key=_key(of),
                default=picked[of], selection_mode="multi", format_func=_short,
            )  # fmt: skip
    return [name for some in picked.values() for name in some]


def _short(name: str) -> str:
    """What a measure is called among those of its group."""
    return measures[name].label.removesuffix(f" of {measures[name].of.lower()}")


def _picked() -> dict[str, list[str]]:
    """The measures that are chosen of each group, by what the page was told last."""
    return {
        of: widget_value(_key(of), [entry.name for entry in entries if entry.name in FIRST])
        for of, entries in _groups().items()
    }


def _groups() -> dict[str, list[Measure]]:
    return {of: [*some] for of, some in groupby(measures, key=lambda entry: entry.of)}


def _key(of: str) -> str:
    return f"evaluate-measures-{of}"


def _explained() -> None:
    """What each measure says, for who has not met it."""
    with st.popover("What they say", icon=":material/help:", width="content"):
        for of, entries in _groups().items():
            rows = [
                f"| {each.label} | {escape_markdown(each.blurb)} | {each.paper} |"
                for each in entries
            ]
            st.markdown("\n".join([f"| {of} | | |", "| --- | --- | --- |", *rows]))


def _for_those(word: str) -> str:
    """Which measures go by a number of the request; the others have a protocol of their own."""
    of = dict.fromkeys(entry.of for entry in measures if word in entry.takes)
    return f"It is for measures of: {', '.join(of)}."


def at_work() -> bool:
    """Draw how far measuring is, where somebody asked for it."""
    return job_shown(EVALUATING)


def run_button(asked: Asked, table: Table) -> None:
    """What is missing and how long it takes, and the button that has it measured."""
    left = missing(asked, table)
    if not left:
        if asked.runs and asked.names:
            st.caption("All of it is measured.")
        return
    count = sum(len(names) for _, names in left)
    st.caption(f"{count} of {len(asked.runs) * len(asked.names)} figures are missing. "
               f"{_duration(left, asked.request)}")  # fmt: skip
    if st.button(
        "Evaluate", type="primary", key="evaluate-start", icon=":material/play_arrow:",
        **access.widget_options("It runs in a process of its own, one run after the other."),
    ):  # fmt: skip
        with errors_shown():
            start_job(EVALUATING, lambda progress: _evaluate(left, asked.request, progress))


def _evaluate(left: list[tuple[Run, list[str]]], request: Request, progress: Progress) -> None:
    """Have every run measured in a process of its own. Raises UserError when all have had their
    turn, of those that could not be."""
    problems = []
    for done, (run, names) in enumerate(left):

        def of_run(message: str, share: float | None, done: int = done, run: Run = run) -> None:
            progress(f"{run.id}: {message or 'Preparing'}", (done + (share or 0.0)) / len(left))

        try:
            in_process(command(run, names, request), run, of_run)
        except UserError as error:
            problems.append(redact(error))
    if problems:
        raise UserError(" ".join(dict.fromkeys(problems)))  # several runs may lack the same


def command(run: Run, names: list[str], request: Request) -> list[str]:
    """`python -m vae_core …` that measures these of a run, so that they are kept."""
    asked = [word for name in names for word in ("--measure", name)]
    images = [] if request.images is None else ["--images", str(request.images)]
    return ["evaluate", run.id, *asked, "--split", request.split, "--k", str(request.k), *images]


def _duration(left: list[tuple[Run, list[str]]], request: Request) -> str:
    each = [seconds(run, names, request) for run, names in left]
    known = sum(part for part in each if part is not None)
    if not known:
        return "How long it takes is told once it runs."
    about = f"About {duration(max(1.0, known))}"
    return f"{about}, and what is not known of some runs." if None in each else f"{about}."


def _find(name: str) -> Run | None:
    with errors_shown(st.caption):
        return Store().get(name)
    return None
