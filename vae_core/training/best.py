"""The weights of the best validation so far, held until a save takes them along."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from vae_core.metrics import Measurement


class Best:
    """Totals compare only where they were weighed alike: by what is in force in the last step.

    So there is none before a warm-up is over, and a value that is set by hand begins anew.
    """

    def __init__(self) -> None:
        self.step: int | None = None
        self.total = math.inf
        self.controls: Mapping[str, float] = {}
        self.unsaved: Mapping[str, Any] | None = None
        """The modules' weights on the host, where no save holds them yet."""

    def judge(
        self,
        found: Measurement,
        step: int,
        modules: Mapping[str, Mapping[str, Tensor]],
        final: Mapping[str, float],
    ) -> None:
        """Keep a copy of the weights that were measured, if they are the best.

        Args:
            modules: weights of model and objective, copied here.
            final: the objective's controls in the last step of the run, as far as is known now.
        """
        if found.controls != final:
            return
        if found.controls == self.controls and not found.total < self.total:
            return
        self.step, self.total, self.controls = step, found.total, dict(found.controls)
        self.unsaved = {
            name: {key: tensor.to("cpu", copy=True) for key, tensor in tensors.items()}
            for name, tensors in modules.items()
        }

    def state(self) -> dict[str, Any] | None:
        """What `restored` takes: all but the weights, which lie beside it."""
        if self.step is None:
            return None
        return {"step": self.step, "total": self.total, "controls": dict(self.controls)}

    @classmethod
    def restored(cls, state: Mapping[str, Any] | None) -> Best:
        """Go on from what a save holds."""
        best = cls()
        if state is not None:
            best.step, best.total = int(state["step"]), float(state["total"])
            best.controls = dict(state["controls"])
        return best
