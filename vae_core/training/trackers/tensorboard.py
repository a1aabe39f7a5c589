"""TensorBoard: event files, hyperparameters beside the final measures, and the projector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vae_core.extras import extra
from vae_core.files import replacing
from vae_core.training.trackers.tracker import About, Moment, trackers


@trackers.register(
    "tensorboard",
    label="TensorBoard",
    blurb="Curves, pictures, hyperparameters and the Embedding Projector.",
    order=10,
    module="tensorboard",
    shows="tensorboard --logdir {folder}",
    environment={},
)
class TensorBoard:
    """A log directory, with the run in it under its name. TensorFlow is not needed."""

    def __init__(self, folder: Path, about: About) -> None:
        writer, self._summaries, self._events, self._hparams = (
            extra(f"tensorboard.{module}", "tensorboard", "TensorBoard")
            for module in (
                "summary.writer.event_file_writer",
                "compat.proto.summary_pb2",
                "compat.proto.event_pb2",
                "plugins.hparams.summary_v2",
            )
        )
        self.id = about.id or about.name
        self._folder, self._about = folder / self.id, about
        self._folder.mkdir(exist_ok=True)
        self._writer = writer.EventFileWriter(str(self._folder))
        if not about.id:
            settings = dict(about.settings)
            begun = self._hparams.hparams_pb(settings, about.name, about.started)
            self._add(0, about.started, begun)

    def write(self, moments: Sequence[Moment]) -> None:
        for moment in moments:
            values = [self._value(tag=k, simple_value=v) for k, v in moment.scalars.items()]
            values += [
                self._value(tag=name, image=self._summaries.Summary.Image(encoded_image_string=png))
                for name, png in moment.images.items()
            ]
            self._add(moment.step, moment.time, self._summaries.Summary(value=values))
        self._writer.flush()

    def end(self, moment: Moment, embeddings: Callable[[], Mapping[str, bytes]]) -> None:
        hp = self._hparams
        shown = [hp.Metric(tag, display_name=tag.partition("/")[2]) for tag in moment.scalars]
        columns = [hp.HParam(name) for name in self._about.settings]
        self._add(moment.step, moment.time, hp.hparams_config_pb(columns, shown))
        self.write([moment])
        for name, data in embeddings().items():
            with replacing(self._folder / name) as file:
                file.write(data)

    def close(self) -> None:
        self._writer.close()

    def _value(self, **fields: Any) -> Any:
        return self._summaries.Summary.Value(**fields)

    def _add(self, step: int, time: float, summary: Any) -> None:
        self._writer.add_event(self._events.Event(step=step, wall_time=time, summary=summary))
