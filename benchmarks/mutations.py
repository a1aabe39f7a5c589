"""Spoils a run or a sweep in thousands of ways and looks at it with everything that reads one.

    python -m benchmarks.mutations --count 2000 [--pages 40] [--seed 0] [--share 1]

For each mutation a store holds the spoilt run, or sweep, and a good one. Whatever pages, live
routes and commands ask of them is asked; anything but an answer or a `UserError` is a fault, and so
is what takes more than 2 s of the processor or 300 MB more of memory, or a good run or sweep that
suffers. Every `--pages`-th mutation all six pages are opened as well, with either run chosen.
"""

from __future__ import annotations

import argparse
import collections
import gc
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

MOST_S, MOST_MB = 2.0, 300.0
MOST_SPACE = 3 * 10**9
READINGS = ("config", "notes", "config_to_train", "data_card", "status", "summary", "history",
            "environment", "set_by_hand", "log_tail", "weights_step", "has_state")  # fmt: skip
SWEEP_READINGS = ("spec", "state", "written_state", "storage", "log_tail",
                  "busy_message", "remote_host", "is_alive")  # fmt: skip
SWEEPS = ".sweeps"
PAGES = ("gallery", "train", "explore", "grids", "encodings", "tune_beta")


@dataclass
class Verdict:
    """What became of one mutation."""

    mutation: str
    state: str = ""
    reason: str = ""
    faults: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    largest: tuple[float, str] = (0.0, "")


def judge(
    mutation: Any, run: Path, with_pages: bool = False, some: tuple[int, int] = (0, 1)
) -> Verdict:
    """Spoil a copy of the good run at `run`, and look at it in every way.

    Args:
        some: (n, of how many): only every so manieth question is asked, from the nth on.
    """
    from benchmarks.hostile import copied
    from latent_workbench.shared.catalog import catalog
    from vae_core.runs import Store

    place = Path(tempfile.mkdtemp(prefix="mutant-"))
    before = os.environ.get("VAE_STORE")
    verdict = Verdict(str(mutation))
    try:
        path = copied(run, place)
        mutation.apply(path if mutation.file.startswith(SWEEPS) else path / "mutant")
        os.environ["VAE_STORE"] = str(path)
        store = Store(path)
        questions = [*asked(store)][some[0] % some[1] :: some[1]]
        for name, ask in [*questions, *(pages() if with_pages else ())]:
            _ask(name, ask, verdict)
        facts = {each.id: each for each in catalog(store)}
        if not facts["good"].usable or facts["good"].recon is None:
            verdict.faults.append("the good run is not usable any more")
        verdict.state, verdict.reason = state_of(store, facts.get("mutant"), mutation.file)
        if state_of(store, None, f"{SWEEPS}/good") != ("stopped", ""):
            verdict.faults.append("the good sweep is not usable any more")
    finally:
        if before is not None:
            os.environ["VAE_STORE"] = before
        shutil.rmtree(place, ignore_errors=True)
    return verdict


def state_of(store: Any, facts: Any, file: str) -> tuple[str, str]:
    """What became of the run, or of the sweep where `file` is one of a sweep's, and why."""
    from vae_core.errors import UserError
    from vae_core.sweeps import sweeps_of

    if not file.startswith(SWEEPS):
        return ("not listed", "") if facts is None else (facts.state, facts.problem)
    found = [each for each in sweeps_of(store) if each.id == file.split("/")[1]]
    try:
        states = [each.state().state for each in found if each.spec()]
        return (states[0] if states else "not listed"), ""
    except UserError as error:
        return "damaged", str(error)


def _ask(name: str, ask: Callable[[], Any], verdict: Verdict) -> None:
    """Ask one question, and hold the time and the memory that it takes against the bounds."""
    from vae_core.errors import UserError

    resident = _reset_peak()
    started = time.process_time()
    try:
        ask()
    except UserError as error:
        if not str(error) or "\n" in str(error).strip() or len(str(error)) > 2000:
            verdict.faults.append(f"{name}: no sentence: {str(error)[:200]!r}")
    except Exception:
        last = traceback.format_exc().strip().splitlines()
        verdict.faults.append(f"{name}: {last[-1][:200]} ({'; '.join(last[-3:-1])[:200]})")
    seconds, grown = time.process_time() - started, _peak() - resident
    verdict.slowest = max(verdict.slowest, (seconds, name))
    verdict.largest = max(verdict.largest, (grown, name))
    if seconds > MOST_S:
        verdict.faults.append(f"{name}: {seconds:.1f} s")
    if grown > MOST_MB:
        verdict.faults.append(f"{name}: {grown:.0f} MB more")


