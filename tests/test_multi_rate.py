"""One network for every β: what it is told, what that does, and how it reaches a hand."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from latent_workbench.components.explorer import explorer_data
from latent_workbench.live.engine import Engine, load_images
from latent_workbench.live.models import decode_pixels, encode_pixels, load_model
from latent_workbench.live.protocol import REQUEST, Encoding, read_dial, read_request
from latent_workbench.shared.explore_view import View, from_query
from latent_workbench.tune.results import rate_distortion_figure
from tests.engine import make_loop, tiny, trained
from tests.pages import open_page
from tests.test_families import at, made, settings
from vae_core.cli.app import app
from vae_core.errors import UserError
from vae_core.export.networks import DecoderHalf, EncoderHalf, first, traced, try_inputs
from vae_core.families import build
from vae_core.families.multi_rate import MultiRateModel, MultiRateObjective
from vae_core.latent.encodings import load_encodings
from vae_core.latent.grids import decode_vectors
from vae_core.loading import load_run
from vae_core.metrics import measure
from vae_core.models import Dial
from vae_core.objective import MODEL
from vae_core.rate_curve import measure_rates, rate_curve
from vae_core.runs import Run
from vae_core.types import Context

ENDS = {"lowest": 0.02, "highest": 4.0}
LEARNED: dict[str, Any] = {
    "family": "multi-rate",
    "objective": ENDS,
    "data": {"limit": 600},
    "train": {"epochs": 30, "learning_rate": 3e-3, "preview_every": 10_000},
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that has learned from digits for 240 steps, some seconds."""
    return trained(tmp_path_factory.mktemp("store"), "told", **LEARNED)


def small() -> tuple[MultiRateModel, MultiRateObjective]:
    model, objective = made("multi-rate")
    assert isinstance(model, MultiRateModel) and isinstance(objective, MultiRateObjective)
    with torch.no_grad():  # as after a training: what is told does something
        for name, weight in model.named_parameters():
            if ".told." in name:
                weight.normal_(0.0, 0.2)
    return model, objective


# --- the condition --------------------------------------------------------------------------------


def test_a_dial_goes_by_equal_ratios_between_its_ends() -> None:
    dial = Dial("β", "beta", 0.01, 10.0, 1.0)
    np.testing.assert_allclose(dial.values(4), [0.01, 0.1, 1.0, 10.0])
    assert dial.values(7)[0] == 0.01 and dial.values(7)[-1] == 10.0
    assert dial.require(float(np.float32(0.01))) and dial.require(10.0)
    for beyond in (0.0099, 10.1, 0.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match=r"β of this model lies between 0\.01 and 10"):
            dial.require(beyond)


def test_at_first_every_beta_is_the_same_network_and_later_none_is() -> None:
    model, _ = made("multi-rate")
    x, z = torch.rand(3, 1, 16, 16), torch.randn(3, 4)
    ends = [model.dialled(beta) for beta in (0.01, 10.0)]
    assert torch.equal(ends[0].encode(x).mu, ends[1].encode(x).mu)
    learned, _ = small()
    ends = [learned.dialled(beta) for beta in (0.01, 10.0)]
    assert not torch.allclose(ends[0].encode(x).mu, ends[1].encode(x).mu)
    assert not torch.allclose(ends[0].decode(z), ends[1].decode(z))
    assert torch.equal(learned.decode(z), learned.dialled(1.0).decode(z)), "β as it usually is"


@pytest.mark.parametrize("backbone", ["conv", "mlp", "conv-bn", "deep-conv", "resnet"])
def test_each_image_has_a_beta_of_its_own(backbone: str) -> None:
    """A batch of several is what each of them is alone, draws of z included."""
    torch.manual_seed(0)
    options = {"hidden": [12]} if backbone == "mlp" else {"channels": [4, 8]}
    config = settings("multi-rate", backbone=backbone, options=options)
    model = build(config, (1, 16, 16))[0].eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".told." in name:
                weight.normal_(0.0, 0.2)
    x, z = torch.rand(3, 1, 16, 16), torch.randn(6, 4)
    betas = torch.tensor([0.02, 1.0, 7.0])
    whole, drawn = model.dialled(betas).encode(x).mu, model.dialled(betas).decode(z)
    for i, beta in enumerate(betas.tolist()):
        alone = model.dialled(beta)
        torch.testing.assert_close(whole[i], alone.encode(x[i : i + 1]).mu[0])
        torch.testing.assert_close(drawn[[i, i + 3]], alone.decode(z[[i, i + 3]]))


