"""What a folder's images become by themselves: one scale, their own proportions, what is said."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pictures import encoded, lay_out, picture, png
from vae_core.config import DataConfig, parse_config
from vae_core.data import Dataset, load_dataset
from vae_core.data.inputs import read_picture
from vae_core.data.npy import NpyWriter
from vae_core.data.shaping import kept_survey, natural_size, range_note, require_channels
from vae_core.errors import UserError
from vae_core.imaging import survey as surveys
from vae_core.imaging.decode import Reader
from vae_core.imaging.fit import Target, content_box, cut_share, eight_bits, fit
from vae_core.imaging.look import look, look_at
from vae_core.imaging.reading import Picture
from vae_core.imaging.survey import Survey, merge
from vae_core.imaging.walk import list_folder
from vae_core.progress import no_progress
from vae_core.runs.migrations import stored_config, to_store

RNG = np.random.default_rng(0)


def load(path: Path, **wishes) -> Dataset:
    return load_dataset(DataConfig(dataset="folder", data_dir=str(path), **wishes))


def tiff(values: np.ndarray) -> bytes:
    return encoded(Image.fromarray(values), "TIFF")


def by_file(dataset: Dataset) -> dict[str, np.ndarray]:
    found = {}
    for part in dataset.parts.values():
        found.update(zip(part.files, part.images.gather(np.arange(len(part))), strict=True))
    return found


def noise(low: float, high: float, size: tuple[int, int] = (16, 16)) -> np.ndarray:
    values = RNG.uniform(low, high, size)
    values.flat[:2] = low, high
    return values


# --- one scale for a folder ---------------------------------------------------------------------


def test_floats_share_one_scale(tmp_path: Path) -> None:
    """float-scale: 0.5 was 128 in one file and 0 in the other, by the largest value of each."""
    first, second = (np.full((16, 16), 0.5, np.float32) for _ in range(2))
    first[0, 0], second[0, 0] = 0.0, 1.01
    found = by_file(load(lay_out(tmp_path, {"a.tif": tiff(first), "b.tif": tiff(second)})))
    assert found["a.tif"][0, 8, 8] == found["b.tif"][0, 8, 8] == round(255 * 0.5 / 1.01)
    assert found["a.tif"][0, 0, 0] == 0 and found["b.tif"][0, 0, 0] == 255


@pytest.mark.parametrize(
    ("kind", "low", "high", "said"),
    [
        (
            np.uint16,
            1000,
            1100,
            "Values 1 000 to 1 100 of 0 to 65 535 are shown as black to white.",
        ),
        (np.uint16, 0, 4095, "Values 0 to 4 095 of 0 to 65 535 are shown as black to white."),
        (np.float32, -1000, 3000, "Values −1 000 to 3 000 are shown as black to white."),
        (np.int32, -70000, 70000, "Values −70 000 to 70 000 of −2"),
    ],
)
def test_the_range_of_a_folder_is_stretched_and_said(
    tmp_path: Path, kind: type, low: int, high: int, said: str
) -> None:
    """16 bits from 1000 to 1100 were 4, 12 bits 17 grey levels, Hounsfield floats were cut."""
    files = {f"{i}.tif": tiff(noise(low, high).astype(kind)) for i in range(4)}
    dataset = load(lay_out(tmp_path, files))
    pixels = np.concatenate(list(by_file(dataset).values()))
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert len(np.unique(pixels)) > min(90, high - low - 10)
    assert dataset.resolved is not None and dataset.resolved.window == (low, high)
    (choice,) = (each for each in dataset.choices if each.setting == "data.window")
    assert choice.value == [low, high] and choice.reason.startswith(said)


def test_a_few_hot_pixels_do_not_set_the_scale(tmp_path: Path) -> None:
    values = [noise(1000, 1100, (40, 40)).astype(np.uint16) for _ in range(3)]
    for each in values:
        each[3, 5] = 65535
    dataset = load(lay_out(tmp_path, {f"{i}.tif": tiff(each) for i, each in enumerate(values)}))
    assert dataset.resolved is not None and dataset.resolved.window is not None
    assert dataset.resolved.window.low == 1000 and 1095 <= dataset.resolved.window.high <= 1100
    reason = next(each.reason for each in dataset.choices if each.setting == "data.window")
    assert "the images reach from 1 000 to 65 535, and what lies beyond is cut" in reason


def test_what_is_no_number_is_black_and_does_not_count(tmp_path: Path) -> None:
    values = [noise(2, 4).astype(np.float32) for _ in range(3)]
    values[0][5:9, 5:9] = np.nan
    values[1][5:9, 5:9] = np.inf
    values[2][5:9, 5:9] = -np.inf
    dataset = load(lay_out(tmp_path, {f"{i}.tif": tiff(each) for i, each in enumerate(values)}))
    assert dataset.resolved is not None and dataset.resolved.window == (2, 4)
    assert all((image[0, 6:8, 6:8] < 10).all() for image in by_file(dataset).values())


def test_eight_bits_stay_beside_deep_ones_and_alone(tmp_path: Path) -> None:
    grey = {f"{i}.png": png(i, "L") for i in range(3)}
    alone = load(lay_out(tmp_path / "a", grey))
    assert alone.resolved is not None and alone.resolved.window is None
    deep = {"x.tif": tiff(noise(1000, 1100, (16, 20)).astype(np.uint16))}
    mixed = load(lay_out(tmp_path / "m", {**grey, **deep}))
    for name in grey:
        assert (by_file(mixed)[name] == by_file(alone)[name]).all()
    reason = next(each.reason for each in mixed.choices if each.setting == "data.window")
    assert reason.endswith("3 of 4 images have 8 bits and stay.")


def test_a_window_by_hand_is_for_all_where_nothing_is_deep(tmp_path: Path) -> None:
    lay_out(tmp_path, {f"{i}.png": png(i, "L") for i in range(4)})
    plain, stretched = load(tmp_path), load(tmp_path, window=(100, 150))
    assert stretched.resolved is not None and stretched.resolved.windowed == "all"
    for name, image in by_file(stretched).items():
        expected = np.clip((by_file(plain)[name].astype(float) - 100) / 50, 0, 1) * 255
        assert abs(image - expected).max() <= 0.5
    assert "Values 100 to 150 of 0 to 255 are shown as black to white." in stretched.notes


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_a_new_image_goes_through_the_window_of_the_run(tmp_path: Path, kind: type) -> None:
    values = [noise(1000, 1100).astype(kind) for _ in range(3)]
    dataset = load(lay_out(tmp_path, {f"{i}.tif": tiff(each) for i, each in enumerate(values)}))
    assert dataset.resolved is not None
    again = parse_config({"data": json.loads(dataset.resolved.model_dump_json())}).data
    for i, each in enumerate(values):
        found = read_picture(io.BytesIO(tiff(each)), again, dataset.image_shape)
        assert (found == by_file(dataset)[f"{i}.tif"]).all()


def test_a_resolved_configuration_makes_the_same_images(tmp_path: Path) -> None:
    files = {f"{i}.tif": tiff(noise(-5, 5, (20, 31)).astype(np.float32)) for i in range(4)}
    first = load(lay_out(tmp_path, files))
    assert first.resolved is not None
    second = load_dataset(first.resolved)
    assert second.choices == () and second.resolved == first.resolved
    for name, image in by_file(second).items():
        assert (image == by_file(first)[name]).all()


def test_many_nearly_constant_images_are_told_with_one_of_them(tmp_path: Path) -> None:
    values = [noise(1000, 1100 + 300 * i).astype(np.uint16) for i in range(10)]
    lay_out(tmp_path, {f"{i:02}.tif": tiff(each) for i, each in enumerate(values)})
    said = load(tmp_path, window=(0, 65535)).notes[1]
    assert said.startswith("6 of the 10 images come out nearly constant, such as 00.tif.")
    assert "data.window, which is 0 to 65 535" in said
    assert load(tmp_path).notes == ()


def test_images_that_differ_by_a_hair_are_told(tmp_path: Path) -> None:
    values = noise(0, 255).astype(np.uint8)
    files = {}
    for i in range(6):
        values[0, 0] = i
        files[f"{i}.png"] = encoded(Image.fromarray(values))
    (said,) = load(lay_out(tmp_path, files)).notes
    assert said.startswith("All images come out nearly alike: no pixel varies by more than 1.")


def test_identical_images_are_one_sentence(tmp_path: Path) -> None:
    lay_out(tmp_path, {f"{i}.png": png(0) for i in range(4)})
    with pytest.raises(UserError, match=r"^All 4 images are copies of one; at least 2 different"):
        load(tmp_path)


def test_runs_from_before_keep_what_they_meant(tmp_path: Path) -> None:
    """Format 1: squares of 64 by centre crop, and each file on its own scale."""
    ramp = (np.arange(20 * 30).reshape(20, 30) * 100).astype(np.uint16)
    lay_out(
        tmp_path, {"a.tif": tiff(ramp), "b.tif": tiff(ramp[::-1]), "c.tif": tiff(ramp * 0 + 2570)}
    )
    old = to_store(parse_config({"data": {"dataset": "folder", "data_dir": str(tmp_path)}}))
    for key in ("mask_padding", "window", "windowed", "shown_channels", "label_column"):
        del old["data"][key]
    config = stored_config(json.dumps(old | {"format": 1})).config.data
    assert (config.image_size, config.windowed, config.mask_padding) == (64, "file", False)
    assert config.label_column == "folder", "no table was asked"
    dataset = load_dataset(config)
    square = Image.fromarray(np.rint(ramp / np.float32(257)).astype(np.uint8))
    expected = square.resize((64, 64), Image.Resampling.BICUBIC, (5, 0, 25, 20), reducing_gap=3.0)
    found = by_file(dataset)
    assert dataset.image_shape == (1, 64, 64) and (found["a.tif"][0] == np.asarray(expected)).all()
    assert (found["c.tif"] == 10).all()


# --- the survey ---------------------------------------------------------------------------------


def test_quantiles_of_many_pictures_are_those_of_all_their_values() -> None:
    values = [RNG.gamma(2, 100 * (i + 1), (50, 60)).astype(np.float32) for i in range(12)]
    deep = merge(look_at(each[:, :, None]) for each in values).deep
    every = np.concatenate([each.ravel() for each in values])
    assert deep is not None and (deep.low, deep.high) == (every.min(), every.max())
    for found, share in zip((deep.tail_low, deep.tail_high), surveys.TAILS, strict=True):
        assert abs((every <= found).mean() - share) < 0.001


def test_names_that_say_eight_bits_are_sampled_and_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveys, "MOST_SHALLOW", 10)
    files = {f"{i:03}.jpg": encoded(picture(i), "JPEG") for i in range(40)}
    deep = {f"{i:03}.tif": tiff(noise(0, 9).astype(np.uint16)) for i in range(30)}
    found = kept_survey(list_folder(lay_out(tmp_path, files | deep)), no_progress)
    assert found.kinds == {"uint8": 10, "uint16": 30} and found.deep and found.deep.pictures == 30


def test_a_survey_that_took_long_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("vae_core.data.shaping.KEEP_FROM_S", -1.0)
    files = {f"{i}.tif": tiff(noise(0, 9).astype(np.float32)) for i in range(3)}
    listing = list_folder(lay_out(tmp_path / "x", files | {"a.png": png(1)}))
    first = kept_survey(listing, no_progress)
    monkeypatch.setattr("vae_core.data.shaping.survey", lambda *_: pytest.fail("looked again"))
    assert kept_survey(listing, no_progress) == first
    monkeypatch.undo()


def test_looking_can_be_stopped(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(message: str, share: float | None) -> None:
        if message.startswith(surveys.SURVEYING):
            raise Stop

    lay_out(tmp_path, {f"{i}.png": png(i) for i in range(3)})
    with pytest.raises(Stop):
        load_dataset(DataConfig(dataset="folder", data_dir=str(tmp_path)), stop)


# --- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({(32, 32): 10}, (32, 32)),  # not enlarged
        ({(13, 17): 10}, (13, 17)),
        ({(28, 28): 5, (600, 400): 2}, (28, 28)),
        ({(100, 400): 4}, (32, 128)),
        ({(112, 92): 534}, (68, 56)),
        ({(480, 640): 30, (640, 480): 20}, (48, 64)),
        ({(3000, 4000): 9, (12, 16): 1}, (48, 64)),  # one thumbnail decides nothing
        ({(3000, 4000): 8, (30, 40): 2}, (30, 40)),
        ({(512, 512): 3}, (64, 64)),
        ({(20, 2000): 3}, (12, 512)),
        ({(5, 5): 3}, (8, 8)),
    ],
)
def test_the_size_that_suits(sizes: dict[tuple[int, int], int], expected: tuple[int, int]) -> None:
    size, reason = natural_size(Counter(sizes))
    assert size == expected and reason.startswith(f"{expected[1]}×{expected[0]} (width×height)")


def test_strips_keep_what_lies_at_their_ends(tmp_path: Path) -> None:
    """strips-crop: cut to squares, four strips with content at their ends were one."""
    files = {}
    for i in range(4):
        strip = np.full((100, 400), 30, np.uint8)
        strip[10 + 20 * i : 30 + 20 * i, 20:60] = strip[40:60, 340 - 10 * i : 380] = 230
        files[f"{i}.png"] = encoded(Image.fromarray(strip))
    lay_out(tmp_path, files)
    dataset = load(tmp_path)
    assert dataset.image_shape == (1, 32, 128) and dataset.notes == ()
    images = list(by_file(dataset).values())
    assert all(image.std() > 20 for image in images)
    with pytest.raises(
        UserError, match=r"All 4 images come out as copies of one \(400×100 → .*is cut\): look at"
    ):
        load(tmp_path, image_size=64)
    padded = load(tmp_path, image_size=64, resize="fit")
    assert padded.notes == ("400×100 → 64×64: 75% is padding.",)
    stretched = load(tmp_path, image_size=64, resize="stretch")
    assert stretched.notes == () and len(by_file(stretched)) == 4


def test_what_is_cut_is_said(tmp_path: Path) -> None:
    lay_out(tmp_path, {f"{i}.png": encoded(picture(i, size=(92, 112))) for i in range(4)})
    (said,) = load(tmp_path, image_size=64).notes
    assert said.startswith("92×112 → 64×64: 18% of the height is cut.")


def test_boxes_say_where_the_pictures_lie(tmp_path: Path) -> None:
    files = {f"w{i}.png": encoded(picture(i, size=(40, 20))) for i in range(2)}
    files |= {f"h{i}.png": encoded(picture(i, size=(20, 40))) for i in range(2)}
    lay_out(tmp_path, files)
    dataset = load(tmp_path, image_size=16, resize="fit", validation_fraction=0.5)
    for part in dataset.parts.values():
        assert part.boxes is not None
        for name, box in zip(part.files, part.boxes.tolist(), strict=True):
            assert box == ([4, 0, 12, 16] if name[0] == "w" else [0, 4, 16, 12])
    assert load(tmp_path, image_size=16, resize="fit", mask_padding=False).train.boxes is None
    assert load(tmp_path, image_size=16).train.boxes is None


@pytest.mark.parametrize("resize", ["crop", "fit", "stretch"])
@pytest.mark.parametrize("channels", [1, 2, 3, 5, 16])
@pytest.mark.parametrize("size", [(13, 17), (12, 64), (400, 100)])
def test_every_shape_comes_out_as_asked(resize, channels: int, size: tuple[int, int]) -> None:
    for source in ((50, 50), (7, 90), (90, 7)):
        values = RNG.integers(0, 256, (*source, channels), np.uint8)
        target = Target(*size, resize)
        image = fit(values, target)
        assert image.shape == (channels, *size)
        top, left, bottom, right = content_box(source, target)
        assert 0 <= top < bottom <= size[0] and 0 <= left < right <= size[1]
        assert 0 <= max(cut_share(source, target)) < 1


def test_a_flat_picture_fits_its_box_exactly() -> None:
    values = np.full((30, 90, 1), 200, np.uint8)
    values[10:20] = 0
    image, target = fit(values, Target(64, 64, "fit")), Target(64, 64, "fit")
    top, _, bottom, _ = content_box(values.shape, target)
    inside = image[0, top:bottom]
    assert inside.min() == 0 and len(np.unique(image[0, :top])) == 1


# --- channels -----------------------------------------------------------------------------------


def test_range_of_eight_bits_is_said_too() -> None:
    found = merge([look(Reader(), Picture(png(1), "png"))])
    assert range_note(found, (10, 20)) == (
        "Values 10 to 20 of 0 to 255 are shown as black to white."
    )


@pytest.mark.parametrize(
    ("counts", "channels", "refused"),
    [
        ({1: 3, 3: 2}, None, ""),
        ({1: 3, 3: 2}, 1, ""),
        ({5: 4}, None, ""),
        ({5: 4}, 5, ""),
        ({1: 4}, 7, ""),
        ({3: 2, 5: 4}, None, "differ in their channels (2 with 3, 4 with 5)"),
        ({1: 2, 4: 1}, None, "differ in their channels (2 with 1, 1 with 4)"),
        ({5: 4}, 3, "have other channels (4 with 5) than the 3 asked for"),
        ({3: 4}, 2, "have other channels (4 with 3) than the 2 asked for"),
        ({17: 4}, None, "holds images of up to 17 channels; at most 16 can be learned"),
    ],
)
def test_channels_that_do_not_go_together_are_one_sentence(
    tmp_path: Path, counts: dict[int, int], channels: int | None, refused: str
) -> None:
    listing = list_folder(lay_out(tmp_path, {"a.png": png(0)}))
    found, config = Survey(channels=Counter(counts)), DataConfig(channels=channels)
    if refused:
        with pytest.raises(UserError) as told:
            require_channels(config, found, listing)
        assert refused in str(told.value)
    else:
        require_channels(config, found, listing)


def test_one_file_of_other_channels_is_skipped_and_named(tmp_path: Path) -> None:
    writer = NpyWriter(tmp_path, 3)
    writer.write(0, np.zeros((5, 4, 4), np.uint8))
    writer.write(1, np.ones((1, 4, 4), np.uint8))
    with pytest.raises(ValueError, match="it has 3 channels, and others here have 5"):
        writer.write(2, np.zeros((3, 4, 4), np.uint8))
    writer.close()


@pytest.mark.parametrize(
    "kind", [np.int8, np.int16, np.uint16, np.int32, np.uint32, np.float32, np.float64]
)
def test_every_number_type_goes_through_the_window_alike(kind: type) -> None:
    values = np.arange(-100, 156).clip(0 if np.dtype(kind).kind == "u" else None).astype(kind)
    found = eight_bits(values.reshape(16, 16, 1), Target(16, 16, window=(-20, 80.5)))
    expected = np.rint(np.clip((values.astype(float) + 20) / 100.5, 0, 1) * 255)
    assert (found.ravel() == expected).all()
