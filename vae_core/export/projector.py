"""Encodings for TensorBoard's Embedding Projector."""

from __future__ import annotations

import io
import math

import numpy as np

from vae_core.analysis import CACHED, images_of_survey
from vae_core.data import ArrayImages, Images
from vae_core.data.images import SubsetImages
from vae_core.errors import UserError
from vae_core.export.source import Export, Source, formats
from vae_core.export.tables import written
from vae_core.imaging.png import tile, to_png
from vae_core.imaging.resize import shown, thumbnail_size, thumbnails
from vae_core.latent.encodings import load_encodings
from vae_core.latent.survey import Survey
from vae_core.names import readable, unused
from vae_core.runs import in_words, part_name

LARGEST_SPRITE = 8192
"""Pixels a side: what the projector and most graphics cards take."""

BATCH = 512
CONFIG = """embeddings {{
  tensor_name: "{name}"
  tensor_path: "vectors.tsv"
  metadata_path: "metadata.tsv"
  sprite {{
    image_path: "sprite.png"
    single_image_dim: {width}
    single_image_dim: {height}
  }}
}}
"""


@formats.register(
    "projector",
    label="TensorBoard projector",
    blurb="Vectors, labels and a picture of every image, for the Embedding Projector.",
    order=40,
)
def projector(source: Source) -> Export:
    """vectors.tsv, metadata.tsv, sprite.png and projector_config.pbtxt.

    The folder is a log directory: `tensorboard --logdir FOLDER`.
    """
    survey = source.survey
    images = _images(source)
    height, width = sprite_size(len(survey), images.shape[2:])
    channels = source.run.config().data.shown_channels
    source.progress("Tiling the images", None)
    vectors = io.BytesIO()
    np.savetxt(vectors, survey.mu, fmt="%.6g", delimiter="\t")  # without a head
    config = CONFIG.format(name=source.run.id, width=width, height=height)
    files = {
        "vectors.tsv": vectors.getvalue(),
        "metadata.tsv": metadata(survey).encode(),
        "sprite.png": to_png(sprite(images, height, width, channels)),
        "projector_config.pbtxt": config.encode(),
    }
    return Export(
        files, f"{in_words(len(survey), survey.split)}. Open it with: tensorboard --logdir FOLDER"
    )


def metadata(survey: Survey) -> str:
    """One line an image. The projector takes one column without a head, more with one."""
    columns: dict[str, list[str]] = {}
    if survey.labels is not None:
        columns["label"] = [survey.label_name(int(label)) for label in survey.labels]
    if survey.files:
        columns["file"] = [readable(name) for name in survey.files]
    columns["index"] = [str(index) for index in survey.indices]
    for name, array in written(survey.columns).items():
        texts = ["" if value is None else str(value) for value in array.to_pylist()]
        columns[unused(readable(name), columns)] = texts
    for name, values in (("recon", survey.recon), ("kl", survey.kl)):
        if values is not None:
            columns[name] = [f"{value:.6g}" for value in values]
            columns["measured on"] = [f"a {part_name(survey.split)} image"] * len(survey)
    head = [list(columns)] if len(columns) > 1 else []
    rows = [*head, *zip(*columns.values(), strict=True)]
    return "".join("\t".join(map(_one_cell, row)) + "\n" for row in rows)


def sprite_size(n: int, size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of each of n images so that the sprite, ⌈√n⌉ a row, keeps to 8192 px.

    Raises:
        UserError: when they are too many for even one pixel each.
    """
    columns = math.isqrt(max(0, n - 1)) + 1
    most = LARGEST_SPRITE // columns
    if most == 0:
        raise UserError(f"{n} images are too many for a sprite of {LARGEST_SPRITE} px; take fewer.")
    return thumbnail_size(size, most)


def sprite(
    images: Images, height: int, width: int, channels: tuple[int, ...] | None = None
) -> np.ndarray:
    """All images at one size in one square picture: uint8 [1 or 3, columns·height, columns·width].

    Args:
        channels: as of `shown`.
    """
    n = images.shape[0]
    columns = math.isqrt(max(0, n - 1)) + 1
    count = len(shown(np.empty(images.shape[1:]), channels))
    square = np.zeros((columns * columns, count, height, width), np.uint8)
    for start in range(0, n, BATCH):
        rows = np.arange(start, min(start + BATCH, n))
        square[rows] = thumbnails(shown(images.gather(rows), channels), max(height, width))
    return tile(square, columns)


def _images(source: Source) -> Images:
    """The images that the rows of the survey are made of."""
    if source.split != CACHED:
        return images_of_survey(source.run, source.survey, source.data_dir, source.progress)
    images = ArrayImages(load_encodings(source.run).thumbnails)
    return images if source.rows is None else SubsetImages(images, source.rows)


def _one_cell(text: str) -> str:
    return " ".join(text.split()) or "–"