def asked(store: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Everything that pages, routes and commands ask of the run and the sweep called "mutant"."""
    from starlette.applications import Starlette
    from starlette.testclient import TestClient
    from typer.testing import CliRunner

    from latent_workbench.live import resources
    from latent_workbench.live.history import History, latest_beta, latest_weights
    from latent_workbench.live.progress import Watcher
    from latent_workbench.live.routes import live_mount
    from latent_workbench.shared import catalog, schedule
    from latent_workbench.shared.explore_view import PRINCIPAL
    from latent_workbench.tune import board, comparison, findings, sweep_tab
    from vae_core import analysis, in_force, scoring
    from vae_core.cli.app import app as commands
    from vae_core.latent.encodings import load_encodings
    from vae_core.latent.maps import load_map
    from vae_core.latent.priors import sample
    from vae_core.latent.saved import load_saved
    from vae_core.latent.survey import load_survey, surveyed_hashes
    from vae_core.loading import load_run
    from vae_core.run_data import recorded_by
    from vae_core.runs import Run
    from vae_core.sweeps import Sweep, results, sweeps_of
    from vae_core.sweeps.resolved import resolved
    from vae_core.sweeps.study import open_study
    from vae_core.training.checkpoint import load_state

    run = Run(store.path / "mutant")

    def sampled() -> Any:
        found = load_run(run)
        return sample(run, found.model, "gaussian-mixture", 4)

    def watched() -> Any:
        watcher = Watcher(run, History(run))
        return watcher.news()

    yield "gallery", lambda: catalog.catalog(store)
    yield "list", lambda: list(store)
    yield "get", lambda: store.get("mutant")
    yield "facts", lambda: catalog.facts_of(run)
    yield "companions", lambda: catalog.companions(run)
    for name in READINGS:
        yield name, getattr(run, name)
    yield "model", lambda: resources.model_of(run)
    yield "corrupts", lambda: resources.corrupts(run)
    yield "encodings", lambda: resources.encodings_of(run)
    yield "sliders", lambda: resources.sliders_of(run, PRINCIPAL)
    yield "axes", lambda: resources.sliders_of(run, "latent")
    yield "region", lambda: resources.region_of(run)
    yield "prior", lambda: resources.prior_of(run)
    yield "sample", sampled
    yield "saved directions", lambda: load_saved(run)
    yield "survey", lambda: analysis.survey_of(run, "cached")
    yield "kept survey", lambda: load_survey(run, "validation", run.weights_step() or 0)
    yield "hashes", lambda: surveyed_hashes(run, "validation")
    yield "map", lambda: load_map(run, "cached", "pca", 2, 0, load_encodings(run).mu)
    yield "parts", lambda: recorded_by(run)
    yield "β in force", lambda: in_force.beta_in_force(run)
    yield "weights in force", lambda: in_force.weights_in_force(run)
    yield "findings", lambda: findings.findings_of(run)
    yield "curves", lambda: comparison.curves_of(run)
    yield "changes", lambda: schedule.changes(run, "beta")
    yield "resolved", lambda: resolved(run)
    yield "result", lambda: results.result_of(run)
    yield "table", lambda: results.table([run])
    yield (
        "scores",
        lambda: (scoring.columns(scoring.scores(run)), scoring.remarks(scoring.scores(run))),
    )
    yield "traversal", lambda: board.traversal(run)
    yield "strip", lambda: board.preview(run, "samples")
    yield "latest β", lambda: latest_beta(run)
    yield "latest weights", lambda: latest_weights(run)
    yield "progress", watched
    yield "version", lambda: run.version("thumbnails.png")

    sweep = Sweep(store, "mutant")
    yield "sweeps of the store", lambda: sweeps_of(store)
    for name in SWEEP_READINGS:
        yield f"sweep {name}", getattr(sweep, name)
    yield "sweep points", lambda: (sweep.spec().total, sweep.spec().points())
    yield "sweep runs", lambda: [run for run in sweep_tab._facts(sweep) if run.usable]
    yield "sweep study", lambda: open_study(sweep.storage(), sweep.id)

    client = TestClient(Starlette(routes=[live_mount()]), base_url="http://localhost")
    for address in ("/live/thumbnails/mutant", "/live/preview/mutant/originals.png",
                    "/live/preview/mutant/00000000-samples.png"):  # fmt: skip
        yield f"GET {address}", partial(_got, client, address)
    yield "GET decode", lambda: _answer(client.post("/live/decode/mutant", content=b"{}"))

    def socket() -> None:
        with client.websocket_connect("ws://localhost/live/progress/mutant") as websocket:
            websocket.receive_json()

    yield "WS progress", socket
    for words in (["list"], ["list", "--json"], ["show", "mutant"], ["show", "mutant", "--json"],
                  ["sweeps"], ["sweeps", "--json"], ["sweep-tell", "mutant", "pause"]):  # fmt: skip

        def command(words: list[str] = words) -> None:
            done = CliRunner().invoke(commands, [*words, "--store", str(store.path)])
            if done.exception is not None and not isinstance(done.exception, SystemExit):
                raise done.exception

        yield " ".join(words), command
    yield "state", lambda: load_state(run)  # last: it removes what a save left half done


def _got(client: Any, address: str) -> None:
    _answer(client.get(address))


def _answer(response: Any) -> None:
    """A picture of this run or a refusal."""
    if response.status_code >= 500:
        raise AssertionError(f"status {response.status_code}")
    is_png = response.content[:4] == b"\x89PNG"
    if (
        response.status_code == 200
        and response.headers["content-type"] == "image/png"
        and not is_png
    ):
        raise AssertionError(f"served {response.content[:20]!r}")


def pages() -> Iterator[tuple[str, Callable[[], Any]]]:
    """All pages, with either run chosen."""
    from streamlit.testing.v1 import AppTest

    root = Path(__file__).resolve().parents[1]

    def opened(page: str, run: str, sweep: str = "") -> None:
        app = AppTest.from_file(str(root / "streamlit_app.py"), default_timeout=120)
        app.query_params["run"] = run
        if sweep:
            app.query_params["sweep"] = sweep
        app.run()
        app.switch_page(f"pages/{page}.py").run()
        if app.exception:
            raise AssertionError(app.exception[0].value)

    for run in ("good", "mutant"):
        for page in PAGES:
            yield f"page {page} of {run}", partial(opened, page, run)
    yield "page of the sweep", partial(opened, "tune_beta", "good", "mutant")


def prepared(place: Path) -> Path:
    """A good run with everything that a run may have."""
    from vae_core.config import parse_config
    from vae_core.families import complete
    from vae_core.runs import Store
    from vae_core.training.worker import work

    config = complete(parse_config({
        "data": {"dataset": "digits", "image_size": 16, "limit": 300},
        "model": {"latent_dim": 4, "options": {"channels": [8, 16], "hidden": 32}},
        "train": {"epochs": 2, "batch_size": 64, "threads": 1, "log_every": 2, "device": "cpu"},
    }))  # fmt: skip
    run = Store(place).create("good", config)
    work(run)
    return furnished(run)


def furnished(run: Any) -> Path:
    """Give a finished run what pages keep in it, and what earlier versions kept there: surveys, a
    map, a prior, directions, scores. Two sweeps come into its store."""
    from vae_core.analysis import map_of, survey_of
    from vae_core.latent.encodings import load_encodings
    from vae_core.latent.priors import sample
    from vae_core.latent.saved import save_direction
    from vae_core.loading import load_run
    from vae_core.runs import Store
    from vae_core.runs.derived import derived_folder

    loaded = load_run(run)
    survey_of(run, "validation")
    map_of(run, "cached", "pca")
    sample(run, loaded.model, "gaussian-mixture", 4)
    save_direction(run, "smile", load_encodings(run).mu[0])
    run.append("history.jsonl", {"kind": "set", "step": 5, "name": "beta", "value": 2.0})
    run.append("control.jsonl", {"command": "pause"})
    run.write_bytes("log.txt", b"Preparing the images\n")
    scored = {"mig": 0.1}
    run.write_json("scores.json", {
        "means": scored, "samples": scored, "spread": {"means": scored, "samples": scored},
        "part": "validation", "images": 300, "seeds": 3, "step": loaded.step, "latent_dim": 4,
        "active_units": 4, "collapsed": [], "constant_factors": [],
    })  # fmt: skip
    found: Path = run.path
    for each in derived_folder(run).path.iterdir():
        shutil.copy(each, found)
    swept(Store(found.parent))
    return found


def swept(store: Any) -> None:
    """Two sweeps that were stopped: each has a run of the store, and others that wait."""
    from vae_core.sweeps import BETA, SweepSpec
    from vae_core.sweeps.sweep import create_sweep

    for name in ("good", "mutant"):
        spec = SweepSpec(base=store.get("good").config(), vary={BETA: (0.5, 1.0, 2.0)})
        sweep = create_sweep(store, name, spec)
        first = sweep.written_state().entries[0].model_copy(update={"run": "good", "attempts": 1})
        sweep.write_json("state.json", sweep.written_state().replaced(first))
        sweep.append("control.jsonl", {"command": "order", "numbers": [2, 1]})
        sweep.write_bytes("log.txt", b"Opening the study\n")
        with sweep.lock():
            pass


def files_of(run: Path) -> list[str]:
    """The names of its files, as a run gives them, and of a sweep's in its store."""
    sweep = run.parent / SWEEPS / "mutant"
    own = [str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()]
    return sorted([*own, *(f"{SWEEPS}/mutant/{path.name}" for path in sweep.iterdir())])


def _reset_peak() -> float:
    """Forget the largest memory so far; MB in use now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _peak() -> float:
    return _memory("VmHWM")


def _memory(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    return (
        next(float(line.split()[1]) for line in status.splitlines() if line.startswith(name)) / 1e3
    )


def drawn(count: int, files: list[str], seed: int) -> list[Any]:
    """The same `count` mutations for the same seed."""
    import hypothesis
    from hypothesis import HealthCheck, Phase, given, settings

    from benchmarks.hostile import mutations

    found: list[Any] = []

    @hypothesis.seed(seed)
    @settings(max_examples=count, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(mutations(files))
    def draw(mutation: Any) -> None:
        found.append(mutation)

    draw()
    return found[:count]


def main() -> None:
    """Print what became of them; status 1 where there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument(
        "--pages", type=int, default=40, help="open all pages at every nth; 0 for never"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--share", type=int, default=1, help="of each mutation ask one question in so many, in turn"
    )
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="mutations-"))
    os.environ |= {"VAE_STORE": str(place), "VAE_CACHE": str(place / ".cache")}
    run = prepared(place)
    found = drawn(options.count, files_of(run), options.seed)
    judge(Nothing(), run, with_pages=bool(options.pages))  # what is imported and cached once
    gc.collect()
    gc.freeze()
    # What takes more shall be a fault with a name, and no end of this process or another one.
    resource.setrlimit(resource.RLIMIT_AS, (int(_memory("VmSize") * 1e6) + MOST_SPACE, -1))
    verdicts = []
    for n, mutation in enumerate(found):
        with_pages = bool(options.pages) and n % options.pages == 0
        verdicts.append(judge(mutation, run, with_pages, (n, options.share)))
        if n % 20 == 19:
            gc.collect()
        if n % 100 == 99:
            print(f"{n + 1} of {len(found)}", file=sys.stderr, flush=True)
        for fault in verdicts[-1].faults:
            print(f"{mutation}: {fault}", flush=True)
    report(verdicts)
    shutil.rmtree(place, ignore_errors=True)
    sys.exit(any(verdict.faults for verdict in verdicts))


