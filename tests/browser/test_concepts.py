"""The live figures in a browser: the numbers that follow a hand are those of the model."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect

from benchmarks.app import served
from latent_workbench.components.concepts import concepts
from vae_core.latent.encodings import load_encodings
from vae_core.loading import load_run
from vae_core.metrics.importance import Weights
from vae_core.runs import Run, Store

from .conftest import PATIENCE_MS

pytestmark = pytest.mark.browser
SHIPPED = Path(__file__).resolve().parents[2] / "trained_models" / "mnist-plane"


@pytest.fixture(autouse=True)
def _same_store(plane: tuple[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of a figure here is asked of the app's runs."""
    monkeypatch.setenv("VAE_STORE", str(plane[1].path.parent))


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Run]]:
    """The app over a copy of the shipped model with two latents, and that run."""
    store = tmp_path_factory.mktemp("plane")
    shutil.copytree(SHIPPED, store / SHIPPED.name)
    with served(Store(store)) as (url, _):
        yield url, Store(store).get(SHIPPED.name)


def number(page: Page, key: str) -> float:
    return float(page.get_by_test_id(key).inner_text().replace("−", "-"))


@torch.inference_mode()
def weighed(run: Run, row: int, widened: float) -> tuple[float, float]:
    """log p(x) and ELBO of a kept image: by importance weights of draws of a wider q, and by draws
    of the encoder's own."""
    model, kept = load_run(run).model, load_encodings(run)
    x = torch.from_numpy(kept.thumbnails[[row]].copy()).float() / 255
    posterior = model.encode(x)
    mu, sigma = posterior.mode()[0], posterior.log_variance()[0].mul(0.5).exp()
    found = []
    for scale in (widened, 1.0):
        q = torch.distributions.Normal(mu, sigma * scale)
        weights = Weights()
        torch.manual_seed(0)
        for _ in range(10):
            z = q.sample((1000,))
            log_q = q.log_prob(z).sum(1)
            log_prior = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1)
            log_p = -model.likelihood.nll(model.decode(z), x.expand(len(z), -1, -1, -1))
            weights.add((log_p + log_prior - log_q)[:, None])
        found.append(weights)
    return float(found[0].log_mean()), float(found[1].mean_log())


def test_the_bound_and_its_gap_are_those_of_the_model(page: Page, plane: tuple[str, Run]) -> None:
    url, run = plane
    page.goto(f"{url}/concepts?figure=elbo")
    expect(page.get_by_test_id("elbo-status")).to_contain_text(
        "log p(x) from 2 grids", timeout=PATIENCE_MS
    )
    expect(page.get_by_test_id("elbo-elbo")).not_to_have_text("—", timeout=PATIENCE_MS)
    row = concepts["elbo"].build(run)["images"]["rows"][0]
    log_p, elbo = weighed(run, row, 2.0)
    assert number(page, "elbo-evidence") == pytest.approx(log_p, abs=0.15)
    assert number(page, "elbo-elbo") == pytest.approx(elbo, abs=0.15)
    gap = number(page, "elbo-gap")
    assert gap == pytest.approx(log_p - elbo, abs=0.2) and gap > 0

    page.get_by_test_id("push-snap-to-the-best").click()
    expect(page.get_by_test_id("elbo-gap")).not_to_have_text(f"{gap:.3f}", timeout=PATIENCE_MS)
    page.wait_for_timeout(500)
    best = number(page, "elbo-gap")
    assert -0.01 < best < gap

    # A hand pulls q away, and the gap grows; the keyboard does the same.
    handle = page.get_by_test_id("handle-middle-of-q-near-the-posterior")
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=6)
    page.mouse.up()
    page.wait_for_function(
        "limit => Number(document.querySelector('*') && [...document.querySelectorAll('*')]"
        ".flatMap(e => e.shadowRoot ? [e.shadowRoot] : []).map(r => r.querySelector("
        "'[data-testid=elbo-gap]')).find(Boolean)?.textContent) > limit",
        arg=best + 1,
    )
    handle.focus()
    before = number(page, "elbo-gap")
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    expect(page.get_by_test_id("elbo-gap")).not_to_have_text(f"{before:.3f}", timeout=PATIENCE_MS)
    page.wait_for_timeout(500)
    assert number(page, "elbo-gap") < before


def test_kl_of_a_real_image_is_the_closed_form_and_fits_a_phone(
    page: Page, plane: tuple[str, Run]
) -> None:
    url, run = plane
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{url}/concepts?figure=kl")
    page.get_by_role("button", name="Take a 3", exact=True).click()
    kept = load_encodings(run)
    row = concepts["kl"].build(run)["images"]["rows"][3]
    assert kept.logvar is not None
    mu, logvar = kept.mu[row].astype(float), kept.logvar[row].astype(float)
    each = 0.5 * (mu**2 + np.exp(logvar) - 1 - logvar)
    assert number(page, "kl-image") == pytest.approx(each.sum(), abs=2e-3)
    assert number(page, "kl-forward") == pytest.approx(each[0], abs=2e-3)
    page.get_by_label("Unit").select_option("bits")
    assert number(page, "kl-image") == pytest.approx(each.sum() / math.log(2), abs=2e-3)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
