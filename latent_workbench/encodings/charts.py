"""Small charts of many dimensions as SVG: a plotting library draws two dozen of them in a second,
and while it does nothing on the page moves."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from plotly.colors import sample_colorscale

from latent_workbench.shared.theme import KL

if TYPE_CHECKING:
    from vae_core.metrics.aggregated import Histogram

WIDTH, HEIGHT = 160, 76
MOST_NAMES = 24
RED_TO_BLUE = sample_colorscale("RdBu", np.linspace(0, 1, 201).tolist())


def histograms_html(found: Sequence[Histogram], names: Sequence[str], notes: Sequence[str]) -> str:
    """A small histogram for each dimension, the prior as a line over it, on one scale for all.

    Args:
        notes: what each says when it is pointed at.
    """
    # Up to three times the prior: what has collapsed to a point is cut.
    highest = max(float(each.posterior.max()) for each in found)
    prior = max(float(each.prior.max()) for each in found)
    top = 1.05 * min(3 * prior, max(highest, prior))
    figures = "".join(
        f"<figure><figcaption>{html.escape(name)}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img">'
        f"<title>{html.escape(note)}</title>"
        f'<path d="{_line(each.posterior / top)}V{HEIGHT}H0Z" fill="{KL}" fill-opacity="0.45"/>'
        f'<path d="{_line(each.prior / top)}" fill="none" stroke="currentColor"'
        f' stroke-opacity="0.8" vector-effect="non-scaling-stroke"/></svg>'
        f'<div class="ends"><span>{_signed(each.edges[0])}</span><span>0</span>'
        f"<span>{_signed(each.edges[-1])}</span></div></figure>"
        for each, name, note in zip(found, names, notes, strict=True)
    )
    return f'<div class="histograms">{figures}</div>'


def heat_html(values: np.ndarray, names: Sequence[str]) -> str:
    """Values [K, K] in [−1, 1] as coloured cells; each names its row and column when pointed at."""
    count = len(values)
    every = -(-count // MOST_NAMES)
    cells = "".join(
        f'<rect x="{j}" y="{i}" width="1.01" height="1.01" fill="{_color(value)}">'
        f"<title>{names[i]}, {names[j]}: {_signed(value, 2)}</title></rect>"
        for i, row in enumerate(values)
        for j, value in enumerate(row)
    )
    # One name takes a cell of `every`: letters as high as half of it.
    size = 0.45 * every
    marks = "".join(
        f'<text x="-0.2" y="{i + 0.5 + size / 3}" text-anchor="end">{names[i]}</text>'
        f'<text x="{i + 0.5}" y="-0.25" text-anchor="middle">{names[i]}</text>'
        for i in range(0, count, every)
    )
    room = 4 * size
    scale = f"linear-gradient(to right, {', '.join(RED_TO_BLUE[::20])})"
    box = f"{-room} {-room / 2} {count + room} {count + room / 2}"
    return (
        f'<figure class="heat"><svg viewBox="{box}" font-size="{size}"'
        f' fill="currentColor" role="img">{cells}{marks}</svg>'
        f'<div class="ends">−1<i class="bar" style="background: {scale}"></i>+1</div></figure>'
    )


def _line(shares: np.ndarray) -> str:
    """A path through shares [B] of the height, over the middles of B bins."""
    across = WIDTH * (np.arange(len(shares)) + 0.5) / len(shares)
    down = HEIGHT * (1 - np.minimum(shares, 1.0))
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(across, down, strict=True))


def _color(value: float) -> str:
    return RED_TO_BLUE[round(100 * (float(value) + 1))]


def _signed(value: float, digits: int = 0) -> str:
    return f"{value:.{digits}f}".replace("-", "−")
