"""No symptom is bounded by the batch, by how often steps are recorded, or by its units.

Each of these trainings was told something false, or not told what was true, while it was judged by
single batches, by the last three records, by the setting `latent_dim` or by distances from 0 nats.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine import make_loop, tiny, trained
from tests.test_diagnosis import digits, findings, recorded
from vae_core.config import RunConfig
from vae_core.diagnosis import diagnose, learning_curves
from vae_core.diagnosis.symptoms import seen_of_even_use
from vae_core.families import families
from vae_core.metrics import measure
from vae_core.metrics.sums import CodeUsage
from vae_core.training.control import Message
from vae_core.types import Context

CONV = {"backbone": "conv", "options": {"channels": [8, 16, 16], "hidden": 32}}


def told(records: list[dict[str, Any]], config: RunConfig) -> set[str]:
    """Every finding at any record of a training."""
    ends = range(len(records) + 1)
    return {each.name for end in ends for each in diagnose(learning_curves(records[:end], config))}


def steps(totals: list[float], **more: Any) -> list[dict[str, Any]]:
    """Records of single steps."""
    return [
        {"kind": "step", "step": i + 1, "epoch": 1, "terms": {"recon": total}, "total": total}
        | more
        for i, total in enumerate(totals)
    ]


# --- dead codes -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def few_at_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], RunConfig]:
    """512 codes, of which a batch of 8 images with 2×2 places can show 32."""
    config = digits(
        2,
        family="vq-vae",
        objective={"codes": 512, "halvings": 3},
        model=CONV,
        train={"batch_size": 8, "learning_rate": 2e-3, "log_every": 10},
    )
    return recorded(tmp_path_factory.mktemp("few"), config), config


def test_a_codebook_in_use_is_not_dead_because_batches_are_small(
    few_at_once: tuple[list[dict[str, Any]], RunConfig],
) -> None:
    records, config = few_at_once
    batches = [r["terms"]["codes_used"] for r in records if r["kind"] == "step"]
    whole = [r for r in records if r["kind"] == "validation"][-1]
    assert max(batches) <= 32
    assert whole["terms"]["codes_in_use"] > 100
    assert whole["images"] == 90 and whole["codes_drawn"] == 4 * 90
    assert told(records, config) == set()


def test_dead_codes_are_told_with_what_they_were_counted_on(
    few_at_once: tuple[list[dict[str, Any]], RunConfig],
) -> None:
    records, config = few_at_once
    dying = [
        r | {"terms": r["terms"] | {"codes_in_use": 9.0}} if r["kind"] == "validation" else r
        for r in records
    ]
    (finding,) = diagnose(learning_curves(dying, config))
    assert finding.evidence == "9 of 512 codes in use, over 90 validation images"
    assert finding.remedies[-1].changes == {"objective": {"codes": 32}}


def test_a_codebook_larger_than_what_is_looked_at_is_held_against_what_could_show(
    few_at_once: tuple[list[dict[str, Any]], RunConfig],
) -> None:
    """360 places can show 360 of 65 536 codes: that is all of them, not half a percent."""
    records, config = few_at_once
    large = config.updated({"objective": {"codes": 65_536}})
    assert told(records, large) == set()
    drawn = torch.randint(512, (200, 360), generator=torch.Generator().manual_seed(0))
    counted = sum(len(row.unique()) for row in drawn) / 200
    assert seen_of_even_use(512, 360) == pytest.approx(counted, rel=0.01)


def test_codes_are_counted_over_all_images_however_they_come() -> None:
    loop = make_loop(tiny(family="vq-vae", objective={"codes": 512, "halvings": 3}, model=CONV))
    part, context = loop.dataset.validation, Context(0)
    whole, ones = (measure(loop.model, loop.objective, part, context, n) for n in (256, 1))
    for name in ("codes_in_use", "code_perplexity"):
        assert whole.terms[name] == ones.terms[name]
    assert whole.codes_drawn == 4 * len(part)
    assert "perplexity" not in whole.terms, "a mean over batches says nothing of the part"
    usage = CodeUsage()
    assert usage.terms() == {}
    for batch in ([[3, 3]], [[7], [3]]):
        usage.add(torch.tensor(batch))
    assert usage.drawn == 4 and usage.terms()["codes_in_use"] == 2
    assert usage.terms()["code_perplexity"] == pytest.approx(1.7548, abs=1e-4)


def test_charts_and_summary_say_what_codes_were_counted_on(tmp_path: Path) -> None:
    run = trained(tmp_path, family="fsq", objective={"levels": [4, 4, 4, 4]})
    summary, card, terms = run.summary(), run.data_card(), families["fsq"].terms
    assert 1 <= summary["codes_in_use"] <= 256
    assert summary["codes_drawn"] == 64 * summary["images"]
    unit = terms["codes_in_use"].in_run(run.config(), card).unit
    assert unit == f"of 256, {card.n_validation} images"
    assert "validation images" in terms["codes_in_use"].help
    assert "one training batch" in terms["perplexity"].help
    assert terms["recon"].in_run(run.config(), card) == terms["recon"]


# --- the rate -------------------------------------------------------------------------------------


def test_a_slow_learner_has_not_collapsed_yet(tmp_path: Path) -> None:
    """At a rate of 1e-5 the KL is 0.07 nats at step 50, as that of any network at its start."""
    config = digits(3, train={"learning_rate": 1e-5})
    records = recorded(tmp_path, config)
    late = [r["terms"]["kl"] for r in records if r["kind"] == "step" and r["step"] >= 50]
    assert max(late) < 0.1
    assert told(records, config) == set()


def test_three_odd_steps_are_no_collapse() -> None:
    """The same 300 steps, recorded one by one."""
    kl = [5.0] * 297 + [0.01] * 3
    records = [
        r | {"terms": {"recon": 90.0, "kl": value}, "weights": {"kl": 1.0}}
        for r, value in zip(steps([95.0] * 300), kl, strict=True)
    ]
    config = digits(10)
    assert told(records, config) == set()
    for record in records[-40:]:
        record["terms"]["kl"] = 0.01
    assert told(records, config) == {"collapsed"}


def test_maps_of_latents_share_the_rate_before_the_first_validation(tmp_path: Path) -> None:
    """256 dimensions at 0.2 nats each are no 4 at 13: the setting counts those of one place."""
    config = digits(
        1, family="spatial-vae", objective={"beta": 0.01}, model=CONV, train={"learning_rate": 5e-3}
    )
    records = recorded(tmp_path, config)
    rates = [r["terms"]["kl"] for r in records if r["kind"] == "step"]
    assert max(rates) / config.model.latent_dim > 4.6
    assert learning_curves(records[:3], config).dimensions == 256
    assert told(records, config) == set()


def test_unused_dimensions_do_not_hide_points() -> None:
    per_dim = [9.0] * 8 + [0.01] * 56
    records = [
        r | {"terms": {"recon": 40.0, "kl": 72.5}, "weights": {"kl": 0.002}}
        for r in steps([40.1] * 100)
    ]
    after = {"kind": "validation", "step": 100, "epoch": 1, "total": 41.0, "kl_per_dim": per_dim}
    records.append(after | {"terms": {"recon": 40.9, "kl": 72.5}})
    (finding,) = diagnose(learning_curves(records, digits(4, model={"latent_dim": 64})))
    assert finding.name == "autoencoder" and "9 nats per used dimension" in finding.evidence


def test_a_rate_that_grows_little_by_little_has_not_exploded() -> None:
    """Large images pay 0.01 for each nat gladly; a step that overshoots gets there at once."""
    rates = [4.0 * 1.02**i for i in range(260)]
    assert rates[-1] / 4 > 150
    config = digits(10)

    def records(rates: list[float]) -> list[dict[str, Any]]:
        shown = zip(steps([9000.0] * len(rates)), rates, strict=True)
        return [
            r | {"terms": {"recon": 9000.0, "kl": kl}, "weights": {"kl": 0.01}} for r, kl in shown
        ]

    assert "exploded" not in told(records(rates), config)
    assert "exploded" in told(records([*rates[:50], 700.0]), config)


# --- jumps and overfitting ------------------------------------------------------------------------


def test_a_loss_that_crosses_zero_does_not_jump(tmp_path: Path) -> None:
    """With a learned σ nats pass 0, and single batches scatter by tens of them."""
    model = {"likelihood": "gaussian-optimal"}
    train = {"log_every": 1, "batch_size": 8, "learning_rate": 2e-3}
    config = digits(1, model=model, train=train)
    records = recorded(tmp_path, config)
    totals = [r["total"] for r in records if r["kind"] == "step"]
    assert totals[0] > 0 > min(totals)
    assert told(records, config) == set()


def test_a_beta_turned_up_by_hand_is_no_jump() -> None:
    loop = make_loop(digits(3, train={"log_every": 1}))
    wishes = iter([[]] * 60 + [[Message("set", "beta", 1000.0)]])
    records = [
        {"kind": "step", "step": e.step, "epoch": e.epoch, "terms": e.terms, "total": e.total,
         "weights": e.weights}
        for e in loop.run(lambda: next(wishes, []))
        if type(e).__name__ == "Stepped"
    ]  # fmt: skip
    totals = [record["total"] for record in records]
    assert max(totals[57:63]) > 4 * max(totals[37:57])
    assert "diverging" not in told(records, loop.config)


def test_a_real_jump_is_told_whatever_zero_is() -> None:
    calm = [200.0 - 5 * i for i in range(40)]  # to 5 nats
    for shift in (0.0, -100.0, 5000.0):
        totals = [total + shift for total in calm]
        assert told(steps(totals), digits(1)) == set()
        jump = totals[-1] + 6000.0 * (1 if shift < 5000 else 3)
        assert told(steps([*totals, jump]), digits(1)) == {"diverging"}


def validated(seen: list[float], unseen: list[float]) -> list[dict[str, Any]]:
    """An epoch of one record each, and its validation."""
    records = []
    for epoch, (a, b) in enumerate(zip(seen, unseen, strict=True), 1):
        for kind, total in (("step", a), ("validation", b)):
            about = {"kind": kind, "step": 10 * epoch, "epoch": epoch}
            records.append(about | {"terms": {"recon": total}, "total": total})
    return records


def test_noise_of_few_images_is_no_overfitting() -> None:
    """Validation stands still within 2 nats near 0; training creeps on."""
    generator = torch.Generator().manual_seed(0)
    config = digits(60, family="autoencoder")
    for _ in range(20):
        noise = torch.randn(60, generator=generator).tolist()
        early = [60.0, 30.0, 15.0, 7.0]
        unseen = early + [2.0 * each for each in noise]
        seen = early + [5.0 - 0.1 * i for i in range(60)]
        assert told(validated(seen, unseen), config) == set()


@pytest.mark.parametrize("shift", [0.0, -38.0, 5000.0])
def test_overfitting_is_told_wherever_zero_is(shift: float) -> None:
    """A fixed σ adds thousands of nats that say nothing; a learned one takes the zero away."""
    unseen = [100.0, 70.0, 50.0, 42.0, 40.0] + [40.0 + 0.4 * i for i in range(1, 12)]
    seen = [100.0 * 0.8**i for i in range(16)]
    records = validated([s + shift for s in seen], [u + shift for u in unseen])
    found = findings(learning_curves(records, digits(20, family="autoencoder")))
    assert list(found) == ["overfitted"]
    assert "after epoch 5" in found["overfitted"].evidence
