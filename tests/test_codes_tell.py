"""The tab "What do codes tell?", and the same figures beside other runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from latent_workbench.encodings.codes_tell import (
    accuracy_figure,
    dimensions_figure,
    parts_table,
    scores_table,
)
from tests.commands import in_this_thread
from tests.pages import charts, open_page, texts
from tests.test_jobs import until
from vae_core.representation import columns, represent, representation
from vae_core.runs import Run
from vae_core.sweeps.results import table


def opened() -> Any:
    app = open_page("encodings")
    app.session_state["encodings-tab"] = "What do codes tell?"
    return app.run()


def test_a_button_has_it_measured_and_then_it_is_shown(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vae_core.child.in_process", in_this_thread)
    app = opened()
    assert "Takes the KL apart" in texts(app)
    app.button(key="codes-tell-tiny-start").click().run()
    until(lambda: bool(representation(tiny_run)), seconds=120)
    until(lambda: "standard error" in texts(app.run()), seconds=60)
    assert not app.exception
    assert "not scored against factors" in texts(app) and "Labels read from codes" in texts(app)
    parts = next(each.value for each in app.dataframe if "part of the rate" in each.value)
    assert parts["part of the rate"].tolist()[:2] == ["Rate", "Mutual information I(x; z)"]
    titles = {chart["layout"]["xaxis"]["title"]["text"] for chart in charts(app)}
    assert titles == {"dimension", "labels told right, %"}


def test_runs_are_compared_by_it(tiny_run: Run) -> None:
    assert "linear probe" not in table([tiny_run])[0]
    found = represent(tiny_run)
    row = table([tiny_run])[0]
    assert columns(found).items() <= row.items()
    assert row["linear probe"] == found["probes"]["of"][0]["linear"]["value"]


def test_bars_are_what_each_dimension_costs_the_most_first() -> None:
    figure = dimensions_figure([1.0, 0.0, 2.0], [0.5, 0.1, 0.25])
    told, apart = figure.data
    assert list(told.x) == list(apart.x) == ["z2", "z0", "z1"]
    np.testing.assert_allclose(told.y, [2.0, 1.0, 0.0])
    np.testing.assert_allclose(apart.y, [0.25, 0.5, 0.1])


def test_what_is_not_known_has_no_row() -> None:
    part = {"value": 1.0, "se": 0.01, "low": 1.0, "high": 3.0}
    aggregate = {"rate": part | {"low": None, "high": None}, "mutual_information": part}
    aggregate |= dict.fromkeys(("marginal_kl", "total_correlation", "dimension_wise_kl"))
    found = parts_table(aggregate)
    assert found["nats"] == ["1.000 ± 0.010", "1.000 ± 0.010"]
    assert found["of all images that could be"] == ["", "1 to 3"]


def test_intervals_are_drawn_as_they_are() -> None:
    share = {"value": 0.9, "low": 0.85, "high": 0.93, "images": 100, "setting": 1.0}
    probes = {"of": [{"features": "codes", "linear": share, "neighbours": share}], "chance": 0.1}
    line, _ = accuracy_figure(probes).data
    assert list(line.x) == pytest.approx([90.0])
    assert list(line.error_x.array) == pytest.approx([3.0])
    assert list(line.error_x.arrayminus) == pytest.approx([5.0])


def test_quick_scores_stand_beside_the_published_ones() -> None:
    quick = {
        "means": {"mig": 0.5, "sap": 0.2}, "samples": {"mig": 0.4},
        "spread": {"means": {"mig": 0.01, "sap": 0.02}, "samples": {"mig": 0.03}},
    }  # fmt: skip
    rows = scores_table(quick, {"scores": {"mig_means": 0.45, "modularity": 0.9}})
    assert rows[0] == {
        "score": "MIG", "quick, means": "0.500 ± 0.010", "quick, samples": "0.400 ± 0.030",
        "Locatello et al.": "0.450",
    }  # fmt: skip
    assert rows[1]["Locatello et al."] == "" and rows[-1]["quick, means"] == ""
    assert [row["score"] for row in rows] == ["MIG", "SAP", "Modularity"]
    assert scores_table(None, None) == []
