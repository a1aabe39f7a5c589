"""The optimiser takes the very steps of torch's own classes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from vae_core.training.optim import Adam

SETTINGS = {"lr": 1e-2, "betas": (0.5, 0.99), "eps": 1e-7, "weight_decay": 0.1}


def parameters() -> list[Parameter]:
    """A convolution's weights as they lie in training, a bias, and one that gets no gradient."""
    torch.manual_seed(0)
    weight = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    return [Parameter(weight), Parameter(torch.randn(4)), Parameter(torch.randn(2))]


def descend(
    ours: list[Parameter], step: Callable[[], object], steps: int, first: int = 0
) -> list[Tensor]:
    for number in range(first, first + steps):
        generator = torch.Generator().manual_seed(number)
        for parameter in ours[:2]:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        step()
    return [parameter.detach().clone() for parameter in ours]


@pytest.mark.parametrize(
    ("decoupled", "theirs"), [(False, torch.optim.Adam), (True, torch.optim.AdamW)]
)
def test_it_equals_torchs_own_and_goes_on_from_its_state(
    decoupled: bool, theirs: type[torch.optim.Optimizer]
) -> None:
    mine, reference = parameters(), parameters()
    optimizer = Adam(mine, **SETTINGS, decoupled=decoupled)
    known = theirs(reference, **SETTINGS, fused=True)
    for got, expected in zip(
        descend(mine, optimizer.step, 5), descend(reference, known.step, 5), strict=True
    ):
        assert torch.equal(got, expected)

    fresh = parameters()
    with torch.no_grad():
        for parameter, value in zip(fresh, mine, strict=True):
            parameter.copy_(value)
    again = Adam(fresh, **SETTINGS, decoupled=decoupled)
    again.load_state_dict(optimizer.state_dict())
    optimizer.lr = again.lr = known.param_groups[0]["lr"] = 0.5
    expected = descend(reference, known.step, 3, first=5)
    for got in (descend(fresh, again.step, 3, first=5), descend(mine, optimizer.step, 3, first=5)):
        assert all(map(torch.equal, got, expected))


def test_a_state_of_torchs_own_class_is_taken_up() -> None:
    mine, reference = parameters()[:2], parameters()[:2]
    known = torch.optim.Adam(reference, **SETTINGS, fused=True)
    descend(reference, known.step, 4)
    with torch.no_grad():
        for parameter, value in zip(mine, reference, strict=True):
            parameter.copy_(value)
    optimizer = Adam(mine, **SETTINGS)
    optimizer.load_state_dict(known.state_dict())
    got, expected = descend(mine, optimizer.step, 2), descend(reference, known.step, 2)
    assert all(map(torch.equal, got, expected))


def test_gradients_are_forgotten_and_other_parameters_refused() -> None:
    mine = parameters()
    optimizer = Adam(mine, lr=1e-3)
    descend(mine, optimizer.step, 1)
    optimizer.zero_grad()
    assert [parameter.grad for parameter in mine] == [None, None, None]
    with pytest.raises(KeyError):
        optimizer.load_state_dict(Adam(mine[:1], lr=1e-3).state_dict())
