"""Who listens to the loop: the run folder, and the progress bar on a terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from tqdm import tqdm

from vae_core.data.difference import Difference
from vae_core.imaging.png import tile, to_bytes, to_png
from vae_core.objective import MODEL
from vae_core.runs import Run, State, Status, layout
from vae_core.training.checkpoint import save_checkpoint
from vae_core.training.events import (
    BestTaken,
    Checkpoint,
    Ended,
    Event,
    Noted,
    PauseChanged,
    Previewed,
    RolledBack,
    Skipped,
    Stepped,
    Validated,
    ValueSet,
)

STATUS_EVERY_S = 0.25


Recorder = Callable[[Event], None]
"""Takes every event, in order."""


class RunRecorder:
    """Writes history, previews, checkpoints and status into the run folder."""

    def __init__(self, run: Run, total_steps: int, first_step: int) -> None:
        self.run, self.total_steps = run, total_steps
        self._begun = first_step, time.monotonic()
        """Where the pace is measured from: the step, and when."""
        self._reported_at = 0.0
        self._speed: float | None = None
        self._state: State = "training"
        self._said = ""

    def __call__(self, event: Event) -> None:
        match event:
            case Stepped():
                self._speed = event.images_per_s
                values = {
                    "weights": event.weights,
                    **event.controls,
                    "images_per_s": self._speed,
                    **_by_player("learning_rate", event.learning_rates),
                    **_by_player("gradient_norm", event.gradient_norms),
                }
                self._record("step", event, terms=event.terms, total=event.total, **values)
                if time.monotonic() - self._reported_at >= STATUS_EVERY_S:
                    self._report(event)
            case Validated(measurement=found):
                codes = {} if found.codes_drawn is None else {"codes_drawn": found.codes_drawn}
                self._record(
                    "validation",
                    event,
                    terms=found.terms,
                    total=found.total,
                    kl_per_dim=found.kl_per_dim,
                    active_units=found.active_units,
                    mean_mu=found.mean_mu,
                    mean_sigma=found.mean_sigma,
                    images=found.images,
                    **codes,
                )
            case Previewed():
                self._save_previews(event)
                self._record("preview", event, kl_per_dim=event.kl_per_dim)
            case Checkpoint():
                save_checkpoint(self.run, event)
                self._record("checkpoint", event)
            case Skipped():
                self._record("skipped", event, message=event.message)
            case RolledBack():
                truncate_history(self.run, event.state)
                recovery = event.state["recovery"]
                self._record(
                    "went_back",
                    event,
                    from_step=event.from_step,
                    message=event.message,
                    number=recovery["returns"],
                    learning_rate_factor=recovery["factor"],
                )
                self._begun = event.step, time.monotonic()
                self._report(event)
            case BestTaken():
                self.total_steps, self._said = event.step, event.message
                self._record("note", event, message=event.message)
            case ValueSet():
                self._record("set", event, name=event.name, value=event.value)
            case Noted():
                self._record("note", event, message=event.message)
            case PauseChanged():
                self._state = "paused" if event.paused else "training"
                self._report(event)
                self._begun = event.step, time.monotonic()

    def close(self, event: Ended, message: str = "") -> None:
        """Write the final status, once everything that follows training has been written too."""
        self._state = "finished" if event.finished else "stopped"
        self._report(event, message or self._said)

    def _save_previews(self, event: Previewed) -> None:
        pictures = {
            layout.preview(event.step, "reconstructions"): event.reconstructions,
            layout.preview(event.step, "samples"): event.samples,
        }
        stills = {layout.ORIGINALS: event.originals, layout.CORRUPTED: event.corrupted}
        for name, still in stills.items():  # these stay the same all through a run
            if still is not None and not self.run.file(name).exists():
                pictures[name] = still
        for name, images in pictures.items():
            self.run.write_bytes(name, to_png(tile(to_bytes(images), len(images))))

    def _record(self, kind: str, event: Event, **values: Any) -> None:
        when = {"step": event.step, "epoch": event.epoch, "time": event.seconds}
        self.run.append(layout.HISTORY, {"kind": kind} | _rounded(when | values))

    def _report(self, event: Event, message: str = "") -> None:
        self._reported_at = time.monotonic()
        self.run.set_status(
            Status(
                state=self._state,
                step=event.step,
                total_steps=self.total_steps,
                epoch=event.epoch,
                images_per_s=self._speed,
                seconds_left=self._seconds_left(event.step),
                message=message,
            )
        )

    def _seconds_left(self, step: int) -> float | None:
        """From the steps since work began, with validation and previews; None before the first."""
        first_step, began = self._begun
        done = step - first_step
        return (time.monotonic() - began) / done * (self.total_steps - step) if done > 0 else None


class ProgressBar:
    """One line on the terminal: loss, images/s, time left."""

    def __init__(self, total_steps: int, first_step: int) -> None:
        self.bar = tqdm(total=total_steps, initial=first_step, unit="step", dynamic_ncols=True)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Stepped):
            self.bar.set_postfix_str(f"loss {event.total:.2f}, {event.images_per_s:,.0f} images/s")
            self.bar.update(event.step - self.bar.n)
        elif isinstance(event, Validated):
            m = event.measurement
            terms = ", ".join(f"{name} {value:.2f}" for name, value in m.terms.items())
            self.bar.write(f"epoch {event.epoch}: validation {terms} (nats per image)")
        elif isinstance(event, BestTaken):
            self.bar.total = event.step
            self.bar.write(event.message)
        elif isinstance(event, Ended):
            self.bar.close()


def _by_player(name: str, values: Mapping[str, float]) -> dict[str, float]:
    """Values under one name, behind which that of a player other than the model stands."""
    return {
        name if player == MODEL else f"{name}_{player}": value for player, value in values.items()
    }


def _rounded(value: Any) -> Any:
    """Floats to six significant figures: what a curve can show, at a third of the bytes."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def truncate_history(run: Run, state: Mapping[str, Any]) -> None:
    """Drop what was recorded after a save that is gone back to: those steps come again. `state`, of
    the save, tells which of the values set by hand, rollbacks and validations at its very step came
    before it."""
    step = state["step"]

    def was_saved(record: Mapping[str, Any]) -> bool:
        at = record.get("step", 0)
        if at != step:
            return isinstance(at, int | float) and at < step
        match record.get("kind"):
            case "set":
                value = state["overrides"].get(record.get("name", "beta"), math.nan)
                # The value that is recorded is rounded.
                return math.isclose(value, record.get("value", math.nan), rel_tol=1e-5)
            case "preview":
                return bool(step > 0)  # every training begins with one
            case "validation":
                return bool(state.get("validated", step) == step)
            case "went_back":
                return bool(record.get("number", 0) <= state["recovery"]["returns"])
        return True

    if not all(map(was_saved, run.each_record(layout.HISTORY))):
        run.write_records(layout.HISTORY, filter(was_saved, run.each_record(layout.HISTORY)))
        for picture in run.file(layout.PREVIEWS).glob("*-*.png"):
            if int(picture.name.partition("-")[0]) > step:
                picture.unlink(missing_ok=True)


def record_changed_data(run: Run, difference: Difference, step: int) -> None:
    """Write into the history of a run that it goes on with other images from `step` on.

    The pictures of its hold-out images go: from now on others are rebuilt, and they would stand
    below the wrong originals.
    """
    message = f"Resumed on the images that were there. {difference.sentence}"
    note = {"kind": "note", "step": step, "message": message}
    records = run.each_record(layout.HISTORY)
    others = (record for record in records if record.get("kind") != "preview")
    run.write_records(layout.HISTORY, (*others, note))
    for picture in run.file(layout.PREVIEWS).glob("*.png"):
        picture.unlink(missing_ok=True)
