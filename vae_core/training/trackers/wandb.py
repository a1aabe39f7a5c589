"""Weights & Biases, offline: files that `wandb sync` uploads once a person asks for it."""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from vae_core.extras import extra
from vae_core.training.trackers.tracker import PROJECT, About, Moment, trackers

AT_HOME = {
    "mode": "offline",
    "silent": True,
    "console": "off",
    "symlink": False,
    "save_code": False,
    "disable_git": True,
    "disable_code": True,
    "disable_job_creation": True,
    "x_disable_meta": True,
    "x_disable_machine_info": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}
"""Of the run alone: nothing of the machine, the person or the code around it."""


@trackers.register(
    "wandb",
    label="Weights & Biases",
    blurb="Offline: curves, pictures and settings wait in the run until you upload them.",
    order=20,
    module="wandb",
    shows="wandb sync {folder}/wandb/offline-run-*",
    environment={"WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false", "DO_NOT_TRACK": "1"},
    own=("WANDB_",),
)
class WeightsAndBiases:
    """Each session of a run is a file of its own there, under the same id."""

    def __init__(self, folder: Path, about: About) -> None:
        self._wandb = extra("wandb", "wandb", "Weights & Biases")
        self.id = about.id or secrets.token_hex(4)
        self._run = self._wandb.init(
            project=PROJECT,
            id=self.id,
            name=about.name,
            dir=str(folder),
            resume="allow",
            config=dict(about.settings),
            settings=self._wandb.Settings(**AT_HOME),
        )

    def write(self, moments: Sequence[Moment]) -> None:
        for moment in moments:
            pictures = {
                name: self._wandb.Image(Image.open(io.BytesIO(png)))
                for name, png in moment.images.items()
            }
            self._run.log({**moment.scalars, **pictures}, step=moment.step)

    def end(self, moment: Moment, embeddings: Callable[[], Mapping[str, bytes]]) -> None:
        self._run.summary.update(moment.scalars)

    def close(self) -> None:
        self._run.finish()
