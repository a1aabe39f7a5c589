"""The contractive penalty against the whole Jacobian."""

from __future__ import annotations

import pytest
import torch

from tests.test_families import at, made
from vae_core.errors import UserError
from vae_core.families.contractive import squared_jacobian_norm
from vae_core.objective import MODEL


def test_of_a_linear_map_it_is_the_norm_of_its_matrix() -> None:
    torch.manual_seed(0)
    matrix = torch.randn(3, 5)
    x = torch.randn(4, 5, requires_grad=True)
    norm = squared_jacobian_norm(x, x @ matrix.T)
    torch.testing.assert_close(norm, matrix.square().sum().expand(4))


@pytest.mark.parametrize("backbone", ["conv", "mlp"])
def test_it_equals_autograds_full_jacobian(backbone: str) -> None:
    options = {"channels": [4, 8], "hidden": 16} if backbone == "conv" else {"hidden": [12]}
    model, objective = made("contractive", backbone=backbone, options=options)
    x = torch.rand(3, 1, 16, 16)
    terms = objective.losses(x, objective(model, x, at(batch=3)), at(batch=3))[MODEL]

    def encode(image: torch.Tensor) -> torch.Tensor:
        return model.encode(image[None]).mode()[0]

    for image, value in zip(x, terms["jacobian"].value, strict=True):
        full = torch.autograd.functional.jacobian(encode, image)
        torch.testing.assert_close(value, full.square().sum())


def test_its_gradient_makes_codes_stiller() -> None:
    model, objective = made("contractive")
    x = torch.rand(8, 1, 16, 16)
    optimizer = torch.optim.Adam(model.encoder.parameters(), 1e-3)
    norms = []
    for _ in range(5):
        term = objective.losses(x, objective(model, x, at()), at())[MODEL]["jacobian"]
        optimizer.zero_grad()
        term.value.mean().backward()
        optimizer.step()
        norms.append(float(term.value.detach().mean()))
    assert norms == sorted(norms, reverse=True)


def test_it_is_measured_without_gradients_too() -> None:
    model, objective = made("contractive")
    x = torch.rand(2, 1, 16, 16)
    with torch.inference_mode():
        measured = objective(model, x.clone(), at(batch=2)).extra["jacobian"]
    expected = objective(model, x, at(batch=2)).extra["jacobian"]
    torch.testing.assert_close(measured.detach().clone(), expected.detach())


def test_images_that_see_each_other_are_refused() -> None:
    with pytest.raises(UserError, match=r"model\.backbone: 'conv-bn' normalises over the batch"):
        made("contractive", backbone="conv-bn", options={})
