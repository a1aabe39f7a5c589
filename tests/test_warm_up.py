"""What the server does before the first picture is asked for."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

WARM = """
import gc
from latent_workbench.live.models import is_warming_up, wait_until_warm, warm_up
warm_up()
wait_until_warm()
assert not is_warming_up()
print(gc.get_freeze_count(), len(gc.get_objects()))
"""


def test_collections_do_not_look_through_the_libraries_again_and_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WARM], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    frozen, watched = map(int, done.stdout.split())
    assert frozen > 100_000 > watched


FIRST_PAGE = """
import sys, time
from latent_workbench.live.models import is_warming_up, wait_until_warm, warm_up
warm_up()
time.sleep(0.5)
assert is_warming_up() and "torch" not in sys.modules, "the first page shares Python with torch"
wait_until_warm()
assert "torch" in sys.modules and not is_warming_up()
"""


def test_the_first_page_imports_no_torch() -> None:
    """Its cards would come two seconds later."""
    page = ast.parse((ROOT / "pages" / "gallery.py").read_text(encoding="utf-8"))
    entry = ast.parse((ROOT / "streamlit_app.py").read_text(encoding="utf-8"))
    nodes = [*ast.walk(page), *ast.walk(entry)]
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)} - {"__future__"}
    code = (
        f"import sys, {', '.join(sorted(filter(None, modules)))}; sys.exit('torch' in sys.modules)"
    )
    assert "latent_workbench.components.explorer" in modules
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_first_page_has_python_to_itself_until_it_needs_the_engine() -> None:
    subprocess.run([sys.executable, "-c", FIRST_PAGE], cwd=ROOT, check=True)
