"""Pages of brought networks: all that has a meaning is there, and a sentence says what has not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.pages import open_page, texts
from tests.test_bring import CODE, DIGITS, KL_FOLDER, gemm
from vae_core.bring import Wishes, bring
from vae_core.runs import Run, Store

KINDS = ("Traversals", "Samples", "Reconstructions", "Interpolations")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a network on maps, and a decoder alone."""
    root = tmp_path_factory.mktemp("brought")
    store = Store(root / "store")
    shutil.copytree(KL_FOLDER, root / "tiny_kl")
    data = DIGITS.model_copy(update={"image_size": 16})
    bring([root / "tiny_kl"], store, "maps", data)
    gemm(root / "generator.onnx", "z", 6, (3, 12, 9))
    bring([root / "generator.onnx"], store, "gan")
    return store.path


@pytest.fixture
def store(made: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("VAE_STORE", str(made))
    return Store()


def test_cards_say_where_networks_came_from(store: Store) -> None:
    app = open_page("gallery")
    said = texts(app).replace("\u00a0", " ")
    assert "from diffusers: tiny" in said and "from onnx: generator.onnx · no images" in said
    assert "Decoder alone, not measured." in said and "are no good" in said
    assert not any("Start from its weights" in each.label for each in app.button)


@pytest.mark.parametrize("name", ["maps", "gan"])
def test_every_page_of_a_brought_network_opens(store: Store, name: str) -> None:
    app = open_page("explore", run=name)
    assert not app.error
    note = "no pictures" if name == "maps" else "has no encoder"
    assert any(note in each.value for each in app.caption)
    app = open_page("encodings", run=name)
    assert not app.error and not app.warning
    assert ("draws from N(0, I)" in texts(app)) == (name == "gan")
    assert ("drawn from N(0, I), encoded" in texts(app)) == (name == "gan")
    assert ("of the training part" in texts(app)) == (name == "maps")
    app = open_page("grids", run=name)
    for kind in KINDS:
        app.segmented_control(key="grid-kind").set_value(kind).run()
        assert not app.exception and not app.error, kind
        refused = [each.value for each in app.warning]
        needs = name == "gan" and kind in ("Reconstructions", "Interpolations")
        assert bool(refused) == needs, (kind, refused)
        assert all("has no encoder" in each for each in refused)


def test_the_app_opens_no_code_that_nobody_trusted(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, mark = tmp_path / "mine.py", tmp_path / "mark"
    file.write_text(CODE.format(mark=str(mark)).replace("torch.load(", "(lambda *a, **k: 1.0)("))
    monkeypatch.setenv("VAE_STORE", str(tmp_path / "other"))
    monkeypatch.setenv("VAE_CONFIG", str(tmp_path / "me"))
    run: Run = bring([file], Store(), "code", DIGITS, wishes=Wishes(), trusted=True).run
    mark.unlink()
    monkeypatch.setenv("VAE_CONFIG", str(tmp_path / "somebody-else"))
    assert "from python: mine.py" in texts(open_page("gallery"))
    for page in ("explore", "grids", "encodings", "train", "tune_beta"):
        said = texts(open_page(page, run=run.id))
        if page in ("explore", "grids"):
            assert "have not said that you trust it" in said and "--trust" not in said, page
    assert not mark.exists()
