"""How long it takes to look through a folder and to count the pictures in its files.

    python -m benchmarks.listing [--files 100000]

JPEGs are not opened, PNG, WebP, GIF and TIFF at their heads, `.npy` files by a process of its own.
The last line reads every page of a TIFF of 20 000.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from vae_core.imaging.fit import Target
from vae_core.imaging.pool import batch_spans, decode_all
from vae_core.imaging.walk import list_folder, open_pictures

PAGES = 20_000


def main() -> None:
    """Measure each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    count = parser.parse_args().files
    picture = Image.fromarray(np.arange(32 * 32, dtype=np.uint8).reshape(32, 32))
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "NPY"):
        with tempfile.TemporaryDirectory() as folder:
            out = io.BytesIO()
            np.save(out, np.asarray(picture)) if kind == "NPY" else picture.save(out, kind)
            for i in range(count):
                Path(folder, f"{i:06d}.{kind.lower()}").write_bytes(out.getvalue())
            began = time.perf_counter()
            found = len(list_folder(Path(folder)))
            print(f"{kind}: {found} pictures in {time.perf_counter() - began:.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stack.tif")
        tifffile.imwrite(path, np.zeros((PAGES, 64, 64), np.uint8), photometric="minisblack")
        began = time.perf_counter()
        with open_pictures(path) as listing:
            listed = time.perf_counter() - began
            spans = batch_spans(np.ones(len(listing), bool), listing.stamps[:, 0])
            read = sum(len(s) for s, _ in decode_all(listing, spans, Target(16, 16), lambda: None))
        took = time.perf_counter() - began
        print(f"{read} pages of one TIFF: counted in {listed:.2f} s, read in {took:.2f} s")


if __name__ == "__main__":
    main()
