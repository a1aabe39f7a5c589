"""From a run folder with a configuration in it to a trained model in it: what a process does."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any

import numpy as np
import torch

from vae_core.config import RunConfig
from vae_core.data import Dataset, load_dataset
from vae_core.data.dataset import Progress, no_progress
from vae_core.data.recorded import recorded_of
from vae_core.errors import DataChanged, UserError
from vae_core.families import build, complete
from vae_core.latent.directions import principal_directions, save_directions
from vae_core.latent.encodings import encode_dataset, save_encodings
from vae_core.latent.grids import prior_pictures
from vae_core.latent.survey import finite
from vae_core.metrics import measure
from vae_core.models import LatentModel
from vae_core.objectives import Objective
from vae_core.run_data import recorded_by
from vae_core.runs import ACTIVE, PARTS, DataCard, PartDigests, Run, State, Status
from vae_core.training.changed_data import images_of, note_change
from vae_core.training.checkpoint import forget_after, load_state, save_checkpoint
from vae_core.training.control import ControlFile, said_so_far
from vae_core.training.environment import save_environment
from vae_core.training.events import Ended, EpochSaved, Message
from vae_core.training.loop import Loop
from vae_core.training.memory import is_short
from vae_core.training.recorders import (
    SAMPLES_IN_THUMBNAIL,
    Recorder,
    RunRecorder,
    save_thumbnail,
)
from vae_core.training.saving import Rest
from vae_core.training.soundness import INSTEAD

ENCODED_IMAGES = 3000
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
) -> Ended:
    """Train a run from where it stands to its end, or until it is told to stop.

    Whatever happens, the run folder says so: state and reason in status.json, traceback in the
    log.

    Args:
        listeners: makes further recorders from the total steps and the step begun with.
        progress: told of data being prepared.
        heard: bytes of the control file that were there before this worker was asked for; None
            for all that are there now. What was said to an earlier worker is not said to this one.
        accept_changed_data: go on with the images that there are now, see `images_of`.

    Raises:
        DataChanged: when a run is resumed whose images are not as they were; it stays as it is.
        UserError: what a person can mend.
    """
    with only_worker(run):
        control = ControlFile(run, said_so_far(run) if heard is None else heard)
        before = run.status()
        run.claim(os.getpid())
        run.set_status(Status(state="starting"))
        run.clear_leftovers()
        try:
            return _train_and_tell(run, listeners, progress, control, accept_changed_data)
        except DataChanged as error:
            state: State = "interrupted" if before.state in ACTIVE else before.state
            said = {"state": state, "message": str(error), "acceptable": error.acceptable}
            run.set_status(before.model_copy(update=said))
            raise


def only_worker(run: Run) -> AbstractContextManager[None]:
    """Hold the run for this process; entering raises a UserError while another one trains it,
    such as after two clicks on Resume."""
    return run.held("worker.lock", f"Run {run.id!r} is already being trained by another process.")


def _train_and_tell(
    run: Run,
    listeners: Callable[[int, int], Iterable[Recorder]],
    progress: Progress,
    control: ControlFile,
    accept_changed_data: bool,
) -> Ended:
    try:
        with terminated_politely() as wishes:
            return _train(
                run, listeners, progress, lambda: wishes() + control(), accept_changed_data
            )
    except DataChanged:
        raise  # nothing has failed, and nothing was changed
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
    run.set_status(run.status().model_copy(update={"state": state, "message": reason}))


def _train(
    run: Run,
    listeners: Callable[[int, int], Iterable[Recorder]],
    progress: Progress,
    control: Callable[[], list[Message]],
    accept_changed_data: bool,
) -> Ended:
    config = complete(run.config())
    device = choose_device(config.train.device)
    torch.set_num_threads(config.train.threads or os.cpu_count() or 1)
    progress("Preparing the images", None)
    state = load_state(run)
    if state is None:
        dataset = load_dataset(config.data, progress)
    else:
        dataset = images_of(run, accept_changed_data, progress)
    recorded = recorded_of(dataset, None if state is None else recorded_by(run))
    card = data_card(dataset).model_copy(update={"digest": PartDigests(**recorded.digest())})
    model, objective = _built(config, card, device)
    run.write_bytes(PARTS, recorded.to_bytes())
    run.write_json("data.json", card)
    save_environment(run, device)

    def last_save() -> Mapping[str, Any]:
        saved = load_state(run)
        if saved is None:  # then it is how everything began
            saved = Loop(config, dataset, *_built(config, card, device)).checkpoint().state
        return saved

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
    for event in loop.run(control):
        for listener in everyone:
            listener(event)
        if isinstance(event, EpochSaved) and loop.step < loop.total_steps and rest.is_over():
            with rest.working():
                _keep_latents(run, model, dataset, loop.step)
    ended = Ended(loop.step, loop.step // loop.steps_per_epoch, loop.seconds, not loop.stopping)
    mu = _keep_latents(run, model, dataset, loop.step)
    # Fitted once, seconds where latents are large. Before that, who explores fits them.
    save_directions(run, principal_directions(mu), loop.step)
    _summarise(run, model, objective, dataset, loop)
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


def _keep_latents(run: Run, model: LatentModel, dataset: Dataset, step: int) -> np.ndarray:
    """Keep what Explore needs beside the weights of `step`; the posterior means [N, D]."""
    encodings = encode_dataset(model, dataset, step, ENCODED_IMAGES)
    finite(encodings.mu, "encoding")
    save_encodings(run, encodings)
    save_thumbnail(run, prior_pictures(model, SAMPLES_IN_THUMBNAIL))
    return encodings.mu


def _summarise(
    run: Run, model: LatentModel, objective: Objective, dataset: Dataset, loop: Loop
) -> None:
    generator = torch.Generator(model.device).manual_seed(0)
    context = loop.moment(generator)
    measurement = measure(model, objective, dataset.validation, context)
    if not math.isfinite(measurement.total):
        raise UserError(
            f"The loss of the validation images is {measurement.total:g}; the weights of step "
            f"{loop.step} are saved. {INSTEAD}"
        )
    run.write_json(
        "summary.json",
        measurement.report()
        | {
            "split": "validation",
            "latent_dim": model.latent_size,
            "weights": model.weight_count(),
            "kl_per_dim": measurement.kl_per_dim,
            "step": loop.step,
        },
    )


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


@contextmanager
def terminated_politely() -> Iterator[Callable[[], list[Message]]]:
    """Turn SIGINT and SIGTERM into a wish to stop; a second SIGINT interrupts at once."""
    asked: list[Message] = []

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(Message("stop"))
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}

    def take() -> list[Message]:
        taken, asked[:] = list(asked), []
        return taken

    try:
        yield take
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
