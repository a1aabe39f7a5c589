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
from vae_core.data import Dataset, Progress, label_counts, sample_images
from vae_core.runs import Store
from vae_core.selections import selected_dataset
from vae_core.upkeep import tidy

SAMPLES = 24
SMALLEST_TILE = 56
LARGEST_TILE = 96
ROWS = 2
GAP = 4
BAR_HEIGHT = 22


@st.cache_resource(max_entries=4, show_spinner=False)
def loading(data_json: str) -> Task[Dataset]:
    """The data set of a `DataConfig` in JSON, loaded once for all sessions, off the script."""
    config = parse_config({"data": DataConfig.model_validate_json(data_json).model_dump()}).data

    def load(progress: Progress) -> Dataset:
        dataset = selected_dataset(config, Store(), progress)
        tidy(Store())  # this one is in use, and stays
        return dataset

    return Task(load)


def dataset_preview(config: DataConfig) -> Dataset | None:
    """Draw the data set that `config` names; None while it is loading or when it cannot be."""
    key = config.model_dump_json()
    dataset = result_of(loading(key), "data", lambda: loading.clear(key), st.error)
    if dataset is not None:
        _show(dataset, _thumbnails(key, dataset))
    return dataset


def _show(dataset: Dataset, samples: str) -> None:
    c, h, w = dataset.image_shape
    counts = label_counts(dataset.train, dataset.label_names)
    facts = [f"{grouped(len(dataset.train))} images", f"{c}×{h}×{w}"]
    facts += [f"{len(counts)} labels"] if counts else []
    st.caption(" · ".join(facts))
    st.html(samples)
    if counts:
        st.html(_balance(counts))
    for note in dataset.notes:
        st.caption(f":material/info: {redact(note)}")


@st.cache_data(max_entries=16, show_spinner=False)
def _thumbnails(data_json: str, _dataset: Dataset) -> str:
    """Two rows of samples as HTML, pixel by pixel, as many as the width has room for."""
    dataset = _dataset
    pictures, labels = sample_images(dataset.train, SAMPLES)
    _, h, w = dataset.image_shape
    zoom = math.ceil(SMALLEST_TILE / min(h, w))
    width, height = (min(LARGEST_TILE, side * zoom) for side in (w, h))
    cells = []
    for i, picture in enumerate(pictures):
        title = html.escape(dataset.label_names[int(labels[i])]) if labels is not None else ""
        cells.append(f'<img src="{data_url(picture)}" title="{title}" alt="{title}">')
    return (
        f"<style>.samples {{display: grid; gap: {GAP}px; overflow: hidden;"
        f" grid-template-columns: repeat(auto-fill, {width}px);"
        f" grid-auto-rows: {height}px; height: {ROWS * height + (ROWS - 1) * GAP}px}}"
        f" .samples img {{width: {width}px; height: {height}px; image-rendering: pixelated;"
        f' border-radius: 3px}}</style><div class="samples">{"".join(cells)}</div>'
    )


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
