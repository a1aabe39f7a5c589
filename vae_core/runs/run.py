"""One run folder: reading it while it is written, writing it while it is read."""

from __future__ import annotations

import shutil
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from safetensors import SafetensorError, safe_open

from vae_core.config import RunConfig, parse_config
from vae_core.errors import UserError
from vae_core.runs.earlier import as_meant
from vae_core.runs.folder import Folder
from vae_core.runs.records import ACTIVE, DataCard, Status
from vae_core.runs.signs import silence

WEIGHTS = "model.safetensors"
"""The weights; its head says of which step. Its appearance is what makes a save count."""

OBJECTIVE = "objective."
"""What the names of weights begin with that belong to the objective and not to the model."""

STATE, NEXT_STATE = "training_state.pt", "training_state.next.pt"
"""The training state of the step of the weights, and that of a save whose weights are to come."""

BEST, NEXT_BEST = "best.safetensors", "best.next.safetensors"
"""The weights of the best validation so far, as `WEIGHTS`; those of a save that is to come."""

PARTS = "parts.safetensors"


class Run(Folder):
    """One run folder. Reads are lazy and tolerate a writer at work; writes are atomic."""

    kind = "run"
    doing = "training"
    busy_here = "is already being trained by another process."

    # --- reading -----------------------------------------------------------------------------

    def config(self) -> RunConfig:
        """The run's configuration.

        Raises:
            UserError: when it is missing or damaged.
        """
        text = self._text("config.json")
        try:
            return as_meant(parse_config(text))
        except UserError as error:
            raise UserError(f"config.json of run {self.id!r} is damaged. {error}") from None

    def data_card(self) -> DataCard:
        """What the run knows of its data.

        Raises:
            UserError: when it is missing (training has not got that far) or damaged.
        """
        return self._parse("data.json", DataCard)

    def status(self) -> Status:
        """The run's state, derived from its process and not from what it last claimed.

        A process elsewhere is at work until it has been silent for long: see `signs.py`.

        It is finished only when its weights and what was measured are those of its last step.

        Raises:
            UserError: when status.json is damaged.
        """
        said = self.said()
        if said.state in ACTIVE and not self.is_alive():
            said = self.said()  # it may have said its last word just before it ended
            if said.state in ACTIVE:
                during = f"It ended during this: {said.message}." if said.message else ""
                why = f"{during} {silence(self)}".strip()
                return said.model_copy(update={"state": "interrupted", "message": why})
        if said.state == "finished" and (missing := self._missing(said.total_steps)):
            return said.model_copy(update={"state": "interrupted", "message": missing})
        return said

    def said(self) -> Status:
        """What its worker last said of itself, whether it lives or not.

        Raises:
            UserError: when status.json is damaged.
        """
        return self._parse("status.json", Status) if self.file("status.json").exists() else Status()

    def weights_step(self, name: str = WEIGHTS) -> int | None:
        """The step whose weights lie here, as the head of their file says; None where it does not,
        or where there is no such file. `name` may also be `BEST`."""
        try:
            with safe_open(self.file(name), "numpy") as file:
                return int(file.metadata()["step"])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError):
            return None

    def has_state(self) -> bool:
        """True where there is a training state to go on from."""
        return self.file(STATE).exists() or self.file(NEXT_STATE).exists()

    def summary(self) -> dict[str, Any]:
        """What was measured of the trained model; {} before it has been.

        Raises:
            UserError: when summary.json is damaged.
        """
        summary = self.json("summary.json", {})
        if not isinstance(summary, dict):
            raise UserError(f"summary.json of run {self.id!r} is damaged: it is no JSON object.")
        return summary

    def history(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Records of the history written since byte `offset`, and the offset to go on from.

        Raises:
            UserError: when the file is there but cannot be read.
        """
        return self.records("history.jsonl", offset)

    def set_by_hand(self) -> list[tuple[int, str, float]]:
        """The values that somebody set during the training, in order: (step, name, value).

        A value counts from the step after the one that it names. Damaged records are passed over.

        Raises:
            UserError: as `history`.
        """
        found = []
        for record in self.records("history.jsonl", holding=b'"set"')[0]:
            if record.get("kind") == "set":
                with suppress(KeyError, TypeError, ValueError):
                    value = float(record["value"])
                    found.append((int(record["step"]), str(record.get("name", "beta")), value))
        return found

    # --- writing -----------------------------------------------------------------------------

    def set_status(self, status: Status) -> None:
        """Say what the worker is doing, stamped with the time."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.write_json("status.json", status.model_copy(update={"updated": now}))

    def delete(self) -> None:
        """Remove the run for good.

        Raises:
            UserError: while a process works on it, or when the folder cannot be removed.
        """
        if self.is_alive():
            where = self.elsewhere()
            said = f"training on {where}" if where else "still training"
            raise UserError(f"Run {self.id!r} is {said}; stop it before you delete it.")
        try:
            shutil.rmtree(self.path)
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"Run {self.id!r} cannot be deleted: {reason}.") from error

    # --- inside ------------------------------------------------------------------------------

    def _missing(self, total_steps: int) -> str:
        """What a run that claims to be finished lacks, "" where it lacks nothing."""
        step = self.weights_step()
        if step is None:
            gone = total_steps > 0 and self.has_state()
            return "Its weights are missing or damaged; resume to write them again." if gone else ""
        measured = self.summary().get("step", step)
        if step == measured == total_steps or total_steps == 0:
            return ""
        return (
            f"Its weights are of step {step} and its measurements of step {measured}, of "
            f"{total_steps}; resume to complete it."
        )
