"""Lines through the latent space by name, for the pages that let you pick two of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ui.loaded import PRINCIPAL, PRIOR, RAW, sliders_of
from vae_core.runs import Run


@dataclass(frozen=True)
class Axis:
    """One direction: `vector` [D] of length 1, through `center` [D], with its deviation."""

    name: str
    vector: np.ndarray
    center: np.ndarray
    deviation: float

    def along(self, mu: np.ndarray, in_sigma: bool) -> np.ndarray:
        """Where encodings mu [N, D] lie on it: [N], from the centre in σ, or from the origin."""
        if not in_sigma:
            return mu @ self.vector
        return (mu - self.center) @ self.vector / max(self.deviation, 1e-12)


def axes_of(run: Run) -> dict[str, Axis]:
    """Principal directions, then raw latent dimensions, by name; raw ones alone where need be.

    Raises:
        UserError: when the run has no weights yet or is damaged.
    """
    axes: dict[str, Axis] = {}
    for kind in (PRINCIPAL, RAW):
        sliders = sliders_of(run, kind)
        found = sliders.directions
        for i, name in enumerate(sliders.names):
            share = f"{round(100 * float(found.explained[i]))} %"
            label = f"principal {name} ({share})" if sliders.kind == PRINCIPAL else name
            axes[label] = Axis(label, found.vectors[i], found.center, float(found.deviations[i]))
        if sliders.kind == PRIOR:
            break
    return axes


def raw_pair(axes: dict[str, Axis]) -> tuple[str, str]:
    """The first two latent dimensions, as tutorials plot them (one twice where there is one)."""
    names = [name for name in ("z0", "z1") if name in axes]
    return names[0], names[-1]