def test_training_prices_each_image_at_its_own_beta_and_measuring_all_at_one() -> None:
    model, objective = small()
    x = torch.rand(4000, 1, 16, 16)
    output = objective(model, x, at(batch=4000))
    terms = objective.losses(x, output, at(batch=4000))[MODEL]
    beta = output.extra["beta"]
    torch.testing.assert_close(terms["priced_kl"].value, beta * terms["kl"].value)
    assert {name: term.weight for name, term in terms.items()} == {
        "recon": 1.0, "priced_kl": 1.0, "kl": 0.0,
    }  # fmt: skip
    places = beta.log10()  # even from −2 to 1
    assert 0.01 <= float(beta.min()) < 0.011 and 9 < float(beta.max()) <= 10.0
    assert float(places.mean()) == pytest.approx(-0.5, abs=0.05)
    assert float(places.var()) == pytest.approx(9 / 12, rel=0.05)
    model.eval(), objective.eval()
    for asked, used in ((0.3, 0.3), (99.0, 10.0), (1e-9, 0.01)):
        context = Context(0, torch.Generator(), {"beta": asked})
        found = objective(model, x[:5], context)
        assert objective.controls(context) == {"beta": used}
        torch.testing.assert_close(found.extra["beta"], torch.full((5,), used))
        torch.testing.assert_close(found.posterior.mu, model.dialled(used).encode(x[:5]).mu)


