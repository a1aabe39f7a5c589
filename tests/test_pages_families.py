"""Explore, Grids and Encodings show a run of every family."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine import trained
from tests.pages import open_page
from vae_core.families import families
from vae_core.runs import Run

SMALLER = {"factor-vae": {"critic_units": 16}, "aae": {"discriminator_units": 16}}


@pytest.fixture(params=[entry.name for entry in families])
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    family = request.param
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    run = trained(
        tmp_path,
        family=family,
        data={"limit": 120},
        objective=SMALLER.get(family, {}),
        train={"epochs": 1, "preview_every": 100},
    )
    return run


def test_every_page_shows_it(run: Run) -> None:
    explore = open_page("explore")
    assert not explore.warning and not explore.error
    grids = open_page("grids")
    for kind in (None, "Traversals", "Samples", "Reconstructions", "Interpolations"):
        if kind is not None:
            grids.segmented_control(key="grid-kind").set_value(kind).run()
        assert not grids.exception and not grids.warning and not grids.error
        assert grids.get("download_button")
    encodings = open_page("encodings")
    assert not encodings.warning and not encodings.error
