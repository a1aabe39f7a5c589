"""A repository for the Hugging Face hub: a run that others can pull, and a page about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import PurePath
from typing import Any

import numpy as np

from vae_core.export.model_card import model_card
from vae_core.export.python_module import python
from vae_core.export.source import Export, Source, formats
from vae_core.hub import publish
from vae_core.imaging.png import from_png, tile, to_png
from vae_core.latent.directions import load_directions, prior_axes
from vae_core.latent.grids import decode_vectors, even_values, plane_vectors, prior_pictures
from vae_core.loading import WHICH, LoadedRun
from vae_core.runs import WEIGHTS, Run, Status, layout
from vae_core.runs.migrations import to_store

SIDE, REACH = 10, 2.0
"""Of the decoded plane: pictures a side, and how far it goes, in standard deviations."""

WIDTH = 640
"""Pixels that a picture on a page has at least: small ones are shown in whole multiples."""

AS_THEY_ARE = (
    layout.DATA_CARD, layout.CHOICES, layout.PARTS, layout.ENCODINGS, layout.THUMBNAILS,
    layout.THUMBNAIL, layout.SAVED_DIRECTIONS, layout.BROUGHT,
)  # fmt: skip
"""Of the files that a repository may have (`vae_core.hub.RUN_FILES`), those that are copied."""

_TOLD = frozenset({"step", "validation", "set", "checkpoint"})
"""Records of the history that hold numbers alone."""


@formats.register(
    "hub",
    label="Hugging Face repository",
    blurb="Weights, settings and a model card with its figures and pictures, for the hub.",
    order=80,
    publish=publish,
)
def hub(source: Source) -> Export:
    """README.md, pictures/, the files of the run that `pull` takes, and plain/ as `python`."""
    run, loaded = source.run, source.loaded
    plain = python(source).files  # first: it refuses networks that cannot be taken along
    source.progress("Drawing the pictures", None)
    pictures = _pictures(loaded)
    measured = run.summary().get("step") == loaded.step
    summary = run.summary() if measured else {}
    files = _run_files(loaded, source.which, summary)
    kept = [name for name in (layout.ENCODINGS, layout.THUMBNAILS) if name in files]
    held = (
        f"`{layout.THUMBNAILS}` shows images that it learned from, small, with their encodings "
        "beside it, so that its latent space can be explored where they are not present."
        if kept
        else "No image that it learned from is among them."
    )
    captions = {name: said for name, (_, said) in pictures.items()}
    card = model_card(loaded, summary, captions, held, source.license)
    files |= {name: png for name, (png, _) in pictures.items()}
    files |= {f"plain/{name}": data for name, data in plain.items()}
    note = "It holds pictures of images that the model learned from. " if kept else ""
    return Export({"README.md": card.encode(), **files}, f"A repository's folder. {note}".strip())


def _run_files(loaded: LoadedRun, which: str, summary: Mapping[str, Any]) -> dict[str, bytes]:
    """What `pull` takes: without paths of this machine, and without what was said on the way."""
    run, config = loaded.run, loaded.config
    place = config.data.data_dir
    if place is not None:
        config = config.updated({"data": {"data_dir": PurePath(place).name or None}})
    state = run.status().state
    status = Status(
        state=state if state == "finished" else "stopped",
        step=loaded.step, total_steps=loaded.step, epoch=run.status().epoch,
    )  # fmt: skip
    environment = run.environment().model_dump(
        exclude_unset=True, exclude={"command", "resumed"}, mode="json"
    )
    records = [
        record for record in run.each_record(layout.HISTORY)
        if record.get("kind") in _TOLD and record.get("step", 0) <= loaded.step
    ]  # fmt: skip
    files: dict[str, bytes] = {}
    for name in AS_THEY_ARE:
        with suppress(FileNotFoundError):
            files[name] = run.read(name)
    files |= {
        layout.CONFIG: json.dumps(to_store(config), indent=2).encode(),
        WEIGHTS: run.read(WHICH[which]),
        layout.STATUS: status.model_dump_json(indent=2).encode(),
        layout.ENVIRONMENT: json.dumps(environment, indent=2).encode(),
        layout.HISTORY: b"".join(json.dumps(each).encode() + b"\n" for each in records),
    }
    if summary:
        files[layout.SUMMARY] = json.dumps(summary, indent=2).encode()
    return files


def _pictures(loaded: LoadedRun) -> dict[str, tuple[bytes, str]]:
    """PNG files by name, with what each shows."""
    found = {}
    rebuilt = _reconstructions(loaded.run)
    if rebuilt is not None:
        found["pictures/reconstructions.png"] = (
            rebuilt, "Unseen images above, and as the model rebuilds them below.",
        )  # fmt: skip
    samples = tile(prior_pictures(loaded.model, 32), 8)
    found["pictures/samples.png"] = _shown(samples), "New pictures, drawn from the prior."
    plane = "Decoded latents on the plane of the first two {}, from −2 to 2 standard deviations."
    size = loaded.model.latent_size
    directions = load_directions(loaded.run, loaded.step, size)
    named = "directions of the prior" if directions is None else "principal directions"
    axes = directions or prior_axes(size)
    if size > 1 and len(axes.vectors) > 1:
        first, second = axes.vectors[:2] * axes.deviations[:2, None]
        vectors = plane_vectors(axes.center, first, second, even_values(SIDE, REACH))
        grid = tile(decode_vectors(loaded.model, vectors.reshape(-1, size)), SIDE)
        found["pictures/plane.png"] = _shown(grid), plane.format(named)
    return found


def _reconstructions(run: Run) -> bytes | None:
    """The hold-out images above their newest reconstructions, as the run has kept them."""
    kept = [name for name in run.names(layout.PREVIEWS) if name.endswith("-reconstructions.png")]
    if not kept:
        return None
    channels = 1 if run.data_card().image_shape[0] == 1 else 3
    try:
        above, below = (
            from_png(run.read(name), channels)
            for name in (layout.ORIGINALS, f"{layout.PREVIEWS}/{kept[-1]}")
        )
    except OSError:
        return None
    return _shown(np.concatenate((above, below), 1)) if above.shape == below.shape else None


def _shown(picture: np.ndarray) -> bytes:
    """A picture [C, H, W] as PNG, every pixel as a square of as many as make it wide enough."""
    by = max(1, round(WIDTH / picture.shape[2]))
    return to_png(picture.repeat(by, 1).repeat(by, 2))
