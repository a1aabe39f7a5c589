"""What is wrong, how one can tell, and which changed run would mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from vae_core.config import RunConfig


@dataclass(frozen=True)
class Remedy:
    """A button: its label, what it does to the result, and the nested changes of the settings."""

    label: str
    help: str
    changes: dict[str, Any]

    def applied(self, config: RunConfig) -> RunConfig:
        """The changed configuration; what it is called after no longer holds.

        Raises:
            UserError: when a changed value is out of range.
        """
        return config.updated({**self.changes, "preset": None})


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    name: which symptom, for tests and keys.
    severity: "warning" where the run is worth stopping, "notice" where it may be meant.
    sentence: what is wrong, in plain words.
    evidence: the figure that says so, with its unit.
    """

    name: str
    severity: Literal["warning", "notice"]
    sentence: str
    evidence: str
    remedies: tuple[Remedy, ...]
