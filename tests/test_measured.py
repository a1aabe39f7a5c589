"""What a figure was measured on: validation is not the test set, and both are told by name."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from latent_workbench.shared.catalog import facts_of
from tests.commands import vae_core
from tests.engine import tiny
from vae_core.cli.app import app
from vae_core.config import RunConfig
from vae_core.data import ArrayImages, ImageSet
from vae_core.data.splits import split_dataset
from vae_core.errors import UserError
from vae_core.loading import part_of
from vae_core.presets import presets
from vae_core.runs import DataCard, Run, Store, measured_on
from vae_core.settings import is_open
from vae_core.sweeps.results import table

DIGEST = {"train": "0", "validation": "0", "test": "0"}
ROOT = Path(__file__).resolve().parents[1]


def measured(
    store: Store, name: str, config: RunConfig, card: dict[str, Any], **summary: Any
) -> Run:
    run = store.create(name, config)
    known = {"dataset": "mnist", "image_shape": (1, 28, 28), "n_train": 57_000}
    run.write_json("data.json", DataCard(**known | card))
    figures = {"recon": 80.0, "kl": 20.0, "elbo": -100.0, "active_units": 3, "latent_dim": 4}
    run.write_json("summary.json", figures | {"split": "validation", "step": 9} | summary)
    return run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def test_every_preset_keeps_a_validation_part() -> None:
    for preset in presets:
        share = preset.config.data.validation_fraction
        assert is_open(share) or share > 0, preset.name


@pytest.mark.parametrize(
    ("name", "files", "held_out", "last"),
    [
        ("mnist-vae", 60_000, 3000, False), ("mnist-ae", 60_000, 3000, False),
        ("mnist-beta-vae", 60_000, 3000, False), ("course-vae", 60_000, 3000, False),
        ("cifar-vae", 50_000, 10_000, False), ("burda-vae", 60_000, 10_000, True),
        ("burda-iwae", 60_000, 10_000, True),
    ],
)  # fmt: skip
def test_presets_hold_out_what_they_say(name: str, files: int, held_out: int, last: bool) -> None:
    """Of as many different images as the published set has, in ten even classes."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (files, 1, 2, 4), dtype=np.uint8)
    pool = ImageSet(ArrayImages(pixels), np.arange(files) % 10)
    test = ImageSet(ArrayImages(pixels[:10] ^ 255), np.arange(10))
    dataset = split_dataset("x", pool, test, presets[name].config.data, fixed=True)
    assert len(dataset.validation) == held_out
    assert len(dataset.train) == files - held_out
    assert dataset.test is not None and len(dataset.test) == 10
    if last:
        kept = dataset.validation.images.gather(np.arange(held_out))
        assert (kept == pixels[-held_out:]).all()


def test_runs_tell_what_they_were_measured_on(store: Store) -> None:
    new = measured(
        store, "new", tiny(), {"n_validation": 3000, "n_test": 10_000, "digest": DIGEST},
        images=3000,
    )  # fmt: skip
    assert str(measured_on(new)) == "3000 validation images"
    assert facts_of(new).measured_on == "3\u2009000 validation images"


def test_an_old_run_that_borrowed_the_test_part_says_so(store: Store) -> None:
    """Its summary says validation, since that is what a share of 0 once meant."""
    config = tiny().updated({"data": {"validation_fraction": 0.0}})
    old = measured(store, "old", config, {"n_validation": 10_000, "n_test": 10_000}, images=10_000)
    assert str(measured_on(old)) == "10000 test images"
    without = measured(store, "without", config, {"n_validation": 90}, images=90)
    assert str(measured_on(without)) == "90 validation images"


def test_the_shipped_runs_say_it() -> None:
    for run in Store(ROOT / "trained_models"):
        if run.summary():
            assert re.fullmatch(r"\d+ (validation|test) images", str(measured_on(run)))


def test_tables_lists_and_reports_say_it(store: Store) -> None:
    run = measured(store, "new", tiny(), {"n_validation": 3000}, images=3000)
    assert table([run])[0]["measured on"] == "3000 validation images"
    for command in (["list"], ["show", "new"], ["list", "--json"], ["show", "new", "--json"]):
        done = CliRunner().invoke(app, [*command, "--store", str(store.path)])
        assert "3000 validation images" in done.output, command


def test_cards_say_it(store: Store) -> None:
    from latent_workbench.gallery.cards import _numbers

    run = measured(store, "new", tiny(), {"n_validation": 3000}, images=3000)
    assert _numbers(facts_of(run)).endswith("3\u2009000\u00a0validation\u00a0images")


# --- pages have no command line ---------------------------------------------------------------


def _sentences(path: Path) -> list[str]:
    """The text of every error for a person that a file raises, without what is for shells."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"UserError", "DataChanged"}:
            for argument in node.args:
                found += [
                    each.value
                    for each in ast.walk(argument)
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                ]
    return found


def test_errors_that_pages_show_name_no_options_of_a_shell() -> None:
    files = [
        path
        for room in ("vae_core", "latent_workbench", "pages")
        for path in (ROOT / room).rglob("*.py")
        if "cli" not in path.parts
    ]
    said = [(path.name, text) for path in files for text in _sentences(path)]
    assert len(said) > 100
    assert [pair for pair in said if re.search(r"(^|[\s(`])--[a-z]|python -m", pair[1])] == []


def test_a_shell_is_told_the_option(tmp_path: Path) -> None:
    pool = ImageSet(ArrayImages(np.arange(64, dtype=np.uint8).reshape(16, 1, 2, 2)))
    dataset = split_dataset("x", pool, None, tiny().data)
    with pytest.raises(UserError) as told:
        part_of(dataset, "test")
    assert "--" not in str(told.value) and told.value.shell == "--split validation"
    done = vae_core("train", "--dataset", "folder", "--store", str(tmp_path))
    assert "(--data-dir)" in done.stderr
