"""The walk of docs/own-images.md, walked: its pictures, and the figures in it.

A collection is drawn (`benchmarks/parts.py`), dropped into the app in a real browser, and learned
with nothing set; then the collection and next week's images are looked at, on the pages and by the
commands. Every step leaves a picture of the page in docs/own-images/, and the table between the
marks in docs/own-images.md is written anew. A step that fails is named, and the others are walked.
"""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image
from playwright.sync_api import Error, Page, ViewportSize, expect, sync_playwright

from benchmarks import parts
from benchmarks.app import CHROMIUM, ROOT, served
from vae_core.locations import CACHE_VARIABLE, DATA_VARIABLE, STORE_VARIABLE
from vae_core.runs import ACTIVE, Run, Store, layout

PAGE = ROOT / "docs" / "own-images.md"
MARKS = "<!-- measured -->", "<!-- end of measured -->"
SIGHT: ViewportSize = {"width": 1280, "height": 800}
COLOURS, ROUNDS = 256, 2
"""Of a stored picture, and of k-means that places them: pages are flat."""

SETTLED_MS, LOOKS = 800, 3
BEGUN_S = 300
"""Until a first step, or a first epoch: a worker imports torch on a machine that may be busy."""

MODEL_SEEN_S = 25
"""Into a training, when its pictures have begun to look like something."""

Figures = dict[str, str]


@dataclass
class Walk:
    """Where it goes: the page, the app, the collection; and what was measured on the way."""

    page: Page
    url: str
    store: Store
    place: Path
    pictures: Path
    most_training_s: float
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def run(self) -> Run:
        """What was started from the page."""
        return next(iter(self.store))

    def settle(self) -> None:
        """Wait until the page stands still: no script of it runs, and nothing is told to come.
        What a child process makes begins a moment later, so one look is not enough."""
        for _ in range(LOOKS):
            for waiting in ("stStatusWidget", "stSpinner", "stProgress"):
                expect(self.page.get_by_test_id(waiting)).to_have_count(0)
            self.page.wait_for_timeout(SETTLED_MS)

    def open_tab(self, name: str) -> None:
        """A tab below the points of Encodings, at the top of the sight."""
        if "/encodings" not in self.page.url:
            self.page.goto(f"{self.url}/encodings?run={self.run.id}")
        tab = self.page.get_by_role("tab", name=name, exact=True)
        tab.click()
        self.settle()
        tab.evaluate("each => each.scrollIntoView({ block: 'start' })")
        self.page.mouse.wheel(0, -20)


def drop(walk: Walk) -> None:
    """A .zip is dropped on Train: what the network will see, and what was found beside."""
    page = walk.page
    page.goto(f"{walk.url}/train")
    page.get_by_role("combobox", name="Data").click()
    page.get_by_role("option", name="Your images").click()
    expect(page.get_by_test_id("upload-state")).to_contain_text("Drop images")
    page.get_by_test_id("upload-files-input").set_input_files(walk.place / "parts.zip")
    expect(page.get_by_test_id("upload-state")).to_contain_text("parts.zip")
    expect(page.locator(".samples img").first).to_be_visible()
    expect(page.locator(".st-key-start-training button")).to_be_enabled()
    walk.settle()


def decided(walk: Walk) -> None:
    """What was decided from the images, each with its reason."""
    opened = walk.page.locator(".st-key-train-decided summary")
    opened.click()
    walk.settle()
    opened.evaluate("each => each.scrollIntoView({ block: 'start' })")
    walk.settle()


def training(walk: Walk) -> None:
    """Start was pressed: the curves, and what the model makes of images that it does not learn."""
    page = walk.page
    page.locator(".st-key-start-training button").click()
    page.wait_for_url("**/train?run=*")
    page.get_by_test_id("run-state").wait_for()
    _until(lambda: walk.run.status().step > 0 or walk.run.status().state not in ACTIVE, BEGUN_S)
    page.wait_for_timeout(1000 * MODEL_SEEN_S)


def trained(walk: Walk) -> None:
    """The end; where it takes longer than a walk may, Stop is pressed, which saves."""
    ended = _until(lambda: walk.run.status().state not in ACTIVE, walk.most_training_s)
    if not ended:  # the points are there since its first epoch
        _until(lambda: walk.run.has(layout.ENCODINGS), BEGUN_S)
        walk.page.locator(".st-key-stop-training button").click()
        _until(lambda: walk.run.status().state not in ACTIVE, 120)
    expect(walk.page.get_by_test_id("run-state")).to_have_text(walk.run.status().state)
    walk.settle()


