"""Labels reach the conditional VAE on both sides, in training, measurement and drawing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.engine import make_loop, tiny, trained
from tests.test_families import at, made, settings
from vae_core.errors import UserError
from vae_core.families import build
from vae_core.families.conditional_vae import UNKNOWN_LABEL
from vae_core.latent.encodings import encode, load_encodings
from vae_core.loading import load_run
from vae_core.runs import DataCard

X = torch.rand(6, 1, 16, 16)
CARD = DataCard(
    dataset="drawn", image_shape=(1, 16, 16), n_train=9, n_validation=1, label_names=tuple("abc")
)
LABELS = torch.arange(6) % 3


def test_a_label_changes_what_is_encoded_and_what_is_decoded() -> None:
    model, _ = made("conditional-vae")
    z = model.sample_prior(6)
    assert model.labels == 3
    one, two = (model.conditioned(torch.tensor([label])) for label in (1, 2))
    assert not torch.allclose(one.decode(z), two.decode(z))
    assert not torch.allclose(one.encode(X).mode(), two.encode(X).mode())
    each = model.conditioned(LABELS).decode(z)
    torch.testing.assert_close(each[1::3], one.decode(z)[1::3])
    torch.testing.assert_close(each[2::3], two.decode(z)[2::3])


def test_a_view_leaves_the_model_as_it_is_and_shares_its_weights() -> None:
    model, _ = made("conditional-vae")
    z = model.sample_prior(2)
    before = model.decode(z)
    view = model.conditioned(torch.tensor([1]))
    torch.testing.assert_close(model.decode(z), before)
    assert next(view.parameters()) is next(model.parameters())
    assert view.state_dict().keys() == model.state_dict().keys()


def test_no_label_is_the_unknown_one() -> None:
    model, _ = made("conditional-vae")
    z = model.sample_prior(6)
    unknown = model.conditioned(torch.tensor([UNKNOWN_LABEL]))
    torch.testing.assert_close(unknown.decode(z), model.decode(z))
    mixed = model.conditioned(torch.tensor([0, UNKNOWN_LABEL] * 3)).decode(z)
    torch.testing.assert_close(mixed[1::2], model.decode(z)[1::2])


def test_other_models_take_labels_without_a_change() -> None:
    model, _ = made("vae")
    assert model.labels == 0
    assert model.conditioned(LABELS) is model


def test_labels_are_withheld_in_training_only() -> None:
    config = settings("conditional-vae").updated({"objective": {"withheld": 0.5}})
    model, objective = build(config, CARD)
    x = X.repeat(100, 1, 1, 1)
    context = replace(at(), labels=torch.ones(600, dtype=torch.int64))
    told = model.conditioned(torch.tensor([1])).encode(x).mode()
    untold = model.encode(x).mode()
    seen = objective(model, x, context).posterior.mode()
    share = (seen - untold).abs().sum(1) < 1e-5
    assert 0.4 < float(share.float().mean()) < 0.6
    torch.testing.assert_close(seen[~share], told[~share])
    objective.eval()
    torch.testing.assert_close(objective(model, x, context).posterior.mode(), told)


def test_images_without_labels_are_refused_before_training() -> None:
    with pytest.raises(UserError, match=r"family: Conditional VAE needs labels and 'mnist' has"):
        build(settings("conditional-vae"), (1, 16, 16))


def test_measurement_encodings_and_previews_are_given_labels() -> None:
    loop = make_loop(tiny(family="conditional-vae"))
    validation = loop.dataset.validation
    unlabelled = replace(validation, labels=None)
    with torch.no_grad():  # a label then moves every code
        next(loop.model.encoder.parameters()).mul_(5.0)
    with_labels, _ = encode(loop.model, validation)
    without, _ = encode(loop.model, unlabelled)
    assert abs(with_labels - without).max() > 1e-4
    first = loop._pictured()
    loop._preview_model = loop.model
    assert not torch.allclose(loop._pictured().reconstructions, first.reconstructions)


def test_a_run_is_trained_measured_and_rebuilt(tmp_path: Path) -> None:
    run = trained(tmp_path, family="conditional-vae")
    loaded = load_run(run)
    assert loaded.model.labels == 10
    assert len(load_encodings(run).mu) == 300
    assert run.summary()["elbo"] < 0
