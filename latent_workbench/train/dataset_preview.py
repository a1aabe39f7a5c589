"""A first look at a data set: what it is, how much of it, some of it, and its balance."""

from __future__ import annotations

import html
import math

import streamlit as st

from latent_workbench.shared.errors import redact
from latent_workbench.shared.formatting import escape_markdown, grouped
from latent_workbench.shared.pictures import data_url
from latent_workbench.shared.tasks import Task, result_of
from latent_workbench.shared.theme import label_color
from vae_core.config import DataConfig, parse_config
from vae_core.data import Dataset, Progress, label_counts
from vae_core.data.samples import skew_of, spread
from vae_core.imaging.resize import shown
from vae_core.names import readable, shortened
from vae_core.runs import Store
from vae_core.selections import selected_dataset
from vae_core.upkeep import tidy

SAMPLES = 24
SMALLEST_TILE = 56
LARGEST_TILE = 96
WIDEST = 2
"""Times the side of a tile that long strips may take."""

ROWS = 2
"""Of samples that are about as high as wide."""

GAP = 4
BAR_HEIGHT = 22
MOST_BARS = 40
LEAST_BAR = 5
"""In px: narrower ones could not be pointed at."""

SKEWED = 4.0
"""So many times as many images of one label as of another are worth a word."""

LONGEST_NAME = 80


@st.cache_resource(max_entries=4, show_spinner=False)
def loading(data_json: str) -> Task[Dataset]:
    """The data set of a `DataConfig` in JSON, loaded once for all sessions, off the script."""
    config = parse_config({"data": DataConfig.model_validate_json(data_json).model_dump()}).data

    def load(progress: Progress) -> Dataset:
        dataset = selected_dataset(config, Store(), progress)
        tidy(Store())  # this one is in use, and stays
        return dataset

    return Task(load)


def dataset_preview(config: DataConfig, sampling: str = "shuffled") -> Dataset | None:
    """Draw the data set that `config` names; None while it is loading or when it cannot be.

    Args:
        sampling: how images are drawn, as `train.sampling` has it.
    """
    key = config.model_dump_json()
    dataset = result_of(loading(key), "data", lambda: loading.clear(key), st.error)
    if dataset is not None:
        _show(dataset, _thumbnails(key, dataset, config.shown_channels), sampling)
    return dataset


def _show(dataset: Dataset, samples: str, sampling: str) -> None:
    c, h, w = dataset.image_shape
    counts = label_counts(dataset.train, dataset.label_names)
    pixels = "grey" if c == 1 else "colour" if c == 3 else f"{c} channels"
    count = len(dataset.train)
    facts = [f"{grouped(count)} image{'' if count == 1 else 's'}", f"{w}×{h} px", pixels]
    facts += [f"{len(counts)} labels"] if counts else []
    st.caption(" · ".join(facts))
    st.html(samples)
    if counts:
        st.html(_balance(counts))
        if skewed := _skew_note(counts, sampling):
            st.caption(f":material/balance: {escape_markdown(skewed)}")
    for choice in dataset.choices:
        st.caption(f":material/tune: {redact(choice.reason)}")
    for note in dataset.notes:
        st.caption(f":material/info: {redact(note)}")


@st.cache_data(max_entries=16, show_spinner=False)
def _thumbnails(data_json: str, _dataset: Dataset, channels: tuple[int, int, int] | None) -> str:
    """Rows of samples as HTML, pixel by pixel, as many as the width has room for: exactly what the
    network will see."""
    dataset = _dataset
    chosen = spread(dataset.train, SAMPLES)
    pictures = dataset.train.images.gather(chosen)
    _, h, w = dataset.image_shape
    width, height = tile_size(w, h)
    rows = rows_of(height)
    cells = []
    for row, picture in zip(chosen, pictures, strict=True):
        title = html.escape(_title(dataset, int(row)))
        cells.append(
            f'<img src="{data_url(shown(picture, channels))}" title="{title}" alt="{title}">'
        )
    return (
        f"<style>.samples {{display: grid; gap: {GAP}px; overflow: hidden;"
        f" grid-template-columns: repeat(auto-fill, {width}px);"
        f" grid-auto-rows: {height}px; max-height: {rows * height + (rows - 1) * GAP}px}}"
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


def rows_of(height: int) -> int:
    """How many rows of samples of this height, in CSS pixels, are shown: of flat ones more, of tall
    ones one."""
    return 1 if height > LARGEST_TILE else max(ROWS, ROWS * SMALLEST_TILE // height)


def _title(dataset: Dataset, row: int) -> str:
    """The label and the file of a training image, as far as there are any."""
    train, said = dataset.train, []
    if train.labels is not None:
        said.append(dataset.label_names[int(train.labels[row])])
    if train.files:
        said.append(shortened(readable(train.files[row]), LONGEST_NAME))
    return " · ".join(said)


def _balance(counts: dict[str, int]) -> str:
    """Bars as high as each label is frequent, in the colours of the labels; many of them scroll,
    the commonest first, and a list below says them all."""
    many = len(counts) > MOST_BARS
    most = max(1, *counts.values())
    numbered = list(enumerate(counts.items()))
    if many:
        numbered.sort(key=lambda each: -each[1][1])
    bars = "".join(
        f'<i title="{html.escape(name)}: {grouped(count)} images" style="'
        f'height: {max(2, round(BAR_HEIGHT * count / most))}px; background: {label_color(i)}"></i>'
        for i, (name, count) in numbered
    )
    shares = [count / max(1, sum(counts.values())) for count in counts.values()]
    words = f"Labels: {min(shares):.1%} to {max(shares):.1%} of the images each"
    return (
        "<style>.balance {display: flex; align-items: flex-end; gap: 2px; overflow-x: auto;"
        f" min-height: {BAR_HEIGHT}px}} .balance i {{flex: 1 0 {LEAST_BAR}px; border-radius:"
        " 2px 2px 0 0}"
        ".label-list {max-height: 12rem; overflow-y: auto; font-size: 0.85rem}"
        ".label-list summary {cursor: pointer; opacity: 0.75}"
        ".label-list li {overflow-wrap: anywhere}</style>"
        f'<div class="balance" role="img" tabindex="0" aria-label="{words}" title="{words}">'
        f"{bars}</div>{_label_list(numbered) if many else ''}"
    )


def _label_list(numbered: list[tuple[int, tuple[str, int]]]) -> str:
    """Every label with its number of images, folded away."""
    entries = "".join(
        f"<li>{html.escape(name)}: {grouped(count)}</li>" for _, (name, count) in numbered
    )
    return (
        f'<details class="label-list"><summary>All {len(numbered)} labels, the commonest first'
        f"</summary><ul>{entries}</ul></details>"
    )


def _skew_note(counts: dict[str, int], sampling: str) -> str:
    """How uneven the labels are, where one could get lost, and what is or can be done; else ""."""
    skew = skew_of(counts)
    if skew is None or skew.ratio < SKEWED:
        return ""
    if sampling == "balanced":
        return f"{skew}: training draws every label equally often."
    return f"{skew}. Balanced sampling, under More settings, draws every label equally often."
