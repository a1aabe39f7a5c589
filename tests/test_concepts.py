"""The page Concepts: every figure can be drawn, and shows what an independent computation gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from latent_workbench.components.concepts import beta, concepts
from latent_workbench.live.engine import ENGINE
from latent_workbench.live.likelihood import (
    MOST_POINTS,
    chosen,
    log_likelihood,
    read_points,
)
from latent_workbench.live.models import MODELS
from latent_workbench.live.resources import encodings_of
from latent_workbench.shared.glossary import GLOSSARY, TAB, explained, term_in, terms
from latent_workbench.shared.guide import STEPS, Guide
from vae_core.errors import UserError
from vae_core.runs import Run, Store

from .pages import ROOT, open_page, texts

FIXTURES = Path(__file__).resolve().parent / "fixtures"
SHIPPED = Path(__file__).resolve().parent.parent / "trained_models"


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> Store:
    """The runs that come with the app, as the store of the app."""
    monkeypatch.setenv("VAE_STORE", str(SHIPPED))
    return Store(SHIPPED)


@pytest.mark.parametrize("name", [each.name for each in concepts])
def test_every_figure_has_its_words_and_can_be_drawn(name: str, shipped: Store) -> None:
    concept = concepts[name]
    sentences = [part for part in concept.blurb.split(". ") if part]
    assert len(sentences) == 3, "a figure is explained in three sentences"
    app = open_page("concepts", figure=name)
    assert concept.blurb in texts(app)
    assert [each.value.strip("$\n") for each in app.latex] == [concept.formula]
    assert concept.question in [each.label for each in app.expander]
    assert app.button(key=f"see-{name}").label == "See it in your run"
    assert not app.info, "the shipped runs are enough for every figure"


def test_a_store_without_runs_says_what_to_do(tmp_path: Path) -> None:
    app = open_page("concepts", figure="elbo")
    assert "a VAE with two latents" in app.info[0].value


# --- figure 5: the likelihood behind it -----------------------------------------------------------


def test_the_likelihood_is_the_one_that_training_measures(shipped: Store) -> None:
    run = shipped.get("mnist-plane")
    model = MODELS.get(run)
    image = ENGINE.images.get(run)[7]
    x = torch.from_numpy(image[None].copy()).float() / 255
    z = torch.tensor([[0.3, -1.2], [1.0, 0.5], [-2.0, 0.1]])
    found = log_likelihood(model, image, z.numpy())
    with torch.inference_mode():
        p = torch.sigmoid(model.decode(z).double())
    expected = (x * p.log() + (1 - x) * (-p).log1p()).sum(dim=(1, 2, 3))
    assert np.allclose(found, expected.numpy(), rtol=1e-5)


def test_what_a_request_may_hold() -> None:
    z = np.arange(6, dtype="<f4").reshape(3, 2)
    assert np.array_equal(read_points(b"\1\0\0\0" + z.tobytes(), 2), z)
    wrong = (b"", b"\1\0\0\0", b"\0" * 9, b"\0" * (4 + 8 * (MOST_POINTS + 1)))
    for message in (*wrong, b"\0" * 4 + np.float32([np.nan, 0]).tobytes()):
        with pytest.raises(UserError):
            read_points(message, 2)
    images = np.zeros((2, 1, 2, 2), np.uint8)
    for text in ("2", "-1", "", "x", "1" * 20):
        with pytest.raises(UserError, match="2 images"):
            chosen(images, text)


# --- figure 6 -------------------------------------------------------------------------------------


def test_rates_and_densities_of_codes_are_those_of_torch_and_of_draws(shipped: Store) -> None:
    run = shipped.get("mnist-beta-vae")
    found = encodings_of(run)
    assert found is not None and found.logvar is not None
    q = torch.distributions.Normal(
        torch.from_numpy(found.mu), torch.from_numpy(found.logvar).mul(0.5).exp()
    )
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).mean(0)
    each = beta.rates(found.mu, found.logvar)
    assert np.allclose(each, kl.numpy(), atol=1e-4)
    told = [m for m in concepts["beta"].build(run)["models"] if m["run"] == run.id]
    assert told[0]["rate"] == pytest.approx(float(kl.sum()), abs=1e-3)
    dimension = int(np.argmax(each))
    codes = q.sample((20,))[:, :, dimension].flatten().numpy()
    step = 2 * beta.REACH / (beta.BINS - 1)
    edges = np.linspace(-beta.REACH - step / 2, beta.REACH + step / 2, beta.BINS + 1)
    drawn = np.histogram(codes, edges)[0] / (len(codes) * step)
    density = beta.aggregated(found.mu[:, [dimension]], found.logvar[:, [dimension]])[0]
    assert np.abs(density - drawn).max() < 0.03


# --- figure 9 -------------------------------------------------------------------------------------


def test_the_sums_that_the_browser_is_held_against_are_those_of_torch() -> None:
    for case in json.loads((FIXTURES / "convolution.json").read_text()):
        size, kernel = case["setting"]["size"], case["setting"]["kernel"]
        x = torch.tensor(case["x"]).view(1, 1, size, size)
        w = torch.tensor(case["w"]).view(1, 1, kernel, kernel)
        how = {"stride": case["setting"]["stride"], "padding": case["setting"]["padding"]}
        operation = torch.conv_transpose2d if case["transposed"] else torch.conv2d
        assert operation(x, w, **how).flatten().tolist() == pytest.approx(case["y"], abs=1e-4)


# --- the glossary ---------------------------------------------------------------------------------

TITLES = {
    "KL (nats)": "KL",
    "nats per image": "nat",
    "−log p(x) (nats) ↓": "log p(x)",
    "rate R = KL, nats per image": "rate",
    "distortion D": "distortion",
    "active units": "active unit",
    "training total": "loss",
    "images/s": None,
    "bitmap": None,
}
"""What stands on charts and columns, and the term that it leads to; `concepts.test.js` has the same
in JavaScript."""


def test_every_term_is_one_sentence_and_its_figure_is_there() -> None:
    names = [name.lower() for each in terms() for name in (each.term, *each.also)]
    assert len(names) == len(set(names)) > 60
    for each in terms():
        assert each.says.endswith(".") and ". " not in each.says, each.term
        assert not each.figure or each.figure in concepts


def test_titles_lead_to_their_terms_and_columns_say_them() -> None:
    found = {title: term_in(title) for title in TITLES}
    assert {title: each and each.term for title, each in found.items()} == TITLES
    told = explained(["KL", "run", "own"], {"own": {"help": "mine"}})
    assert told["own"] == {"help": "mine"} and "run" not in told
    assert "concepts?concepts-tab=Glossary&term=KL" in told["KL"]["help"]


def test_the_glossary_shows_the_term_of_the_address(shipped: Store) -> None:
    app = open_page("concepts", **{TAB: GLOSSARY, "term": "ELBO"})
    found = [each.value for each in app.markdown if each.value.startswith("**")]
    assert found == [f"**ELBO**: {terms()[0].says}"]


# --- the first experiment -------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_the_experiment_has_a_note_beside_every_page(number: int) -> None:
    app, step = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=60), STEPS[number]
    app.session_state[f"{Guide.__module__}.Guide"] = Guide(step=number)
    app.run()
    assert not app.exception
    note = [each.value for each in app.sidebar.markdown]
    assert f"**{number + 1} of 5: {step.title}**" in note and step.do in note
    assert (ROOT / "pages" / f"{step.page}.py").is_file()
    assert app.button(key="guide-back").disabled is (number == 0)
    assert app.button(key="guide-next").label == ("Done" if number == 4 else "Next")


def test_the_experiment_begins_at_its_first_page(tiny_run: Run) -> None:
    app = open_page("concepts", **{TAB: "First experiment"})
    app.button(key="guide-start").click().run()
    assert app.session_state[f"{Guide.__module__}.Guide"].step == 0
