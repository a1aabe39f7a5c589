"""The left side of Train: choose data, look at it, choose settings, start."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass, field

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from latent_workbench.shared import access
from latent_workbench.shared.catalog import catalog
from latent_workbench.shared.current_run import choose_run
from latent_workbench.shared.errors import errors_shown, redact
from latent_workbench.shared.formatting import grouped, number
from latent_workbench.shared.inputs import field_error
from latent_workbench.shared.recipes import (
    Recipe,
    on_data,
    options_of,
    recipes,
    recommended,
    with_backbone,
)
from latent_workbench.shared.schedule import planned
from latent_workbench.shared.state import persistent, restore, session, widget_value
from latent_workbench.shared.tasks import Task, result_of
from latent_workbench.shared.theme import kept_in_sight
from latent_workbench.shared.train_on import TrainOn, chosen_images
from latent_workbench.shared.train_start import DATASET, TrainStart, apply_start, recipe_key
from latent_workbench.train.dataset_preview import dataset_preview
from latent_workbench.train.decided import decided, shown
from latent_workbench.train.devices import choose_processes
from latent_workbench.train.family_help import about_choice
from latent_workbench.train.forms import Form, Place, widget_key
from latent_workbench.train.timing import Stopwatch, Timing
from latent_workbench.train.upload import own_images, uploaded_name
from latent_workbench.train.where import choose_where
from vae_core.auto import resolve
from vae_core.choices import Choice
from vae_core.config import RunConfig, parse_config
from vae_core.data import Dataset, datasets
from vae_core.data.batches import check_batch_size, check_sampling
from vae_core.errors import UserError
from vae_core.families import complete, meta_model
from vae_core.families.footprint import require_memory_to_train
from vae_core.models import backbones, likelihoods
from vae_core.run_data import data_card
from vae_core.runs import ACTIVE, DataCard, Store
from vae_core.runs.schemas import Chosen
from vae_core.runs.store import name_for
from vae_core.training import jobs
from vae_core.training.executors import Share
from vae_core.training.initial import refuse_misfit
from vae_core.training.trackers import require_trackers, trackers

FIRST_DATASET = "digits"
"""Built in: whoever opens the page sees real images at once."""

MOST_TIMINGS = 200

CHANGE = "Type another value into its field, above or under More settings, to change one."

_SIGHT = frozenset({"data.image_size"})
_OWN_SIGHT = _SIGHT | {"data.resize", "data.window"}
"""Of one's own images, which come in any proportions and on any scale."""

_BELOW = frozenset({"model.backbone", "train.batch_size", "train.learning_rate"})
_HIDDEN = frozenset({"family", "preset", "start_from", "data.dataset", "train.continued_at"})
_PINNED = frozenset({"model", "data.image_size", "data.channels", "data.resize"})
"""What weights to start from have decided."""


@dataclass
class TrainForm:
    """What this session's form knows: how many runs it has started, the watch that times, and what
    was last decided from the images in it."""

    started: int = 0
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    decided: dict[str, str] = field(default_factory=dict)


def train_form() -> None:
    """Draw the set-up; starting a run makes it the current one. Readers are told that they are."""
    if reason := access.read_only_reason():
        st.info(reason, icon=":material/visibility:")
        return
    start = apply_start()
    dataset_name = _choose_dataset()
    own = datasets[dataset_name].origin == "own"
    chosen_images(dataset_name)
    data_dir = own_images() if own else None
    samples = st.container(key="train-samples")
    picker, about = st.columns([6, 1], vertical_alignment="bottom", gap="small")
    with picker:
        recipe = _choose_recipe(dataset_name, start)
    sight, more = st.container(key="train-settings", gap="xsmall"), st.expander("More settings")
    name = more.container()
    config, problem = _settings(recipe, dataset_name, data_dir, sight, more)
    if config is not None:
        with about:
            about_choice(config)
    share, unplaced = choose_where(st.container(), more)
    plan: Plan | None = None
    processes, crowded = 1, ""
    if config is not None and share is None:
        processes, crowded = choose_processes(more, config)
    with samples:
        if config is not None and (not own or config.data.data_dir):
            plan = _plan(config, recipe, processes)
        elif own:
            st.caption("Your images appear here once you name or upload them.")
    if plan is not None:
        problem = problem or crowded or plan.problem
        decided(plan.chosen, "train-decided", CHANGE)
        if plan.config is not None and not problem:
            with more:
                planned(plan.config, plan.card)
    with name:
        typed, free = _choose_name(config)
        refusal = Store().refusal(typed) if typed else ""
        field_error(name, refusal)
    _start(config, plan, problem or unplaced or refusal, typed or free, processes, share)


