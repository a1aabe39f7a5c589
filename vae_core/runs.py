"""A run is a folder: what lies in it, how it is written so that a reader may come at any moment.

    config.json            the RunConfig
    data.json              DataCard: what a model needs to know of its data to be rebuilt without it
    environment.json       versions, machine, command
    job.json               process id and start time of whoever works on it
    status.json            Status, as the worker last said it
    control.jsonl          messages to the worker, appended by the app
    history.jsonl          one record a line: steps, validations, previews, β changes, notes
    log.txt                the worker's output, tracebacks included
    model.safetensors      the weights
    training_state.pt      optimiser, RNG, step: for an exact resume
    encodings.safetensors  posterior means, log-variances, labels, thumbnails
    summary.json           what was measured of the trained model
    previews/              <step>-reconstructions.png, <step>-samples.png, originals.png
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psutil
from pydantic import ValidationError

from vae_core.config import RunConfig, parse_config
from vae_core.errors import UserError
from vae_core.settings import Settings

STORE_VARIABLE = "VAE_STORE"
DEFAULT_STORE = Path(__file__).resolve().parent.parent / "trained_models"

State = Literal[
    "starting", "training", "paused", "finished", "stopped", "failed", "interrupted"
]
ACTIVE: frozenset[State] = frozenset({"starting", "training", "paused"})

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


class DataCard(Settings):
    """What is kept of the data set beside the model."""

    dataset: str
    image_shape: tuple[int, int, int]
    n_train: int
    n_validation: int
    n_test: int = 0
    label_names: tuple[str, ...] = ()
    factor_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Status(Settings):
    """What the worker last said of itself. `updated` is ISO 8601 in UTC."""

    state: State = "starting"
    step: int = 0
    total_steps: int = 0
    epoch: int = 0
    images_per_s: float | None = None
    seconds_left: float | None = None
    message: str = ""
    updated: str = ""


class Job(Settings):
    """A process, named so that a reused process id is not mistaken for it."""

    pid: int
    create_time: float


class Run:
    """One run folder. Reads are lazy and tolerate a writer at work; writes are atomic."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def id(self) -> str:
        return self.path.name

    def file(self, name: str) -> Path:
        return self.path / name

    # --- reading -----------------------------------------------------------------------------

    def config(self) -> RunConfig:
        """The run's configuration.

        Raises:
            UserError: when it is missing or damaged.
        """
        return parse_config(self._text("config.json"))

    def data_card(self) -> DataCard:
        """What the run knows of its data.

        Raises:
            UserError: when it is missing (training has not got that far) or damaged.
        """
        return self._parse("data.json", DataCard)

    def status(self) -> Status:
        """The run's state, derived from its process and not from what it last claimed.

        Raises:
            UserError: when status.json is damaged.
        """
        if not self.file("status.json").exists():
            said = Status()
        else:
            said = self._parse("status.json", Status)
        if said.state in ACTIVE and not self.is_alive():
            return said.model_copy(update={"state": "interrupted"})
        return said

    def is_alive(self) -> bool:
        """True while the process that works on this run lives."""
        try:
            job = self._parse("job.json", Job)
        except UserError:
            return False
        return process_is(job)

    def summary(self) -> dict[str, Any]:
        """What was measured of the trained model; {} before it has been."""
        return self.json("summary.json", {})

    def json(self, name: str, default: Any = None) -> Any:
        """A JSON file of this run.

        Raises:
            UserError: when it is missing and there is no default, or when it is damaged.
        """
        if default is not None and not self.file(name).exists():
            return default
        try:
            return json.loads(self._text(name))
        except ValueError:
            raise UserError(f"{name} of run {self.id!r} is damaged: it is not valid JSON.") from None

    def history(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Records written since byte `offset`, and the offset to go on from.

        A last line that is still being written is left for the next call.
        """
        path = self.file("history.jsonl")
        if not path.exists():
            return [], 0
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        records = []
        for line in whole.splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:  # a line torn by a power cut: the others are still worth reading
                continue
        return records, offset + len(whole)

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of the worker's output, "" when there is none."""
        path = self.file("log.txt")
        if not path.exists():
            return ""
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 20_000))
            text = file.read().decode("utf-8", "replace")
        return "\n".join(text.splitlines()[-lines:])

    # --- writing -----------------------------------------------------------------------------

    def write_json(self, name: str, value: Any) -> None:
        """Write a settings object or plain data as JSON, atomically."""
        text = value.model_dump_json(indent=2) if isinstance(value, Settings) else json.dumps(
            value, indent=2
        )
        self.write_bytes(name, text.encode() + b"\n")

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write a file so that a reader sees the old one or the new one, never a part.

        Raises:
            UserError: when the disk is full or the folder cannot be written.
        """
        target = self.file(name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".writing-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.chmod(temporary, 0o644)
                os.replace(temporary, target)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise UserError(
                f"{name} of run {self.id!r} could not be written: {error.strerror or error}. "
                "Free some space or choose another store, then resume the run."
            ) from error

    def append(self, name: str, record: dict[str, Any]) -> None:
        """Append one JSON record as a line, in a single write."""
        try:
            with self.file(name).open("ab", buffering=0) as file:
                file.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
        except OSError as error:
            raise UserError(
                f"{name} of run {self.id!r} could not be written: {error.strerror or error}. "
                "Free some space or choose another store, then resume the run."
            ) from error

    def set_status(self, status: Status) -> None:
        """Say what the worker is doing, stamped with the time."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.write_json("status.json", status.model_copy(update={"updated": now}))

    def claim(self, pid: int) -> None:
        """Record that process `pid` works on this run."""
        self.write_json("job.json", Job(pid=pid, create_time=psutil.Process(pid).create_time()))

    def delete(self) -> None:
        """Remove the run for good.

        Raises:
            UserError: while a process works on it.
        """
        if self.is_alive():
            raise UserError(f"Run {self.id!r} is still training; stop it before you delete it.")
        shutil.rmtree(self.path)

    # --- inside ------------------------------------------------------------------------------

    def _text(self, name: str) -> str:
        try:
            return self.file(name).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UserError(f"Run {self.id!r} has no {name}.") from None
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{name} of run {self.id!r} cannot be read: {error}.") from None

    def _parse(self, name: str, kind: type[Any]) -> Any:
        try:
            return kind.model_validate_json(self._text(name))
        except ValidationError:
            raise UserError(f"{name} of run {self.id!r} is damaged.") from None


