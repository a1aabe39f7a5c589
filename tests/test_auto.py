"""What is decided from the images where the settings leave it to them, and what they are like."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.collections_drawn import cut_scene, draw_face
from tests.commands import vae_core
from tests.engine import built_in, make_loop, tiny
from tests.pictures import picture
from vae_core.auto import (
    DECISIONS,
    Known,
    open_settings,
    resolve,
    shuffling,
    usual,
    validation_images,
)
from vae_core.choices import BY_MACHINE
from vae_core.config import DataConfig, RunConfig, parse_config
from vae_core.data import ArrayImages, Dataset, ImageSet
from vae_core.data.content import (
    Content,
    changes_kind,
    intrinsic_dimension,
    look_at,
    two_tone,
)
from vae_core.data.splits import split_dataset, validation_share
from vae_core.errors import UserError
from vae_core.families import build, complete, families
from vae_core.imaging.png import from_png, untile
from vae_core.locations import SHIPPED
from vae_core.presets import LEFT_TO_THE_DATA
from vae_core.runs import Choices, DataCard, Run, Store, layout

OPEN = {"model.likelihood", "model.latent_dim", "train.batch_size", "train.augmentation",
        "train.epochs", "train.early_stopping_patience", "train.validation_images",
        "train.shuffling"}  # fmt: skip


def left_open(**changes: Any) -> RunConfig:
    """Everything that the data can decide is left to them."""
    return complete(parse_config(LEFT_TO_THE_DATA).updated(changes))


def collection(images: np.ndarray, labels: np.ndarray | None = None) -> Dataset:
    """Images uint8 [N, C, H, W] as a data set whose validation share is left open."""
    config = DataConfig.model_validate({"validation_fraction": "auto"})
    names = () if labels is None else tuple(map(str, np.unique(labels)))
    return split_dataset(
        "x", ImageSet(ArrayImages(images), labels), None, config, label_names=names
    )


def drawn(draw: Callable[[np.random.Generator], Image.Image], count: int) -> np.ndarray:
    """So many drawn pictures: uint8 [N, C, H, W]."""
    pixels = np.stack([np.asarray(draw(np.random.default_rng(seed))) for seed in range(count)])
    return pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)


def scenes(count: int, side: int = 32) -> np.ndarray:
    return drawn(lambda random: cut_scene(random, (side, side)), count)


def noise(count: int, shape: tuple[int, int, int] = (3, 12, 12)) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *shape), dtype=np.uint8)


# --- how many ways it varies ----------------------------------------------------------------------


def cube(dimensions: int, count: int = 1500) -> np.ndarray:
    """Points of a cube, turned into 30 dimensions."""
    random = np.random.default_rng(dimensions)
    turned = np.linalg.qr(random.normal(size=(30, 30)))[0][:dimensions]
    return random.random((count, dimensions)) @ turned


def sphere(dimensions: int, count: int = 1500) -> np.ndarray:
    points = np.random.default_rng(dimensions).normal(size=(count, dimensions + 1))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def swiss_roll(count: int = 1500) -> np.ndarray:
    random = np.random.default_rng(0)
    t = 1.5 * np.pi * (1 + 2 * random.random(count))
    return np.stack([t * np.cos(t), 21 * random.random(count), t * np.sin(t)], axis=1)


@pytest.mark.parametrize(
    ("points", "true", "within"),
    [
        (sphere(1), 1, 0.05),
        (cube(2), 2, 0.1),
        (swiss_roll(), 2, 0.15),
        (sphere(5), 5, 0.3),
        (cube(5), 5, 0.6),
        (sphere(12), 12, 1.7),
    ],
    ids=["circle", "square", "swiss roll", "5-sphere", "5-cube", "12-sphere"],
)
def test_the_dimensions_of_known_manifolds_are_found(
    points: np.ndarray, true: int, within: float
) -> None:
    assert intrinsic_dimension(points) == pytest.approx(true, abs=within)


def test_neither_scale_nor_copies_count_as_dimensions() -> None:
    points = cube(3)
    found = intrinsic_dimension(points)
    assert intrinsic_dimension(255 * points) == pytest.approx(found)
    assert intrinsic_dimension(np.concatenate([points, points])) == pytest.approx(found)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_points_have_no_known_dimension(count: int) -> None:
    assert np.isnan(intrinsic_dimension(cube(2, count)))


# --- what may be mirrored and shifted -------------------------------------------------------------


def mnist(count: int) -> Content:
    """Handwritten digits as the shipped model keeps them: evenly of each kind."""
    run = Run(SHIPPED / "mnist-vae")
    sheet = from_png(run.read(layout.THUMBNAILS), 1)
    images = untile(sheet, 28, 28, 3000)[:: 3000 // count]
    return Content(images, None)


def test_digits_are_neither_mirrored_nor_shifted() -> None:
    digits = look_at(built_in(DataConfig(dataset="digits")).train)
    for content in (digits, Content(digits.images, None), mnist(500), mnist(1500)):
        for change in ("flip", "shift"):
            assert "nearest neighbours recognise" in changes_kind(content, change), change


@pytest.mark.parametrize("count", [160, 400])
def test_faces_and_scenes_may_be_mirrored(count: int) -> None:
    for images in (drawn(draw_face, count), scenes(count)):
        content = look_at(ImageSet(ArrayImages(images)))
        assert changes_kind(content, "flip") == ""


def arrows(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Arrows to the left and to the right, at many heights: mirrored, each becomes the other."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = np.zeros((count, 1, 24, 24), np.uint8)
    for image, label in zip(images[:, 0], labels, strict=True):
        y = random.integers(6, 18)
        image[y, 4:20] = random.integers(120, 256)
        head = range(5) if label == 0 else range(19, 14, -1)
        for step, x in enumerate(head):
            image[y - step : y + step + 1, x + (4 if label == 0 else 0) - 0] = 255
    return images, labels


def test_what_mirrors_one_label_into_another_is_not_mirrored() -> None:
    images, labels = arrows(300)
    assert changes_kind(Content(images, None), "flip") == ""
    assert "taken for another label" in changes_kind(Content(images, labels), "flip")


def test_a_run_that_shows_images_otherwise_resumes_to_the_same_weights() -> None:
    config = tiny(train={"augmentation": "flip+shift", "epochs": 2})
    whole, halfway = make_loop(config), make_loop(config)
    list(whole.run())
    events = halfway.run()
    while halfway.step < 3:
        next(events)
    resumed = make_loop(config, halfway.checkpoint().state)
    list(resumed.run())
    for name, tensor in whole.model.state_dict().items():
        assert np.array_equal(tensor, resumed.model.state_dict()[name]), name


# --- what is decided ------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 5, 16, 48, 166, 534, 3000])
def test_any_number_of_images_can_be_trained_on(count: int) -> None:
    dataset = collection(noise(count))
    config, choices = resolve(left_open(), dataset)
    assert open_settings(config) == []
    assert {choice.setting for choice in choices} == OPEN | {"data.validation_fraction"}
    assert all(choice.reason.endswith(".") for choice in choices)
    train, n = config.train, len(dataset.train)
    assert 1 <= train.batch_size <= n
    assert 2000 <= train.total_steps(n) < 20_000 + train.steps_per_epoch(n)
    assert 10 <= train.early_stopping_patience <= train.epochs
    assert (config, choices) == resolve(left_open(), collection(noise(count)))


@pytest.mark.parametrize(
    ("count", "share"), [(2, 0.2), (48, 0.2), (166, 0.2), (534, 0.094), (3000, 0.05), (10**6, 0.05)]
)
def test_few_images_spare_more_of_them(count: int, share: float) -> None:
    assert validation_share(count) == share


def test_what_was_decided_about_the_split_is_what_was_split() -> None:
    dataset = collection(noise(400))
    assert dataset.resolved is not None and dataset.resolved.validation_fraction == 0.125
    again = split_dataset("x", ImageSet(ArrayImages(noise(400))), None, dataset.resolved)
    assert np.array_equal(again.train.known_hashes, dataset.train.known_hashes)


@pytest.mark.parametrize(
    ("learned", "held_out", "measured"),
    [(900, 100, 0), (20_000, 1000, 0), (100_000, 10_000, 2000), (5000, 1001, 1000)],
)
def test_so_many_images_are_measured_each_epoch(learned: int, held_out: int, measured: int) -> None:
    card = DataCard(dataset="folder", image_shape=(1, 8, 8), n_train=learned, n_validation=held_out)
    known = Known(tiny(), card, look_at(collection(noise(30)).train))
    count, reason = validation_images(known)
    assert count == measured and str(measured or held_out) in reason


@pytest.mark.parametrize(("learned", "how"), [(650_000, "whole"), (660_000, "windows")])
def test_images_beyond_8_gb_are_shuffled_by_windows(learned: int, how: str) -> None:
    card = DataCard(dataset="folder", image_shape=(3, 64, 64), n_train=learned, n_validation=9)
    known = Known(tiny(), card, look_at(collection(noise(30)).train))
    chosen, reason = shuffling(known)
    assert chosen == how and {"whole": "7.99 GB", "windows": "8.11 GB"}[how] in reason


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.latent_dim", 3), ("model.likelihood", "bernoulli"), ("train.batch_size", 7),
        ("train.epochs", 2), ("train.augmentation", "none"), ("train.early_stopping_patience", 0),
        ("train.validation_images", 11), ("train.shuffling", "windows"),
    ],
)  # fmt: skip
def test_what_is_fixed_is_not_touched(path: str, value: object) -> None:
    section, name = path.split(".")
    config, choices = resolve(left_open(**{section: {name: value}}), collection(noise(40)))
    assert getattr(getattr(config, section), name) == value
    assert path not in {choice.setting for choice in choices}


def test_nothing_is_looked_at_where_nothing_is_open() -> None:
    config = tiny(model={"likelihood": "bernoulli"})

    def progress(message: str, share: float | None) -> None:
        raise AssertionError(message)

    assert resolve(config, built_in(config.data), progress) == (config, ())


def test_ink_and_light_have_their_likelihoods() -> None:
    inked = Content(mnist(500).images, None)
    faces = Content(drawn(draw_face, 40), None)
    assert two_tone(inked) > 0.8 and two_tone(faces) < 0.4
    of_faces, _ = resolve(left_open(), collection(faces.images))
    of_ink, _ = resolve(left_open(), collection(inked.images))
    of_colour, _ = resolve(left_open(), collection(noise(40)))
    found = [each.model.likelihood for each in (of_faces, of_ink, of_colour)]
    assert found == ["gaussian-optimal", "bernoulli", "gaussian-optimal"]


def test_more_ways_to_vary_have_more_latents() -> None:
    random = np.random.default_rng(0)
    basis = random.normal(size=(40, 12 * 12 * 3))

    def mixtures(dimensions: int) -> np.ndarray:
        weights = random.normal(size=(800, dimensions))
        pixels = 128 + 60 * weights @ basis[:dimensions] / np.sqrt(dimensions)
        return np.clip(pixels, 0, 255).astype(np.uint8).reshape(800, 3, 12, 12)

    few, many = (
        resolve(left_open(), collection(mixtures(count)))[0].model.latent_dim for count in (3, 40)
    )
    assert few == 16 < many <= 128


@pytest.mark.parametrize("family", [entry.name for entry in families if not entry.needs_labels])
def test_every_family_builds_with_what_is_decided(family: str) -> None:
    dataset = collection(scenes(60))
    try:
        config, _ = resolve(left_open(family=family), dataset)
        model, _ = build(config, dataset.image_shape)
    except UserError as error:  # it asks for more than images, and says what
        assert family in {"full-covariance", "k-sparse", "fsq"}, error
        return
    assert model.latent_size >= 16 or family == "fsq"


def test_a_model_of_what_is_open_is_refused_and_the_usual_one_is_not() -> None:
    with pytest.raises(UserError, match=r"model\.latent_dim is left to the data"):
        build(left_open(), (3, 32, 32))
    assert usual(left_open()).model.latent_dim == 16
    assert open_settings(usual(left_open())) == ["model.likelihood"], "which every image has"


def test_auto_is_said_in_words_and_read_again() -> None:
    config = left_open()
    written = json.loads(config.to_json())
    assert written["model"]["latent_dim"] == written["train"]["epochs"] == "auto"
    assert parse_config(config.to_json()) == config
    assert config.updated({"train": {"epochs": 3}}).train.epochs == 3
    with pytest.raises(UserError, match=r"train\.batch_size: .*valid integer"):
        parse_config({"train": {"batch_size": "automatic"}})
    assert set(DECISIONS) == OPEN


# --- a folder of a person's own -------------------------------------------------------------------


def folder(path: Path, pictures: Iterator[tuple[str, Image.Image]]) -> Path:
    for name, image in pictures:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(path / name)
    return path


def train(path: Path, store: Path, *more: str) -> Any:
    return vae_core(
        "train", "--dataset", "folder", "--data-dir", str(path), "--epochs", "1",
        "--set", "train.threads=1", "--set", "train.device=cpu",
        "--set", 'model.options={"channels":[4,8],"hidden":8}', "--store", str(store), *more,
    )  # fmt: skip


def test_forty_eight_images_train_with_nothing_set_and_say_why(tmp_path: Path) -> None:
    pictures = ((f"holiday pics/img_{i:02d}.png", picture(i)) for i in range(48))
    place = folder(tmp_path, pictures) / "holiday pics"
    done = train(place, tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    run = Store(tmp_path / "runs").get("holiday-pics")
    config, kept = run.config(), run.parse(layout.CHOICES, Choices).choices
    assert config.train.batch_size == 8 and open_settings(config) == []
    decided = (OPEN - {"train.epochs"}) | {"data.validation_fraction", "data.image_size"}
    assert {each.setting for each in kept} == decided | BY_MACHINE
    assert "auto" not in json.loads(run.text(layout.CONFIG))["train"].values()


HUGE = (4000, 3000)


@pytest.mark.parametrize(
    ("name", "pictures", "sentence"),
    [
        ("one", lambda: [("a.png", picture(0))], "only one image"),
        ("two", lambda: [("a.png", picture(0)), ("b.png", picture(1))], ""),
        (
            "alike",
            lambda: [(f"{i}.png", picture(0)) for i in range(30)],
            "All 30 images are copies of one",
        ),
        (
            "many classes",
            lambda: [(f"{n % 150:03d}/{n}.png", picture(n)) for n in range(290)],
            "",
        ),
        ("huge", lambda: [(f"{i}.jpg", picture(i, size=HUGE)) for i in range(5)], ""),
    ],
)
def test_odd_collections_train_or_say_one_sentence(
    tmp_path: Path,
    name: str,
    pictures: Callable[[], list[tuple[str, Image.Image]]],  # drawn here: each worker collects all
    sentence: str,
) -> None:
    done = train(folder(tmp_path / name, iter(pictures())), tmp_path / "runs")
    if sentence:
        assert done.returncode == 2 and sentence in done.stderr.splitlines()[-1]
        return
    assert done.returncode == 0, done.stderr
    (run,) = Store(tmp_path / "runs")
    assert run.status().state == "finished"
    assert run.config().train.batch_size <= run.data_card().n_train