def points(walk: Walk) -> None:
    """Where the model puts the images, coloured by their folders."""
    walk.page.goto(f"{walk.url}/encodings?run={walk.run.id}")
    walk.page.get_by_test_id("scatter").wait_for()
    walk.settle()


def collection(walk: Walk) -> None:
    """Near-duplicates, likely wrong labels, groups and what is rare."""
    walk.open_tab("Collection")
    walk.page.get_by_text("Likely mislabelled").first.click()
    walk.settle()


def outliers(walk: Walk) -> None:
    """What stands out in the collection, and where in the picture."""
    walk.open_tab("Outliers")
    walk.page.get_by_test_id("stPlotlyChart").first.wait_for()
    walk.settle()


def next_week(walk: Walk) -> None:
    """Images that the model has not seen."""
    walk.open_tab("New images")
    packed = parts.pack(walk.place / "next-week", walk.place / "next-week.zip")
    walk.page.get_by_test_id("upload-files-input").last.set_input_files(packed)
    walk.page.get_by_text("40 new images").wait_for()
    walk.settle()
    walk.page.get_by_role("tab", name="New images").evaluate(
        "each => each.scrollIntoView({ block: 'start' })"
    )


def explore(walk: Walk) -> None:
    """One slider a direction: what varies in the collection."""
    walk.page.goto(f"{walk.url}/explore?run={walk.run.id}")
    walk.page.get_by_test_id("decoded-image").first.wait_for()
    walk.settle()


STEPS: Mapping[str, Callable[[Walk], None]] = {
    "1-drop": drop,
    "2-decided": decided,
    "3-training": training,
    "4-trained": trained,
    "5-map": points,
    "6-collection": collection,
    "7-outliers": outliers,
    "8-next-week": next_week,
    "9-explore": explore,
}
"""By the names of their pictures, in order."""


def walk_on_pages(walk: Walk, only: list[str]) -> dict[str, str]:
    """Walk the steps; why those failed that did."""
    failed: dict[str, str] = {}
    for name, step in STEPS.items():
        if only and name not in only:
            continue
        began = time.perf_counter()
        try:
            step(walk)
        except (Error, AssertionError, StopIteration, RuntimeError) as error:
            failed[name] = (str(error).strip() or type(error).__name__).splitlines()[0]
        walk.seconds[name] = round(time.perf_counter() - began, 1)
        suffix = "-failed" if name in failed else ""
        save_picture(walk.page.screenshot(), walk.pictures / f"{name}{suffix}.png")
        print(f"{name}: {failed.get(name, 'walked')} ({walk.seconds[name]} s)", file=sys.stderr)
    return failed


def save_picture(data: bytes, path: Path) -> None:
    """Keep a picture of a page in few colours: a tenth of a megabyte each."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    image.quantize(COLOURS, kmeans=ROUNDS, dither=Image.Dither.NONE).save(path, optimize=True)


def walk_by_commands(run: Run, place: Path) -> Figures:
    """What the commands find of what was hidden in the collection, and how long each takes."""
    truth = json.loads((place / "truth.json").read_text())
    found, scores = place / "found", place / "scores.csv"
    curating = _command("curate", run, "--out", str(found))
    scoring = _command("score-images", run, str(place / "next-week"), "--out", str(scores))
    return {
        **_curated(_columns(found / "curation.csv"), truth["parts"]),
        **_scored(_columns(scores), truth["next-week"]["faulty"]),
        "`curate`": f"{curating:.0f} s",
        "`score-images`": f"{scoring:.0f} s",
    }


def _curated(columns: Mapping[str, list[str]], truth: Mapping[str, Any]) -> Figures:
    """Near-copies and wrong labels, of those among the images that the command looked through."""
    files = [_inside(name) for name in columns["file"]]
    copy_of = dict(zip(files, map(_inside, columns["copy_of"]), strict=True))
    pairs = [pair for pair in truth["copies"].items() if set(pair) <= set(files)]
    copies = sum(a == copy_of[b] or b == copy_of[a] for a, b in pairs)
    told = {
        "Near-duplicates found": f"{copies} of {len(pairs)}",
        "Other images called near-duplicates": str(sum(map(bool, copy_of.values())) - copies),
    }
    if "suggested_label" in columns:
        suggested = dict(zip(files, columns["suggested_label"], strict=True))
        wrong = [name for name in truth["mislabelled"] if name in suggested]
        right = sum(suggested[name] == truth["mislabelled"][name] for name in wrong)
        told["Wrong labels found, with the right one suggested"] = f"{right} of {len(wrong)}"
        others = sum(map(bool, suggested.values())) - sum(bool(suggested[name]) for name in wrong)
        told["Right labels doubted"] = f"{others} of {len(files) - len(wrong)}"
    return told


def _scored(columns: Mapping[str, list[str]], faulty: Mapping[str, str]) -> Figures:
    """How well each score tells next week's faulty parts."""
    from vae_core.latent.detection import detection
    from vae_core.latent.novelty import novelties

    strange = np.array([Path(name).name in faulty for name in columns["file"]])
    areas = {}
    for entry in novelties:
        if entry.name in columns:
            found = detection(np.array(columns[entry.name], float), strange)
            assert found is not None  # some are faulty, and some are not
            areas[entry.label] = found.auroc
    best = max(areas, key=areas.__getitem__)
    named = np.array(columns.get("outlier", []), object) == "True"
    told = {
        f"Best score for the {strange.sum()} faulty parts of {len(strange)}": (
            f"{best}, AUROC {areas[best]:.2f}"
        )
    }
    if len(named):
        told["Flagged by the usual score at 5 % false alarms"] = (
            f"{(named & strange).sum()} faulty, {(named & ~strange).sum()} good"
        )
    return told


