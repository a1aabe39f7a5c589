"""One image explained: where its loss lies, in the picture and by dimension, and what is near."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from plotly.colors import sample_colorscale, unlabel_rgb

from latent_workbench.components.sheet import sheet
from latent_workbench.components.svg import drawing
from latent_workbench.encodings.details import pictures
from latent_workbench.encodings.encoded_images import opening_spinner
from latent_workbench.encodings.score_view import Ranking, in_words
from latent_workbench.encodings.scored_images import ScoredImages, search_of
from latent_workbench.shared.current_run import open_in_explore
from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.formatting import escape_markdown, number
from latent_workbench.shared.theme import KL
from vae_core.errors import UserError
from vae_core.imaging.png import tile
from vae_core.imaging.resize import shown
from vae_core.latent.interpolation import interpolate
from vae_core.sweeps.results import to_csv

if TYPE_CHECKING:
    from vae_core.latent.explanation import Explanation

SIDE, SMALL = 132, 62
NEAREST = 6
STEPS = 9
MOST_BARS = 32
HEAT = np.array(
    [unlabel_rgb(color) for color in sample_colorscale("Inferno", np.linspace(0, 1, 256).tolist())]
)
"""Colours [256, 3] of a heat map, from the least loss to the most."""

BAR_WIDTH, BARS_HEIGHT = 14, 76


def draw_explained(found: ScoredImages, row: int, ranking: Ranking, key: str) -> None:
    """Everything that is told of the image of `row`."""
    scored = found.scored
    label = found.label(row)
    title = f"{label} · {found.name(row)}" if label else found.name(row)
    st.markdown(f"**{escape_markdown(title)}**")
    st.markdown(_verdict(found, row, ranking))
    with errors_shown(st.info), opening_spinner(found.images):
        _pictures(found, row, key)
    if scored.places.shape[1]:
        with errors_shown(st.info), opening_spinner(found.learned):
            _nearest(found, row)
            _path(found, row, ranking, key)


def _verdict(found: ScoredImages, row: int, ranking: Ranking) -> str:
    """Its score, and what share of validation images is less strange, in words."""
    scored, by = found.scored, ranking.score
    value = float(scored.scores[by][row])
    side = "above" if value > ranking.threshold else "below"
    told = f"{number(value)}, {side} the threshold"
    share = scored.p_values.get(by)
    if share is not None:
        told += f"; {in_words(float(share[row]), len(scored.normal[by]))}"
    return f":{'red' if side == 'above' else 'gray'}-background[{told}]"


def _pictures(found: ScoredImages, row: int, key: str) -> None:
    try:
        told = found.explanation(row)
    except UserError:
        pictures(found.images.gather(np.array([row])), ["original"], SIDE)
        raise
    original = found.whole(row).images.gather(np.array([0]))
    original = shown(original, found.run.config().data.shown_channels)
    both = np.concatenate([original, told.reconstruction])
    coloured = both.repeat(3, axis=1) if both.shape[1] == 1 else both
    every = np.concatenate([coloured, heat_map(told.loss[0])[None]])
    pictures(every, ["original", "reconstruction", "where the loss lies"], SIDE)
    least, most = float(told.loss.min()), float(told.loss.max())
    st.caption(
        f"Loss of a pixel: dark {number(least)}, bright {number(most)} nats; together "
        f"{number(float(told.loss.sum()))}."
    )
    if told.kl is not None:
        rows = [{"dimension": f"z{k}", "KL, nats": kl} for k, kl in enumerate(told.kl[0].tolist())]
        drawing(f"{key}-kl", kl_html(told), to_csv(rows))


def heat_map(loss: np.ndarray) -> np.ndarray:
    """What every pixel costs, [H, W] in nats, as a picture: uint8 [3, H, W]."""
    low, high = float(loss.min()), float(loss.max())
    steps = np.rint(255 * (loss - low) / max(high - low, 1e-12)).astype(np.int64)
    return HEAT[steps].round().astype(np.uint8).transpose(2, 0, 1)


def kl_html(told: Explanation) -> str:
    """A small bar for the KL of every dimension, those with the most first."""
    assert told.kl is not None
    kl = told.kl[0]
    order = np.argsort(-kl, kind="stable")[:MOST_BARS]
    top = max(float(kl[order[0]]), 1e-9)
    bars = "".join(
        f'<g transform="translate({BAR_WIDTH * i} 0)"><title>z{k}: {number(float(kl[k]))} nats'
        f'</title><rect width="{BAR_WIDTH}" height="{BARS_HEIGHT}" fill="transparent"/>'
        f'<rect x="1" width="{BAR_WIDTH - 2}" y="{BARS_HEIGHT * (1 - max(0.0, kl[k]) / top):.1f}"'
        f' height="{BARS_HEIGHT * max(0.0, kl[k]) / top:.1f}" fill="{KL}"/></g>'
        for i, k in enumerate(order)
    )
    width = BAR_WIDTH * len(order)
    words = f"KL by dimension, {number(float(kl.sum()))} nats together"
    first = f"z{order[0]}: {number(float(kl[order[0]]))} nats"
    last = f"z{order[-1]}: {number(float(kl[order[-1]]))} nats" if len(order) > 1 else ""
    return (
        f'<div style="max-width: {max(260, min(420, width))}px"><figure><figcaption'
        f' style="text-align: left">{html.escape(words)}</figcaption>'
        f'<svg viewBox="0 0 {width} {BARS_HEIGHT}" preserveAspectRatio="none" role="img"'
        f' aria-label="{html.escape(words)}" style="height: {BARS_HEIGHT}px">{bars}</svg>'
        f'<div class="ends"><span>{first}</span><span>{last}</span></div></figure></div>'
    )


def _nearest(found: ScoredImages, row: int) -> None:
    """The training images that lie nearest, with names and distances."""
    scored = found.scored
    places = scored.places[row, :NEAREST]
    names = [escape_markdown(scored.reference.name(int(place))) for place in places]
    learned = found.learned.gather(places)
    st.caption(f"Nearest images that the model learned from, by distance: {', '.join(names)}")
    away = [number(float(each)) for each in scored.distances[row, : len(places)]]
    pictures(learned, away, SMALL)


def _path(found: ScoredImages, row: int, ranking: Ranking, key: str) -> None:
    """From the image to the nearest normal one, decoded on the way."""
    scored = found.scored
    place = nearest_normal(found, row, ranking.normal)
    end = scored.reference.mu[place]
    vectors = interpolate(scored.survey.mu[row], end, STEPS)
    decoded = found.decoded(vectors, row)
    names = [f"{100 * i / (STEPS - 1):.0f} %" for i in range(STEPS)]
    what = "normal image" if ranking.normal is not None else "training image"
    st.caption(f"The way to the nearest {what}, {escape_markdown(scored.reference.name(place))}")
    cell = sheet(f"{key}-way", tile(decoded, STEPS), [""], names, hint="Click to open in Explore")
    if cell is not None:
        open_in_explore(found.run.id, vectors[cell[1]])


def nearest_normal(found: ScoredImages, row: int, normal: tuple[str, ...] | None) -> int:
    """The row of the reference that lies nearest to an image and is another one: of `normal`
    labels where these are chosen."""
    if normal is None:
        return int(found.scored.places[row, 0])
    search, rows = search_of(found, normal)
    places, _ = search.nearest(found.scored.survey.mu[[row]], 2)
    near = rows[places[0]]
    own, known = found.scored.survey.hashes, found.scored.reference.hashes
    if own is not None and known is not None and len(near) > 1 and known[near[0]] == own[row]:
        return int(near[1])
    return int(near[0])
