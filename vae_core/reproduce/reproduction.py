"""What a reproduction is: the printed figures, the training that is to give them, the measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.families import complete
from vae_core.loading import LoadedRun
from vae_core.nested import merged
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
        `RunConfig.updated` takes it. better: what differs besides where `has_better` says that what
        it needs lies on this machine, such as the very images of the source.
    protocol: data and their binarisation, network, schedule and how the figure is measured, as the
        source has them. departs: what is otherwise here, "" for nothing.
    cost: how long the whole of it takes, and on what; "" where nobody has measured it.
    """

    figures: tuple[Figure, ...]
    preset: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    better: Mapping[str, Any] = field(default_factory=dict)
    has_better: Callable[[], bool] = lambda: False
    protocol: str
    departs: str = ""
    measure: Measure = lambda loaded, progress: {}
    cost: str = ""

    def config(self) -> RunConfig:
        """What is trained, the nearest to the source that this machine can.

        Raises:
            UserError: where this version cannot do it, with what it lacks.
        """
        return self.configs()[-1 if self.better and self.has_better() else 0]

    def configs(self) -> list[RunConfig]:
        """All that may be trained for it. Raises as `config`."""
        both = [self.settings, *([merged(self.settings, self.better)] if self.better else [])]
        try:
            recipe = presets[self.preset].config
            return [complete(recipe.updated({**each, "preset": None})) for each in both]
        except UserError as error:
            raise UserError(f"{self.label} cannot be reproduced here: {error}") from None

    @property
    def problem(self) -> str:
        """Why it cannot be reproduced by this version, "" where it can."""
        try:
            self.configs()
        except UserError as error:
            return str(error)
        return ""


reproductions: Registry[Reproduction] = Registry("reproduction", Reproduction)
