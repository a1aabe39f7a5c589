"""One training in several processes: the same numbers, decided alike, and saved alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.distributed import (
    TOLERANCE,
    cases,
    compared,
    ended,
    start_ranks,
    weights_apart,
)
from tests.engine import make_loop, tiny, trained
from tests.ranks import SAVED_AT, STOPPED_AT, normalised
from tests.ranks import compared as compared_terms
from vae_core.data.feed import Feed
from vae_core.errors import UserError
from vae_core.families import families
from vae_core.runs import STATE, Run, Store
from vae_core.shares import gathered, normal_like, shares_of, sharing
from vae_core.training.control import send
from vae_core.training.distributed import ALONE, Distributed, join
from vae_core.training.events import Event, Noted, Stepped
from vae_core.training.worker import work


@pytest.mark.parametrize(("batch", "world", "parts"), [(64, 2, 1), (7, 3, 2), (1, 4, 3), (5, 2, 9)])
def test_every_image_is_in_one_share_and_every_process_has_a_row(
    batch: int, world: int, parts: int
) -> None:
    seen: list[int] = []
    every = [shares_of(batch, Distributed(rank, world), parts) for rank in range(world)]
    assert len({len(shares) for shares in every}) == 1, "all take as many passes"
    for each in zip(*every, strict=True):  # the shares of one part
        assert len({share.part for share in each}) == 1
        for share in each:
            assert share.rows >= 1 and share.counted in (0, share.rows)
            assert share.in_part.start + share.part[0] == share.first or not share.counted
            seen += range(share.first, share.first + share.counted)
    assert seen == list(range(batch))


def test_noise_of_an_image_is_that_of_the_whole_batch() -> None:
    def drawn(share: Any, rows: int) -> torch.Tensor:
        with sharing(share):
            like = torch.empty(2 * rows, 3)  # two draws for each
            return normal_like(like, torch.Generator().manual_seed(3))

    whole = drawn(None, 7).unflatten(0, (2, 7))
    for rank in range(3):
        (share,) = shares_of(7, Distributed(rank, 3))
        mine = drawn(share, share.rows).unflatten(0, (2, share.rows))
        assert torch.equal(mine, whole[:, share.places])


def test_augmentation_is_drawn_for_the_whole_batch() -> None:
    config = tiny(train={"augmentation": "flip+shift"})
    loop = make_loop(config)
    indices = np.arange(20, 33)
    whole = loop.feed.at(indices, 4).x
    for rank in range(2):
        (share,) = shares_of(len(indices), Distributed(rank, 2))
        places = np.arange(len(indices))[share.places]
        part, train = loop.dataset.train, config.train
        x = Feed(part, train, loop.device, places=lambda batch, at=places: at).at(indices, 4).x
        assert torch.equal(x, whole[share.places])


def test_two_processes_train_as_one() -> None:
    """Every case at the same batch, the last one of each epoch a single image: losses, validations
    and weights after an epoch. All in one go, as beginning three processes takes longest.
    `python -m benchmarks.distributed equality` does so for 20 steps, and compiled."""
    names = [name for name, case in cases().items() if not case.train.compile]
    apart = {name: max(records, weights) for name, records, weights in compared(names, steps=1)}
    assert {name: far for name, far in apart.items() if not far <= TOLERANCE} == {}
    assert [*apart] == names


def test_every_family_is_compared() -> None:
    assert {family.name for family in families} <= set(cases())


def test_parts_of_a_batch_make_the_step_of_the_whole() -> None:
    """With its noise, its augmentation and its uneven last batch."""
    settings = {"family": "vae", "objective": {"samples": 2}, "data": {"limit": 120}}
    whole, parts = (
        make_loop(tiny(**settings, train={"accumulate": n, "augmentation": "flip", "log_every": 1}))
        for n in (1, 5)
    )
    records = [[e for e in each.run() if isinstance(e, Stepped)] for each in (whole, parts)]
    assert len(records[0]) == len(records[1]) > 3
    for one, other in zip(*records, strict=True):
        assert other.terms == pytest.approx(one.terms, rel=1e-5)
        assert other.total == pytest.approx(one.total, rel=1e-5)
    weights = [each.model.state_dict() for each in (whole, parts)]
    for name, each in weights[0].items():
        torch.testing.assert_close(weights[1][name], each, rtol=1e-4, atol=1e-5)
    states = [each.players.state_dict()["noise"] for each in (whole, parts)]
    assert torch.equal(*states), "as many numbers are drawn"


def test_what_goes_by_parts_is_said() -> None:
    model = {"backbone": "conv-bn", "options": {"channels": [8]}, "likelihood": "gaussian-optimal"}
    loop = make_loop(tiny(model=model, train={"accumulate": 4, "epochs": 1}))
    (said,) = [event.message for event in loop.run() if isinstance(event, Noted)]
    assert "batch normalisation and σ go by 16 images at a time" in said


LOOKING = {
    "beta-tcvae": {},
    "capacity": {},
    "dip-vae": {},
    "factor-vae": {},
    "free-bits": {},
    "info-vae": {},
    "vq-vae": {},
    "wae": {},
    "contractive": {},
    "sparse": {"penalty": "kl"},
}


@pytest.mark.parametrize("family", [family.name for family in families])
def test_families_that_look_at_whole_batches_accumulate_nothing(family: str) -> None:
    """Those that would gather one are those whose check says so."""
    config = tiny(
        family=family,
        objective=LOOKING.get(family, {}),
        data={"limit": 100},
        train={"accumulate": 2, "batch_size": 8, "epochs": 1},
    )
    if family in LOOKING:
        with pytest.raises(UserError, match=r"train\.accumulate: .* looks at all images"):
            make_loop(config)
    else:
        loop = make_loop(config)
        loop.players.step(*loop.batch(np.arange(8)))


def test_a_family_that_gathers_without_saying_so_is_refused() -> None:
    with sharing(shares_of(8, ALONE, 2)[0]), pytest.raises(UserError, match="compares all images"):
        gathered(torch.zeros(4))


def test_a_process_alone_is_no_group() -> None:
    assert join(False, {}) is ALONE and join(False, {"WORLD_SIZE": "1"}) is ALONE
    with pytest.raises(UserError, match="RANK"):
        join(False, {"WORLD_SIZE": "2"})


HANDED_ON = {
    "family": "vq-vae",
    "objective": {"codes": 16},
    "train": {"batch_size": 61, "log_every": 1},
}
"""Codes move by themselves and draw from torch's own generator; batches are uneven."""


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left behind, see tests/ranks.py."""
    folder = tmp_path_factory.mktemp("together")
    config = tiny(**HANDED_ON)
    for name in ("begun-together", "begun-alone"):
        Store(folder).create(name, config)

    def stop(event: Event) -> None:
        if event.step == STOPPED_AT and isinstance(event, Stepped):
            send(alone, {"command": "stop"})

    alone = Store(folder).get("begun-alone")
    work(alone, lambda total, first: [stop])
    assert alone.status().state == "stopped"
    ranks = start_ranks(str(folder), module="tests.ranks", OMP_NUM_THREADS="1")
    assert ended(ranks, 300) == [0, 0]
    return folder


def said(folder: Path, rank: int) -> dict[str, Any]:
    return dict(json.loads((folder / f"{rank}.json").read_text()))


def test_messages_reach_all_processes_before_the_same_step(together: Path) -> None:
    first, second = (said(together, rank)["control"] for rank in range(2))
    assert first == second
    assert ["ValueSet", 2, 0.5] in first and ["overrides", {"beta": 0.5}] in first
    assert [each[:2] for each in first if each[0] in ("PauseChanged", "Noted", "Ended")] == [
        ["PauseChanged", 4],
        ["PauseChanged", 4],
        ["Noted", 5],
        ["Ended", STOPPED_AT],
    ]
    saved = [each[1] for each in first if each[0] == "Checkpoint"]
    assert saved == [SAVED_AT, 4, 4, 5, STOPPED_AT], "by the first one's clock, and as asked"


def weights_of(run: Run) -> dict[str, torch.Tensor]:
    modules = run.training_state(STATE)["modules"]
    return {name: each for module in modules.values() for name, each in module.items()}


def test_a_run_goes_on_in_another_number_of_processes(together: Path, tmp_path: Path) -> None:
    whole = trained(tmp_path, "whole", **HANDED_ON)
    for name in ("begun-together", "begun-alone"):
        run = Store(together).get(name)
        if name == "begun-together":
            assert run.status().state == "stopped" and run.weights_step() == STOPPED_AT
            work(run)
        assert run.status().state == "finished"
        assert {each.name for each in run.path.iterdir()} - {"job.json", "control.jsonl"} == {
            each.name for each in whole.path.iterdir()
        } - {"job.json", "control.jsonl"}
        assert weights_apart(weights_of(whole), weights_of(run)) < TOLERANCE
        measured = (each.summary()["recon"] for each in (whole, run))
        assert next(measured) == pytest.approx(next(measured), rel=TOLERANCE)


def test_terms_of_the_whole_batch_have_its_gradients(together: Path) -> None:
    whole = compared_terms()
    parts = [torch.load(together / f"compared-{rank}.pt", weights_only=True) for rank in range(2)]
    there = parts[0]["sums"] + parts[1]["sums"], torch.cat([part["z"] for part in parts])
    torch.testing.assert_close(there, (whole["sums"], whole["z"]), rtol=1e-10, atol=1e-12)


def test_batch_normalisation_goes_by_the_images_of_all(together: Path) -> None:
    """As torch's own of the whole batch: four images here and three there."""
    whole = normalised()
    parts = [torch.load(together / f"normalised-{rank}.pt", weights_only=True) for rank in range(2)]
    for name, each in whole.items():
        if name in ("out", "x"):
            there = torch.cat([part[name] for part in parts])
        elif name.endswith(".grad"):
            there = parts[0][name] + parts[1][name]
        else:
            there = parts[0][name]
            assert torch.equal(there, parts[1][name])
        torch.testing.assert_close(there, each, rtol=1e-10, atol=1e-12)


def test_what_processes_tell_each_other(together: Path) -> None:
    for rank in range(2):
        found = said(together, rank)
        assert found["told"] and found["gathered"] == [{"rank": 0}, {"rank": 1}]
        assert found["compressed"] == [2.0] * 3, "bf16 has eight bits"
    assert said(together, 1)["dismissed"] == "Dismissed: It is over."
    lost = said(together, 0)["lost"]
    assert "The 2 processes of this training could not add up" in lost
    assert "resume the run" in lost
