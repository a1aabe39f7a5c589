"""What is done to every change: hooks, the workflow of the forge, the reference, public names."""

from __future__ import annotations

import ast
import inspect
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import vae_core
from tests.reach import TRAIN_OR_START

ROOT = Path(__file__).resolve().parents[1]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def recipe(target: str) -> str:
    """What `make` does for a target."""
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert found, f"there is no target {target}"
    return found[1]


# --- hooks and the forge --------------------------------------------------------------------------


def test_the_hooks_run_what_lint_runs() -> None:
    config = ROOT / ".pre-commit-config.yaml"
    command = [sys.executable, "-m", "pre_commit", "validate-config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    (repository,) = yaml.safe_load(config.read_text())["repos"]
    programs = {Path(hook["entry"].split()[0]).name for hook in repository["hooks"]}
    assert set(re.findall(r"\$\(BIN\)/(\w+)", recipe("lint"))) <= programs


def test_the_forge_runs_what_ci_runs_on_the_pythons_we_claim() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    pythons = job["strategy"]["matrix"]["python"]
    claimed = SpecifierSet(PROJECT["requires-python"])
    assert all(Version(python) in claimed for python in pythons)
    lowest = min(map(Version, pythons))
    assert Version(f"{lowest.major}.{lowest.minor - 1}") not in claimed


def test_the_version_has_its_place_in_the_changelog() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased" and PROJECT["version"] in headings


# --- public names ---------------------------------------------------------------------------------


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    for name in vae_core.__all__:
        found = getattr(vae_core, name)
        if callable(found):
            assert inspect.getdoc(found), name


def test_types_are_told_of_every_public_name() -> None:
    stub = ast.parse((ROOT / "vae_core/__init__.pyi").read_text())
    told = [each.asname for node in stub.body if isinstance(node, ast.ImportFrom)
            for each in node.names]  # fmt: skip
    assert sorted(filter(None, told)) == sorted(vae_core.__all__)


def test_runs_and_settings_come_without_torch() -> None:
    code = "from vae_core import RunConfig, Store; import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


# --- the reference --------------------------------------------------------------------------------


def docs(*arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """`make docs` with the environment that there is."""
    command = ["make", "docs", f"VENV={sys.prefix}", f"--old-file={sys.prefix}/.requirements-dev"]
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, env=environment
    )


def test_the_reference_tells_of_every_public_name(tmp_path: Path) -> None:
    done = docs(f"DOCS={tmp_path}")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "vae_core.html").read_text()
    missing = [name for name in vae_core.__all__ if f'id="{name}"' not in page]
    assert missing == [] and "Rebuild a run's model from its folder alone" in page
    assert (tmp_path / "vae_core/losses.html").exists()


@pytest.mark.parametrize(
    "files",
    [
        {"__init__.py": "", "half.py": "import not_there"},
        {"__init__.py": "__all__ = ['missing']"},
        {"__init__.py": "def half("},
    ],
    ids=["import", "name", "syntax"],
)
def test_a_broken_module_breaks_the_reference(files: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    for name, code in files.items():
        (tmp_path / "broken" / name).write_text(code)
    done = docs(f"DOCS={tmp_path}/docs", "PUBLIC=broken", path=str(tmp_path))
    assert done.returncode != 0 and "broken" in done.stderr


# --- what `make check` leaves out -----------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(TRAIN_OR_START))
def test_what_is_left_out_is_told_by_names_that_there_are(name: str) -> None:
    assert callable(pkgutil.resolve_name(name))


def test_check_and_test_run_every_test_between_them() -> None:
    runs = re.findall(r"-m pytest (.*) \$\(PARALLEL\)", recipe("test"))
    assert runs == ["--ignore tests/browser", "tests/browser"]
    assert re.findall(r"-m pytest (.*) \$\(PARALLEL\)", recipe("check")) == [
        '--ignore tests/browser -m "not training"'
    ]