@dataclass(frozen=True)
class Plan:
    """What would be trained: the images, and the configuration with nothing left open; None while
    that is being decided, as a run that is started meanwhile does by itself.

    chosen: what was decided from the images. problem: why it cannot be trained, "" where it can.
    """

    card: DataCard
    config: RunConfig | None = None
    chosen: tuple[Chosen, ...] = ()
    problem: str = ""


def _plan(config: RunConfig, recipe: Recipe, processes: int) -> Plan | None:
    """The settings on their images; None while these are being loaded."""
    dataset = dataset_preview(config.data, config.train.sampling)
    if dataset is None:
        return None
    key = config.to_json(), id(dataset)
    task = _resolving(key, config, dataset)
    card = data_card(dataset)
    found = result_of(task, "decided", lambda: _resolving.clear(key, config, dataset), st.error)
    if found is None:
        return Plan(card, problem=task.problem)
    resolved, choices = found
    chosen = tuple(Chosen(**asdict(choice)) for choice in choices)
    session(TrainForm).decided = {each.setting: shown(each.value) for each in chosen}
    return Plan(card, resolved, chosen, _misfit(resolved, dataset, card, recipe, processes))


@st.cache_resource(max_entries=32, show_spinner=False)
def _resolving(
    key: tuple[str, int], _config: RunConfig, _dataset: Dataset
) -> Task[tuple[RunConfig, tuple[Choice, ...]]]:
    """What is left open, decided once for each configuration and its images, off the script."""
    return Task(lambda progress: resolve(_config, _dataset, progress))


def _choose_dataset() -> str:
    entries = {entry.name: entry for entry in datasets}
    return persistent(
        st.selectbox,
        "Data",
        list(entries),
        key=DATASET,
        default=FIRST_DATASET,
        format_func=lambda name: entries[name].label,
        help="The images that the model learns.",
    )


def _choose_recipe(dataset: str, start: TrainStart) -> Recipe:
    offered = recipes(start)
    key = recipe_key(dataset)
    begin = restore(key, recommended(dataset), offered)
    name = persistent(
        st.selectbox,
        "Start from",
        list(offered),
        key=key,
        default=begin,
        format_func=lambda name: offered[name].label,
        help=offered[begin].blurb,
    )
    return offered[name]


def _settings(
    recipe: Recipe, dataset: str, data_dir: str | None, sight: DeltaGenerator, more: DeltaGenerator
) -> tuple[RunConfig | None, str]:
    """The configuration as it is set now, or None and why it is not valid."""
    base = session(TrainOn).applied(on_data(recipe, dataset, data_dir))
    key = f"train.{recipe.name}.{dataset}"
    backbone = widget_key(key, "ModelConfig", ("model", "backbone"))
    base = with_backbone(base, widget_value(backbone, base.model.backbone))
    own = datasets[dataset].origin == "own"
    hidden = _HIDDEN if access.is_local_visitor() and not own else _HIDDEN | {"data.data_dir"}
    form = Form(
        choices={
            "model.backbone": backbones,
            "model.likelihood": likelihoods,
            "train.track": trackers,
        },
        nested=options_of(base),
        sight=_OWN_SIGHT if own else _SIGHT,
        below=_BELOW,
        hidden=hidden if recipe.source is None else hidden | _PINNED,
        decided=session(TrainForm).decided,
    )
    changes = form.ask(base, key, Place(sight, more))
    try:
        return complete(base.updated(changes)), ""
    except UserError as error:
        return None, redact(error)


