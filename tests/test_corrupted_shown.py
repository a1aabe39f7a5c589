"""What denoising models are shown as doing, they do: pictures and nats are of damaged images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latent_workbench.live.progress import _about
from tests.engine import make_loop, tiny, trained
from tests.pages import open_page, texts
from tests.test_families import made
from vae_core.data import ArrayImages, ImageSet
from vae_core.data.batches import as_floats
from vae_core.imaging.png import from_png, to_bytes, untile
from vae_core.latent.grids import decode_vectors
from vae_core.latent.survey import survey
from vae_core.loading import load_run
from vae_core.runs import Run
from vae_core.training.events import Previewed
from vae_core.types import Context

DAMAGE = {"noise": "masking", "level": 0.4}
"""Leaves bytes bytes: a picture of what was shown is exactly what was shown."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    return trained(tmp_path, family="denoising", objective=DAMAGE)


def rebuilt(run: Run, shown: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
    """The pictures uint8 and the logits that a run's model makes of images uint8 [N, C, H, W]."""
    model = load_run(run).model
    with torch.inference_mode():
        logits = model.decode(model.encode(as_floats(shown, torch.device("cpu"))).mode())
        return to_bytes(model.picture(logits)), logits


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Alike but for how a value between two bytes was rounded."""
    return int(np.abs(a.astype(int) - b.astype(int)).max()) <= 1


def tiles(whole: np.ndarray, side: int) -> np.ndarray:
    """[C, R·side, K·side] → [R, K, C, side, side]."""
    channels, height, width = whole.shape
    cut = whole.reshape(channels, height // side, side, width // side, side)
    return cut.transpose(1, 3, 0, 2, 4)


def test_grids_rebuild_what_they_head_as_corrupted(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[Any, ...]] = []

    def sheet(*about: Any, **more: Any) -> None:
        drawn.append(about)

    monkeypatch.setattr("latent_workbench.components.sheet.sheet", sheet)
    app = open_page("grids", run=run.id)
    app.segmented_control(key="grid-kind").select("Reconstructions").run()
    assert not app.exception
    assert "The encoder is shown the corrupted images" in texts(app)
    _, whole, rows, nats, *_ = drawn[-1]
    assert list(rows) == ["original", "corrupted", "reconstruction", "difference"]
    originals, corrupted, pictures, difference = tiles(whole, 16)
    assert not np.array_equal(originals, corrupted)
    expected, logits = rebuilt(run, np.ascontiguousarray(corrupted))
    assert close(pictures, expected)
    assert close(difference, np.abs(pictures.astype(int) - originals.astype(int)).astype(np.uint8))
    x = as_floats(np.ascontiguousarray(originals), torch.device("cpu"))
    measured = load_run(run).model.likelihood.nll(logits, x)
    assert [float(text) for text in nats] == pytest.approx(measured.tolist(), abs=0.51)


def test_previews_rebuild_the_same_corrupted_images_all_through(run: Run) -> None:
    shown = from_png(run.file("previews/corrupted.png").read_bytes(), 1)
    last = sorted(run.path.glob("previews/*-reconstructions.png"))[-1]
    corrupted, pictures = (
        untile(strip, 16, 16, 10) for strip in (shown, from_png(last.read_bytes(), 1))
    )
    assert close(pictures, rebuilt(run, corrupted)[0])
    assert _about(run)["corrupted"]
    previews = [
        event
        for event in make_loop(tiny(family="denoising", objective=DAMAGE)).run()
        if isinstance(event, Previewed)
    ]
    for event in previews:
        assert event.corrupted is not None
        assert torch.equal(event.corrupted, previews[0].corrupted)  # type: ignore[arg-type]
        assert not torch.equal(event.corrupted, event.originals)


def test_whole_images_have_no_corrupted_row(tmp_path: Path) -> None:
    plain = trained(tmp_path, family="autoencoder")
    assert not plain.file("previews/corrupted.png").exists()
    assert "corrupted" not in _about(plain)


@pytest.mark.parametrize("family", ["denoising", "stacked-denoising"])
def test_the_noise_of_an_image_is_its_own(family: str) -> None:
    """Alone, among others, in whatever order: the same image is damaged in the same way."""
    _, objective = made(family)
    x = torch.rand(4, 1, 16, 16)
    whole = objective.corrupted(x, range(4))
    assert torch.equal(objective.corrupted(x[[2, 0]], [2, 0]), whole[[2, 0]])
    assert not torch.equal(whole - x, (whole - x)[[1, 0, 2, 3]])
    plain = made("vae")[1]
    assert plain.corrupted(x, range(4)) is x and not plain.corrupts and objective.corrupts


def test_a_survey_is_of_whole_images_unless_it_is_asked_for_the_corrupted_ones(run: Run) -> None:
    loaded = load_run(run)
    pictures = np.random.default_rng(0).integers(0, 256, (5, 1, 16, 16), np.uint8)
    part, context = ImageSet(ArrayImages(pictures)), Context(loaded.step)
    x = as_floats(pictures, torch.device("cpu"))
    for corrupted in (False, True):
        found = survey(
            loaded.model, loaded.objective, part, (), "shown", context, corrupted=corrupted
        )
        seen = loaded.objective.corrupted(x, range(5)) if corrupted else x
        with torch.inference_mode():
            z = loaded.model.encode(seen).mode()
            nats = loaded.model.likelihood.nll(loaded.model.decode(z), x)
        np.testing.assert_allclose(found.mu, z.numpy(), atol=1e-5)
        np.testing.assert_allclose(found.recon, nats.numpy(), rtol=1e-5)


def test_grids_decode_what_a_conditional_model_was_told() -> None:
    """The nats below a picture are of the labelled image, and so is the picture."""
    model, _ = made("conditional-vae")
    z, labels = np.random.default_rng(0).standard_normal((5, 4)), np.array([0, 1, 2, -1, 1])
    pictures = decode_vectors(model.eval(), z, labels)
    for row, label in enumerate(labels):
        alone = decode_vectors(model.conditioned(torch.tensor([label])), z[row : row + 1])
        assert close(pictures[row : row + 1], alone)
    assert not close(pictures, decode_vectors(model, z))
