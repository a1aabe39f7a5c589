"""One place names the files of a run; whoever else spells such a name will be forgotten there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from vae_core.runs import Run, layout
from vae_core.sweeps.sweep import Sweep

ROOT = Path(__file__).resolve().parents[1]
OWNER = ROOT / "vae_core/runs/layout.py"

EXACT = re.compile(
    "|".join(
        rf"(?<![\w.-]){re.escape(file.name)}(?!\w)" for file in layout.ALL if "*" not in file.name
    )
    + rf"|(?<![\w.-]){layout.STUDY}|^{layout.PREVIEWS}/"
)
PATTERNS = [file.name for file in layout.ALL if "*" in file.name and file.name[0] != "*"]

OTHERS = {
    "vae_core/export/weights.py": "a file of the same name that a person takes along",
    "vae_core/bring/diffusers.py": "a file of the same name in the folder of another program",
    "vae_core/sweeps/storage.py": "an address to copy, of a database elsewhere",
}


def _literals(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of the strings of a file that are no docstrings, with * for what is put in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passed = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            passed |= {id(part) for part in node.values}
            parts = (p.value if isinstance(p, ast.Constant) else "*" for p in node.values)
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and id(node) not in passed:
            yield node.lineno, str(node.value) if isinstance(node.value, str) else ""


def _is_name(text: str) -> bool:
    last = text.rpartition("/")[2]
    return bool(EXACT.search(text)) or any(fnmatchcase(last, each) for each in PATTERNS)


def _spelt_out(path: Path) -> list[str]:
    return [f"line {line}: {text}" for line, text in sorted(_literals(path)) if _is_name(text)]


PRODUCT = [
    path
    for folder in ("vae_core", "latent_workbench", "pages")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path != OWNER and str(path.relative_to(ROOT)) not in OTHERS
]


def test_nobody_else_spells_the_name_of_a_file() -> None:
    found = {str(path.relative_to(ROOT)): _spelt_out(path) for path in PRODUCT}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_the_check_sees_a_name(tmp_path: Path) -> None:
    file = tmp_path / "page.py"
    file.write_text(
        '"""Reads config.json."""\nrun.read("config.json")\nrun.file(f"lease-{n}")\n'
        'say("no data.json to rebuild")\nread("previews/originals.png")\n'
        'read(f"map-{kind}.safetensors")\n'
        'identity = "identity"\nkind = "previews"\nexport("my-config.json")\nx = "release-1"\n'
    )
    assert [each.split(":")[0] for each in _spelt_out(file)] == [
        "line 2", "line 3", "line 4", "line 5", "line 6",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("config.json", 10**6),
        ("history.jsonl", 10**9),
        ("previews/00000000-samples.png", 16 * 10**6),
        ("encodings.safetensors", 512 * 10**6),
        ("encodings-train-elsewhere.safetensors", 4 * 10**9),
        ("study.log", 64 * 10**9),
        ("study.db-wal", 64 * 10**9),
        ("lease-12", 10**6),
        ("no-file-of-a-run", 10**6),
    ],
)
def test_each_kind_of_file_has_a_bound(name: str, most: int) -> None:
    assert layout.largest(name) == most
    layout.require_within(name, most)
    with pytest.raises(OSError, match="at most"):
        layout.require_within(name, most + 1)


def test_the_names_that_are_made_are_in_the_table() -> None:
    made = (
        layout.lease(3), layout.survey("train"), layout.survey("test", elsewhere=True),
        layout.map_("train", "pca", 2), layout.prior("gaussian-mixture"),
        layout.likelihood("test", "last", "model", 1000, 0), layout.estimate("fid", "test", 0),
    )  # fmt: skip
    patterns = [file.name.partition("*") for file in layout.ALL if "*" in file.name]
    for name in made:
        assert any(name.startswith(a) and name.endswith(b) and a for a, _, b in patterns), name
    assert layout.LEASE.fullmatch(layout.lease(3))


def test_whatever_writes_a_run_writes_files_that_are_known(finished: Run) -> None:
    """But for pictures in previews/, of which there may be many."""
    known = {file.name for file in layout.RUN} | {layout.PREVIEWS}
    left = {path.name for path in finished.path.iterdir()} - known
    assert {name for name in left if not layout.LEASE.fullmatch(name)} == set()
    assert issubclass(Sweep, type(finished).__mro__[1]), "a sweep's folder is read the same way"
