"""The penalties of the regularised autoencoder against finite differences and the weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.test_families import at, settings
from vae_core.errors import UserError
from vae_core.families import build
from vae_core.families.rae import RaeObjective, squared_slope
from vae_core.models import LatentModel
from vae_core.objective import MODEL


def made(penalty: str, **model: Any) -> tuple[LatentModel, RaeObjective]:
    torch.manual_seed(0)
    config = settings("rae", **model).updated({"objective": {"penalty": penalty, "weight": 0.3}})
    found, objective = build(config, (1, 16, 16))
    assert isinstance(objective, RaeObjective)
    return found, objective


def test_codes_and_weights_are_priced_as_the_paper_says() -> None:
    model, objective = made("l2")
    x = torch.rand(8, 1, 16, 16)
    output = objective(model, x, at())
    terms = objective.losses(x, output, at())[MODEL]
    torch.testing.assert_close(terms["norm"].value, 0.5 * output.z.norm(dim=1) ** 2)
    whole = torch.cat([weight.flatten() for weight in model.decoder.parameters()])
    torch.testing.assert_close(terms["decoder"].value, (whole @ whole).expand(8))
    assert {name: term.weight for name, term in terms.items()} == {
        "recon": 1.0, "norm": 0.05, "decoder": 0.3,
    }  # fmt: skip
    assert set(made("none")[1].losses(x, output_of("none", x), at())[MODEL]) == {"recon", "norm"}


def output_of(penalty: str, x: Tensor) -> Any:
    model, objective = made(penalty)
    return objective(model, x, at())


@pytest.mark.parametrize("backbone", ["conv", "mlp"])
def test_the_slope_is_that_of_finite_differences(backbone: str) -> None:
    """‖∂D/∂z‖²_F by central differences of every latent; the estimate is unbiased: many directions
    of the pixels come to it, within four of their standard errors."""
    options = {"channels": [4, 8], "hidden": 16} if backbone == "conv" else {"hidden": [12]}
    model = made("gradient", backbone=backbone, options=options)[0].double().eval()
    z = torch.randn(3, model.latent_size, dtype=torch.float64)
    picture = lambda at: model.likelihood.mean(model.decode(at))  # noqa: E731
    exact, h = torch.zeros(3, dtype=torch.float64), 1e-5
    for d in range(model.latent_size):
        step = torch.zeros_like(z)
        step[:, d] = h
        slope = (picture(z + step) - picture(z - step)) / (2 * h)
        exact += slope.square().flatten(1).sum(1)
    many = z.repeat(2000, 1).requires_grad_()
    noise = torch.Generator().manual_seed(0)
    found = squared_slope(many, picture(many), generator=noise).detach().view(2000, 3)
    error = found.std(0) / 2000**0.5
    assert (error < 0.05 * exact).all() and ((found.mean(0) - exact).abs() < 4 * error).all()


def test_the_gradient_of_the_penalty_is_that_of_finite_differences() -> None:
    """Through the second derivative, to every weight of the decoder, along one direction of them
    all; padding has no slope."""
    model, _ = made("gradient")
    model.double()
    z = torch.randn(4, model.latent_size, dtype=torch.float64)
    mask = torch.ones(4, 1, 16, 16, dtype=torch.float64)
    mask[:, :, 8:] = 0
    weights = list(model.decoder.parameters())
    torch.manual_seed(1)
    along = [torch.randn_like(weight) for weight in weights]

    def penalty() -> Tensor:
        codes = z.clone().requires_grad_()
        pictures = model.likelihood.mean(model.decode(codes))
        return squared_slope(codes, pictures, mask, torch.Generator().manual_seed(5)).sum()

    gradients = torch.autograd.grad(penalty(), weights, allow_unused=True)
    pairs = zip(gradients, along, strict=True)
    expected = sum(float((g * a).sum()) for g, a in pairs if g is not None)
    values, h = [], 1e-6
    for sign in (1, -2, 1):  # there, back and beyond, and where it was
        with torch.no_grad():
            for weight, a in zip(weights, along, strict=True):
                weight += sign * h * a
        values.append(float(penalty().detach()))
    assert (values[0] - values[1]) / (2 * h) == pytest.approx(expected, rel=1e-4)


def test_it_is_measured_without_gradients_as_with_them() -> None:
    model, objective = made("gradient")
    model.eval(), objective.eval()
    x = torch.rand(2, 1, 16, 16)
    with torch.inference_mode():
        measured = objective(model, x.clone(), at(batch=2))
    expected = objective(model, x, at(batch=2))
    for mine, theirs in (
        (measured.extra["penalty"], expected.extra["penalty"]),
        (measured.x_logits, expected.x_logits),
    ):
        assert not mine.requires_grad
        torch.testing.assert_close(mine.clone(), theirs.detach())


@pytest.mark.parametrize("penalty", ["l2", "gradient"])
def test_a_decoder_that_pays_becomes_smoother(penalty: str) -> None:
    """Its penalty falls step by step, and with either the slope of its pictures does."""
    model, objective = made(penalty)
    x = torch.rand(32, 1, 16, 16)
    with torch.no_grad():  # a decoder that has learned something has a slope
        for weight in model.decoder.parameters():
            weight.mul_(3)
        z = model.encode(x).mode().repeat(20, 1)

    def slope() -> float:
        codes = z.clone().requires_grad_()
        pictures = model.likelihood.mean(model.decode(codes))
        noise = torch.Generator().manual_seed(0)
        return float(squared_slope(codes, pictures, None, noise).detach().mean())

    before, paid = slope(), []
    optimizer = torch.optim.Adam(model.decoder.parameters(), 3e-3)
    for _ in range(10):
        term = objective.losses(x, objective(model, x, at(batch=32)), at(batch=32))[MODEL][
            "decoder"
        ]
        optimizer.zero_grad()
        term.value.mean().backward()
        optimizer.step()
        paid.append(float(term.value.detach().mean()))
    assert paid == sorted(paid, reverse=True) and slope() < 0.9 * before


@pytest.mark.parametrize("backbone", ["conv-bn", "deep-conv"])
def test_codes_that_see_each_other_are_refused(backbone: str) -> None:
    with pytest.raises(UserError, match=r"model\.backbone: .* normalises over the batch"):
        made("gradient", backbone=backbone, options={"channels": [8]})
    made("l2", backbone=backbone, options={"channels": [8]})


def test_compiled_networks_have_no_second_derivative() -> None:
    config = settings("rae").updated({"train": {"compile": True}})
    build(config, (1, 16, 16))
    with pytest.raises(UserError, match=r"train\.compile: the gradient penalty"):
        build(config.updated({"objective": {"penalty": "gradient"}}), (1, 16, 16))
