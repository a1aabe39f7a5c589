"""One run folder: reading it while it is written, writing it while it is read."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.imaging.png import PNG_HEAD, require_png
from vae_core.runs import derived, layout
from vae_core.runs.folder import Folder
from vae_core.runs.lease import silence_message
from vae_core.runs.migrations import StoredConfig, first_of, stored_config
from vae_core.runs.schemas import (
    ACTIVE,
    Brought,
    DataCard,
    Environment,
    Status,
    Summary,
    unknown_keys,
)
from vae_core.runs.tensors import Tensors, load_state

MOST_SET = 100_000
"""Values set by hand: somebody who turns β without a pause for a day."""


class Run(Folder):
    """One run folder. Reads are lazy and tolerate a writer at work; writes are atomic."""

    kind = "run"
    doing = "training"
    busy_here = "is already being trained by another process."

    # --- reading -----------------------------------------------------------------------------

    def config(self) -> RunConfig:
        """The run's configuration. A UserError when it is missing or damaged."""
        return self.stored_config().config

    def stored_config(self) -> StoredConfig:
        """The run's configuration, with what of it this version does not know. Raises as
        `config`."""
        text = self.text(layout.CONFIG)
        try:
            return stored_config(text)
        except UserError as error:
            raise self.damaged(layout.CONFIG, str(error)) from None

    def notes(self, stored: StoredConfig | None = None) -> str:
        """What another version wrote into the folder and this one sets aside, in sentences; ""
        where there is nothing. `stored` is what was read already. Raises as `config`."""
        found = [(stored or self.stored_config()).note]
        for file in layout.RUN:
            if file.schema is None or not self.has(file.name):
                continue
            with suppress(UserError):  # whoever needs it says that it is damaged
                if unknown := list(unknown_keys(self.parse(file.name, file.schema))):
                    what = "has entries that this version does not know"
                    found.append(f"{file.name} {what} ({first_of(unknown)}).")
        return " ".join(filter(None, found))

    def config_to_train(self) -> RunConfig:
        """The configuration of a run that is to be trained, here and by this version. Raises as
        `config`, and a UserError when a later version configured it, or something in the folder is
        no file of its own, which training would write through."""
        self.require_trained_here()
        self.require_files()  # damaged weights are written anew from the training state
        stored = self.stored_config()
        if stored.note:
            raise UserError(
                f"{self.title} cannot be resumed by this version: {stored.note} Resume it "
                "with the version that made it; here it can be explored."
            )
        return stored.config

    def check(self) -> None:
        """Look at everything that is read of a run, without reading it. Raises as `require_files`,
        and a UserError that names the first file whose head is damaged."""
        self.require_files()
        for name in (layout.WEIGHTS, layout.ENCODINGS, layout.PARTS, layout.THUMBNAILS):
            try:
                with self.opened(name) as file:
                    if name == layout.THUMBNAILS:
                        require_png(file.read(PNG_HEAD))
                    else:
                        Tensors(file)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                raise self.damaged(name, str(error)) from None

    def require_files(self) -> None:
        """Look at everything that a run may hold, damaged or not. A UserError that names the first
        file that is a link, a pipe, a device or a folder, or is too large for its kind."""
        for file in layout.RUN:
            if "*" not in file.name:
                self.require_file(file.name)
        self.require_file(layout.DIRECTIONS)
        self.require_file(layout.PREVIEWS, "a folder")
        self.require_file(layout.TRACK, "a folder")
        self.require_file(layout.GIVEN, "a folder")

    def data_card(self) -> DataCard:
        """What the run knows of its data. A UserError when it is damaged, or missing as training
        has not got that far."""
        return self.parse(layout.DATA_CARD, DataCard)

    def status(self) -> Status:
        """The run's state, derived from its process and not from what it last claimed.

        A process elsewhere is at work until it has been silent for long: see `lease.py`. A run is
        finished only when its weights and what was measured are those of its last step. A
        UserError when status.json is damaged.
        """
        last = self.last_status()
        if last.state in ACTIVE and not self.is_alive():
            last = self.last_status()  # it may have said its last word just before it ended
            if last.state in ACTIVE:
                during = f"It ended during this: {last.message}." if last.message else ""
                why = f"{during} {silence_message(self)}".strip()
                return last.model_copy(update={"state": "interrupted", "message": why})
        if last.state == "finished" and (missing := self._missing(last.total_steps)):
            return last.model_copy(update={"state": "interrupted", "message": missing})
        return last

    def last_status(self) -> Status:
        """What its worker last said of itself, whether it lives or not. Raises as `status`."""
        return self.parse_if_there(layout.STATUS, Status)

    def weights_step(self, name: str = layout.WEIGHTS) -> int | None:
        """The step whose weights lie here, as the head of their file says; None where it does not,
        or where there is no such file. `name` may also be `BEST`."""
        try:
            with self.tensors(name) as file:
                return file.step()
        except (OSError, ValueError):
            return None

    def has_state(self) -> bool:
        """True where there is a training state to go on from."""
        return self.has(layout.STATE) or self.has(layout.NEXT_STATE)

    def training_state(self, name: str = layout.STATE) -> dict[str, Any]:
        """The values of a training state, on the CPU; `name` may also be `NEXT_STATE`. Raises as
        `tensors.load_state`, and an OSError when it is missing, or no regular file."""
        with self.opened(name) as file:
            return load_state(file, self.size(layout.WEIGHTS))

    def summary(self) -> dict[str, Any]:
        """What was measured of the trained model; {} before it has been. A UserError when
        summary.json is damaged."""
        return self.parse_if_there(layout.SUMMARY, Summary).model_dump(exclude_unset=True)

    def brought(self) -> Brought | None:
        """Where a network came from that was not trained here; None for one that was. A UserError
        when brought.json is damaged."""
        return self.parse(layout.BROUGHT, Brought) if self.has(layout.BROUGHT) else None

    def require_trained_here(self) -> None:
        """Go on only with a run that has a training. A UserError for a network from elsewhere."""
        if (brought := self.brought()) is not None:
            raise UserError(
                f"{self.title} was brought from elsewhere ({brought.kind}) and has no training to "
                "go on with or to begin like; it can be explored."
            )

    def environment(self) -> Environment:
        """With what the run was made; empty where it does not say. A UserError when
        environment.json is damaged."""
        return self.parse_if_there(layout.ENVIRONMENT, Environment)

    def history(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Records of the history written since byte `offset`, and the offset to go on from: at
        most some 16 MB of them; else as `records`."""
        return self.records(layout.HISTORY, offset)

    def set_by_hand(self) -> list[tuple[int, str, float]]:
        """The values that somebody set during the training, in order: (step, name, value).

        A value counts from the step after the one that it names. Damaged records are passed over.
        Raises as `history`.
        """
        found = []
        for n, record in enumerate(self.each_record(layout.HISTORY, holding=b'"set"')):
            if n == MOST_SET:
                raise self.damaged(layout.HISTORY, f"over {MOST_SET} values were set by hand")
            if record.get("kind") == "set":
                with suppress(KeyError, TypeError, ValueError, OverflowError):
                    value = float(record["value"])
                    found.append((int(record["step"]), str(record.get("name", "beta")), value))
        return found

    # --- writing -----------------------------------------------------------------------------

    def delete(self) -> None:
        """Remove the folder, and what was derived from the run, for good. Raises as
        `Folder.delete`."""
        super().delete()
        derived.forget(self)

    def set_status(self, status: Status) -> None:
        """Say what the worker is doing, stamped with the time."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.write_json(layout.STATUS, status.model_copy(update={"updated": now}))

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
