"""Black and white as a data setting: what is drawn, that it stays, and that it is said."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from tests.engine import built_in, make_loop, tiny, trained
from tests.pictures import lay_out, png
from tests.test_families import through_a_file
from vae_core.cli.app import app
from vae_core.config import DataConfig, TrainConfig
from vae_core.data import ArrayImages, Dataset, ImageSet, hold_outs, load_dataset
from vae_core.data.batches import as_floats
from vae_core.data.binarised import binarised, binarised_part, grey_of
from vae_core.data.feed import Feed
from vae_core.data.images import concatenate, subset
from vae_core.data.inputs import fit_drawing, measure_ink, read_picture
from vae_core.data.new_images import load_new_images
from vae_core.data.sets.binarized_mnist import read_amat
from vae_core.data.split_record import record_splits
from vae_core.errors import UserError
from vae_core.latent.encodings import load_encodings
from vae_core.run_data import dataset_of
from vae_core.runs import in_words, measured_on
from vae_core.shares import shares_of
from vae_core.sweeps.resolved import resolved
from vae_core.training.distributed import Distributed
from vae_core.training.events import Checkpoint, Previewed, Stepped

CPU = torch.device("cpu")
DIGITS = {"dataset": "digits", "image_size": 16, "limit": 300}
HOW = ["threshold", "static", "dynamic"]


def ramp(n: int = 256) -> ImageSet:
    """n images of one grey value each, told apart by nothing else but their hashes."""
    images = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 1, 32, 32))
    return ImageSet(ArrayImages(np.ascontiguousarray(images)))


def pixels(part: ImageSet) -> np.ndarray:
    return part.images.gather(np.arange(len(part)))


def digits(how: str) -> Dataset:
    return built_in(DataConfig(**DIGITS, binarise=how))


@pytest.mark.parametrize("how", HOW)
def test_grey_values_are_the_chance_of_white(how: str) -> None:
    """Every level, 1024 pixels each: none of black, all of white, shares within five deviations."""
    shown = pixels(binarised_part(ramp(), how))
    assert set(np.unique(shown)) == {0, 255} and shown.dtype == np.uint8
    share, p = (shown == 255).mean((1, 2, 3)), np.arange(256) / 255
    assert share[0] == 0 and share[255] == 1
    if how == "threshold":
        assert np.array_equal(share, p > 0.5)
    else:
        assert (np.abs(share - p) <= 5 * np.sqrt(p * (1 - p) / 1024)).all()
        assert np.abs(share - p).mean() > 1e-3, "drawn, not dithered"


def test_fresh_draws_are_exact_in_the_mean_and_differ_by_step_and_seed() -> None:
    part = binarised_part(ramp(), "dynamic")
    mean, n, seen = np.zeros(256), 60, set()
    for step in range(n):
        x = Feed(part, TrainConfig(), CPU).at(np.arange(256), step).x
        assert set(x.unique().tolist()) == {0.0, 1.0}
        mean += x.sum((1, 2, 3)).numpy()
        seen.add(x.numpy().tobytes())
    p, mean = np.arange(256) / 255, mean / (1024 * n)
    assert (np.abs(mean - p) <= 5 * np.sqrt(p * (1 - p) / (1024 * n))).all()
    other = Feed(part, TrainConfig(seed=1), CPU).at(np.arange(256), 0).x
    assert len(seen | {other.numpy().tobytes()}) == n + 1


def test_what_is_drawn_once_is_the_same_in_any_part_order_and_run() -> None:
    grey, static, dynamic = (digits(how) for how in ("none", "static", "dynamic"))
    for name, part in static.parts.items():
        assert np.array_equal(pixels(part), pixels(dynamic.parts[name]))
        assert np.array_equal(part.known_hashes, grey.parts[name].known_hashes)
        assert not np.array_equal(pixels(part), pixels(grey.parts[name]))
    assert record_splits(static).digest() == record_splits(grey).digest()
    few = np.array([7, 3, 250])
    assert np.array_equal(static.train.images.gather(few), pixels(subset(static.train, few)))
    # Of other images, in another number of them: an image keeps its draws.
    fewer = load_dataset(DataConfig(**DIGITS | {"limit": 40}, binarise="static")).train
    places = {int(h): i for i, h in enumerate(static.train.known_hashes)}
    rows = np.array([places[int(h)] for h in fewer.known_hashes])
    assert np.array_equal(pixels(fewer), static.train.images.gather(rows))


def test_training_sees_fresh_draws_however_its_images_are_arranged() -> None:
    """In the order of a record, joined, resident or read by windows: those of seed and step."""
    train = TrainConfig(batch_size=16, seed=3, augmentation="flip+shift")
    whole = binarised_part(ramp(64), "dynamic")
    rows = np.random.default_rng(0).permutation(64)
    shuffled = subset(whole, rows)
    back = np.argsort(rows)
    joined = replace(whole, images=concatenate([whole.images, subset(whole, rows).images]))
    indices = np.arange(10, 26)
    expected = Feed(whole, train, CPU).at(indices, 5).x
    windows = Feed(whole, train.model_copy(update={"shuffling": "windows"}), CPU)
    windows.expect([indices])
    for feed, asked in (
        (Feed(whole, train, CPU, resident=True), indices),
        (Feed(shuffled, train, CPU), back[indices]),
        (Feed(joined, train, CPU), indices),
        (windows, indices),
    ):
        assert torch.equal(feed.at(asked, 5).x, expected)
    static = binarised_part(ramp(64), "static")
    assert grey_of(static.images) is None and grey_of(joined.images) is not None
    plain = train.model_copy(update={"augmentation": "none"})
    steps = [Feed(static, plain, CPU).at(indices, step).x for step in (0, 9)]
    assert torch.equal(*steps) and torch.equal(
        steps[0], as_floats(static.images.gather(indices), CPU)
    )


def test_each_process_draws_its_rows_of_the_whole_batch() -> None:
    part, train = binarised_part(ramp(), "dynamic"), TrainConfig(batch_size=13)
    indices = np.arange(20, 33)
    whole = Feed(part, train, CPU).at(indices, 4).x
    for rank in range(2):
        (share,) = shares_of(len(indices), Distributed(rank, 2))
        places = np.arange(len(indices))[share.places]
        own = Feed(part, train, CPU, places=lambda batch, at=places: at).at(indices, 4).x
        assert torch.equal(own, whole[share.places])


def test_a_resumed_run_draws_what_an_uninterrupted_one_does() -> None:
    config = tiny(data={"binarise": "dynamic"}, train={"log_every": 1, "checkpoint_every": 3})
    whole = make_loop(config)
    saves = (e for e in make_loop(config).run() if isinstance(e, Checkpoint) and e.step == 3)
    resumed = make_loop(config, through_a_file(next(saves).state))
    events, later = list(whole.run()), list(resumed.run())
    steps = [
        [(e.step, e.total) for e in each if isinstance(e, Stepped)] for each in (events, later)
    ]
    assert steps[1] == steps[0][3:] and len(steps[1]) > 3
    for (name, a), b in zip(
        whole.model.state_dict().items(), resumed.model.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name


def test_previews_and_what_a_run_keeps_are_black_and_white(tmp_path: Path) -> None:
    """The originals of previews, thumbnails, and the images that are opened for a run again."""
    config = tiny(data={"binarise": "dynamic"})
    loop = make_loop(config)
    preview = next(e for e in loop.run() if isinstance(e, Previewed))
    fixed = loop.dataset.validation.images.gather(hold_outs(loop.dataset))
    assert np.array_equal(preview.originals.numpy() * 255, fixed)
    run = trained(tmp_path, data={"binarise": "dynamic"})
    kept = load_encodings(run)
    assert set(np.unique(kept.thumbnails)) == {0, 255}
    again = dataset_of(run)
    assert again.difference is None
    assert np.array_equal(again.train.images.gather(kept.indices), kept.thumbnails)


def test_how_images_were_binarised_is_said_beside_every_figure(tmp_path: Path) -> None:
    run = trained(tmp_path, data={"binarise": "dynamic"})
    count = run.data_card().n_validation
    said = f"{count} validation images, dynamically binarised"
    assert str(measured_on(run)) == said
    told = CliRunner().invoke(app, ["evaluate", run.id, "--store", str(tmp_path), "--json"])
    report = json.loads(told.stdout)
    assert (report["measured_on"], report["binarise"]) == (said, "dynamic")
    listed = CliRunner().invoke(app, ["list", "--store", str(tmp_path), "--json"])
    assert json.loads(listed.stdout)[0]["measured_on"] == said
    assert in_words(1, "test", "static") == "1 test image, statically binarised"
    assert in_words(2, "train") == "2 training images"


def test_nats_of_differently_binarised_images_do_not_compare(tmp_path: Path) -> None:
    grey, static = (
        resolved(trained(tmp_path, how, data={"binarise": how})) for how in ("none", "static")
    )
    assert grey.nats != static.nats and grey.condition != static.condition


def test_colours_are_refused_and_grey_of_them_is_not(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "own", {f"{i}.png": png(i) for i in range(8)})
    data = DataConfig(dataset="folder", data_dir=str(folder), image_size=16, binarise="static")
    colour = replace(digits("none"), train=ImageSet(ArrayImages(np.zeros((2, 3, 8, 8), np.uint8))))
    with pytest.raises(UserError, match=r"data\.binarise: .* 3 channels; set data\.channels to 1"):
        binarised(colour, "static")
    found = load_dataset(data.model_copy(update={"channels": 1}))
    assert set(np.unique(pixels(found.train))) == {0, 255}


def test_images_of_ones_own_are_made_black_and_white_as_the_run_was(tmp_path: Path) -> None:
    """A file, a folder and a drawing; the same file comes out the same."""
    image = np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    data, shape = DataConfig(binarise="static", image_size=16), (1, 16, 16)
    read = [read_picture(io.BytesIO(file.getvalue()), data, shape) for _ in range(2)]
    assert np.array_equal(*read) and set(np.unique(read[0])) == {0, 255}
    lay_out(tmp_path / "new", {"a.png": file.getvalue(), "b.png": png(1)})
    seen, _, _ = load_new_images([tmp_path / "new"], data, shape)
    assert np.array_equal(seen.images.gather(np.array([0])), read[:1])
    assert seen.hashes is not None and len(seen.hashes) == 2
    ink = measure_ink(pixels(digits("static").train))
    strokes = np.zeros((100, 100), np.uint8)
    strokes[20:80, 40:60] = 255
    assert set(np.unique(fit_drawing(strokes, ink, shape, "static"))) == {0, 255}


# --- the published draws --------------------------------------------------------------------------


def amat(images: np.ndarray) -> bytes:
    """Bits [N, 784] as the published files have them."""
    return b"".join(b" ".join(b"%d" % bit for bit in row) + b" \n" for row in images)


@pytest.mark.parametrize("below", ["", "binarized_mnist"])
def test_the_published_draws_are_read_as_they_are(tmp_path: Path, below: str) -> None:
    bits = np.random.default_rng(0).integers(0, 2, (35, 784))
    folder = tmp_path / below
    folder.mkdir(exist_ok=True)
    for part, rows in (("train", bits[:20]), ("valid", bits[20:30]), ("test", bits[30:])):
        (folder / f"binarized_mnist_{part}.amat").write_bytes(amat(rows))
    dataset = load_dataset(DataConfig(dataset="binarized_mnist", data_dir=str(tmp_path)))
    assert dataset.test is not None and dataset.train.labels is None
    found = np.concatenate([pixels(each) for each in dataset.parts.values()])
    assert np.array_equal(found.reshape(35, 784), bits * 255)
    assert any("20 training, 10 validation and 5 test images" in note for note in dataset.notes)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"0 1 2", "other signs"),
        (b"0 1 0", "3 numbers are no images of 28×28"),
        (b"01 0 1", "other numbers than 0 and 1"),
        (b"", "0 numbers"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_amat(data)
    for part in ("train", "valid", "test"):
        (tmp_path / f"binarized_mnist_{part}.amat").write_bytes(data)
    with pytest.raises(UserError, match=rf"binarized_mnist_train\.amat cannot be read: .*{said}"):
        load_dataset(DataConfig(dataset="binarized_mnist", data_dir=str(tmp_path)))


def test_missing_files_are_named_with_where_they_come_from(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"binarized_mnist_valid\.amat.*Fetch them from http"):
        load_dataset(DataConfig(dataset="binarized_mnist", data_dir=str(tmp_path)))
