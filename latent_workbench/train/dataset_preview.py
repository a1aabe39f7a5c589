"""A first look at a data set: what it is, how much of it, some of it, and its balance."""

from __future__ import annotations

import html
import math

import streamlit as st

from latent_workbench.shared.errors import redact
from latent_workbench.shared.formatting import grouped
from latent_workbench.shared.pictures import data_url
from latent_workbench.shared.tasks import Task, result_of
from latent_workbench.shared.theme import label_color
from vae_core.config import DataConfig, parse_config
from vae_core.data import Dataset, Progress, label_counts, load_dataset, sample_images
from vae_core.imaging.resize import shown
from vae_core.runs import Store
from vae_core.upkeep import tidy

SAMPLES = 24
SMALLEST_TILE = 56
LARGEST_TILE = 96
WIDEST = 2
"""Times the side of a tile that long strips may take."""

ROWS = 2
GAP = 4
BAR_HEIGHT = 22


@st.cache_resource(max_entries=4, show_spinner=False)
def loading(data_json: str) -> Task[Dataset]:
    """The data set of a `DataConfig` in JSON, loaded once for all sessions, off the script."""
    config = parse_config({"data": DataConfig.model_validate_json(data_json).model_dump()}).data

    def load(progress: Progress) -> Dataset:
        dataset = load_dataset(config, progress)
        tidy(Store())  # this one is in use, and stays
        return dataset

    return Task(load)


def dataset_preview(config: DataConfig) -> Dataset | None:
    """Draw the data set that `config` names; None while it is loading or when it cannot be."""
    key = config.model_dump_json()
    dataset = result_of(loading(key), "data", lambda: loading.clear(key), st.error)
    if dataset is not None:
        _show(dataset, _thumbnails(key, dataset, config.shown_channels))
    return dataset


def _show(dataset: Dataset, samples: str) -> None:
    c, h, w = dataset.image_shape
    counts = label_counts(dataset.train, dataset.label_names)
    pixels = "grey" if c == 1 else "colour" if c == 3 else f"{c} channels"
    facts = [f"{grouped(len(dataset.train))} images", f"{w}×{h} px", pixels]
    facts += [f"{len(counts)} labels"] if counts else []
    st.caption(" · ".join(facts))
    st.html(samples)
    if counts:
        st.html(_balance(counts))
    for choice in dataset.choices:
        st.caption(f":material/tune: {redact(choice.reason)}")
    for note in dataset.notes:
        st.caption(f":material/info: {redact(note)}")


@st.cache_data(max_entries=16, show_spinner=False)
def _thumbnails(data_json: str, _dataset: Dataset, channels: tuple[int, int, int] | None) -> str:
    """Two rows of samples as HTML, pixel by pixel, as many as the width has room for: exactly
    what the network will see."""
    dataset = _dataset
    pictures, labels = sample_images(dataset.train, SAMPLES)
    _, h, w = dataset.image_shape
    width, height = tile_size(w, h)
    cells = []
    for i, picture in enumerate(pictures):
        title = html.escape(dataset.label_names[int(labels[i])]) if labels is not None else ""
        cells.append(
            f'<img src="{data_url(shown(picture, channels))}" title="{title}" alt="{title}">'
        )
    return (
        f"<style>.samples {{display: grid; gap: {GAP}px; overflow: hidden;"
        f" grid-template-columns: repeat(auto-fill, {width}px);"
        f" grid-auto-rows: {height}px; height: {ROWS * height + (ROWS - 1) * GAP}px}}"
        f" .samples img {{width: {width}px; height: {height}px; image-rendering: pixelated;"
        f' border-radius: 3px}}</style><div class="samples">{"".join(cells)}</div>'
    )


def tile_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) in CSS pixels of a sample in its own proportions: enlarged by a whole number
    where it is small, reduced where it is large."""
    zoom = math.ceil(SMALLEST_TILE / min(height, width))
    longest = LARGEST_TILE * max(1.0, min(WIDEST, (width * height) ** 0.5 / min(width, height)))
    scale = min(zoom, longest / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _balance(counts: dict[str, int]) -> str:
    """Bars as high as each label is frequent, in the colours of the labels."""
    most = max(1, *counts.values())
    bars = "".join(
        f'<i title="{html.escape(name)}: {grouped(count)} images" style="'
        f'height: {max(2, round(BAR_HEIGHT * count / most))}px; background: {label_color(i)}"></i>'
        for i, (name, count) in enumerate(counts.items())
    )
    shares = [count / max(1, sum(counts.values())) for count in counts.values()]
    words = f"Labels: {min(shares):.1%} to {max(shares):.1%} of the images each"
    return (
        "<style>.balance {display: flex; align-items: flex-end; gap: 2px;"
        f" height: {BAR_HEIGHT}px}} .balance i {{flex: 1; border-radius: 2px 2px 0 0}}"
        "</style>"
        f'<div class="balance" role="img" aria-label="{words}" title="{words}">{bars}</div>'
    )
