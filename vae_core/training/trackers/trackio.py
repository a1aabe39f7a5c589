"""Trackio: an SQLite database and pictures, looked at in a page of this machine."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vae_core.extras import extra
from vae_core.training.trackers.tracker import PROJECT, About, Moment, trackers


@trackers.register(
    "trackio",
    label="Trackio",
    blurb="Curves, pictures and settings in an SQLite database, with a light page.",
    order=40,
    module="trackio",
    shows="TRACKIO_DIR={folder} trackio show --project " + PROJECT,
    environment={"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"},
    own=("TRACKIO_", "HF_", "HUGGING"),
)
class Trackio:
    """One project with one run in it, which is found again by its name."""

    def __init__(self, folder: Path, about: About) -> None:
        os.environ["TRACKIO_DIR"] = str(folder)  # read when the library is imported
        self._trackio = extra("trackio", "trackio", "Trackio")
        self.id = about.id or about.name
        self._run = self._trackio.init(
            project=PROJECT,
            name=self.id,
            config=dict(about.settings),
            resume="allow",
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )

    def write(self, moments: Sequence[Moment]) -> None:
        for moment in moments:
            pictures = {
                name: self._trackio.Image(np.asarray(Image.open(io.BytesIO(png)).convert("RGB")))
                for name, png in moment.images.items()
            }
            self._run.log({**moment.scalars, **pictures}, step=moment.step)

    def end(self, moment: Moment, embeddings: Callable[[], Mapping[str, bytes]]) -> None:
        self.write([moment])

    def close(self) -> None:
        self._run.finish()
