"""A run goes by the images that it recorded, whatever has come, gone or changed since."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from tests.engine import trained
from tests.folders import digit_files, on_folder, pixels
from tests.test_cli import vae
from vae_core.cli.app import app
from vae_core.config import RunConfig
from vae_core.data import hold_outs, load_dataset
from vae_core.data.split_record import SplitRecord, record_splits
from vae_core.errors import DataChanged, UserError
from vae_core.imaging.png import from_png, untile
from vae_core.latent.encodings import load_encodings
from vae_core.loading import load_part, load_run
from vae_core.metrics import measure
from vae_core.run_data import dataset_of, recorded_by
from vae_core.runs import PARTS, Run, Store
from vae_core.training import control, jobs
from vae_core.training.events import Checkpoint, Event
from vae_core.training.worker import work
from vae_core.types import Context


def train(store: Path, config: RunConfig) -> Run:
    run = Store(store).create("run", config)
    work(run)
    return run


def begin(store: Path, config: RunConfig) -> Run:
    """A run that was stopped after its first save."""
    run = Store(store).create("run", config)

    def stop(event: Event) -> None:
        if isinstance(event, Checkpoint):
            control.send(run, {"command": "stop"})

    work(run, lambda total, first: [stop])
    run.file(control.FILE).unlink()
    run.file("job.json").unlink()  # the process that trained it is this one, which lives on
    assert run.status().state == "stopped" and 0 < run.status().step < run.status().total_steps
    return run


def measured(run: Run, split: str = "validation", data_dir: Path | None = None) -> float:
    """The reconstruction of a part, in nats per image."""
    loaded = load_run(run)
    part = load_part(run, split, None if data_dir is None else str(data_dir))[1]
    context = Context(0, torch.Generator().manual_seed(0))
    return measure(loaded.model, loaded.objective, part, context).terms["recon"]


def evaluated(run: Run, *options: str) -> Any:
    """What `evaluate --json` prints, and on stderr."""
    command = ["evaluate", run.id, "--store", str(run.path.parent), "--json", *options]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    return json.loads(done.stdout), done.stderr


def every_file(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.png"))


# --- what is measured ------------------------------------------------------------------------


def test_a_run_records_its_parts(tmp_path: Path) -> None:
    digit_files(tmp_path / "data", (0, 1), 40)
    run = train(tmp_path / "runs", on_folder(tmp_path / "data"))
    dataset, recorded = load_dataset(run.config().data), recorded_by(run)
    assert recorded is not None
    digest = run.data_card().digest
    assert digest is not None
    assert digest.model_dump() == recorded.digest() == record_splits(dataset).digest()
    assert len({digest.train, digest.validation, digest.test}) == 3
    for name, part in (("train", dataset.train), ("validation", dataset.validation)):
        assert (recorded.hashes[name] == part.hashes).all()
        assert (recorded.labels[name] == part.labels).all()
    assert run.file(PARTS).stat().st_size < 80 * 10 + 1000
    same = dataset_of(run)
    assert same.difference is None and pixels(same.train) == pixels(dataset.train)


@pytest.mark.parametrize("validation", ["content", "last"])
def test_added_files_leak_nothing(tmp_path: Path, validation: str) -> None:
    """On d45c227, 40 of 100 validation images had been learned from after one file was added."""
    data = tmp_path / "data"
    digit_files(data, (0, 1), 100)
    config = on_folder(data, data={"validation_fraction": 0.5, "validation": validation})
    before = load_dataset(config.data)
    run = train(tmp_path / "runs", config)
    first = measured(run)
    shutil.copy(digit_files(tmp_path / "more", (7,), 1)[0], data / "0" / "zzz.png")
    digit_files(data, (5,), 20)
    now = load_part(run, "validation")[1]
    assert pixels(now) == pixels(before.validation)
    assert not pixels(now) & pixels(before.train)
    assert measured(run) == pytest.approx(first, rel=1e-6)
    report, _ = evaluated(run)
    assert report["images"] == len(before.validation)
    assert report["data_difference"]["new"] == 21
    assert set(report["data_difference"]["gone"].values()) == {0}
    # Of the older images, none has become a validation image for new runs either.
    if validation == "content":
        again = load_dataset(config.data)
        assert not pixels(again.validation) & pixels(before.train)


def test_what_is_gone_and_relabelled_is_counted_and_the_rest_is_measured(tmp_path: Path) -> None:
    data = tmp_path / "data"
    digit_files(data, (0, 1), 60)
    config = on_folder(data, data={"validation_fraction": 0.3})
    run = train(tmp_path / "runs", config)
    before = load_dataset(config.data)
    held_out = list(before.validation.files)
    (data / held_out[0]).unlink()
    (data / before.train.files[0]).unlink()
    moved = next(name for name in held_out[1:] if name.startswith("0/"))
    (data / moved).rename(data / "1" / "moved.png")
    dataset, part = load_part(run, "validation")
    assert len(part) == len(held_out) - 1
    assert dataset.difference is not None
    assert dict(dataset.difference.gone) == {"train": 1, "validation": 1, "test": 0}
    assert dict(dataset.difference.relabelled) == {"train": 0, "validation": 1, "test": 0}
    assert dataset.difference.new == 0
    assert dataset.difference.sentence == (
        "The images are not those that this run was trained on: 2 of 120 images are gone "
        "(1 train, 1 validation), 1 has another label (1 validation)."
    )
    report, said = evaluated(run)
    assert report["images"] == len(held_out) - 1
    assert report["data_difference"] == dataset.difference.report()
    assert f"{len(held_out) - 1} validation images were measured" in said
    for name in held_out[1:]:
        (data / ("1/moved.png" if name == moved else name)).unlink()
    with pytest.raises(UserError, match="Of the validation images of run 'run' none is there"):
        evaluated(run)


def test_another_folder_is_measured_as_what_it_is(tmp_path: Path) -> None:
    digit_files(tmp_path / "data", (0, 1), 40)
    digit_files(tmp_path / "other", (0, 1), 30, first=50)
    run = train(tmp_path / "runs", on_folder(tmp_path / "data"))
    dataset, part = load_part(run, "validation", str(tmp_path / "other"))
    assert dataset.difference is not None and dataset.difference.elsewhere
    assert "None of the images of this run are here: what is there, 60 images" in (
        dataset.difference.sentence
    )
    assert pixels(part) and not pixels(part) & pixels(load_dataset(run.config().data).train)


def test_one_picture_in_colour_among_grey_ones_changes_no_other(tmp_path: Path) -> None:
    data = tmp_path / "data"
    digit_files(data, (0, 1), 40)
    run = train(tmp_path / "runs", on_folder(data))
    first = measured(run)
    colour = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(colour).save(data / "0" / "colour.png")
    anew = run.config().data.model_copy(update={"channels": None})
    assert load_dataset(anew).image_shape == (3, 16, 16)
    dataset = dataset_of(run)
    assert dataset.image_shape == (1, 16, 16) and dataset.difference is not None
    assert dataset.difference.new == 1 and not any(dataset.difference.gone.values())
    assert measured(run) == pytest.approx(first, rel=1e-6)


def test_images_that_were_only_renamed_are_the_same(tmp_path: Path) -> None:
    data = tmp_path / "data"
    digit_files(data, (0, 1), 40)
    run = train(tmp_path / "runs", on_folder(data))
    first = measured(run)
    for number, path in enumerate(every_file(data)):
        path.rename(path.with_name(f"{1000 - number}.png"))
    assert dataset_of(run).difference is None
    assert measured(run) == pytest.approx(first, rel=1e-6)


def test_every_picture_twice_under_two_names_and_in_two_folders(tmp_path: Path) -> None:
    """On d45c227, 21 of 21 validation images were copies of training images."""
    for twin in ("same/0", "other/1"):
        data = tmp_path / twin.partition("/")[0]
        for number, path in enumerate(digit_files(data, (0,), 100)):
            target = data / twin.partition("/")[2] / f"twin-{number}.png"
            target.parent.mkdir(exist_ok=True)
            shutil.copy(path, target)
        dataset = load_dataset(on_folder(data).data)
        assert len(dataset.train) + len(dataset.validation) == 200
        assert not pixels(dataset.train) & pixels(dataset.validation)
        assert "100 images are exact copies of others" in dataset.notes[0]
        assert len(dataset.validation) >= 2


def test_a_class_of_ten_is_measured(tmp_path: Path) -> None:
    digit_files(tmp_path, (0, 1), 150)
    digit_files(tmp_path, (7,), 10)
    dataset = load_dataset(on_folder(tmp_path).data)
    assert dataset.label_names == ("0", "1", "7")
    for part in (dataset.train, dataset.validation):
        assert part.labels is not None and set(part.labels) == {0, 1, 2}


# --- a run that is resumed -------------------------------------------------------------------


def delete(data: Path, count: int) -> None:
    for path in every_file(data)[:: len(every_file(data)) // count][:count]:
        path.unlink()


def test_resume_refuses_other_images_and_changes_nothing(tmp_path: Path) -> None:
    """On d45c227, 150 of 401 files could be deleted and the run finished on the rest."""
    data, store = tmp_path / "data", str(tmp_path / "runs")
    digit_files(data, (0, 1, 2), 100)
    run = begin(tmp_path / "runs", on_folder(data))
    kept = {name: run.file(name).read_bytes() for name in (PARTS, "data.json", "history.jsonl")}
    step = run.status().step
    aside = tmp_path / "aside"
    shutil.copytree(data, aside)
    delete(data, 110)
    refused = vae("resume", "run", "--store", store, status=2)
    assert "110 of 300 images are gone" in refused.stderr
    assert "--accept-changed-data" in refused.stderr and "Traceback" not in refused.stderr
    status = run.status()
    assert (status.state, status.step, status.acceptable) == ("stopped", step, True)
    assert "110 of 300 images are gone" in status.message
    assert kept == {name: run.file(name).read_bytes() for name in kept}
    shutil.rmtree(data)
    aside.rename(data)
    vae("resume", "run", "--store", store)
    assert run.status().state == "finished"


def test_resume_accepts_other_images_without_a_leak(tmp_path: Path) -> None:
    data, store = tmp_path / "data", str(tmp_path / "runs")
    digit_files(data, (0, 1, 2), 90)
    run = begin(tmp_path / "runs", on_folder(data, data={"validation_fraction": 0.3}))
    before = load_dataset(run.config().data)
    learned, held_out = pixels(before.train), pixels(before.validation)
    gone = [data / name for name in before.train.files[::9]]
    returned = [(path, path.read_bytes()) for path in gone]
    for path in gone:
        path.unlink()
    digit_files(data, (7,), 30)
    done = vae("resume", "run", "--store", store, "--accept-changed-data")
    assert "error" not in done.stderr and run.status().state == "finished"
    notes = [record for record in run.history()[0] if record["kind"] == "note"]
    assert len(notes) == 1 and "30 are new" in notes[0]["message"]
    dataset = dataset_of(run)
    assert dataset.difference is None, "the parts are recorded anew"
    kept = load_encodings(run)
    assert (kept.thumbnails == dataset.train.images.gather(kept.indices)).all()
    originals = from_png(run.file("previews/originals.png").read_bytes(), 1)
    shown = dataset.validation.images.gather(hold_outs(dataset))
    assert (untile(originals, 16, 16, len(shown)) == shown).all(), "pictures are of these images"
    steps = {record["step"] for record in run.history()[0] if record["kind"] == "preview"}
    for step in steps:
        assert run.file(f"previews/{step:08d}-reconstructions.png").exists()
    assert dataset.label_names == ("0", "1", "2", "7") == run.data_card().label_names
    assert pixels(dataset.validation) >= held_out
    assert not pixels(dataset.validation) & learned
    assert len(dataset.train) + len(dataset.validation) == 300 - len(gone)
    for path, content in returned:  # learned from once, so never to be held out
        path.write_bytes(content)
    again = dataset_of(run, grow=True)
    assert not pixels(again.validation) & learned
    assert len(again.train) == len(dataset.train) + len(gone)


def test_a_limit_is_kept_when_new_images_are_accepted(tmp_path: Path) -> None:
    data = tmp_path / "data"
    digit_files(data, (0, 1), 60)
    run = begin(tmp_path / "runs", on_folder(data, data={"limit": 40}))
    first = dataset_of(run)
    assert first.difference is None and len(first.train) == 40
    (data / first.train.files[0]).unlink()
    digit_files(data, (2,), 20)
    assert dataset_of(run).difference is not None
    again = dataset_of(run, grow=True)
    assert len(again.train) == 40
    assert len(pixels(again.train) & pixels(first.train)) == 39


def test_the_process_of_the_app_refuses_and_may_be_asked_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    digit_files(data, (0, 1), 60)
    run = begin(tmp_path / "runs", on_folder(data))
    delete(data, 30)
    with pytest.raises(DataChanged, match="30 of 120 images are gone"):
        run.set_status(run.status().model_copy(update={"state": "starting"}))  # as jobs.resume
        work(run)
    assert run.status().state == "interrupted" and run.status().acceptable
    run.file("job.json").unlink()
    jobs.resume(run, accept_changed_data=True)
    assert "gone" not in run.status().message
    for _ in range(600):
        if run.status().state == "finished":
            break
        time.sleep(0.1)
    assert run.status().state == "finished" and not run.status().acceptable


def test_a_run_of_another_data_set_cannot_be_resumed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    digit_files(data, (0, 1), 40)
    run = begin(tmp_path / "runs", on_folder(data))
    shutil.rmtree(data)
    digit_files(data, (5, 6), 40)
    with pytest.raises(DataChanged, match=r"None of the images of this run are here.*train it ag"):
        work(run, accept_changed_data=True)
    assert not run.status().acceptable


# --- runs that recorded nothing --------------------------------------------------------------


def forget(run: Run) -> None:
    """What a run looks like that was trained before images were recorded."""
    run.file(PARTS).unlink()
    card = json.loads(run.text("data.json"))
    del card["digest"]
    run.write_json("data.json", card)


def test_an_older_run_says_that_its_validation_images_are_not_known(tmp_path: Path) -> None:
    run = trained(tmp_path)
    forget(run)
    with pytest.raises(UserError, match="trained before runs kept a list of their images"):
        evaluated(run)
    dataset, part = load_part(run, "train")
    assert len(part) == 300 and dataset.difference is not None
    assert not dataset.difference.recorded


def test_an_older_run_is_not_resumed_on_parts_it_did_not_have(tmp_path: Path) -> None:
    digit_files(tmp_path / "data", (0, 1), 40)
    run = begin(tmp_path / "runs", on_folder(tmp_path / "data"))
    forget(run)
    with pytest.raises(DataChanged, match="kept a list of their images"):
        work(run, accept_changed_data=True)
    assert run.status().state == "stopped"


def test_a_damaged_list_is_told(tmp_path: Path) -> None:
    run = trained(tmp_path)
    run.write_bytes(PARTS, b"no list")
    with pytest.raises(UserError, match=r"parts\.safetensors of run 'tiny' is damaged"):
        load_part(run, "validation")


def test_a_list_comes_back_as_it_was_written() -> None:
    numbers = np.arange(1, 7, dtype=np.uint64)
    hashes = {"train": numbers, "validation": numbers[:2], "test": numbers[:0], "left_out": numbers}
    labels = {"train": np.arange(6) - 1, "validation": np.zeros(2, np.int64), "test": numbers[:0]}
    first = SplitRecord(hashes, labels, tuple("abcde"), {"train": numbers[:3]})
    again = SplitRecord.from_bytes(first.to_bytes())
    assert again.digest() == first.digest() and again.label_names == first.label_names
    assert again.labels["train"].tolist() == [-1, 0, 1, 2, 3, 4]
    assert again.ever("train").tolist() == [1, 2, 3, 4, 5, 6, 1, 2, 3]
    renamed = SplitRecord(hashes, labels, ("a", "B", "c", "d", "e"))
    assert renamed.digest()["train"] != first.digest()["train"]
    assert renamed.digest()["validation"] == first.digest()["validation"]


# --- labels ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """A conditional VAE of the folders 0, 1 and 7."""
    folder = tmp_path_factory.mktemp("told")
    digit_files(folder / "data", (0, 1, 7), 120)
    config: dict[str, Any] = {"family": "conditional-vae", "train": {"epochs": 30}}
    return folder, train(folder / "runs", on_folder(folder / "data", **config))


def test_labels_go_by_name(told: tuple[Path, Run], tmp_path: Path) -> None:
    """On d45c227 a folder with 1 and 7 was told "0" and "1": 136.7 nats in place of 90.5."""
    _, run = told
    digit_files(tmp_path / "two", (1, 7), 40, first=120)
    digit_files(tmp_path / "three", (0, 1, 7), 40, first=120)
    dataset, part = load_part(run, "train", str(tmp_path / "two"))
    assert dataset.label_names == ("0", "1", "7") and part.labels is not None
    for label, name in zip(part.labels, part.files, strict=True):
        assert name.startswith(dataset.label_names[label])
    whole = load_part(run, "train", str(tmp_path / "three"))[1]
    right = [image for image, label in zip(every(whole), labels_of(whole), strict=True) if label]
    assert {image.tobytes() for image in right} == pixels(part)
    loaded = load_run(run)
    values = []
    for each in (part, shifted(part)):
        context = Context(0, torch.Generator().manual_seed(0))
        values.append(measure(loaded.model, loaded.objective, each, context).terms["recon"])
    assert values[0] < values[1] - 5, "the right names explain the images better"


def test_a_folder_with_one_of_the_labels_left(told: tuple[Path, Run], tmp_path: Path) -> None:
    _, run = told
    digit_files(tmp_path, (7,), 40, first=120)
    _, part = load_part(run, "train", str(tmp_path))
    assert part.labels is not None and set(part.labels) == {2}


def test_unknown_labels_are_refused_by_name(told: tuple[Path, Run], tmp_path: Path) -> None:
    folder, run = told
    digit_files(tmp_path / "x", (1, 3), 40, first=120)
    with pytest.raises(UserError, match=r"knows no label '3'; it was trained on '0', '1', '7'"):
        load_part(run, "train", str(tmp_path / "x"))
    for path in digit_files(tmp_path / "y", (3,), 20):
        shutil.copy(path, tmp_path / "y" / path.name)
    shutil.rmtree(tmp_path / "y" / "3")
    with pytest.raises(UserError, match="The images have no labels, and run 'run' is told"):
        load_part(run, "train", str(tmp_path / "y"))
    # A new folder beside the known ones is not part of the run, so nothing has to be refused.
    shutil.copytree(folder / "data", tmp_path / "data")
    digit_files(tmp_path / "data", (3,), 20)
    dataset, part = load_part(run, "validation", str(tmp_path / "data"))
    assert part.labels is not None and set(part.labels) == {0, 1, 2}
    assert dataset.difference is not None and dataset.difference.new == 20


def test_who_takes_no_labels_keeps_unknown_ones_by_name(tmp_path: Path) -> None:
    digit_files(tmp_path / "data", (0, 1, 7), 30)
    run = train(tmp_path / "runs", on_folder(tmp_path / "data"))
    digit_files(tmp_path / "x", (1, 3), 40, first=60)
    dataset, part = load_part(run, "train", str(tmp_path / "x"))
    assert dataset.label_names == ("0", "1", "7", "3")
    assert part.labels is not None and set(part.labels) == {1, 3}


def every(part: Any) -> np.ndarray:
    images: np.ndarray = part.images.gather(np.arange(len(part)))
    return images


def labels_of(part: Any) -> list[int]:
    return [int(label) for label in part.labels]


def shifted(part: Any) -> Any:
    """By place instead of by name: 1 is called 0, and 7 is called 1."""
    return replace(part, labels=part.labels - 1)
