"""Where images lie in the latent space, cached in the run so that the data set is not needed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import torch
from safetensors.numpy import save

from vae_core.data import Dataset, ImageSet
from vae_core.data.batches import labelled
from vae_core.data.columns import Columns, rows_of
from vae_core.data.dataset import Images
from vae_core.data.images import ArrayImages, SubsetImages
from vae_core.errors import UserError
from vae_core.imaging.png import from_png, tile, to_png, untile
from vae_core.imaging.resize import shown, thumbnail_size, thumbnails
from vae_core.latent.stored_names import files_of, packed, read_columns, stored_columns
from vae_core.models import LatentModel, evaluating
from vae_core.progress import Progress, no_progress
from vae_core.runs import Run
from vae_core.runs.layout import ENCODINGS, THUMBNAILS

COLUMNS = 50
LARGEST_THUMBNAIL = 32

MOST = 20_000
"""Images whose encodings a run may keep: a worker keeps 3000, and pages show all of them."""

MOST_LABELS = 2**16


@dataclass(frozen=True)
class Encodings:
    """Posterior means of N images and what is known of them.

    mu: float32 [N, D]; logvar: float32 [N, D], or None for deterministic codes.
    indices: int64 [N], places in the training part; labels: int64 [N] or None.
    thumbnails: uint8 [N, 1 or 3, h, w], at most 32 px a side.
    step: the checkpoint that encoded them.
    hashes: uint64 [N], which image each is; None in runs from before they were kept.
    boxes: integers [N, 4], as of `ImageSet`: beside them an image is padding; None where none is.
    files: N names, or () where images came from no files, and in runs from before they were kept.
    columns: what else is known of each, by name, as `vae_core.data.columns` has it.
    """

    mu: np.ndarray
    logvar: np.ndarray | None
    indices: np.ndarray
    labels: np.ndarray | None
    label_names: tuple[str, ...]
    thumbnails: np.ndarray
    step: int
    hashes: np.ndarray | None = None
    boxes: np.ndarray | None = None
    files: tuple[str, ...] = ()
    columns: Columns = field(default_factory=dict)

    def as_images(self, image_shape: tuple[int, int, int]) -> ImageSet | None:
        """The images themselves where the thumbnails are these whole and in full: else None."""
        if self.thumbnails.shape[1:] != image_shape:
            return None
        images = ArrayImages(self.thumbnails)
        return ImageSet(images, self.labels, files=self.files, hashes=self.hashes, boxes=self.boxes)


@torch.inference_mode()
def encode(
    model: LatentModel, part: ImageSet, batch_size: int = 256, progress: Progress = no_progress
) -> tuple[np.ndarray, np.ndarray | None]:
    """Posterior means and log-variances of all images, given their labels: float32 [N, D] and
    [N, D] or None."""
    means, logvars, done = [], [], 0
    with evaluating(model):
        for x, labels in labelled(part, batch_size, model.device):
            progress("Encoding the images", done / len(part))
            done += len(x)
            posterior = model.conditioned(labels).encode(x)
            means.append(model.flatten(posterior.mode()).cpu())
            logvar = posterior.log_variance()
            if logvar is not None:
                logvars.append(model.flatten(logvar).cpu())
    return torch.cat(means).numpy(), torch.cat(logvars).numpy() if logvars else None


def encode_dataset(
    model: LatentModel, dataset: Dataset, step: int, limit: int, progress: Progress = no_progress
) -> Encodings:
    """Encode at most `limit` training images, spread evenly over the data set."""
    train = dataset.train
    indices = np.unique(np.linspace(0, len(train) - 1, min(limit, len(train))).astype(np.int64))
    labels = None if train.labels is None else train.labels[indices]
    chosen = ImageSet(SubsetImages(train.images, indices), labels)
    mu, logvar = encode(model, chosen, progress=progress)
    thumbnails = _thumbnails(model, chosen.images, progress)
    hashes = None if train.hashes is None else train.hashes[indices]
    boxes = None if train.boxes is None else train.boxes[indices].astype(np.int64)
    files = tuple(train.files[i] for i in indices) if train.files else ()
    return Encodings(
        mu, logvar, indices, labels, dataset.label_names, thumbnails, step, hashes, boxes, files,
        rows_of(train.columns, indices),
    )  # fmt: skip


def save_encodings(run: Run, encodings: Encodings) -> None:
    """Write encodings, and at the first call thumbnails, into the run, each atomically.

    The images stay the same all through a run, unless it is resumed on others.
    """
    columns, told = stored_columns(encodings.columns)
    names = ("mu", "indices", "logvar", "labels", "hashes", "boxes")
    arrays = columns | {name: getattr(encodings, name) for name in names}
    arrays["files"] = packed(encodings.files) if encodings.files else None
    metadata = {
        "step": str(encodings.step),
        "label_names": json.dumps(encodings.label_names),
        "thumbnail_shape": json.dumps(encodings.thumbnails.shape[1:]),
        "columns": told,
    }
    if not run.has(THUMBNAILS) or _are_of_others(run, encodings):
        run.write_bytes(THUMBNAILS, to_png(tile(encodings.thumbnails, COLUMNS)))
    # safetensors writes the buffer as it lies: a transposed array would come back scrambled.
    contiguous = {
        name: np.ascontiguousarray(each) for name, each in arrays.items() if each is not None
    }
    run.write_bytes(ENCODINGS, save(contiguous, metadata))


def _are_of_others(run: Run, encodings: Encodings) -> bool:
    """True where what the run keeps are encodings of other images."""
    try:
        with run.tensors(ENCODINGS) as file:
            kept = file.array("hashes", "U64", (None,))
    except (ValueError, OSError):
        return False
    return encodings.hashes is not None and not np.array_equal(kept, encodings.hashes)


def encoded_step(run: Run) -> int | None:
    """The checkpoint whose encodings a run keeps, as the head of their file says; None without."""
    try:
        with run.tensors(ENCODINGS) as file:
            return file.step()
    except (ValueError, OSError):
        return None


def load_encodings(run: Run) -> Encodings:
    """The encodings cached in a run; a `UserError` for none, or damaged files."""
    if not run.has(ENCODINGS):
        raise UserError(f"Run {run.id!r} has no encodings yet; they come with its first epochs.")
    try:
        with run.tensors(ENCODINGS) as file:
            n, size = file.require("mu", "F32", (None, None)).shape
            if not (1 <= n <= MOST and 1 <= size == run.summary().get("latent_dim", size)):
                raise ValueError(f"they are {n} × {size} numbers")
            step, names = file.step(), label_names(file.metadata["label_names"])
            shape = _thumbnail_shape(file.metadata["thumbnail_shape"])
            mu, logvar = file.array("mu", "F32", (n, size)), file.maybe("logvar", "F32", (n, size))
            indices, labels = file.array("indices", "I64", (n,)), file.maybe("labels", "I64", (n,))
            hashes = file.maybe("hashes", "U64", (n,))
            boxes = file.maybe("boxes", "I64", (n, 4))
            files, columns = files_of(file, n), read_columns(file, n)
        labels = labels if labels is None else labels_in_reach(labels, names)
        if indices.min() < 0:
            raise ValueError("an image has no place")
        atlas = from_png(run.read(THUMBNAILS), shape[0])
        thumbnails = untile(atlas, *shape[1:], n)
        if len(thumbnails) < n:
            raise ValueError(f"there are thumbnails of {len(thumbnails)} of {n} images")
        return Encodings(
            mu, logvar, indices, labels, names, thumbnails, step, hashes, boxes, files, columns
        )
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise UserError(f"The encodings of run {run.id!r} are damaged: {error}.") from None


def label_names(text: str) -> tuple[str, ...]:
    """Names of labels from JSON; a ValueError for no list of texts, or too long a one."""
    found = json.loads(text)
    if not isinstance(found, list) or len(found) > MOST_LABELS:
        raise ValueError("its label names are no list")
    if not all(isinstance(name, str) for name in found):
        raise ValueError("a label name is no text")
    return tuple(found)


def labels_in_reach(labels: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Labels int64 [N], all of them −1 or the number of a name, or else a ValueError."""
    if len(labels) and not -1 <= labels.min() <= labels.max() < (len(names) or MOST_LABELS):
        raise ValueError("a label has no name")
    return labels


def _thumbnail_shape(text: str) -> tuple[int, int, int]:
    channels, height, width = json.loads(text)
    if channels not in (1, 3) or not all(1 <= side <= 4096 for side in (height, width)):
        raise ValueError("the thumbnails have no size")
    return int(channels), int(height), int(width)


def _thumbnails(model: LatentModel, images: Images, progress: Progress) -> np.ndarray:
    n, _, height, width = images.shape
    channels = len(shown(images.gather(np.zeros(1, np.int64))[0], model.shown_channels))
    result = np.empty((n, channels, *thumbnail_size((height, width), LARGEST_THUMBNAIL)), np.uint8)
    for start in range(0, n, 16):
        progress("Drawing the thumbnails", start / n)
        rows = np.arange(start, min(start + 16, n))
        result[rows] = thumbnails(
            shown(images.gather(rows), model.shown_channels), LARGEST_THUMBNAIL
        )
    return result