class Store:
    """The folder in which runs live."""

    def __init__(self, path: Path | str | None = None) -> None:
        """Open `path`, else what the environment variable VAE_STORE names, else the default."""
        self.path = Path(path or os.environ.get(STORE_VARIABLE) or DEFAULT_STORE).resolve()

    def create(self, name: str, config: RunConfig) -> Run:
        """Claim `name` and write the configuration.

        Raises:
            UserError: when the name is taken or is no plain name, or nothing can be written here.
        """
        path = self._inside(name)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            path.mkdir()
        except FileExistsError:
            raise UserError(
                f"There is already a run called {name!r} in {self.path}; choose another name."
            ) from None
        except OSError as error:
            raise UserError(
                f"The run cannot be created in {self.path}: {error.strerror or error}."
            ) from None
        run = Run(path)
        run.write_json("config.json", config)
        return run

    def get(self, name: str) -> Run:
        """The run called `name`.

        Raises:
            UserError: when there is none, or the name is no plain name.
        """
        path = self._inside(name)
        if not path.is_dir():
            raise UserError(f"There is no run called {name!r} in {self.path}.")
        return Run(path)

    def free_name(self, wish: str) -> str:
        """`wish`, or `wish-2`, `wish-3`, … where it is taken."""
        names = {run.id for run in self}
        numbered = (f"{wish}-{n}" for n in range(2, len(names) + 3))
        return wish if wish not in names else next(n for n in numbered if n not in names)

    def __iter__(self) -> Iterator[Run]:
        """Every run, the newest configuration first."""
        if not self.path.is_dir():
            return
        folders = [path for path in self.path.iterdir() if _is_run_folder(path)]
        yield from map(Run, sorted(folders, key=_made_at, reverse=True))

    def _inside(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise UserError(
                f"{name!r} is no run name; use letters, digits, dots, dashes and underscores, "
                "at most 80, beginning with a letter or digit."
            )
        return self.path / name


def process_is(job: Job) -> bool:
    """True while the very process that `job` names is running."""
    try:
        process = psutil.Process(job.pid)
        same = abs(process.create_time() - job.create_time) < 1.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _is_run_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".") and bool(_NAME.fullmatch(path.name))


def _made_at(path: Path) -> float:
    config = path / "config.json"
    return (config if config.exists() else path).stat().st_mtime
