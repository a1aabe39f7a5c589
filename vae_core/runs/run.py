"""One run folder: reading it while it is written, writing it while it is read."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.imaging.png import PNG_HEAD, require_png
from vae_core.runs.folder import Folder
from vae_core.runs.records import ACTIVE, DataCard, Status
from vae_core.runs.signs import silence
from vae_core.runs.stored import Environment, Summary
from vae_core.runs.stored_config import StoredConfig, stored_config

WEIGHTS = "model.safetensors"
"""The weights; its head says of which step. Its appearance is what makes a save count."""

OBJECTIVE = "objective."
"""What the names of weights begin with that belong to the objective and not to the model."""

STATE, NEXT_STATE = "training_state.pt", "training_state.next.pt"
"""The training state of the step of the weights, and that of a save whose weights are to come."""

BEST, NEXT_BEST = "best.safetensors", "best.next.safetensors"
"""The weights of the best validation so far, as `WEIGHTS`; those of a save that is to come."""

PARTS = "parts.safetensors"

FILES = (
    "config.json",
    "data.json",
    "environment.json",
    "status.json",
    "job.json",
    "summary.json",
    "scores.json",
    "saved_directions.json",
    "control.jsonl",
    "history.jsonl",
    "log.txt",
    "worker.lock",
    WEIGHTS,
    STATE,
    NEXT_STATE,
    BEST,
    NEXT_BEST,
    PARTS,
    "encodings.safetensors",
    "directions.safetensors",
    "thumbnails.png",
    "thumbnail.png",
)
"""What is looked at before a run counts as sound."""

MOST_SET = 100_000
"""Values set by hand: somebody who turns β without a pause for a day."""


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
        return self._stored_config().config

    def beyond(self) -> str:
        """What a later version wrote into the configuration and this one sets aside, as a
        sentence; "" where there is nothing.

        Raises:
            UserError: as `config`.
        """
        return self._stored_config().beyond

    def config_to_train(self) -> RunConfig:
        """The configuration of a run that is to be trained, here and by this version.

        Raises:
            UserError: as `config`; when a later version configured it, or something in the folder
                is no file of its own, which training would write through.
        """
        self.look_at_all()  # damaged weights are written anew from the training state
        stored = self._stored_config()
        if stored.beyond:
            raise UserError(
                f"Run {self.id!r} cannot be resumed by this version: {stored.beyond} Resume it "
                "with the version that made it; here it can be explored."
            )
        return stored.config

    def check(self) -> None:
        """Look at everything that is read of a run, without reading it.

        Raises:
            UserError: naming the first file that is a link, a pipe, a device or a folder, is too
                large for its kind, or whose head is damaged.
        """
        self.look_at_all()
        for name in (WEIGHTS, "encodings.safetensors", PARTS):
            try:
                with self.tensors(name):
                    pass
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                raise self._damaged(name, str(error)) from None
        try:
            with self.opened("thumbnails.png") as picture:
                require_png(picture.read(PNG_HEAD))
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._damaged("thumbnails.png", str(error)) from None

    def look_at_all(self) -> None:
        """Look at everything that a run may hold; whether it is damaged is not looked for.

        Raises:
            UserError: naming the first file that is a link, a pipe, a device or a folder, or is
                too large for its kind.
        """
        for name in FILES:
            self.look_at(name)
        self.look_at("previews", "a folder")

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
        return self._parse("status.json", Status) if self.has("status.json") else Status()

    def weights_step(self, name: str = WEIGHTS) -> int | None:
        """The step whose weights lie here, as the head of their file says; None where it does not,
        or where there is no such file. `name` may also be `BEST`."""
        try:
            with self.tensors(name) as file:
                return file.step()
        except (OSError, ValueError):
            return None

    def has_state(self) -> bool:
        """True where there is a training state to go on from."""
        return self.has(STATE) or self.has(NEXT_STATE)

    def summary(self) -> dict[str, Any]:
        """What was measured of the trained model; {} before it has been.

        Raises:
            UserError: when summary.json is damaged.
        """
        if not self.has("summary.json"):
            return {}
        return self._parse("summary.json", Summary).model_dump(exclude_unset=True)

    def environment(self) -> Environment:
        """With what the run was made; empty where it does not say.

        Raises:
            UserError: when environment.json is damaged.
        """
        if not self.has("environment.json"):
            return Environment()
        return self._parse("environment.json", Environment)

    def history(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Records of the history written since byte `offset`, and the offset to go on from: at
        most some 16 MB of them, as `records`.

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
        for n, record in enumerate(self.each_record("history.jsonl", holding=b'"set"')):
            if n == MOST_SET:
                raise self._damaged("history.jsonl", f"over {MOST_SET} values were set by hand")
            if record.get("kind") == "set":
                with suppress(KeyError, TypeError, ValueError, OverflowError):
                    value = float(record["value"])
                    found.append((int(record["step"]), str(record.get("name", "beta")), value))
        return found

    # --- writing -----------------------------------------------------------------------------

    def set_status(self, status: Status) -> None:
        """Say what the worker is doing, stamped with the time."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.write_json("status.json", status.model_copy(update={"updated": now}))

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

    def _stored_config(self) -> StoredConfig:
        text = self._text("config.json")
        try:
            return stored_config(text)
        except UserError as error:
            raise self._damaged("config.json", str(error)) from None
