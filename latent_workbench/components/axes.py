"""Lines through the latent space by name, for the pages that let you pick two of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from latent_workbench.live.resources import PRIOR, encodings_of, sliders_of
from latent_workbench.shared.explore_view import PRINCIPAL, RAW
from vae_core.errors import UserError
from vae_core.runs import Run

MOST_CLASSES = 100
"""Beyond, a list of directions towards every class would help nobody."""


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


def all_axes(run: Run) -> dict[str, Axis]:
    """`axes_of`, then the ways from the mean to each class, then the directions you saved.

    z0 and z1, which courses plot, are among them even where many others carry more.

    Raises:
        UserError: as `axes_of`.
    """
    from vae_core.latent.directions import Directions, measured_directions
    from vae_core.latent.saved import saved_directions

    axes, encodings = axes_of(run), encodings_of(run)
    if encodings is None:
        return axes

    def add(found: Directions, names: Iterable[str]) -> None:
        for i, name in enumerate(names):
            deviation = float(found.deviations[i])
            axes[name] = Axis(name, found.vectors[i], found.center, deviation)

    mu, labels = encodings.mu, encodings.labels
    missing = [i for i in range(min(2, mu.shape[1])) if f"z{i}" not in axes]
    add(measured_directions(mu, np.eye(mu.shape[1])[missing]), (f"z{i}" for i in missing))
    classes = [] if labels is None else [int(label) for label in np.unique(labels)]
    if 1 < len(classes) <= MOST_CLASSES:
        ways = np.stack([mu[labels == label].mean(axis=0) for label in classes]) - mu.mean(axis=0)
        apart = np.linalg.norm(ways, axis=1) > 0
        names = dict(enumerate(encodings.label_names))
        towards = [f"towards {names.get(label, label)}" for label in classes]
        add(measured_directions(mu, ways[apart]), np.array(towards)[apart])
    found, saved = saved_directions(run, mu)
    add(found, (f"saved: {name}" for name in saved))
    return axes


def without_share(name: str) -> str:
    """The name of an axis without the share of the variance that it explains in its run."""
    return name.partition(" (")[0] if name.startswith("principal ") else name


def counterpart(axes: dict[str, Axis], name: str, run: Run) -> Axis:
    """The axis of `run` that is called `name`, whatever share of the variance it explains.

    Raises:
        UserError: when there is none.
    """
    for known, axis in axes.items():
        if without_share(known) == without_share(name):
            return axis
    raise UserError(f"Run {run.id!r} has no direction {without_share(name)!r}; choose another one.")


def raw_pair(axes: dict[str, Axis]) -> tuple[str, str]:
    """The first two latent dimensions, as tutorials plot them (one twice where there is one)."""
    names = [name for name in ("z0", "z1") if name in axes]
    return names[0], names[-1]
