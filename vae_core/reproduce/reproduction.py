"""What a reproduction is: the printed figures, the training that is to give them, the measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.families import complete
from vae_core.loading import LoadedRun
from vae_core.presets import presets
from vae_core.progress import Progress
from vae_core.registry import Listed, Registry

Measure = Callable[[LoadedRun, Progress], Mapping[str, float]]
"""From the trained run to its figures by their names; what it has not come to yet is left out."""


@dataclass(frozen=True)
class Figure:
    """A number as it was printed.

    name: by which the measure gives ours. printed: None where the source prints none, and ours
        alone is told.
    """

    name: str
    label: str
    printed: float | None
    unit: str


@dataclass(frozen=True, kw_only=True)
class Reproduction(Listed):
    """A published result: `paper` says which table of what.

    preset: the recipe that it is trained with. settings: what differs from it, nested as
        `RunConfig.updated` takes it.
    protocol: data and their binarisation, network, schedule and how the figure is measured, as the
        source has them. departs: what is otherwise here, "" for nothing.
    cost: how long the whole of it takes, and on what; "" where nobody has measured it.
    lacks: what this version cannot do of it yet, as a sentence; "" where it can.
    """

    figures: tuple[Figure, ...]
    preset: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    protocol: str
    departs: str = ""
    measure: Measure = lambda loaded, progress: {}
    cost: str = ""
    lacks: str = ""

    def config(self) -> RunConfig:
        """What is trained.

        Raises:
            UserError: where this version cannot do it yet, with what it lacks.
        """
        if self.lacks:
            raise UserError(f"{self.label} cannot be reproduced yet: {self.lacks}")
        try:
            config = presets[self.preset].config.updated({**self.settings, "preset": None})
            return complete(config)
        except UserError as error:
            raise UserError(f"{self.label} cannot be reproduced yet: {error}") from None

    @property
    def problem(self) -> str:
        """Why it cannot be reproduced by this version, "" where it can."""
        try:
            self.config()
        except UserError as error:
            return str(error)
        return ""


reproductions: Registry[Reproduction] = Registry("reproduction", Reproduction)
