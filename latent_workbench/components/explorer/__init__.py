"""Sliders through a latent space whose picture follows the hand."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import streamlit as st

from latent_workbench.components import component
from latent_workbench.components.explorer.direction_sets import sliders_for
from latent_workbench.components.explorer.space import fingerprint, space_of
from latent_workbench.live.models import is_warming_up, wait_until_warm, weights_version
from latent_workbench.live.resources import PRIOR, Sliders, encodings_version, model_of
from latent_workbench.shared.explore_view import View
from latent_workbench.shared.state import app_state
from vae_core.latent.explored import conditions_told, dial_told, directions_told
from vae_core.runs import Run

Mode = Literal["full", "hero"]
SLIDERS: dict[Mode, int] = {"full": 8, "hero": 2}

_mount = component("latent_explorer", "explorer")


def explorer(run: Run, mode: Mode, title: str = "", panel: str = "", linked: bool = False) -> None:
    """Mount the explorer on `run`; it takes up where this session left it.

    Args:
        title: stands above the sliders.
        panel: tells several explorers of one page apart.
        linked: True lets explorers of one page start from the same image.

    Raises:
        UserError: when the run has no weights yet or is damaged.
    """
    views = app_state().views
    key = f"explorer-{mode}{panel}"

    def remember() -> None:
        told = st.session_state[key].get("view")
        if told is None or told["run"] != run.id:  # the last word of a run shown before
            return
        app_state().link_problem = ""
        view = views.get(run.id, View())
        if mode == "hero":
            z = b64decode(told["z"])
            views[run.id] = View(condition=told["label"], dial=told["dial"], z=z)
            return
        views[run.id] = moved(view, told, directions_id(run, view))
        app_state().ends[run.id] = told["ends"]

    def show_more() -> None:
        shown = st.session_state[key].get("shown")
        view = views.get(run.id, View())
        if shown is not None:
            views[run.id] = replace(view, shown=shown, values=None, base=None)

    if is_warming_up():  # for some seconds after the server's start
        _mount(key=key, data=[waiting_data(run, mode, title)])
        wait_until_warm()
        st.rerun()
    view = views.get(run.id, View())
    ends = app_state().ends.get(run.id, [None, None])
    seen = view if mode == "full" else View(condition=view.condition, dial=view.dial, z=view.z)
    data = explorer_data(run, seen, mode)
    if mode == "full" and view.z is None and view.values is not None:
        views[run.id] = replace(view, z=point_of(run, view))  # a link says it by its sliders
    _mount(
        key=key,
        data=[data | {"title": title, "linked": linked, "ends": ends}],
        on_view_change=remember,
        on_shown_change=show_more,
    )


def moved(view: View, told: dict[str, Any], directions: str) -> View:
    """`view` at the point that the browser tells of; `directions` is the id of its own ones.

    Under other directions, left a moment ago, slider values mean something else: the point stays.
    """
    z = b64decode(told["z"])
    view = replace(view, condition=told["label"], dial=told["dial"], z=z)
    if told["directions"] != directions:
        return replace(view, values=None, base=None)
    values = tuple(float(value) for value in told["values"])
    base = None if told["base"] is None else b64decode(told["base"])
    return replace(view, values=values, base=base)


def directions_id(run: Run, view: View) -> str:
    """What the directions of a view are known by in the browser."""
    sliders = sliders_for(run, view)
    return fingerprint(sliders, _shown(sliders, view, "full"))


def point_of(run: Run, view: View) -> bytes | None:
    """The point that a view's base and slider values make; None where they do not fit the run."""
    found = sliders_for(run, view).directions
    base = found.center if view.base is None else np.frombuffer(view.base, "<f4")
    values = np.array(view.values or [0.0])
    if len(base) != len(found.center) or len(values) > len(found.vectors):
        return None
    k = len(values)
    z = base + (values * found.deviations[:k]) @ found.vectors[:k]
    return z.astype("<f4").tobytes()


def waiting_data(run: Run, mode: Mode, title: str) -> dict[str, Any]:
    """As `explorer_data`, of what is known before the engine is there: the explorer's outline."""
    size = run.summary().get("latent_dim") or run.config().model.latent_dim
    count = min(SLIDERS[mode], size)
    return {
        "identity": "waiting",
        "waiting": True,
        "run": run.id,
        "mode": mode,
        "title": title,
        "shape": list(run.data_card().image_shape),
        "thumbnails": None,
        "directions": {
            "id": "waiting",
            "center": "",
            "vectors": "",
            "deviations": [0.0] * count,
            "explained": None,
            "names": [str(i + 1) for i in range(count)],
            "dead": [False] * count,
            "orthogonal": True,
            "total": count,
        },
    }


def explorer_data(run: Run, view: View, mode: Mode) -> dict[str, Any]:
    """What the JavaScript needs, as plain JSON; arrays travel as base64 of float32.

    Raises:
        UserError: when the run has no weights yet or is damaged.
    """
    sliders = sliders_for(run, view)
    size = len(sliders.directions.center)
    count = _shown(sliders, view, mode)
    # A link leaves out values that are all zero.
    values = view.values or ((0.0,) * count if view.base is not None else None)
    fits = all(each is None or len(each) == 4 * size for each in (view.base, view.z))
    data = {
        "identity": f"{run.id}/{mode}/{size}/{encodings_version(run) is not None}",
        "version": weights_version(run),
        "called": app_state().links_opened if mode == "full" else 0,
        "run": run.id,
        "mode": mode,
        "shape": list(run.data_card().image_shape),
        "directions": directions_data(sliders, count),
        "view": None,
        "position": None,
        "thumbnails": None,
        "no_density": model_of(run).no_density,
        "hold_outs": list(run.data_card().hold_outs),
    }
    if fits and values is not None and len(values) == count:
        base = None if view.base is None else b64encode(view.base).decode()
        data["view"] = {"values": values, "base": base}
    elif fits and view.z is not None:
        data["position"] = b64encode(view.z).decode()
    data |= conditions_of(run, view) | dial_of(run, view)
    return data | (space_of(run, sliders) if mode == "full" else {})


def conditions_of(run: Run, view: View) -> dict[str, Any]:
    """The labels that a conditional model can be told, and the one that it is; {} for others."""
    return conditions_told(model_of(run).labels, run.data_card().label_names, view.condition)


def dial_of(run: Run, view: View) -> dict[str, Any]:
    """The dial of the model and where it is turned to; {} for models without one."""
    return dial_told(model_of(run).dial, view.dial)


def directions_data(sliders: Sliders, count: int) -> dict[str, Any]:
    """The first `count` directions; `id` changes with anything that changes them."""
    return directions_told(
        sliders.directions, sliders.names, count, fingerprint(sliders, count),
        shares=sliders.kind != PRIOR, unused=sliders.unused, orthogonal=sliders.orthogonal,
    )  # fmt: skip


def _shown(sliders: Sliders, view: View, mode: Mode) -> int:
    total = len(sliders.directions.vectors)
    used = total - sliders.unused
    start = min(SLIDERS[mode], used or total)  # of a collapsed model all are unused: show them
    return min(total, start if view.shown is None or mode == "hero" else view.shown)
