"""From a run folder with a configuration in it to a trained model in it: what a process does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from vae_core.auto import resolve
from vae_core.choices import Choice
from vae_core.config import RunConfig
from vae_core.data import Dataset
from vae_core.data.split_record import record_splits
from vae_core.errors import DataChanged, LeaseLost, Stopped, UserError, is_out_of_memory
from vae_core.families import build, complete, families
from vae_core.families.footprint import require_memory_to_train
from vae_core.latent.directions import save_directions
from vae_core.models import LatentModel
from vae_core.objective import Objective
from vae_core.process import give_back
from vae_core.progress import Progress, no_progress
from vae_core.run_data import data_card, dataset_of, recorded_by, refuse_unknown_labels
from vae_core.runs import ACTIVE, PARTS, DataCard, PartDigests, Run, State, Status, Store, layout
from vae_core.runs.migrations import to_store
from vae_core.runs.schemas import Choices, Chosen
from vae_core.selections import selected_dataset
from vae_core.settings import is_open
from vae_core.training.artifacts import may_encode, save_latents, save_measurement
from vae_core.training.behind import Behind
from vae_core.training.checkpoint import TimeBudget, load_best, load_state, save_checkpoint
from vae_core.training.cluster.placed import recall
from vae_core.training.continuation import continued
from vae_core.training.control import WorkerControl, control_size
from vae_core.training.device import choose_device, choose_threads, describe, make_exact
from vae_core.training.distributed import ALONE, Dismissed, Distributed, Lost, share_of
from vae_core.training.environment import save_environment
from vae_core.training.events import Ended, EpochSaved
from vae_core.training.following import Following
from vae_core.training.initial import load_initial
from vae_core.training.loop import Loop
from vae_core.training.precision import require_precision
from vae_core.training.precision_trial import choose_precision
from vae_core.training.pulse import Pulse
from vae_core.training.rank import SILENT
from vae_core.training.recorders import (
    Recorder,
    RunRecorder,
    record_changed_data,
    truncate_history,
)
from vae_core.training.together import (
    Hold,
    agree,
    dismissing,
    require_same_images,
    same_state,
    same_weights,
    share,
)
from vae_core.training.watchdog import exit_now, record_stop

MakeRecorders = Callable[[int, int], Iterable[Recorder]]
"""Makes further recorders from the total steps and the step begun with."""


NO_MEMORY = (
    "There is not enough memory. What the last save holds is kept: free some and resume, or train "
    "again with a smaller network, smaller images, a smaller train.batch_size or a larger "
    "train.accumulate."
)


def work(
    run: Run,
    more_recorders: MakeRecorders = lambda total, first: (),
    progress: Progress = no_progress,
    offset: int | None = None,
    accept_changed_data: bool = False,
    control: WorkerControl | None = None,
    epochs: str | None = None,
    group: Distributed = ALONE,
) -> Ended:
    """Train a run from where it stands to its end, or until it is asked to stop.

    Whatever happens, the run folder says so: state and reason in status.json, traceback in the
    log.

    Args:
        progress: called by whatever takes long beside the steps.
        offset: bytes of the control file that were there before this worker was asked for; None
            for all that are there now. Messages to an earlier worker are not for this one.
        accept_changed_data: go on with the images that there are now, see `resumed_dataset`.
        control: that of a worker that listens already; else one of this call.
        epochs: how many the run is to go on for, see `continued`; None for those it has planned.
        group: the processes that train it together, of which this is the first; the others
            `follow`.

    Raises:
        DataChanged: when a run is resumed whose images are not as they were; it stays as it is.
        LeaseLost: when the run is deleted or taken over meanwhile; nothing more is written.
        Lost: when another process of the group is gone; what the last save holds is kept.
        UserError: what a person can mend, such as that another process trains the run.
    """
    with run.lock(), ExitStack() as stack:
        if control is None:
            offset = control_size(run) if offset is None else offset
            control = stack.enter_context(WorkerControl(run, offset))
        before = run.status()
        if epochs is not None:
            run.write_json(layout.CONFIG, to_store(continued(run, epochs)))
        run.set_status(Status(state="starting"))
        control.started = True
        run.clear_leftovers()
        try:
            return _train_and_report(
                run, more_recorders, progress, control, accept_changed_data, group
            )
        except DataChanged as error:
            state: State = "interrupted" if before.state in ACTIVE else before.state
            update = {"state": state, "message": str(error), "acceptable": error.acceptable}
            run.set_status(before.model_copy(update=update))
            raise


def _train_and_report(
    run: Run,
    more_recorders: MakeRecorders,
    progress: Progress,
    control: WorkerControl,
    accept_changed_data: bool,
    group: Distributed,
) -> Ended:
    def report(message: str, share: float | None) -> None:
        progress(message, share)
        control.progress(message, share)

    def lost(sentence: str) -> None:
        """From a thread, while the main one waits in vain."""
        _record_end(run, "interrupted", f"{sentence} {_kept(run)}")
        exit_now(SILENT)

    try:
        with dismissing(group):
            group.broadcast(run.id)
            with Pulse(group, lost) as pulse:
                try:
                    return _train(run, more_recorders, report, control, accept_changed_data, group)
                except Lost as error:
                    _record_end(run, "interrupted", str(error))
                    if missing := pulse.who_is_missing():
                        _record_end(run, "interrupted", f"{missing} {_kept(run)}")
                    raise
    except Lost:
        raise
    except (DataChanged, LeaseLost):
        raise  # nothing has failed; what was changed, others did
    except Stopped:
        record_stop(run, control.activity)
        status = run.status()
        return Ended(status.step, status.epoch, 0.0, finished=False)
    except UserError as error:
        _record_end(run, "failed", str(error))
        raise
    except KeyboardInterrupt:
        _record_end(run, "interrupted", "Interrupted twice; what the last save holds is kept.")
        raise
    except BaseException as error:
        if is_out_of_memory(error):
            _record_end(run, "failed", NO_MEMORY)
            raise UserError(NO_MEMORY) from error
        _record_end(run, "failed", f"{type(error).__name__}: {error}")
        raise


def _kept(run: Run) -> str:
    """What is left of a training that ended in the middle, and what to do, as a sentence."""
    step = run.weights_step()
    if step is None:
        return "Nothing had been saved yet; resume begins it anew."
    return f"The weights of step {step} are kept; resume goes on from there."


def _record_end(run: Run, state: State, reason: str) -> None:
    status = run.status().model_copy(update={"state": state, "message": reason})
    try:
        run.set_status(status)
    except LeaseLost:
        raise
    except UserError:  # the disk is full, say; the reason is in the log, if that can be written
        if run.lease is not None:
            run.lease.spend_reserve()
        with suppress(UserError):
            run.set_status(status)


def _train(
    run: Run,
    more_recorders: MakeRecorders,
    progress: Progress,
    control: WorkerControl,
    accept_changed_data: bool,
    group: Distributed,
) -> Ended:
    config = complete(run.config_to_train())
    device = _set_up(config, group)
    hold = Hold(group)
    progress = hold.while_preparing(progress)
    if moved := recall(run, progress):
        print(moved, file=sys.stderr, flush=True)
    progress("Preparing the images", None)
    state = load_state(run)
    if state is None:
        dataset = selected_dataset(config.data, Store(run.path.parent), progress, run)
        for said in (*(choice.reason for choice in dataset.choices), *dataset.notes):
            progress(said, None)
        config = resolved_config(run, config, dataset, progress)
    else:
        dataset = resumed_dataset(run, accept_changed_data, progress)
    recorded = record_splits(dataset, None if state is None else recorded_by(run))
    digest = recorded.digest()
    card = data_card(dataset).model_copy(update={"digest": PartDigests(**digest)})
    require_memory_to_train(config, card, group.local_world, group.world)
    progress("Building the model", None)
    model, objective = _build(run, config, card, device)
    if state is None and is_open(config.train.precision):
        mine = share_of(config, group)
        choice = choose_precision(mine, dataset, model, objective, progress)
        config = config.updated({"train": {"precision": choice.value}})
        _keep_choices(run, config, [choice])
    run.write_bytes(PARTS, recorded.to_bytes())
    run.write_json(layout.DATA_CARD, card)
    hold.end()
    share(run, group)
    agree(group)  # behind it every machine has prepared the images
    require_same_images(group, digest)
    same_state(group, state)

    def last_save() -> Mapping[str, Any]:
        recorder.wait()
        saved = load_state(run)
        if saved is None:  # then it is how everything began
            saved = Loop(config, dataset, *_build(run, config, card, device)).checkpoint().state
        return same_state(group, saved)

    def best() -> None:
        recorder.wait()
        load_best(run, model, objective)
        same_weights(group, model, objective)

    progress("Getting ready for the first step", None)
    loop = Loop(config, dataset, model, objective, state, last_save, best, group)
    shown, judged = loop.players.shown
    save_environment(run, describe(device), loop.resident, group.world)
    if state is not None and run.weights_step() != loop.step:
        # An older version wrote the weights after the state, and may have been killed in between.
        save_checkpoint(run, loop.checkpoint())
    truncate_history(run, loop.checkpoint().state)
    if dataset.difference:
        record_changed_data(run, dataset.difference, loop.step)
    if moved:
        run.append(layout.HISTORY, {"kind": "note", "step": loop.step, "message": moved})

    records = RunRecorder(run, loop.total_steps, loop.step)
    recorder = Behind(records, loop.saves.took_beside)
    control.saving = lambda: recorder.saving
    tracked = Following(run, config.train.track, recorder)
    listeners: list[Recorder] = [recorder, tracked, *more_recorders(loop.total_steps, loop.step)]
    budget = TimeBudget()
    progress("Taking the first step", None)
    give_back()
    with recorder:
        for event in loop.run(control, progress):
            control.activity = "Training"
            for listen in listeners:
                listen(event)
            saved = isinstance(event, EpochSaved) and loop.step < loop.total_steps
            learned, n = loop.step * config.train.batch_size, len(dataset.train)
            if saved and budget.allows() and may_encode(learned, n):
                recorder.wait()  # what is kept beside weights is never ahead of them
                with budget.measure():
                    save_latents(run, shown, dataset, loop.step, progress)
    control.activity = "Training"
    ended = Ended(loop.step, loop.step // loop.steps_per_epoch, loop.seconds, not loop.stopping)
    try:
        mu = save_latents(run, shown, dataset, loop.step, progress)
        context = loop.last_context(torch.Generator(shown.device).manual_seed(0))
        save_measurement(run, shown, judged, dataset.validation, context, loop.step, progress)
        # Fitted once, seconds where latents are large. Before that, who explores fits them.
        save_directions(run, mu, loop.step, progress)
        tracked.finish(ended, records, progress)
    except Stopped:
        left_out = f"Stopped, and the weights are kept. This was left out: {control.activity}."
        ended = replace(ended, finished=False)
        records.close(ended, left_out)
    else:
        records.close(ended)
    return ended


def follow(group: Distributed, progress: Progress = no_progress) -> Ended:
    """Train beside the first process of a group, which does its `work`: compute a share of every
    batch, record nothing, and end with it.

    What there is to know of the run the first one tells: its folder lies where that one is. The
    images have to be on each machine.

    Raises:
        Lost: when another process is gone.
        UserError: when the images are missing here, or are not those that the first has; or as
            `work`, where training cannot go on.
    """

    def lost(sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)
        exit_now(SILENT)

    try:
        with TemporaryDirectory(prefix="rank-") as folder:
            run = Run(Path(folder) / group.broadcast())
            run.path.mkdir()
            with Pulse(group, lost) as pulse:
                try:
                    return _follow(run, group, progress)
                except Lost:
                    pulse.part()
                    raise
    except Dismissed:
        return Ended(0, 0, 0.0, finished=False)


def _follow(run: Run, group: Distributed, progress: Progress) -> Ended:
    Hold(group).wait()
    share(run, group)
    config = complete(run.config_to_train())
    try:
        device = _set_up(config, group)
        dataset = dataset_of(run, progress=progress) if group.local_rank == 0 else None
        require_memory_to_train(config, run.data_card(), group.local_world, group.world)
    except UserError as error:
        agree(group, str(error))
        raise
    agree(group)
    if dataset is None:  # the first process of this machine has prepared it
        dataset = dataset_of(run, progress=progress)
    require_same_images(group, record_splits(dataset).digest())
    model, objective = _build(run, config, run.data_card(), device)
    loop = Loop(
        config,
        dataset,
        model,
        objective,
        same_state(group),
        lambda: same_state(group) or {},
        lambda: same_weights(group, model, objective),
        group,
    )
    for _ in loop.run(progress=progress):
        pass
    return Ended(*loop.stamp(), finished=not loop.stopping)


def _set_up(config: RunConfig, group: Distributed) -> torch.device:
    """The device of this process, and torch as it is to compute there."""
    device = choose_device(config.train.device, group)
    require_precision(config.train.precision, device)
    make_exact(device)
    torch.set_num_threads(choose_threads(config.train.threads, group))
    return device


def resolved_config(
    run: Run, config: RunConfig, dataset: Dataset, progress: Progress = no_progress
) -> RunConfig:
    """The configuration of a run that begins, with nothing left open; the run keeps it, and why.

    Raises:
        UserError: as `resolve`, or when nothing can be written.
    """
    resolved, choices = resolve(config, dataset, progress)
    if choices or resolved != config:
        _keep_choices(run, resolved, choices)
    return resolved


def _keep_choices(run: Run, config: RunConfig, choices: Iterable[Choice]) -> None:
    """Write down a configuration in which more is decided, and why; a decision that is made again,
    as where its run was killed before the first save, replaces the one before."""
    before = run.parse(layout.CHOICES, Choices).choices if run.has(layout.CHOICES) else ()
    chosen = {each.setting: each for each in before}
    chosen |= {each.setting: Chosen(**asdict(each)) for each in choices}
    if chosen:
        run.write_json(layout.CHOICES, Choices(choices=tuple(chosen.values())))
    run.write_json(layout.CONFIG, to_store(config))


def resumed_dataset(run: Run, accept_changed: bool, progress: Progress = no_progress) -> Dataset:
    """The images that a run goes on with: those that it recorded, in their parts and their order.

    Args:
        accept_changed: where they are not as they were, go on with those that are still there
            and with new ones, each in its part: what was measured on is never learned from.

    Raises:
        DataChanged: when they are not as they were and that is not accepted, or the run cannot
            tell what it learned from.
        UserError: when they are not present, or have labels that the model cannot be told.
    """
    dataset = dataset_of(run, progress=progress, grow=accept_changed)
    difference = dataset.difference
    if difference is None:
        return dataset
    parts = (dataset.train, dataset.validation)
    if not difference.recorded or difference.elsewhere:
        way_out = "train it again."
    elif not all(map(len, parts)):
        way_out = "put them back."
    elif not accept_changed:
        raise DataChanged(
            f"{difference.sentence} Put them back to resume run {run.id!r} exactly, or accept "
            "the images as they are now.",
            acceptable=True,
        )
    else:
        for images in parts if families[run.config().family].needs_labels else ():
            refuse_unknown_labels(run, dataset, images)
        return dataset
    raise DataChanged(f"{difference.sentence} So run {run.id!r} cannot be resumed; {way_out}")


def _build(
    run: Run, config: RunConfig, card: DataCard, device: torch.device
) -> tuple[LatentModel, Objective]:
    """Model and objective as the run begins with them."""
    torch.manual_seed(config.train.seed)
    model, objective = build(config, card)
    load_initial(run, config, card, model, objective)
    model.to(device).to(memory_format=torch.channels_last)
    return model, objective.to(device)
