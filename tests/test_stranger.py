"""A run folder that a stranger sent: whatever lies in it, a sentence and no harm."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from benchmarks.hostile import Mutation
from benchmarks.mutations import Nothing, drawn, files_of, furnished, judge
from latent_workbench.live.history import History
from latent_workbench.live.routes import live_mount
from latent_workbench.shared.catalog import catalog
from tests.pages import open_page
from vae_core.config import parse_config
from vae_core.errors import UserError
from vae_core.families.footprint import COPIES, MEMORY_VARIABLE, footprint, require_memory_to_train
from vae_core.loading import load_run
from vae_core.runs import DataCard, Run, Store
from vae_core.runs.migrations import FORMAT

ROOT = Path(__file__).resolve().parents[1]
CARD = DataCard(dataset="digits", image_shape=(1, 16, 16), n_train=1000, n_validation=100)

VAST = CARD.model_copy(update={"image_shape": (3, 60_000, 60_000)})


@pytest.fixture(scope="module")
def good(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("stranger")
    shutil.copytree(finished.path, place / "good")
    return furnished(Run(place / "good"))


SAMPLE = 80


def test_no_mutation_raises_or_takes_long(good: Path) -> None:
    """Of `python -m benchmarks.mutations`, without those that write 300 MB; of each mutation a
    quarter of the questions is asked, another one each time."""
    judge(Nothing(), good)  # what is imported and cached once
    found = [each for each in drawn(SAMPLE, files_of(good), 7) if each.how != "many_records"]
    verdicts = [judge(each, good, some=(n, 4)) for n, each in enumerate(found)]
    assert [(v.mutation, v.faults) for v in verdicts if v.faults] == []
    assert {v.state for v in verdicts} >= {"damaged", "finished"}


def test_a_survey_of_nothing_takes_no_memory(good: Path) -> None:
    """3 GB of names: their list alone took 21 GB."""
    mutation = Mutation("encodings-validation.safetensors", "sparse_tensor", 0.0, 0)
    assert judge(mutation, good).faults == []


NAMED = [
    ("thumbnails.png", "link", 0, "a link"),
    ("history.jsonl", "pipe", 0, "a pipe"),
    ("history.jsonl", "device", 0, "a device"),
    ("status.json", "folder", 0, "a folder"),
    ("encodings.safetensors", "sparse_tensor", 0, "bytes|GB"),
    ("thumbnail.png", "huge_picture", 0, "30000 × 30000 pixels"),
    ("thumbnails.png", "huge_picture", 0, "30000 × 30000 pixels"),
    ("status.json", "long_text", 0, "80 MB"),
]


@pytest.mark.parametrize(("file", "how", "value", "reason"), NAMED)
def test_the_run_shows_as_damaged_with_the_reason(
    good: Path, file: str, how: str, value: int, reason: str
) -> None:
    verdict = judge(Mutation(file, how, 0.0, value), good, some=(0, 8))
    assert verdict.faults == []
    assert verdict.state == "damaged"
    assert file in verdict.reason and any(each in verdict.reason for each in reason.split("|"))


@pytest.mark.parametrize("content", ["[1,2]", "null", '"x"', '{"started": 5}', "[" * 100_000])
def test_an_odd_environment_leaves_the_others_usable(
    tiny_run: Run, tmp_path: Path, content: str
) -> None:
    shutil.copytree(tiny_run.path, tmp_path / "other")
    tiny_run.file("environment.json").write_text(content)
    facts = {each.id: each for each in catalog(Store(tmp_path))}
    assert facts["tiny"].state == "damaged" and "environment.json" in facts["tiny"].problem
    assert facts["other"].usable


def test_pages_say_why_the_chosen_run_is_damaged(tiny_run: Run, tmp_path: Path) -> None:
    shutil.copytree(tiny_run.path, tmp_path / "other")
    tiny_run.file("history.jsonl").unlink()
    os.mkfifo(tiny_run.file("history.jsonl"))
    for page in ("encodings", "tune_beta"):
        app = open_page(page, run="tiny")
        assert "history.jsonl" in app.error[0].value and "a pipe" in app.error[0].value
    assert not open_page("encodings", run="other").error


def test_a_linked_picture_is_not_served(tiny_run: Run) -> None:
    secret = tiny_run.path.parent / "secret"
    secret.write_text("root:x:0:0")
    for name in ("thumbnails.png", "previews/originals.png"):
        tiny_run.file(name).unlink()
        tiny_run.file(name).symlink_to(secret)
    client = TestClient(Starlette(routes=[live_mount()]), base_url="http://localhost")
    for address in ("thumbnails/tiny", "preview/tiny/originals.png"):
        answer = client.get(f"/live/{address}")
        assert answer.status_code == 404 and b"root:" not in answer.content


def test_a_run_that_is_a_link_is_refused(tiny_run: Run, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(tiny_run.path)
    assert [run.id for run in Store(tmp_path)] == ["tiny"]
    with pytest.raises(UserError, match="is a link"):
        Store(tmp_path).get("linked")


def test_a_giant_takes_no_memory(tiny_run: Run) -> None:
    """3 GB of nothing behind a head that is right: less address space than that is enough."""
    Mutation("encodings.safetensors", "sparse_tensor", 0.0, 0).apply(tiny_run.path)
    code = (
        "import resource, sys; from pathlib import Path; import vae_core.latent.encodings as e\n"
        "from vae_core.runs import Run; from vae_core.errors import UserError\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, -1))\n"
        "try: e.load_encodings(Run(Path(sys.argv[1])))\nexcept UserError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, str(tiny_run.path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.startswith("The encodings of run 'tiny' are damaged")


def test_a_long_history_is_shown_in_bounded_time_and_memory(tiny_run: Run) -> None:
    """A quarter of a million records: its ends and its validations are there."""
    lines = [
        json.dumps({"kind": "step", "step": n, "epoch": 1, "time": n / 10, "terms": {"recon": 9.0},
                    "total": 9.0, "beta": 1.0}, separators=(",", ":"))
        for n in range(1, 250_001)
    ]  # fmt: skip
    seen = {"kind": "validation", "step": 125_000, "time": 1.0, "terms": {"recon": 8.0}}
    lines.insert(125_000, json.dumps(seen, separators=(",", ":")))
    tiny_run.file("history.jsonl").write_text("\n".join(lines) + "\n")
    history, started = History(tiny_run), time.process_time()
    history.refresh()
    message, _ = history.full()
    assert time.process_time() - started < 2
    steps = message["train"]["recon"]["step"]
    assert steps[0] < 100 and steps[-1] > 249_900 and len(steps) <= 2000
    assert message["validation"]["recon"]["step"] == [125_000]


# --- settings of a later version -----------------------------------------------------------------


def test_settings_of_a_later_version_are_set_aside(tiny_run: Run) -> None:
    values = json.loads(tiny_run.file("config.json").read_text())
    values["train"]["lookahead"] = 0.99
    tiny_run.file("config.json").write_text(json.dumps(values))
    assert load_run(tiny_run).step == 10
    (facts,) = catalog(Store(tiny_run.path.parent))
    assert facts.usable and "train.lookahead" in facts.note
    with pytest.raises(UserError, match=r"cannot be resumed by this version.*train\.lookahead"):
        tiny_run.config_to_train()
    with pytest.raises(UserError, match=r"There is no setting 'train\.lookahead'"):
        parse_config({"train": {"lookahead": 0.99}})


def test_a_later_format_says_so(tiny_run: Run) -> None:
    values = json.loads(tiny_run.file("config.json").read_text())
    tiny_run.file("config.json").write_text(json.dumps(values | {"format": FORMAT + 1}))
    assert "a later version" in tiny_run.notes()
    values["model"]["latent_dim"] = "many"
    tiny_run.file("config.json").write_text(json.dumps(values | {"format": FORMAT + 1}))
    with pytest.raises(UserError, match=r"latent_dim.*A later version wrote it"):
        tiny_run.config()


# --- the size of a model -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "card"),
    [
        ({"model": {"options": {"channels": [10**9]}}}, CARD),
        ({"model": {"options": {"channels": [10**9, 10**9]}}}, CARD),
        (
            {"model": {"backbone": "mlp"}},
            VAST,
        ),
        ({}, VAST),
    ],
)
def test_a_model_that_is_too_large_is_never_built(config: dict[str, Any], card: DataCard) -> None:
    with pytest.raises(UserError, match=f"{MEMORY_VARIABLE}|too large to be built"):
        require_memory_to_train(parse_config(config), card)


def test_the_bound_can_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    config = parse_config({})
    weights, image = footprint(config, CARD)
    needed = (COPIES * weights + config.train.batch_size * image) / 1e9
    monkeypatch.setenv(MEMORY_VARIABLE, str(needed * 1.1))
    require_memory_to_train(config, CARD)
    monkeypatch.setenv(MEMORY_VARIABLE, str(needed * 0.9))
    with pytest.raises(UserError, match=r"at most \d+, gradient accumulation in 2 parts, or set"):
        require_memory_to_train(config, CARD)
    require_memory_to_train(config.updated({"train": {"accumulate": 2}}), CARD)
    whole = config.updated({"family": "free-bits", "objective": {}})
    with pytest.raises(UserError, match=r"at most \d+, or set"):
        require_memory_to_train(whole, CARD)


def test_a_config_that_does_not_fit_its_weights_is_refused_unbuilt(tiny_run: Run) -> None:
    values = json.loads(tiny_run.file("config.json").read_text())
    values["model"]["options"]["channels"] = [8, 16, 4096]
    tiny_run.file("config.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match="weights of run 'tiny' are damaged"):
        load_run(tiny_run)


def test_a_picture_is_measured_before_it_is_unpacked(tiny_run: Run, tmp_path: Path) -> None:
    Image.new("1", (30_000, 30_000)).save(tiny_run.file("thumbnail.png"))
    (facts,) = catalog(Store(tmp_path))
    assert "30000 × 30000 pixels" in facts.problem


@pytest.mark.parametrize("name", ["history.jsonl", "control.jsonl"])
def test_nothing_is_written_through_a_link_or_into_a_pipe(tmp_path: Path, name: str) -> None:
    run, outside = Run(tmp_path / "run"), tmp_path / "outside"
    run.path.mkdir()
    outside.write_text("mine")
    run.file(name).symlink_to(outside)
    with pytest.raises(UserError, match="could not be written"):
        run.append(name, {"step": 1})
    assert outside.read_text() == "mine"
    run.file(name).unlink()
    os.mkfifo(run.file(name))
    with pytest.raises(UserError, match="could not be written"):
        run.append(name, {"step": 1})
