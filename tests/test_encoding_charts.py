"""Charts drawn as SVG: what they show stands where the numbers say."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from plotly.colors import sample_colorscale

from latent_workbench.encodings.prior import HEIGHT, WIDTH, heat_html, histograms_html
from vae_core.metrics.aggregated import Histogram, aggregated_histogram


def lines(markup: str) -> list[np.ndarray]:
    """The points of every path, [B, 2] each, in px from the upper left corner."""
    paths = [each.attrib["d"] for each in ElementTree.fromstring(markup).iter("path")]
    return [
        np.array([pair.split() for pair in re.findall(r"[\d.]+ [\d.]+", path)], float)
        for path in paths
    ]


def histogram(deviation: float) -> Histogram:
    mu = deviation * np.random.default_rng(0).normal(size=2000).astype(np.float32)
    return aggregated_histogram(mu, np.full(2000, -4.0, np.float32))


def test_histograms_share_one_scale_and_what_collapsed_is_cut() -> None:
    found = [histogram(0.9), histogram(0.0)]
    wide, prior, narrow, again = lines(histograms_html(found, ["z0", "z1"], ["", ""]))
    np.testing.assert_array_equal(prior, again)
    assert len(wide) == len(found[0].posterior) and 0 < wide[0, 0] < wide[-1, 0] < WIDTH
    heights = HEIGHT - np.stack([wide[:, 1], prior[:, 1]])
    densities = np.stack([found[0].posterior, found[0].prior])
    unit = heights[1].max() / found[0].prior.max()
    np.testing.assert_allclose(heights, densities * unit, atol=0.11)  # written to a tenth of a px
    assert found[1].posterior.max() > 3.2 * found[0].prior.max()
    assert narrow[:, 1].min() == 0  # up to the edge, not beyond


def test_names_are_escaped() -> None:
    markup = histograms_html([histogram(1.0)], ["<b>"], ['a "note" & <more>'])
    tree = ElementTree.fromstring(markup)
    assert next(tree.iter("figcaption")).text == "<b>"
    assert next(tree.iter("title")).text == 'a "note" & <more>'


@pytest.mark.parametrize(("count", "named"), [(1, 1), (3, 3), (60, 20)])
def test_a_cell_has_the_colour_and_the_words_of_its_value(count: int, named: int) -> None:
    values = np.eye(count)
    if count > 2:
        values[0, 2] = values[2, 0] = -0.5
    tree = ElementTree.fromstring(heat_html(values, [f"z{k}" for k in range(count)]))
    cells = [*tree.iter("rect")]
    assert len(cells) == count**2 and len([*tree.iter("text")]) == 2 * named
    one, half = sample_colorscale("RdBu", [1.0, 0.25])
    assert cells[0].attrib["fill"] == one and cells[0][0].text == "z0, z0: 1.00"
    if count > 2:
        assert cells[2].attrib["fill"] == half and cells[2][0].text == "z0, z2: −0.50"
        assert (cells[2].attrib["x"], cells[2].attrib["y"]) == ("2", "0")
