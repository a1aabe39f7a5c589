"""docs/recipes.md does what it says: every recipe runs as it is written, in a process like a
reader's, and comes to what it promises."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.pictures import lay_out, png

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^## (\d)\. .*?```python\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))


def trains(found: dict[str, Any]) -> None:
    assert found["run"].status().state == "finished"
    assert found["summary"]["elbo"] == -(found["summary"]["recon"] + found["summary"]["kl"])


def decodes(found: dict[str, Any]) -> None:
    samples, path = found["samples"], found["path"]
    assert samples.shape == (16, 1, 28, 28) and 0 <= samples.min() < samples.max() <= 1
    assert path.shape == (9, 1, 28, 28) and path.dtype == np.uint8
    assert not np.array_equal(path[0], path[-1])


def encodes(found: dict[str, Any]) -> None:
    mine, model = found["mine"], found["loaded"].model
    assert found["mu"].shape == found["logvar"].shape == (len(mine.train), model.latent_size)
    assert set(found["names"]) == {"cats", "dogs"}
    x = torch.from_numpy(mine.train.images.gather(np.arange(2))).float() / 255
    torch.testing.assert_close(
        torch.from_numpy(found["mu"][:2]), model.flatten(model.encode(x).mode()).detach()
    )


def compares(found: dict[str, Any]) -> None:
    curve = found["curve"]
    assert [result.beta for result in curve] == [0.1, 1.0, 10.0]
    assert curve[0].rate > curve[1].rate > curve[2].rate  # a larger β pays more for each nat
    assert curve[0].distortion < curve[2].distortion


def exports(found: dict[str, Any]) -> None:
    written = {path.name for path in Path("exported").rglob("*")}
    assert written == {"mnist-vae-npz.npz", "mnist-vae-safetensors.safetensors"}
    assert len(np.load("exported/mnist-vae-npz.npz")["mu"]) == 3000


HOLDS: dict[str, Callable[[dict[str, Any]], None]] = {
    "1": trains,
    "2": decodes,
    "3": encodes,
    "4": compares,
    "5": exports,
}


def test_every_recipe_of_the_page_is_run() -> None:
    assert RECIPES.keys() == HOLDS.keys()
    assert PAGE.count("```python") == len(RECIPES)


@pytest.mark.training
@pytest.mark.parametrize("number", HOLDS)
def test_a_recipe_does_what_it_says(
    number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VAE_STORE", str(tmp_path / "store"))
    shutil.copytree(ROOT / "trained_models/mnist-vae", tmp_path / "store/mnist-vae")
    lay_out(tmp_path / "my-images", {f"{kind}/{n}.png": png(n + 9 * (kind == "dogs"))
                                     for kind in ("cats", "dogs") for n in range(8)})  # fmt: skip
    found: dict[str, Any] = {}
    exec(compile(RECIPES[number], f"recipe {number}", "exec"), found)
    HOLDS[number](found)
