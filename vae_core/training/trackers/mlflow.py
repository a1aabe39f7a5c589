"""MLflow: an SQLite database and a folder of artifacts."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TypeVar

from PIL import Image

from vae_core.extras import extra
from vae_core.training.trackers.tracker import PROJECT, About, Moment, trackers

T = TypeVar("T")

DATABASE, ARTIFACTS = "mlflow.db", "artifacts"
AT_ONCE, LONGEST_PARAMETER = 1000, 6000
"""What MLflow takes: measurements in a batch, and letters of a parameter."""


@trackers.register(
    "mlflow",
    label="MLflow",
    blurb="Curves, pictures and settings in an SQLite database.",
    order=30,
    module="mlflow",
    shows="mlflow ui --backend-store-uri sqlite:///{folder}/" + DATABASE,
    environment={"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
    own=("MLFLOW_",),
)
class MLflow:
    """One experiment with one run in it."""

    def __init__(self, folder: Path, about: About) -> None:
        library = extra("mlflow", "mlflow", "MLflow")
        self._entities = extra("mlflow.entities", "mlflow", "MLflow")
        artifacts, database = folder / ARTIFACTS, folder / DATABASE
        if database.exists():
            _settle(database, artifacts)
        self._client = library.MlflowClient(tracking_uri=f"sqlite:///{database}")
        self.id = about.id or self._begin(about, artifacts)
        self._client.update_run(self.id, status="RUNNING")

    def write(self, moments: Sequence[Moment]) -> None:
        values = (
            self._entities.Metric(name, value, round(moment.time * 1000), moment.step)
            for moment in moments
            for name, value in moment.scalars.items()
        )
        for batch in _in_batches(values, AT_ONCE):
            self._client.log_batch(self.id, metrics=batch, synchronous=True)
        for moment in moments:
            for name, png in moment.images.items():
                picture = Image.open(io.BytesIO(png))
                when = {"step": moment.step, "timestamp": round(moment.time * 1000)}
                self._client.log_image(self.id, picture, key=name, synchronous=True, **when)

    def end(self, moment: Moment, embeddings: Callable[[], Mapping[str, bytes]]) -> None:
        self.write([moment])
        self._client.set_terminated(self.id, "FINISHED", end_time=round(moment.time * 1000))

    def close(self) -> None:
        """Nothing is open between two calls."""

    def _begin(self, about: About, artifacts: Path) -> str:
        found = self._client.get_experiment_by_name(PROJECT)
        experiment = (
            self._client.create_experiment(PROJECT, str(artifacts))
            if found is None
            else found.experiment_id
        )
        began = round(about.started * 1000)
        run = self._client.create_run(experiment, began, run_name=about.name)
        parameters = [
            self._entities.Param(name, str(value)[:LONGEST_PARAMETER])
            for name, value in about.settings.items()
        ]
        for batch in _in_batches(parameters, 100):
            self._client.log_batch(run.info.run_id, params=batch, synchronous=True)
        return str(run.info.run_id)


def _settle(database: Path, artifacts: Path) -> None:
    """Have MLflow look for artifacts where they lie: it keeps whole paths, and the run may have
    been moved, copied, or made by somebody else."""
    with closing(sqlite3.connect(database)) as opened, opened:
        opened.execute("UPDATE experiments SET artifact_location = ?", (str(artifacts),))
        opened.execute(
            "UPDATE runs SET artifact_uri = ? || '/' || run_uuid || '/artifacts'", (str(artifacts),)
        )


def _in_batches(values: Iterable[T], most: int) -> Iterator[list[T]]:
    rest = iter(values)
    while batch := list(islice(rest, most)):
        yield batch
