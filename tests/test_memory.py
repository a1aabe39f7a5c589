"""What keeps training on 200 000 images under 1 GB; `python -m benchmarks.memory` measures it."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engine import tiny
from tests.pictures import lay_out
from tests.test_data_sets import idx_files
from vae_core.data.batches import in_order
from vae_core.data.labels import folder_texts
from vae_core.imaging.walk import list_folder
from vae_core.runs import Store

ROOT = Path(__file__).resolve().parent.parent
FILES = 2000


def kept_and_peak(work: Callable[[], object]) -> tuple[float, float]:
    """Bytes per file that the result of `work` holds, and that were held at most."""
    tracemalloc.start()
    try:
        result = work()
        kept, peak = tracemalloc.get_traced_memory()
        del result
        return kept / FILES, peak / FILES
    finally:
        tracemalloc.stop()


def test_a_listed_file_costs_a_name_and_two_numbers(tmp_path: Path) -> None:
    for number in range(FILES):
        folder = tmp_path / f"{number % 20:03d}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number:06d}.png").touch()

    kept, peak = kept_and_peak(lambda: list_folder(tmp_path))
    assert kept < 110  # 63 for the name, 8 for its place, 16 for the numbers
    assert peak < 250
    listing = list_folder(tmp_path)
    assert len(listing) == FILES
    assert kept_and_peak(listing.digest)[1] < 20  # fed piece by piece
    assert kept_and_peak(lambda: folder_texts(listing.names))[1] < 40


@pytest.mark.parametrize(("side", "largest"), [(28, 256), (64, 64), (128, 16), (1000, 1)])
def test_no_more_is_measured_at_once_than_64_images_of_64_by_64(side: int, largest: int) -> None:
    taken: list[int] = []

    class Counted:
        shape = (300, 3, side, side)

        def gather(self, indices: np.ndarray) -> np.ndarray:
            taken.extend(indices)
            sizes.append(len(indices))
            return np.zeros((len(indices), 1, 1, 1), np.uint8)

    sizes: list[int] = []
    for _ in in_order(Counted(), 256, torch.device("cpu")):
        pass
    assert max(sizes) == largest and taken == list(range(300))
    sizes.clear()
    for _ in in_order(Counted(), 5, torch.device("cpu")):
        pass
    assert max(sizes) == min(5, largest)


@pytest.mark.parametrize("dataset", ["sprites", "mnist"])
def test_training_loads_no_library_that_it_does_not_need(dataset: str, tmp_path: Path) -> None:
    """pandas, which scikit-learn brings along, and torch's compiler take 150 MB each; torchvision,
    which knows where MNIST is to be had, is asked where it is not there."""
    lay_out(tmp_path / "data" / "MNIST" / "raw", idx_files())
    data = {"dataset": dataset, "data_dir": str(tmp_path / "data"), "image_size": 32, "limit": 30}
    config = tiny(data=data, train={"epochs": 1, "batch_size": 8})
    Store(tmp_path).create("small", config)
    code = (
        "import sys; from vae_core.training import worker; from vae_core.runs import Store\n"
        "worker.work(Store(sys.argv[1]).get('small'))\n"
        "needless = {'sklearn', 'pandas', 'torch._dynamo', 'torchvision', 'plotly', 'streamlit'}\n"
        "print(sorted(needless & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout == "[]\n"


def test_the_benchmark_tells_the_peak_of_each_phase() -> None:
    wishes = ["model.options.channels=[8,8,8]", "model.options.hidden=8", "train.batch_size=1"]
    wishes += ["train.device=cpu"]
    command = [
        sys.executable,
        "-m",
        "benchmarks.memory",
        "--images",
        "60",
        "--learn",
        "40",
        "--json",
    ]
    command += [word for wish in wishes for word in ("--set", wish)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=True
    )
    said = json.loads(done.stdout)
    assert said["images"] == [60, 3, 64, 64]
    assert (said["learned_from"], said["measured_on"]) == (40, 9)
    assert {"preparing", "training", "finishing"} <= set(said["phases"])
    assert 100 < said["phases"]["preparing"]["peak_mb"] <= said["peak_mb"] < 1000
