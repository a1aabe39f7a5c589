"""The addresses of the live routes: one module on either side makes them, and carries the base."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit import config

from latent_workbench.live.routes import live_mount

UI = Path(__file__).resolve().parent.parent / "latent_workbench"
SCRIPT = re.compile(
    r"""(?<!endsWith\()["'`]/\w|\blocation\.(host|origin|protocol|pathname)|\bwss?:|\bbaseURI|\bimport\.meta"""
)
MARKUP = re.compile(r"""(href|src|action)\s*=\s*["'{]*/|url\(["']?/|["']/(live|media|_stcore)/""")
"""How an address begins that does not go by the page's own: a prefix breaks it."""


def test_nobody_but_one_script_makes_addresses() -> None:
    asked = {".js": (SCRIPT, MARKUP), ".py": (MARKUP,), ".html": (MARKUP,), ".css": (MARKUP,)}
    files = [
        path
        for path in UI.rglob("*")
        if path.suffix in asked and path.name not in ("address.js", "entry.js")
        # On the server's side an address is read, not made.
        if path.parent != UI / "live"
    ]
    assert len(files) > 60
    found = [
        f"{path.relative_to(UI)}: {line.strip()}"
        for path in files
        for line in path.read_text(encoding="utf-8").splitlines()
        if any(pattern.search(line) for pattern in asked[path.suffix])
    ]
    assert found == []


@pytest.mark.parametrize(
    ("base", "path"),
    [("", "/live"), ("lab", "/lab/live"), ("/lab/", "/lab/live"), ("a/b", "/a/b/live")],
)
def test_the_mount_carries_the_base_path(
    base: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = config.get_option
    monkeypatch.setattr(
        config, "get_option", lambda key: base if key == "server.baseUrlPath" else known(key)
    )
    assert live_mount().path == path
