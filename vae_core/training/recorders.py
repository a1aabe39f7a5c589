"""Who listens to the loop: the run folder, and the progress bar on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from tqdm import tqdm

from vae_core.imaging.png import tile, to_bytes, to_png
from vae_core.runs import Run, State, Status, layout
from vae_core.training.checkpoint import forget_after, save_checkpoint
from vae_core.training.events import (
    Checkpoint,
    Ended,
    EpochSaved,
    Event,
    Noted,
    PauseChanged,
    Previewed,
    Skipped,
    Stepped,
    Validated,
    ValueSet,
    WentBack,
)

STATUS_EVERY_S = 0.25


class Recorder(Protocol):
    """Takes every event, in order."""

    def __call__(self, event: Event) -> None: ...


class RunRecorder:
    """Writes history, previews, checkpoints and status into the run folder."""

    def __init__(self, run: Run, total_steps: int, first_step: int) -> None:
        self.run, self.total_steps = run, total_steps
        self.pace = Pace(first_step)
        self._said = 0.0
        self._speed: float | None = None
        self._state: State = "training"
        self._write: dict[type[Event], Callable[[Any], None]] = {
            Stepped: self._stepped,
            Validated: self._validated,
            Previewed: self._previewed,
            Checkpoint: self._checkpoint,
            EpochSaved: lambda event: None,
            Skipped: self._skipped,
            WentBack: self._went_back,
            ValueSet: self._value_set,
            Noted: self._noted,
            PauseChanged: self._pause_changed,
            Ended: self._ended,
        }

    def __call__(self, event: Event) -> None:
        self._write[type(event)](event)

    def _stepped(self, event: Stepped) -> None:
        self._speed = event.images_per_s
        weights, speed = event.weights, event.images_per_s
        self._record(
            "step", event, **_terms(event), weights=weights, **event.controls, images_per_s=speed
        )
        if time.monotonic() - self._said >= STATUS_EVERY_S:
            self._say(event)

    def _validated(self, event: Validated) -> None:
        m = event.measurement
        codes = {} if m.codes_drawn is None else {"codes_drawn": m.codes_drawn}
        self._record(
            "validation",
            event,
            **_terms(m),
            kl_per_dim=m.kl_per_dim,
            active_units=m.active_units,
            images=m.images,
            **codes,
        )

    def _previewed(self, event: Previewed) -> None:
        strips = {"reconstructions": event.reconstructions, "samples": event.samples}
        for name, images in strips.items():
            strip = tile(to_bytes(images), len(images))
            self.run.write_bytes(layout.preview(event.step, name), to_png(strip))
        # These stay the same all through a run.
        for name, still in (("originals", event.originals), ("corrupted", event.corrupted)):
            if still is not None and not self.run.file(f"{layout.PREVIEWS}/{name}.png").exists():
                strip = tile(to_bytes(still), len(still))
                self.run.write_bytes(f"{layout.PREVIEWS}/{name}.png", to_png(strip))
        self._record("preview", event, kl_per_dim=event.kl_per_dim)

    def _checkpoint(self, event: Checkpoint) -> None:
        save_checkpoint(self.run, event)
        self._record("checkpoint", event)

    def _skipped(self, event: Skipped) -> None:
        self._record("skipped", event, message=event.message)

    def _went_back(self, event: WentBack) -> None:
        forget_after(self.run, event.kept)
        self._record(
            "went_back",
            event,
            from_step=event.from_step,
            message=event.message,
            number=event.number,
            learning_rate_factor=event.factor,
        )
        self.pace = Pace(event.step)
        self._say(event)

    def _value_set(self, event: ValueSet) -> None:
        self._record("set", event, name=event.name, value=event.value)

    def _noted(self, event: Noted) -> None:
        self._record("note", event, message=event.message)

    def _pause_changed(self, event: PauseChanged) -> None:
        self._state = "paused" if event.paused else "training"
        self._say(event)
        self.pace = Pace(event.step)

    def _ended(self, event: Ended) -> None:
        self._state = "finished" if event.finished else "stopped"

    def _record(self, kind: str, event: Event, **values: Any) -> None:
        when = {"step": event.step, "epoch": event.epoch, "time": event.seconds}
        self.run.append(layout.HISTORY, {"kind": kind} | _rounded(when | values))

    def _say(self, event: Event, message: str = "") -> None:
        self._said = time.monotonic()
        self.run.set_status(
            Status(
                state=self._state,
                step=event.step,
                total_steps=self.total_steps,
                epoch=event.epoch,
                images_per_s=self._speed,
                seconds_left=self.pace.seconds_left(event.step, self.total_steps),
                message=message,
            )
        )

    def close(self, event: Ended, message: str = "") -> None:
        """The last word, once everything that follows training has been written too."""
        self._ended(event)
        self._say(event, message)


class Pace:
    """Time left, from the steps measured since work began, validation and previews included."""

    def __init__(self, first_step: int) -> None:
        self.first_step, self.began = first_step, time.monotonic()

    def seconds_left(self, step: int, total_steps: int) -> float | None:
        """Seconds, or None before the first step is done."""
        done = step - self.first_step
        if done <= 0:
            return None
        return (time.monotonic() - self.began) / done * (total_steps - step)


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
        elif isinstance(event, Ended):
            self.bar.close()


def _terms(event: Any) -> dict[str, Any]:
    return {"terms": event.terms, "total": event.total}


def _rounded(value: Any) -> Any:
    """Floats to six significant figures: what a curve can show, at a third of the bytes."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value
