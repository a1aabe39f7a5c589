"""What the app's process is kept free of, and how it is set up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from vae_core.data.sets.digits import digits

ROOT = Path(__file__).resolve().parents[1]

PAGES = """
import sys
from streamlit.testing.v1 import AppTest

for page in ("gallery", "train", "explore"):
    app = AppTest.from_file(f"{sys.argv[1]}/pages/{page}.py", default_timeout=120).run()
    assert not app.exception, (page, app.exception)
from vae_core.config import DataConfig
from vae_core.data import load_dataset
from vae_core.latent.neighbours import nearest_neighbours
import numpy as np

load_dataset(DataConfig(dataset="digits"))
nearest_neighbours(np.random.default_rng(0).normal(size=(50, 16)), 3)
print(sorted({"pandas", "pyarrow", "sklearn"} & set(sys.modules)))
"""

SET_UP = """
import sys
from latent_workbench.live.process import TURN_S, set_up
set_up()
print(sys.getswitchinterval() == TURN_S)

import psutil
import threading
blocks, process = [], psutil.Process()
def work():
    for _ in range(20):
        big = [bytearray(3 * 2**20) for _ in range(30)]
        blocks.append(bytearray(1000))  # what lies above it kept the whole heap before
        del big
threads = [threading.Thread(target=work) for _ in range(8)]
before = process.memory_info().rss
for thread in threads: thread.start()
for thread in threads: thread.join()
print((process.memory_info().rss - before) / 1e6 < 20)
"""


def said(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split("\n")


def test_pages_bring_no_library_that_is_large_and_not_needed() -> None:
    assert said(PAGES)[-2] == "[]"


def test_large_blocks_of_memory_go_back_at_once_and_turns_are_short() -> None:
    assert said(SET_UP)[:2] == ["True", "True"]


def test_the_digits_are_those_of_scikit_learn() -> None:
    values, labels = digits()
    theirs = load_digits()
    np.testing.assert_array_equal(values, theirs.images)
    np.testing.assert_array_equal(labels, theirs.target)