def _misfit(
    config: RunConfig, dataset: Dataset, card: DataCard, recipe: Recipe, processes: int
) -> str:
    """Why these settings and these images do not go together, "" where they do."""
    try:
        require_trackers(config.train.track)
        check_batch_size(config.train.batch_size, card.n_train)
        check_sampling(config.train.sampling, dataset.train)
        if recipe.source is not None:
            refuse_misfit(config, card, recipe.source)
        _weights(config.to_json(), card)
        require_memory_to_train(config, card, processes, processes)
    except UserError as error:
        return redact(error)
    return ""


@functools.lru_cache(maxsize=64)
def _weights(config_json: str, data: DataCard) -> int:
    """How many weights the network would have; nothing is allocated for it."""
    return meta_model(parse_config(config_json), data).weight_count()


def _choose_name(config: RunConfig | None) -> tuple[str, str]:
    """The name that was typed, and a free one that fits the settings."""
    free = ""
    if config is not None:
        own = uploaded_name() if datasets[config.data.dataset].origin == "own" else ""
        free = Store().free_name(own or name_for(config, config.family))
    typed = persistent(
        st.text_input,
        "Name of the run",
        key=f"train-name-{session(TrainForm).started}",  # emptied by each start
        default="",
        placeholder=free,
        help="Letters, digits, dots, dashes and underscores; empty takes the one shown.",
    )
    return typed.strip(), free


def _start(
    config: RunConfig | None,
    plan: Plan | None,
    problem: str,
    name: str,
    processes: int,
    share: Share | None,
) -> None:
    """The button that starts what the form says, and how long that will take here: in sight however
    long the form is, with what keeps it from starting."""
    ready = config is not None and plan is not None and not problem
    with kept_in_sight("train-start"):
        if problem:
            st.error(problem)
        button, estimate = st.columns([1.2, 1], vertical_alignment="center", gap="small")
    pressed = button.button(
        "Start training",
        key="start-training",
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        **access.widget_options(disabled=not ready),
    )
    with estimate.container(key="train-estimate", height=44, border=False):
        if ready and plan is not None and plan.config is not None:
            weights = _weights(plan.config.to_json(), plan.card)
            if share is None:
                _estimate(plan.config, weights, processes)
            else:
                _two_lines(f"{grouped(weights)} weights", "on the cluster")
    if pressed and ready and config is not None:
        session(TrainForm).stopwatch.cancel()
        with errors_shown():
            run = access.authorized(jobs.start)(Store(), name, config, processes, share=share)
            session(TrainForm).started += 1
            choose_run(run.id)
            st.rerun()


# --- how long it will take -----------------------------------------------------------------------


@st.cache_resource
def _timings() -> dict[tuple[str, int], Task[Timing | None]]:
    """Measurements of all sessions by configuration, and by how many processes are to train it;
    what was timed once is not timed again."""
    return {}


def _estimate(config: RunConfig, weights: int, processes: int) -> None:
    counted = f"{grouped(weights)} weights"
    key = config.to_json(), processes
    timings = _timings()
    work = timings.get(key)
    if work is not None and work.done and work.result is None and not work.problem:
        work = None  # it was given up for a newer wish
    if work is None:
        if any(facts.state in ACTIVE for facts in catalog()):
            # Timing steps beside a training would slow it down, and measure the crowd.
            _two_lines(counted, "a training is running")
            return
        if len(timings) >= MOST_TIMINGS:
            del timings[next(iter(timings))]
        stopwatch = session(TrainForm).stopwatch
        work = timings[key] = Task(lambda progress: stopwatch.time(config, processes))
    if not work.done:
        _measuring(counted, work)
    elif work.result is not None:
        most = "at most" if config.train.early_stopping_patience else "≈"
        _two_lines(counted, f"{most} {in_words(work.result.seconds)}")
    else:
        _two_lines(counted, "time not known", help=work.problem)


@st.fragment(run_every=1.0)
def _measuring(counted: str, work: Task[Timing | None]) -> None:
    if work.done:
        st.rerun()
    _two_lines(counted, "timing some steps")


def _two_lines(first: str, second: str, help: str | None = None) -> None:
    st.caption(f"{first}  \n{second}", help=help)


def in_words(seconds: float) -> str:
    """A duration with two significant figures at most: "70 s", "12 min", "2 h 10 min"."""
    if seconds < 100:
        return f"{max(1, round(seconds, -1 if seconds > 20 else None)):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {number(round(minutes % 60, -1))} min"