@pytest.mark.parametrize(
    ("objective", "sentence"),
    [
        ({"lowest": 2.0, "highest": 1.0}, r"objective\.lowest: the smallest β \(2\)"),
        ({"lowest": 0.1, "beta": 0.01}, r"objective\.beta: the β shown \(0\.01\)"),
        ({"lowest": 0.0}, r"objective\.lowest: .*greater than 0"),
    ],
)
def test_ends_that_are_none_are_refused(objective: dict[str, float], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        build(settings("multi-rate").updated({"objective": objective}), (1, 16, 16))


# --- what it learns -------------------------------------------------------------------------------


def test_the_rate_falls_and_the_distortion_rises_with_beta(told: Run) -> None:
    """On digits it has not seen, at nine β of one network. Its ELBO is best within a factor of five
    of β = 1, where the ELBO is what is asked for."""
    assert rate_curve(told) is None
    curve = measure_rates(told)
    assert len(curve.beta) == 9 and curve.images == 90
    falls, counts = np.diff(curve.rate), curve.rate[:-1] > 0.5  # below there is nothing to lose
    assert (falls[counts] < 0).all() and (falls < 0.05).all() and counts.sum() > 4, curve.rate
    assert (np.diff(curve.distortion) > -0.1).all(), curve.distortion
    assert curve.rate[0] > 3 * curve.rate[-1] and curve.distortion[-1] > curve.distortion[0] + 5
    assert 0.2 <= curve.beta[curve.elbo.argmax()] <= 5
    kept = rate_curve(told)
    assert kept is not None and kept.images == 90
    np.testing.assert_array_equal(kept.rate, curve.rate)
    loaded = load_run(told)
    loop = make_loop(told.config())
    context = Context(loaded.step - 1, torch.Generator().manual_seed(0), {"beta": 4.0})
    found = measure(loaded.model, loaded.objective, loop.dataset.validation, context)
    assert found.terms["kl"] == pytest.approx(float(curve.rate[-1]), rel=1e-5)
    assert found.report()["beta"] == 4.0


def test_a_command_prints_the_curve(told: Run, tmp_path: Path) -> None:
    store = ["--store", str(told.path.parent)]
    done = CliRunner().invoke(app, ["rates", told.id, "--points", "3", "--json", *store])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["measured_on"] == "90 validation images"
    assert [row["beta"] for row in said["curve"]] == pytest.approx([0.02, 0.08**0.5, 4.0])
    other = trained(tmp_path)
    with pytest.raises(UserError, match="was trained at one β, and has one point of the curve"):
        measure_rates(other)


def test_the_curve_is_drawn_with_the_runs(told: Run) -> None:
    from latent_workbench.shared.catalog import facts_of

    curve = measure_rates(told)
    figure = rate_distortion_figure([facts_of(told)], [], told.id, curve)
    (line,) = [trace for trace in figure.data if trace.name == told.id]
    np.testing.assert_array_equal(line.x, curve.rate)
    np.testing.assert_array_equal(line.y, curve.distortion)
    assert len(line.text) == 9 and line.text[0].endswith("β 0.02")
    for axis, values in ((figure.layout.xaxis, curve.rate), (figure.layout.yaxis, line.y)):
        assert axis.range[0] < values.min() and values.max() < axis.range[1]


# --- under the hand -------------------------------------------------------------------------------


def test_pictures_of_one_request_have_each_its_beta(told: Run) -> None:
    """As the browser asks for a strip: behind the latents of each vector where the dial is."""
    served, model = load_model(told), load_run(told).model
    z = load_encodings(told).mu[:3]
    betas = np.array([0.02, 1.0, 4.0], np.float32)
    points = np.concatenate([z, betas[:, None]], 1)
    body = REQUEST.pack(7, 3, 0) + points.astype("<f4").tobytes()
    asked = read_request(body, served.latent_size, dial=served.dial)
    found = decode_pixels(served, asked.vectors)
    assert found.shape == (3, 16, 16, 1)
    for i, beta in enumerate(betas):
        alone = decode_vectors(model, z[i : i + 1], dial=betas[i : i + 1])[0, 0]
        assert np.abs(found[i, :, :, 0].astype(int) - alone).max() <= 1
        with torch.inference_mode():
            logits = model.dialled(float(beta)).decode(torch.from_numpy(z[i : i + 1]))
            picture = (255 * model.picture(logits)).round().numpy()[0, 0]
        assert np.abs(picture - alone).max() <= 1
    with pytest.raises(UserError, match="β of this model lies between"):
        points[1, -1] = 4.1
        body = REQUEST.pack(7, 3, 0) + points.astype("<f4").tobytes()
        read_request(body, served.latent_size, dial=served.dial)
    with pytest.raises(UserError, match="3 vectors of 5 numbers make"):
        body = REQUEST.pack(7, 3, 0) + z.astype("<f4").tobytes()
        read_request(body, served.latent_size, dial=served.dial)


def test_an_image_is_encoded_where_the_dial_is(told: Run) -> None:
    engine = Engine()

    def vector(dial: float | None) -> np.ndarray:
        asked = Encoding(type="encoding", index=5, dial=dial)
        with ThreadPoolExecutor(1) as thread:  # another test may have a loop running in this one
            return thread.submit(asyncio.run, engine.vector(told, asked)).result(60)

    kept = load_encodings(told)
    np.testing.assert_array_equal(vector(None), kept.mu[5])
    model, images = load_model(told), load_images(told)
    found = {beta: vector(beta) for beta in (0.02, 1.0, 4.0)}
    np.testing.assert_allclose(found[1.0], kept.mu[5], atol=1e-4)
    for beta, z in found.items():
        np.testing.assert_allclose(z, encode_pixels(model, images[5:6], beta)[0], atol=1e-4)
    assert np.abs(found[0.02] - found[4.0]).max() > 0.1
    with pytest.raises(UserError, match="β of this model lies between"):
        vector(0.01)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e999", "x", "", "1" * 50])
def test_a_dial_in_an_address_is_a_number_above_zero(text: str) -> None:
    with pytest.raises(UserError, match="is a number above 0"):
        read_dial(text)
    assert read_dial("0.25") == 0.25 and read_dial(None) is None
    with pytest.raises(UserError, match="link's dial has to be a number above 0"):
        from_query({"dial": text})


def test_the_page_offers_it_and_a_link_carries_it(told: Run, tmp_path: Path) -> None:
    data = explorer_data(told, View(dial=0.5), "full")
    assert data["dial"] == {
        "name": "β", "key": "beta", "low": 0.02, "high": 4.0, "usual": 1.0, "value": 0.5,
    }  # fmt: skip
    assert explorer_data(told, View(), "hero")["dial"]["value"] == 1.0
    assert explorer_data(told, View(dial=999.0), "full")["dial"]["value"] == 4.0
    view = View(dial=0.125)
    assert view.to_query() == {"dial": "0.125"} and from_query(view.to_query()) == view
    assert "dial" not in explorer_data(trained(tmp_path), View(dial=0.5), "full")


def test_tune_beta_measures_one_run_along_its_dial(
    told: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_STORE", str(told.path.parent))
    measure_rates(told)
    page = open_page("tune_beta", run=told.id, **{"tune-tab": "Sweep"})
    assert not page.exception and not page.error
    captions = [each.value for each in page.caption]
    assert any("The line is told alone, at 9 values of β" in each for each in captions)


# --- exports --------------------------------------------------------------------------------------


def test_exported_halves_take_beta_as_a_second_input() -> None:
    model = small()[0].eval()
    x, z = try_inputs(model, 5)
    assert [*x] == ["x", "beta"] and [*z] == ["z", "beta"]
    for half, inputs in ((EncoderHalf(model), x), (DecoderHalf(model), z)):
        program = traced(half, first(inputs))
        with torch.inference_mode():
            ours = half(*inputs.values())
            torch.testing.assert_close(program.module()(*inputs.values()), ours)
            elsewhere = half(next(iter(inputs.values())), inputs["beta"].flip(0))
        a, b = (each[0] if isinstance(each, tuple) else each for each in (ours, elsewhere))
        assert not torch.allclose(a, b)
    assert tiny(family="multi-rate").family == "multi-rate"
