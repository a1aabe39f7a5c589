"""Ideas behind the app, one live figure each: an idea is one Python file with its words, and one
JavaScript file beside it that draws and computes.

Whatever a figure shows is worked out from a run's own model and the images that the run keeps, or
follows from what a hand sets. Adding one touches its two files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from latent_workbench.components import component
from vae_core.registry import Entry, Registry
from vae_core.runs import Run

Data = dict[str, Any]
"""What the JavaScript of a figure is told, as JSON."""


@dataclass(frozen=True, kw_only=True)
class Concept(Entry[Callable[[Run | None], Data]]):
    """One idea. `blurb` says it in three sentences; `build` gives the data of its figure, where
    need be from the current run.

    formula: for KaTeX. question, answer: Markdown with KaTeX.
    page, parameters: where one sees it in a run of one's own, and what the address adds.
    look: what to look at there.
    """

    formula: str
    question: str
    answer: str
    page: str
    look: str
    parameters: dict[str, str] = field(default_factory=dict)

    def mount(self, run: Run | None) -> None:
        """Draw the figure.

        Raises:
            UserError: when there is no run that it could be drawn from, saying what to do.
        """
        data = self.build(run)
        _component(self.name)(key=f"concept-{self.name}", data=[data])


concepts: Registry[Concept] = Registry("concept", Concept)

_registered: dict[str, Callable[..., Any]] = {}


def _component(name: str) -> Callable[..., Any]:
    if name not in _registered:
        script = name.replace("-", "_")
        _registered[name] = component(f"concept_{script}", "concepts", script=script)
    return _registered[name]


concepts.discover(__name__, plugins="latent_workbench.concepts")
