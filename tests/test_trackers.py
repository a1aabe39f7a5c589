"""Trackers are told of a run once, at home, and never at the expense of its training."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.engine import tiny
from vae_core import extras, follow
from vae_core.config import parse_config
from vae_core.errors import UserError
from vae_core.follow import about_run, scalars_of, stay_at_home
from vae_core.locations import module_command, module_environment
from vae_core.nested import parse_settings
from vae_core.runs import Run, Store, layout
from vae_core.training import jobs
from vae_core.training.recorders import truncate_history
from vae_core.training.trackers import (
    About,
    Moment,
    TrackerEntry,
    require_trackers,
    trackers,
    tracks,
)
from vae_core.training.worker import work


def events_of(run: Run) -> EventAccumulator:
    found = EventAccumulator(str(run.file("track/tensorboard/seen")), {"images": 0, "scalars": 0})
    found.Reload()
    return found


def recorded(run: Run, kind: str) -> list[dict[str, Any]]:
    return [each for each in run.each_record(layout.HISTORY) if each["kind"] == kind]


def no_embeddings() -> dict[str, bytes]:
    return {}


class Remembered:
    """A tracker in memory; `fails` says at which step it breaks."""

    def __init__(self, fails: int | None = None) -> None:
        self.moments: list[Moment] = []
        self.ended: Moment | None = None
        self.fails, self.id, self.closed = fails, "its-id", 0

    def write(self, moments: Sequence[Moment]) -> None:
        for moment in moments:
            if moment.step == self.fails:
                raise RuntimeError("the wire\nis cut")
            self.moments.append(moment)

    def end(self, moment: Moment, embeddings: Callable[[], Mapping[str, bytes]]) -> None:
        self.ended = moment

    def close(self) -> None:
        self.closed += 1

    def steps(self, name: str) -> list[int]:
        return [moment.step for moment in self.moments if name in moment.scalars]


def entry(name: str, tracker: Remembered, opened: list[About] | None = None) -> TrackerEntry:
    def build(folder: Path, about: About) -> Remembered:
        if opened is not None:
            opened.append(about)
        return tracker

    return TrackerEntry(
        name=name, label=name.title(), blurb="", build=build, module="json", shows="open {folder}",
        environment={"KEPT_AT_HOME": "1"}, own=("CLOUD_",),
    )  # fmt: skip


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def register(*entries: TrackerEntry) -> None:
        for each in entries:
            monkeypatch.setitem(trackers._entries, each.name, each)

    monkeypatch.setattr(os, "environ", dict(os.environ))
    return register


# --- TensorBoard, from the worker to its own reader ----------------------------------------------


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = tiny(train={"track": ["tensorboard"], "epochs": 2, "preview_every": 3})
    run = Store(tmp_path_factory.mktemp("tracked")).create("seen", config)
    assert work(run).finished
    return run


def test_tensorboard_has_the_curves_of_the_history(tracked: Run) -> None:
    found = events_of(tracked)
    for kind, part in (("step", "train"), ("validation", "validation")):
        records = recorded(tracked, kind)
        for name in ("recon", "kl"):
            shown = [(each.step, each.value) for each in found.Scalars(f"{part}/{name}")]
            wanted = [(each["step"], each["terms"][name]) for each in records]
            assert [step for step, _ in shown] == [step for step, _ in wanted]
            assert [v for _, v in shown] == pytest.approx([v for _, v in wanted], rel=1e-6)
    assert {"train/total", "train/beta", "validation/active_units"} <= set(found.Tags()["scalars"])


def test_tensorboard_has_the_previews_the_settings_and_the_final_measures(tracked: Run) -> None:
    found = events_of(tracked)
    previews = [each["step"] for each in recorded(tracked, "preview")]
    shown = found.Images("previews/reconstructions")
    assert [each.step for each in shown] == previews and len(previews) > 2
    kept = tracked.read(layout.preview(previews[-1], "reconstructions"))
    assert shown[-1].encoded_image_string == kept
    assert len(found.Images("previews/originals")) == 1
    from tensorboard.plugins.hparams import plugin_data_pb2

    held = plugin_data_pb2.HParamsPluginData
    start = held.FromString(
        found.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    )
    assert start.session_start_info.hparams["model.latent_dim"].number_value == 4
    board = held.FromString(found.summary_metadata["_hparams_/experiment"].plugin_data.content)
    columns = {each.name.tag for each in board.experiment.metric_infos}
    assert "final/elbo" in columns
    assert found.Scalars("final/elbo")[0].value == pytest.approx(tracked.summary()["elbo"])
    assert tracked.file("track/tensorboard/seen/sprite.png").exists()


def test_a_resumed_run_and_a_killed_one_have_every_step_once(tracked: Run, tmp_path: Path) -> None:
    """More epochs of a copy: a tail that no save holds is not told before it has come again."""
    shutil.copytree(tracked.path, tmp_path / "again")
    run = Store(tmp_path).get("again")
    run.file(layout.JOB).unlink()
    before = events_of(run).Scalars("train/total")
    work(run, epochs="+1")
    after = events_of(run).Scalars("train/total")
    steps = [each.step for each in after]
    assert steps == [each["step"] for each in recorded(run, "step")] == sorted(set(steps))
    assert len(after) > len(before)
    assert [each.step for each in events_of(run).Scalars("final/elbo")] == [10, 15]


# --- what is told, and when ----------------------------------------------------------------------


def history(run: Run, *records: dict[str, Any]) -> None:
    for record in records:
        run.append(layout.HISTORY, record)


def stepped(step: int, total: float = 1.0) -> dict[str, Any]:
    return {"kind": "step", "step": step, "epoch": 1, "time": float(step), "total": total}


def saved(step: int) -> dict[str, Any]:
    return {"kind": "checkpoint", "step": step, "epoch": 1, "time": float(step)}


@pytest.fixture
def empty(tmp_path: Path) -> Run:
    return Store(tmp_path / "store").create("told", tiny())


def told_of(run: Run, *names: str) -> list[str]:
    said: list[str] = []
    follow.follow(run, names, lambda: True, said.append, no_embeddings)
    return said


def test_what_no_save_holds_is_not_told_and_what_is_gone_back_to_comes_once(
    empty: Run, registered: Callable[..., None]
) -> None:
    tracker, opened = Remembered(), list[About]()
    registered(entry("memory", tracker, opened))
    history(empty, stepped(1), stepped(2), saved(2), stepped(3, 9.0))
    assert told_of(empty, "memory") == []
    assert tracker.steps("train/total") == [1, 2]
    state = {"step": 2, "overrides": {}, "recovery": {"returns": 0}}
    truncate_history(empty, state)  # the worker was killed; step 3 comes again, otherwise
    history(empty, stepped(3, 5.0), stepped(4), saved(4), stepped(5))
    assert told_of(empty, "memory") == []
    assert tracker.steps("train/total") == [1, 2, 3, 4]
    assert tracker.moments[2].scalars["train/total"] == 5.0
    assert [each.id for each in opened] == ["", "its-id"], "the same run, in its second session"
    assert told_of(empty, "memory") == [] and len(tracker.moments) == 4, "nothing is new"


def test_a_rollback_while_it_is_followed_leaves_no_step_twice(
    empty: Run, registered: Callable[..., None]
) -> None:
    tracker = Remembered()
    registered(entry("memory", tracker))
    history(empty, stepped(1), saved(1), stepped(2, 9.0), stepped(3, 9.0))
    looks = 0

    def ended() -> bool:
        nonlocal looks
        looks += 1
        if looks == 2:
            truncate_history(empty, {"step": 1, "overrides": {}, "recovery": {"returns": 0}})
            history(empty, saved(1), stepped(2), stepped(3), stepped(4), saved(4))
        return looks > 2

    follow.follow(empty, ["memory"], ended, pytest.fail, no_embeddings)
    assert [(m.step, m.scalars["train/total"]) for m in tracker.moments] == [
        (1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0),
    ]  # fmt: skip


def test_a_tracker_that_fails_rests_with_one_sentence_and_the_others_go_on(
    empty: Run, registered: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = Remembered(), Remembered(fails=2)
    registered(entry("good", good), entry("bad", bad))
    history(empty, stepped(1), saved(1), stepped(2), saved(2))
    assert told_of(empty, "bad", "good") == [
        "Bad is told no more of this training: the wire is cut"
    ]
    assert len(good.moments) == 2 and bad.closed == 1 and bad.ended is None
    assert "RuntimeError" in capsys.readouterr().err, "the log has the traceback"


def test_a_run_that_was_deleted_is_not_made_anew_and_an_unknown_tracker_is_told(
    empty: Run, registered: Callable[..., None]
) -> None:
    registered(entry("memory", Remembered()))
    history(empty, stepped(1), saved(1))
    said: list[str] = []

    def ended() -> bool:
        shutil.rmtree(empty.path, ignore_errors=True)
        return True

    follow.follow(empty, ["gone", "memory"], ended, said.append, no_embeddings)
    assert "no tracker 'gone'" in said[0] and "was deleted" in said[1]
    assert "is told no more" in told_of(empty, "memory")[0]
    assert not empty.path.exists()


def test_numbers_that_are_none_are_left_out() -> None:
    record = stepped(3) | {"terms": {"recon": float("nan"), "kl": 2}, "beta": True, "x": "y"}
    assert scalars_of(record) == {"train/kl": 2.0, "train/total": 1.0, "train/epoch": 1.0}
    assert scalars_of({"kind": "note", "step": 3, "message": "x", "total": 1.0}) == {}


def test_no_path_and_no_key_is_told(
    empty: Run, registered: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    registered()
    os.environ.update({"CLOUD_API_KEY": "secret", "OTHER": "kept"})
    stay_at_home([entry("memory", Remembered())])
    assert "CLOUD_API_KEY" not in os.environ
    assert os.environ["OTHER"] == "kept" and os.environ["KEPT_AT_HOME"] == "1"
    config = tiny(data={"dataset": "folder", "data_dir": "/of-one-machine/cats"})
    run = Store(empty.path.parent).create("cats", config)
    about = about_run(run)
    assert about.settings["data.data_dir"] == "cats"
    assert about.settings["model.latent_dim"] == 4
    assert not any(name.startswith("train.track") for name in about.settings)


def test_every_tracker_is_kept_at_home() -> None:
    for each in trackers:
        assert not each.environment or "DO_NOT_TRACK" in each.environment, each.name
        assert "{folder}" in each.shows and each.blurb.endswith(".")


@pytest.mark.parametrize("place", ["track", "track/memory"])
def test_a_link_in_the_run_is_not_written_through(
    empty: Run, registered: Callable[..., None], tmp_path: Path, place: str
) -> None:
    """A folder that somebody sent: what it links to is not its own."""
    tracker, outside = Remembered(), tmp_path / "outside"
    registered(entry("memory", tracker))
    outside.mkdir()
    empty.file(place).parent.mkdir(parents=True, exist_ok=True)
    empty.file(place).symlink_to(outside)
    history(empty, stepped(1), saved(1))
    (said,) = told_of(empty, "memory")
    assert "link" in said and not tracker.moments and not list(outside.iterdir())


@pytest.mark.parametrize("place", ["files", "wandb/logs/debug.log"])
def test_a_link_among_the_files_of_a_tracker_goes_and_what_it_leads_to_stays(
    empty: Run, registered: Callable[..., None], tmp_path: Path, place: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    registered(entry("memory", Remembered()))
    link = empty.file(f"track/memory/{place}")
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    assert told_of(empty, "memory") == [] and outside.is_dir() and not link.is_symlink()


def test_an_id_in_a_folder_that_somebody_sent_leads_nowhere(
    empty: Run, registered: Callable[..., None]
) -> None:
    opened = list[About]()
    registered(entry("memory", Remembered(), opened))
    kept = empty.file("track/memory/progress.json")
    kept.parent.mkdir(parents=True)
    for id in ("../../../out", "/tmp/x", ["no text"]):
        kept.write_text(json.dumps({"id": id, "saves": "many"}))
        assert told_of(empty, "memory") == [] and opened[-1].id == ""


# --- the worker's side ---------------------------------------------------------------------------


def test_a_training_is_not_held_up_by_a_process_of_trackers_that_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vae_core.training import following

    dies = [sys.executable, "-c", "print('It went wrong.'); raise SystemExit(3)"]
    monkeypatch.setattr(following, "module_command", lambda *words: dies)
    run = Store(tmp_path).create("alone", tiny(train={"track": ["tensorboard"], "epochs": 1}))
    assert work(run).finished
    notes = [each["message"] for each in recorded(run, "note")]
    assert notes == [
        "It went wrong.", "The trackers are told no more of this training: they were ended.",
    ]  # fmt: skip


def test_what_follows_ends_with_the_worker_that_was_killed(tracked: Run, tmp_path: Path) -> None:
    shutil.copytree(tracked.path, tmp_path / "seen")
    environment = module_environment(VAE_STORE=str(tmp_path))
    process = subprocess.Popen(
        module_command("vae_core", "track", "seen", "--to", "tensorboard", "--follow"),
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin and process.stdout
    time.sleep(0.2)
    assert process.poll() is None, "it follows"
    process.stdin.close()
    assert process.wait(60) == 0 and process.stdout.read() == ""


def test_a_training_is_refused_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    with pytest.raises(UserError, match=r"no tracker 'tensorbord'.*mean 'tensorboard'"):
        jobs.create(store, "a", tiny(train={"track": ["tensorbord"]}))
    monkeypatch.setattr("vae_core.training.trackers.tracker.find_spec", lambda name: None)
    monkeypatch.setattr(
        extras, "import_module", lambda name: (_ for _ in ()).throw(ModuleNotFoundError(name=name))
    )
    for each in trackers:
        needs = f"{each.label} needs {each.module}.*pip install {each.module}"
        with pytest.raises(UserError, match=needs):
            require_trackers([each.name])
        with pytest.raises(UserError, match=needs):
            jobs.create(store, "a", tiny(train={"track": [each.name]}))
    assert not list(store)


def test_names_come_as_words_or_as_a_list() -> None:
    config = parse_config(parse_settings(["train.track=tensorboard, wandb,tensorboard"]))
    assert config.train.track == ("tensorboard", "wandb")
    assert parse_config(json.loads(config.to_json())) == config
    assert parse_config({}).train.track == ()
    for wrong in ('["a/b"]', "../up", "7"):
        with pytest.raises(UserError, match=r"train\.track"):
            parse_config(parse_settings([f"train.track={wrong}"]))


def test_where_a_run_can_be_watched_is_told(tracked: Run) -> None:
    ((each, folder, command),) = tracks(tracked)
    assert each.name == "tensorboard" and folder == tracked.file("track/tensorboard")
    assert command == f"tensorboard --logdir {folder}"
