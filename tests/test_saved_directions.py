"""Directions that a person keeps with a run."""

from __future__ import annotations

import numpy as np
import pytest

from vae_core.errors import UserError
from vae_core.latent.saved import (
    forget_direction,
    load_saved,
    save_direction,
    saved_directions,
)
from vae_core.runs import Run
from vae_core.runs.layout import SAVED_DIRECTIONS

ALONG = np.array([3.0, 4.0], np.float32)


@pytest.fixture
def run(tmp_path) -> Run:
    (tmp_path / "kept").mkdir()
    return Run(tmp_path / "kept")


def test_there_and_back_in_order(run: Run) -> None:
    assert load_saved(run) == ()
    save_direction(run, " slant ", ALONG)
    save_direction(run, "weight", np.array([0.0, 1.0]))
    assert [each.name for each in load_saved(run)] == ["slant", "weight"]
    assert load_saved(run)[0].vector == (3.0, 4.0)
    forget_direction(run, "slant")
    forget_direction(run, "never there")
    assert [each.name for each in load_saved(run)] == ["weight"]


def test_they_are_unit_vectors_measured_on_the_encodings(run: Run) -> None:
    save_direction(run, "slant", ALONG)
    save_direction(run, "of another size", np.ones(7))
    mu = np.random.default_rng(0).normal(size=(500, 2)) * [1, 5]
    found, names = saved_directions(run, mu)
    assert names == ("slant",)
    np.testing.assert_allclose(found.vectors, [[0.6, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(found.deviations, [(mu @ [0.6, 0.8]).std()], rtol=1e-5)
    np.testing.assert_allclose(found.center, mu.mean(0), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "vector", "said"),
    [
        ("", ALONG, "1 to 40 characters"),
        ("x" * 41, ALONG, "1 to 40 characters"),
        ("known", ALONG, "already"),
        ("still", np.zeros(2), "same point"),
        ("lost", np.array([np.nan, 1]), "same point"),
    ],
)
def test_what_cannot_be_kept_is_said(run: Run, name: str, vector: np.ndarray, said: str) -> None:
    save_direction(run, "known", ALONG)
    with pytest.raises(UserError, match=said):
        save_direction(run, name, vector)
    assert len(load_saved(run)) == 1


@pytest.mark.parametrize("text", ["nonsense", "[]", '{"directions": [{"name": 1}]}', '{"x": 1}'])
def test_a_damaged_file_is_said(run: Run, text: str) -> None:
    run.file(SAVED_DIRECTIONS).write_text(text)
    with pytest.raises(UserError, match="damaged"):
        load_saved(run)
