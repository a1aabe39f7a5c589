"""A run as one HTML file: pictures as the server's, nothing that a run says can do anything."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latent_workbench.live.engine import load_region, locate
from latent_workbench.live.models import decode_pixels
from tests.engine import trained
from tests.test_families import FAMILIES, made
from tests.test_folded import BACKBONES, used
from vae_core.errors import UserError
from vae_core.export import Source, export, write_export
from vae_core.export.bundle import bundled
from vae_core.export.html import page_data
from vae_core.export.networks import try_inputs
from vae_core.export.translated import halves_suffice, translated
from vae_core.latent.grids import decode_vectors
from vae_core.latent.region import Verdict
from vae_core.loading import load_run
from vae_core.locations import COMPONENTS, SHIPPED
from vae_core.models import LatentModel
from vae_core.models.likelihoods import likelihoods
from vae_core.runs import Run

MOST_LEVELS = 2
"""Of 255, by which a picture in the browser may differ from the server's."""

ROOT = Path(__file__).resolve().parent.parent


def answered(models: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """What the page's worker answers, in the engine that runs it in Chromium too."""
    done = subprocess.run(
        ["node", "tests/js/decode.js"], input=json.dumps(models), capture_output=True, text=True,
        check=True, cwd=ROOT,
    )  # fmt: skip
    found: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return found


def every_network() -> dict[str, LatentModel]:
    """Every family, with even images and with odd ones in turn; every backbone and likelihood."""
    shapes = [(1, 16, 16), (3, 13, 19)]
    networks = {name: made(name, shapes[i % 2])[0] for i, name in enumerate(FAMILIES)}
    for case, (name, options) in BACKBONES.items():
        networks[case] = made("vae", (3, 13, 19), backbone=name, options=options)[0]
    perceptron = {"hidden": [16], "activation": "silu"}
    networks["mlp"] = made("vae", (3, 13, 19), backbone="mlp", options=perceptron)[0]
    for entry in likelihoods:
        networks[entry.name] = made("vae", (3, 13, 19), likelihood=entry.name)[0]
    return {case: used(model) for case, model in networks.items()}


def told_to(model: LatentModel) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Two things that a model can be told, for the page and for the server."""
    if model.labels:
        return (labels := np.array([1, -1])), {"labels": labels}
    if model.dial is not None:
        return (dial := np.array([model.dial.low, model.dial.high])), {"dial": dial}
    return np.zeros(2), {}


def test_the_browser_shows_what_the_server_shows() -> None:
    generator, asked, expected = torch.Generator().manual_seed(11), [], {}
    for case, model in every_network().items():
        program = translated(model, try_inputs(model, 1)[1]).as_json()
        vectors = 2 * torch.randn(2, model.latent_size, generator=generator).numpy()
        told, options = told_to(model)
        pictures = decode_vectors(model, vectors, **options)
        assert pictures.std() > 0.3, f"{case} shows too little to differ in"
        questions = [
            {"id": i, "z": z.tolist(), "told": float(told[i]), "nearest": 0}
            for i, z in enumerate(vectors)
        ]
        shape = pictures.shape[1:]
        asked.append({"program": program, "mu": None, "region": None, "density": None,
                      "shape": shape, "asked": questions})  # fmt: skip
        expected[case] = pictures.transpose(0, 2, 3, 1)
    furthest = {}
    for (case, pictures), found in zip(expected.items(), answered(asked), strict=True):
        shown = np.array([each["pixels"] for each in found]).reshape(pictures.shape)
        furthest[case] = int(np.abs(shown - pictures).max())
    assert {case: by for case, by in furthest.items() if by > MOST_LEVELS} == {}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("html"), "tiny")


def test_a_point_is_placed_as_the_server_places_it(run: Run) -> None:
    model, region = load_run(run).model, load_region(run)
    data = page_data(Source(run))
    density = model.prior()
    rng = np.random.default_rng(3)
    near = region.mu[:3] + 0.01
    points = np.concatenate([near, rng.normal(0, 9, (2, model.latent_size)), region.mean[None]])
    points = points.astype(np.float32)
    questions = [{"id": 0, "z": z.tolist(), "told": -1, "nearest": 5} for z in points]
    (found,) = answered([data["model"] | {"asked": questions}])
    pictures = decode_pixels(model, points)
    verdicts = set()
    for z, answer, picture in zip(points, found, pictures, strict=True):
        here, ours = locate(region, density, z, 5), answer["location"]
        place = here.place
        assert np.abs(np.array(answer["pixels"]) - picture.reshape(-1)).max() <= MOST_LEVELS
        assert [each["index"] for each in ours["nearest"]] == here.indices.tolist()
        numbers = [ours[name] for name in ("distance", "nearer", "gap", "closer", "log_density")]
        theirs = [place.distance, place.nearer, place.gap, place.closer, here.log_density]
        np.testing.assert_allclose(numbers, theirs, rtol=1e-4, atol=0.02)
        assert ours["verdict"] == Verdict(place.verdict).name.lower()
        verdicts.add(ours["verdict"])
    assert len(verdicts) > 1


class Summed(torch.nn.Module):
    """A layer that nobody has taught a browser."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.cumsum(1)


def test_what_a_browser_has_not_been_taught_is_refused_by_its_name() -> None:
    model = made("vae")[0].eval()
    model.decoder = torch.nn.Sequential(Summed(), model.decoder)
    with pytest.raises(UserError, match=r"^The decoder of this model uses aten\.cumsum\.default, "):
        translated(model, try_inputs(model, 1)[1])


class Deciding(torch.nn.Module):
    """A layer that does one thing or another, as its numbers are."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


def test_a_network_that_cannot_be_traced_or_held_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made("vae")[0].eval()
    model.decoder = torch.nn.Sequential(Deciding(), model.decoder)
    with pytest.raises(UserError, match=r"^The decoder of this model, a LatentModel, cannot be"):
        translated(model, try_inputs(model, 1)[1])
    monkeypatch.setattr("vae_core.export.html.MOST_BYTES", 1000)
    with pytest.raises(UserError, match=r"MB of weights, and a page holds 0 at most"):
        page_data(Source(run))


def test_weights_that_halves_do_not_hold_stay_whole() -> None:
    model = used(made("vae")[0])
    inputs = try_inputs(model, 8)[1]
    assert halves_suffice(model, inputs)
    steep = copy.deepcopy(model)
    with torch.no_grad():
        last = [each for each in steep.decoder.modules() if hasattr(each, "weight")][-1]
        last.weight.mul_(3000)
    assert not halves_suffice(steep, inputs)
    kinds = [
        {tensor.dtype.itemsize for tensor in translated(steep, inputs, half).tensors}
        for half in (True, False)
    ]
    assert kinds == [{2, 4}, {4}]


def test_nothing_that_a_run_says_becomes_part_of_the_page(run: Run, tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script><!--"
    written = tmp_path / "<b>&amp;"
    card = run.data_card()
    other = Run(written)
    written.mkdir()
    for path in run.path.iterdir():
        if path.is_file():
            (written / path.name).write_bytes(path.read_bytes())
    changed = card.model_copy(update={"dataset": hostile})
    (written / "data.json").write_text(changed.model_dump_json())
    (body,) = export(Source(other), "html").files.values()
    text = body.decode()
    assert hostile not in text and "<title>&lt;b&gt;&amp;amp;</title>" in text
    parts = re.findall(r"<script type=\"([^\"]+)\"[^>]*>(.*?)</script>", text, re.DOTALL)
    assert [kind for kind, _ in parts] == ["application/json", "text/plain", "module"]
    assert text.count("<script") == text.count("</script>") == 3
    told = json.loads(parts[0][1])
    assert hostile in told["about"] and told["explorer"]["names"] is None
    digest = base64.b64encode(hashlib.sha256(parts[2][1].encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy[1].split("; "))
    assert rules["script-src"] == f"'sha256-{digest}'" and rules["default-src"] == "'none'"
    assert "connect-src" not in rules, "what is not named falls back to none"


def test_the_file_has_the_name_that_it_is_given(run: Run, tmp_path: Path) -> None:
    made_of = export(Source(run), "html")
    assert write_export(made_of, tmp_path, "tiny") == tmp_path / "tiny.html"
    assert write_export(made_of, tmp_path / "to" / "page.html", "tiny") == tmp_path / "to/page.html"
    (tmp_path / "a.html").mkdir()
    assert write_export(made_of, tmp_path / "a.html", "tiny") == tmp_path / "a.html" / "tiny.html"


def test_a_shipped_model_goes_by_mail() -> None:
    (body,) = export(Source(Run(SHIPPED / "mnist-vae")), "html").files.values()
    assert len(body) < 4_000_000


def test_many_dimensions_are_thinned_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae_core.export.html.MOST_NUMBERS", 40)
    data = page_data(Source(run))
    size = load_run(run).model.latent_size
    assert data["explorer"]["count"] == 40 // size
    assert data["explorer"]["unplaced"] and data["model"]["region"] is None
    assert len(data["explorer"]["directions"]["names"]) == 40 // 4 // size


def test_modules_that_cannot_be_one_script_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text(
        'import { b as c } from "./b.js";\nexport const a = () => c();\n'
    )
    (tmp_path / "b.js").write_text("export function b() {}\n")
    script = bundled(tmp_path / "a.js")
    assert "const { b: c } = m1;" in script and "return { a };" in script
    (tmp_path / "b.js").write_text('export { b } from "./c.js";\n')
    with pytest.raises(ValueError, match="cannot be put into one script"):
        bundled(tmp_path / "a.js")
    (tmp_path / "b.js").write_text('import { a } from "./a.js";\n')
    with pytest.raises(ValueError, match="imports itself"):
        bundled(tmp_path / "a.js")


def test_the_page_and_the_app_are_made_of_the_same_modules() -> None:
    script = bundled(COMPONENTS / "page" / "page.js")
    for name in ("explorer", "latent_map", "path_panel", "slider_row", "save_dialog"):
        first = (COMPONENTS / "explorer" / f"{name}.js").read_text().split("\n")[0]
        assert first in script