def _command(name: str, run: Run, *arguments: str) -> float:
    """Run a command on a run; the seconds that it took.

    Raises:
        RuntimeError: with what it said, when it fails.
    """
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "vae_core", name, run.id, *arguments],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip().splitlines()[-1]}")
    return time.perf_counter() - began


def _columns(path: Path) -> dict[str, list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0]}


def _inside(name: str) -> str:
    """Without the folder that the .zip wraps around the collection."""
    return name.removeprefix("parts/")


def _until(done: Callable[[], bool], seconds: float) -> bool:
    """Whether it came to be within so many seconds."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def describe(run: Run, images: int) -> Figures:
    """The run that was made: all of it was decided from the images."""
    card, config, status = run.data_card(), run.config(), run.status()
    _, height, width = card.image_shape
    return {
        "Images": f"{images}, of which {card.n_train} are learned from",
        "Seen by the network": f"{width}×{height} px",
        "Latent dimensions": str(config.model.latent_dim),
        "Training": f"{status.state} after {status.step} steps",
    }


def write_figures(figures: Figures) -> None:
    """Put the table into the page, between its marks."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    rows = "\n".join(f"| {name} | {value} |" for name, value in figures.items())
    table = f"\n| measured on {_machine()} | |\n| --- | --- |\n{rows}\n"
    PAGE.write_text(before + MARKS[0] + table + MARKS[1] + after, encoding="utf-8")


def _machine() -> str:
    return f"{os.cpu_count()} cores of {platform.machine()}"


def main(
    out: Annotated[
        Path | None, typer.Option(help="For pictures; else docs/own-images, and its page.")
    ] = None,
    per_kind: Annotated[int, typer.Option(help="Parts of each kind.")] = parts.PER_KIND,
    most_training_s: Annotated[
        float, typer.Option(help="Seconds after which Stop is pressed.")
    ] = 240,
    patience_s: Annotated[float, typer.Option(help="Longest wait for a page.")] = 120,
    only: Annotated[
        list[str], typer.Option(help="A step, such as 1-drop; repeat it. Else all.")
    ] = [],  # noqa: B006 — typer wants a list and copies it
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Walk, keep a picture of each step, and write down what was measured."""
    pictures = out or PAGE.with_suffix("")
    pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for variable in (STORE_VARIABLE, DATA_VARIABLE, CACHE_VARIABLE):
            os.environ[variable] = str(place / variable)
        parts.main(place, per_kind)
        store = Store(place / STORE_VARIABLE)
        store.path.mkdir()
        with served(store) as (url, _), sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=CHROMIUM
            )
            page = browser.new_page(viewport=SIGHT, color_scheme="light")
            page.set_default_timeout(1000 * patience_s)
            expect.set_options(timeout=1000 * patience_s)
            walk = Walk(page, url, store, place, pictures, most_training_s)
            failed = walk_on_pages(walk, only)
            browser.close()
        figures: Figures = {}
        if not only:
            try:
                figures = describe(walk.run, per_kind * len(parts.KINDS))
                figures |= walk_by_commands(walk.run, place)
            except (RuntimeError, StopIteration) as error:
                failed["commands"] = str(error)
    figures["From the drop to the preview"] = f"{walk.seconds.get('1-drop', 0):.0f} s"
    if out is None and not failed and not only:
        write_figures(figures)
    if as_json:
        print(json.dumps({"figures": figures, "seconds": walk.seconds, "failed": failed}, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name}: {value}")
    for name, why in failed.items():
        print(f"{name} failed: {why}", file=sys.stderr)
    raise typer.Exit(1 if failed else 0)


if __name__ == "__main__":
    typer.run(main)
