"""Latent spaces that no textbook shows: each gives useful pages of Encodings and Grids."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save
from streamlit.testing.v1 import AppTest

from tests.engine import trained
from tests.pages import open_page, texts
from vae_core.curation import curate
from vae_core.latent.encodings import Encodings, load_encodings, save_encodings
from vae_core.runs import WEIGHTS, Run, Store

KINDS = ("Manifold", "Traversals", "Samples", "Reconstructions", "Interpolations")


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with one latent dimension."""
    return trained(
        tmp_path_factory.mktemp("narrow"), "tiny", model={"latent_dim": 1}, train={"epochs": 1}
    )


def first(count: int) -> Callable[[Encodings], Encodings]:
    """The encodings of so few images."""

    def change(kept: Encodings) -> Encodings:
        here = slice(count)
        assert kept.logvar is not None and kept.labels is not None and kept.hashes is not None
        return replace(
            kept, mu=kept.mu[here], logvar=kept.logvar[here], indices=kept.indices[here],
            labels=kept.labels[here], thumbnails=kept.thumbnails[here], hashes=kept.hashes[here],
        )  # fmt: skip

    return change


def constant(*dimensions: int) -> Callable[[Encodings], Encodings]:
    """Encodings that never vary in `dimensions`."""

    def change(kept: Encodings) -> Encodings:
        mu = kept.mu.copy()
        mu[:, dimensions] = 0.25
        return replace(kept, mu=mu)

    return change


def changed(run: Run, change: Callable[[Encodings], Encodings]) -> None:
    found = change(load_encodings(run))
    run.file("thumbnails.png").unlink()
    save_encodings(run, found)


def tab(app: AppTest, name: str) -> str:
    """What Encodings says with a tab open."""
    app.session_state["encodings-tab"] = name
    app.run()
    assert not app.exception
    return texts(app)


def sheets() -> dict[str, str]:
    """What every kind of sheet warns of or tells."""
    app, found = open_page("grids"), {}
    for kind in KINDS:
        app.segmented_control(key="grid-kind").set_value(kind).run()
        assert not app.exception and app.session_state["grid-kind"] == kind
        found[kind] = "\n".join(each.value for each in (*app.warning, *app.info))
    return found


@pytest.mark.parametrize(
    ("change", "images", "told"),
    [
        (first(1), "**1 image**", "One image has no others to be compared with"),
        (first(3), "**3 images**", "No image lies far from all others"),
        (constant(1), "**300 images**", " far "),
        (constant(0, 1, 2, 3), "**300 images**", "All images have the same encoding"),
    ],
    ids=["one image", "fewer than neighbours", "a constant dimension", "one point"],
)
def test_few_images_and_dimensions_that_never_vary(
    tiny_run: Run, change: Callable[[Encodings], Encodings], images: str, told: str
) -> None:
    changed(tiny_run, change)
    app = open_page("encodings")
    assert not app.warning and images in texts(app) and "active" in texts(app)
    assert np.isfinite(app.dataframe[0].value["variance of μ"]).all()
    curate(tiny_run, "cached")  # as the process does that the page starts
    said = tab(app, "Collection") + "".join(each.value for each in app.info)
    assert told in said and not app.warning
    drawn = sheets()
    alone = images == "**1 image**"
    assert ("two images" in drawn["Interpolations"]) == alone
    assert ("at least 2 encodings" in drawn["Samples"]) == alone
    assert not any(drawn[kind] for kind in ("Manifold", "Traversals", "Reconstructions"))


def test_one_latent_dimension(narrow: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    shutil.copytree(narrow.path, tmp_path / "tiny")
    app = open_page("encodings")
    assert not app.warning and list(app.dataframe[0].value["dimension"]) == ["z0"]
    assert app.selectbox(key="encodings-y").value == "images stacked up"
    curate(Run(tmp_path / "tiny"), "cached")
    assert "far" in tab(app, "Collection") and not app.warning
    assert not any(sheets().values())


def test_weights_that_are_no_numbers(tiny_run: Run) -> None:
    path = tiny_run.file(WEIGHTS)
    with safe_open(path, "numpy") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    broken = {
        name: np.full_like(each, np.nan) if each.dtype == np.float32 else each
        for name, each in weights.items()
    }
    path.write_bytes(save(broken, metadata))
    app = open_page("encodings")  # the encodings of an earlier step are all right
    assert "**300 images**" in texts(app)
    # What is held against the model's own prior needs the model.
    assert len(app.warning) == 1 and "the training diverged" in app.warning[0].value
    assert "the training diverged" in tab(app, "Outliers")
    for said in sheets().values():
        assert "the training diverged" in said
    assert "the training diverged" in open_page("explore").warning[0].value


def test_a_part_with_fewer_images_than_anything_asks_for(tiny_run: Run) -> None:
    assert len(list(Store())) == 1
    changed(tiny_run, first(2))
    app = open_page("encodings")
    app.selectbox(key="encodings-z").select("z2").run()
    assert not app.exception and not app.warning and "Drag to turn" in texts(app)
