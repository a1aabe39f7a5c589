"""What the server does before the first picture is asked for."""

from __future__ import annotations

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