class Nothing:
    """As a mutation."""

    file = ""

    def apply(self, run: Path) -> None:
        """A run that is as it was."""

    def __str__(self) -> str:
        return "nothing"


def report(verdicts: list[Verdict]) -> None:
    """A table of outcomes by way, then the slowest and the largest."""
    table: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for verdict in verdicts:
        way = verdict.mutation.partition(": ")[2].partition(" (")[0]
        table[way][verdict.state] += 1
        table[way]["faults"] += len(verdict.faults)
    states = sorted({state for counts in table.values() for state in counts} - {"faults"})
    print(f"{'way':16}" + "".join(f"{state:>14}" for state in [*states, "faults"]))
    for way, counts in sorted(table.items()):
        print(f"{way:16}" + "".join(f"{counts[state]:14}" for state in [*states, "faults"]))
    slowest = max(verdicts, key=lambda verdict: verdict.slowest)
    largest = max(verdicts, key=lambda verdict: verdict.largest)
    faults = sum(len(verdict.faults) for verdict in verdicts)
    print(f"{len(verdicts)} mutations, {faults} faults")
    print(f"slowest: {slowest.slowest[0]:.2f} s, {slowest.slowest[1]}, {slowest.mutation}")
    print(f"largest: {largest.largest[0]:.0f} MB, {largest.largest[1]}, {largest.mutation}")


if __name__ == "__main__":
    main()
