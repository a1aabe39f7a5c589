"""The package that a page of the documentation shows, installed for processes of a test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def installed(page: str, folder: Path) -> dict[str, str]:
    """The environment of a process for which the package on `page` is installed in `folder`."""
    text = (ROOT / page).read_text(encoding="utf-8")

    def block(language: str) -> str:
        (found,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
        return str(found)

    project = tomllib.loads(block("toml"))["project"]
    info = folder / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (folder / f"{project['name']}.py").write_text(block("python"), encoding="utf-8")
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = project["entry-points"].items()
    points = [f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in p.items()) for group, p in groups]
    (info / "entry_points.txt").write_text("\n".join(points) + "\n")
    return os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


def python(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in `environment`; what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done
