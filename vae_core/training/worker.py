"""From a run folder with a configuration in it to a trained model in it: what a process does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from typing import Any

import torch

from vae_core.config import RunConfig
from vae_core.data import Dataset, load_dataset
from vae_core.data.split_record import record_splits
from vae_core.errors import DataChanged, LeaseLost, Stopped, UserError
from vae_core.families import build, complete
from vae_core.families.footprint import refuse_to_train
from vae_core.latent.directions import keep_directions
from vae_core.models import LatentModel
from vae_core.objectives import Objective
from vae_core.progress import Progress, no_progress
from vae_core.run_data import recorded_by
from vae_core.runs import ACTIVE, PARTS, DataCard, Lease, PartDigests, Run, State, Status, layout
from vae_core.training.aftermath import keep_latents, keep_measurement
from vae_core.training.changed_data import images_of, note_change
from vae_core.training.checkpoint import forget_after, load_state, save_checkpoint
from vae_core.training.control import said_so_far
from vae_core.training.environment import save_environment
from vae_core.training.events import Checkpoint, Ended, EpochSaved
from vae_core.training.in_time import SAVING, say_stopped
from vae_core.training.loop import Loop
from vae_core.training.memory import is_short
from vae_core.training.recorders import Recorder, RunRecorder
from vae_core.training.saving import Rest
from vae_core.training.wishes import Wishes

NO_MEMORY = (
    "There is not enough memory. What the last save holds is kept: free some and resume, or train "
    "again with a smaller network, smaller images or a smaller train.batch_size."
)


def work(
    run: Run,
    listeners: Callable[[int, int], Iterable[Recorder]] = lambda total, first: (),
    progress: Progress = no_progress,
    heard: int | None = None,
    accept_changed_data: bool = False,
    wishes: Wishes | None = None,
) -> Ended:
    """Train a run from where it stands to its end, or until it is told to stop.

    Whatever happens, the run folder says so: state and reason in status.json, traceback in the
    log.

    Args:
        listeners: makes further recorders from the total steps and the step begun with.
        progress: told of whatever takes long beside the steps.
        heard: bytes of the control file that were there before this worker was asked for; None
            for all that are there now. What was said to an earlier worker is not said to this one.
        accept_changed_data: go on with the images that there are now, see `images_of`.
        wishes: the ear of a worker that listens already; else one of this call.

    Raises:
        DataChanged: when a run is resumed whose images are not as they were; it stays as it is.
        LeaseLost: when the run is deleted or taken over meanwhile; nothing more is written.
        UserError: what a person can mend.
    """
    with only_worker(run), ExitStack() as stack:
        if wishes is None:
            heard = said_so_far(run) if heard is None else heard
            wishes = stack.enter_context(Wishes(run, heard))
        before = run.status()
        run.set_status(Status(state="starting"))
        wishes.began = True
        run.clear_leftovers()
        try:
            return _train_and_tell(run, listeners, progress, wishes, accept_changed_data)
        except DataChanged as error:
            state: State = "interrupted" if before.state in ACTIVE else before.state
            said = {"state": state, "message": str(error), "acceptable": error.acceptable}
            run.set_status(before.model_copy(update=said))
            raise


def only_worker(run: Run) -> AbstractContextManager[Lease]:
    """Hold the run for this process; entering raises a UserError while another one trains it,
    on whichever host, such as after two clicks on Resume."""
    return run.lock()


def _train_and_tell(
    run: Run,
    listeners: Callable[[int, int], Iterable[Recorder]],
    progress: Progress,
    wishes: Wishes,
    accept_changed_data: bool,
) -> Ended:
    def tell(message: str, share: float | None) -> None:
        progress(message, share)
        wishes.progress(message, share)

    try:
        return _train(run, listeners, tell, wishes, accept_changed_data)
    except (DataChanged, LeaseLost):
        raise  # nothing has failed; what was changed, others did
    except Stopped:
        say_stopped(run, wishes.doing)
        said = run.status()
        return Ended(said.step, said.epoch, 0.0, finished=False)
    except UserError as error:
        _say_why(run, "failed", str(error))
        raise
    except KeyboardInterrupt:
        _say_why(run, "interrupted", "Interrupted twice; what the last save holds is kept.")
        raise
    except BaseException as error:
        if is_short(error):
            _say_why(run, "failed", NO_MEMORY)
            raise UserError(NO_MEMORY) from error
        _say_why(run, "failed", f"{type(error).__name__}: {error}")
        raise


def _say_why(run: Run, state: State, reason: str) -> None:
    said = run.status().model_copy(update={"state": state, "message": reason})
    try:
        run.set_status(said)
    except LeaseLost:
        raise
    except UserError:  # the disk is full, say; the reason is in the log, if that can be written
        if run.lease is not None:
            run.lease.spend_reserve()
        with suppress(UserError):
            run.set_status(said)


def _train(
    run: Run,
    listeners: Callable[[int, int], Iterable[Recorder]],
    progress: Progress,
    wishes: Wishes,
    accept_changed_data: bool,
) -> Ended:
    config = complete(run.config_to_train())
    device = choose_device(config.train.device)
    torch.set_num_threads(config.train.threads or os.cpu_count() or 1)
    progress("Preparing the images", None)
    state = load_state(run)
    if state is None:
        dataset = load_dataset(config.data, progress)
    else:
        dataset = images_of(run, accept_changed_data, progress)
    recorded = record_splits(dataset, None if state is None else recorded_by(run))
    card = data_card(dataset).model_copy(update={"digest": PartDigests(**recorded.digest())})
    refuse_to_train(config, card)
    progress("Building the model", None)
    model, objective = _built(config, card, device)
    run.write_bytes(PARTS, recorded.to_bytes())
    run.write_json(layout.DATA_CARD, card)
    save_environment(run, device)

    def last_save() -> Mapping[str, Any]:
        saved = load_state(run)
        if saved is None:  # then it is how everything began
            saved = Loop(config, dataset, *_built(config, card, device)).checkpoint().state
        return saved

    progress("Getting ready for the first step", None)
    loop = Loop(config, dataset, model, objective, state, last_save)
    if state is not None and run.weights_step() != loop.step:
        # An older version wrote the weights after the state, and may have been killed in between.
        save_checkpoint(run, loop.checkpoint())
    forget_after(run, loop.checkpoint().state)
    if dataset.difference:
        note_change(run, dataset.difference, loop.step)

    recorder = RunRecorder(run, loop.total_steps, loop.step)
    everyone = [recorder, *listeners(loop.total_steps, loop.step)]
    rest = Rest()
    progress("Taking the first step", None)
    for event in loop.run(wishes):
        wishes.doing = SAVING if isinstance(event, Checkpoint) else "Training"
        for listener in everyone:
            listener(event)
        if isinstance(event, EpochSaved) and loop.step < loop.total_steps and rest.is_over():
            with rest.working():
                keep_latents(run, model, dataset, loop.step, progress)
        wishes.doing = "Training"
    ended = Ended(loop.step, loop.step // loop.steps_per_epoch, loop.seconds, not loop.stopping)
    try:
        mu = keep_latents(run, model, dataset, loop.step, progress)
        context = loop.moment(torch.Generator(model.device).manual_seed(0))
        keep_measurement(run, model, objective, dataset.validation, context, loop.step, progress)
        # Fitted once, seconds where latents are large. Before that, who explores fits them.
        keep_directions(run, mu, loop.step, progress)
    except Stopped:
        left_out = f"Stopped, and the weights are kept. This was left out: {wishes.doing}."
        ended = replace(ended, finished=False)
        recorder.close(ended, left_out)
    else:
        recorder.close(ended)
    return ended


def _built(
    config: RunConfig, card: DataCard, device: torch.device
) -> tuple[LatentModel, Objective]:
    """Model and objective as every run of this configuration begins with them."""
    torch.manual_seed(config.train.seed)
    model, objective = build(config, card)
    model.to(device).to(memory_format=torch.channels_last)
    return model, objective.to(device)


def data_card(dataset: Dataset) -> DataCard:
    """What the run keeps of its data set."""
    return DataCard(
        dataset=dataset.name,
        image_shape=dataset.image_shape,
        n_train=len(dataset.train),
        n_validation=len(dataset.validation),
        n_test=len(dataset.test) if dataset.test else 0,
        label_names=dataset.label_names,
        factor_names=dataset.factor_names,
        notes=dataset.notes,
    )


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is a GPU where there is one.

    Raises:
        UserError: when the device is not there.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, present in there.items() if present)
    if not there[name]:
        raise UserError(f"train.device: there is no {name} device here; use auto or cpu.")
    return torch.device(name)
