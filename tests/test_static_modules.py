"""The JavaScript modules, served under their version to who may see the pages, kept for good."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from latent_workbench.components import entry
from latent_workbench.components.concepts import concepts
from latent_workbench.live import static
from latent_workbench.live.static import addresses, imported, modules, static_routes, version

from .live import port_of, serving

PAGE = ("components/page/page.js", "components/page/worker.js")
"""What a run as one HTML file begins with, in its page and beside it; no component imports them."""
EXPLORER = "components/explorer/explorer.js"
COMPONENTS = (
    "chart_saver",
    "explorer",
    "monitor",
    "question",
    "scatter",
    "sheet",
    "svg",
    "uploader",
)
MODULES = (
    *(f"components/{name}/{name}.js" for name in COMPONENTS),
    *(f"components/concepts/{each.name.replace('-', '_')}.js" for each in concepts),
)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(static_routes()) as server:
        yield port_of(server)


def get(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    connection.close()
    return found


@pytest.mark.parametrize("module", MODULES)
def test_everything_that_a_component_imports_is_served(port: int, module: str):
    paths = addresses(module)
    assert paths[0].endswith(f"/{module}") and len(set(paths)) == len(paths)
    for path in paths:
        status, headers, body = get(port, f"/{path}")
        kind = "application/json" if path.endswith(".json") else "text/javascript; charset=utf-8"
        assert status == 200 and headers["content-type"] == kind
        assert headers["cache-control"] == "private, max-age=31536000, immutable"
        assert body == (static.PACKAGE / path.split("/", 3)[3]).read_bytes()


def test_every_module_is_imported_by_a_component():
    used = {each for module in (*MODULES, *PAGE) for each in imported(module)}
    assert used == set(modules())


@pytest.mark.parametrize(
    "path",
    [
        "/live/static/0123456789abcdef/" + EXPLORER,  # another version's
        f"/live/static/{version()}/components/explorer/nothing.js",
        f"/live/static/{version()}/components/explorer/__init__.py",
        f"/live/static/{version()}/components/explorer/../../live/guard.py",
        f"/live/static/{version()}/components/explorer/..%2f..%2flive/guard.py",
        f"/live/static/{version()}//etc/passwd",
    ],
)
def test_nothing_else_is_served(port: int, path: str):
    status, headers, _ = get(port, path)
    assert status == 404 and "immutable" not in headers.get("cache-control", "")


def test_another_site_is_refused(port: int):
    path = "/" + addresses(EXPLORER)[0]
    assert get(port, path, Origin="https://elsewhere.example")[0] == 403
    assert get(port, path, Sec_Fetch_Site="cross-site")[0] == 403


def test_the_version_changes_with_any_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "components" / "part"
    folder.mkdir(parents=True)
    monkeypatch.setattr(static, "PACKAGE", tmp_path)

    def now() -> str:
        modules.cache_clear()
        version.cache_clear()
        return version()

    try:
        versions = {now()}
        for name, text in [("a.js", "1"), ("b.js", "1"), ("b.js", "2"), ("a.js", "11")]:
            (folder / name).write_text(text)
            versions.add(now())
        assert len(versions) == 5
    finally:
        modules.cache_clear()
        version.cache_clear()


def test_an_entry_names_all_modules_and_no_more_than_a_place_below_the_app():
    text = entry("explorer")
    found = re.match(r"const MODULES = (\[.*\]);\n", text)
    assert found is not None and json.loads(found[1]) == addresses(EXPLORER)
    assert all(path.startswith(f"live/static/{version()}/") for path in json.loads(found[1]))
