"""Measuring a trained model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.engine import make_loop, tiny
from vae_core.metrics import measure, sums
from vae_core.metrics.sums import CodeUsage, MeanAndVariance
from vae_core.types import Context


def test_running_moments_equal_those_of_the_whole() -> None:
    rows = 1000.0 + torch.randn(101, 3).double()
    moments = MeanAndVariance()
    for part in rows.split(13):
        moments.add(part)
    torch.testing.assert_close(moments.variance(), rows.var(0, unbiased=False))
    torch.testing.assert_close(moments.mean, rows.mean(0))


def test_running_moments_of_single_precision_do_not_cancel() -> None:
    """A device without float64 keeps them; σ is a hundred thousandth of the mean."""
    rows = (1e4 + 0.1 * torch.randn(512, 3)).float()
    moments = MeanAndVariance()
    for part in rows.split(64):
        moments.add(part)
    exact = rows.double().var(0, unbiased=False)
    torch.testing.assert_close(moments.variance(), exact, rtol=1e-4, atol=0)


def test_codes_are_counted_before_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "CODES_AT_ONCE", 5)
    usage = CodeUsage()
    for batch in ([1, 1, 2], [2, 3, 3], [1]):
        usage.add(torch.tensor(batch))
    assert len(usage._waiting) == 1 and usage.drawn == 7
    shares = torch.tensor([3, 2, 2]) / 7
    expected = float((-(shares * shares.log()).sum()).exp())
    found = usage.terms()
    assert found["codes_in_use"] == 3 and found["code_perplexity"] == pytest.approx(expected)


@pytest.mark.parametrize("batch_size", [7, 256])
def test_measurement_does_not_depend_on_batches(batch_size: int) -> None:
    """With a posterior of no width the draw is the mean, so batches cannot matter."""
    loop = make_loop(tiny())
    with torch.no_grad():
        loop.model.bottleneck.scale.weight.zero_()
        loop.model.bottleneck.scale.bias.fill_(-30.0)
    part = loop.dataset.validation
    context = Context(0, torch.Generator().manual_seed(0))
    whole = measure(loop.model, loop.objective, part, context, batch_size=10_000)
    parts = measure(loop.model, loop.objective, part, context, batch_size)
    assert parts.terms == pytest.approx(whole.terms, rel=1e-4)
    assert parts.images == whole.images == len(part)
    assert parts.elbo == pytest.approx(-(whole.terms["recon"] + whole.terms["kl"]), rel=1e-4)


def test_active_units_on_a_constructed_posterior() -> None:
    """Two of four means move with the image (variance over 0.01), one barely, one not at all."""
    loop = make_loop(tiny())
    images = loop.dataset.validation.images
    head = loop.model.bottleneck.mu
    with torch.no_grad():
        features = loop.model.encoder(
            torch.from_numpy(images.gather(np.arange(images.shape[0]))).float() / 255
        )
        spread = features.var(0)
        best = int(spread.argmax())
        head.weight.zero_()
        head.bias.zero_()
        for row, deviation in enumerate([1.0, 0.2, 0.05, 0.0]):
            head.weight[row, best] = deviation / float(spread[best].sqrt())
    context = Context(0, torch.Generator().manual_seed(0))
    assert measure(loop.model, loop.objective, loop.dataset.validation, context).active_units == 2


def test_models_without_a_kl_have_no_elbo() -> None:
    loop = make_loop(tiny(family="autoencoder"))
    report = measure(loop.model, loop.objective, loop.dataset.validation, Context(0)).report()
    assert report["kl"] is None and report["elbo"] is None
    assert report["recon"] > 0
