"""Every kind of chart of the app, saved in a real browser."""

from __future__ import annotations

import csv
import io
from xml.etree import ElementTree

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from latent_workbench.evaluate.choice import USUAL_IMAGES
from vae_core.evaluation import Request, measured
from vae_core.runs import Store

from .conftest import PATIENCE_MS

pytestmark = pytest.mark.browser

expect.set_options(timeout=PATIENCE_MS)

SVG = "{http://www.w3.org/2000/svg}"


def saved(menu: Locator, kind: str) -> tuple[str, bytes]:
    """The name and the content of the file that the menu of a chart saves."""
    menu.get_by_role("button", name="Save chart").click()
    with menu.page.expect_download() as waiting:
        menu.get_by_role("menuitem", name=f"Save as {kind}").click()
    file = waiting.value
    return file.suggested_filename, file.path().read_bytes()


def shapes(svg: bytes) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg" and float(root.attrib["width"]) > 100
    return root


def words(root: ElementTree.Element) -> str:
    return " ".join("".join(each.itertext()) for each in root.iter(f"{SVG}text"))


def test_points_and_drawings(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/encodings?run=tiny")
    page.get_by_test_id("scatter").wait_for()
    page.get_by_text("300 images", exact=True).wait_for()
    points = page.locator(".scatter").get_by_test_id("save-chart")
    root = shapes(saved(points, "SVG")[1])
    marks = [
        each for each in root.iter(f"{SVG}path") if "scale(" in each.attrib.get("transform", "")
    ]
    assert len(marks) == 300 and not [*root.iter(f"{SVG}image")]
    rows = [*csv.DictReader(io.StringIO(saved(points, "CSV")[1].decode()))]
    assert len(rows) == 300 and {"row", "label"} <= rows[0].keys()
    page.get_by_role("tab", name="Does it look like the prior?").click()
    drawing = page.locator(".drawing").filter(has=page.locator(".histograms"))
    name, svg = saved(drawing.get_by_test_id("save-chart"), "SVG")
    root = shapes(svg)
    assert name == "encodings-histograms.svg" and "z0" in words(root)
    assert len([*root.iter(f"{SVG}path")]) == 8  # q(z) and p(z) of four dimensions
    assert saved(drawing.get_by_test_id("save-chart"), "PDF")[1].startswith(b"%PDF-")
    heat = page.locator(".drawing").filter(has=page.locator(".heat"))
    rows = [
        *csv.DictReader(io.StringIO(saved(heat.get_by_test_id("save-chart"), "CSV")[1].decode()))
    ]
    assert [float(row[row["dimension"]]) for row in rows] == [1.0] * 4


def test_the_monitors_curves(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/train?run=tiny")
    page.locator(".vm-loss .main-svg").first.wait_for()
    panel = page.locator(".vm-panel").first
    name, svg = saved(panel.get_by_test_id("save-chart"), "SVG")
    assert name == "tiny-loss.svg" and "nats per image" in words(shapes(svg))
    kl = page.locator(".vm-kl").get_by_test_id("save-chart")
    assert kl.count() == 2
    assert saved(kl.first, "CSV")[0] == "tiny-kl-now.csv"


def test_the_map_of_the_explorer(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/explore?run=tiny")
    page.get_by_test_id("latent-map").wait_for()
    menu = page.locator(".map").get_by_test_id("save-chart")
    root = shapes(saved(menu, "SVG")[1])
    assert len([*root.iter(f"{SVG}rect")]) > 100


def test_a_chart_of_streamlits_own(page: Page, app_url: str, store: Store) -> None:
    """The figures of a run with their intervals, which plotly draws."""
    found = measured(store.get("tiny"), "nll", Request(images=USUAL_IMAGES))
    page.goto(f"{app_url}/evaluate?run=tiny")
    chart = page.get_by_test_id("stPlotlyChart")
    chart.locator(".main-svg").first.wait_for()
    menu = chart.get_by_test_id("save-chart")
    name, svg = saved(menu, "SVG")
    root = shapes(svg)
    assert name == "evaluate-intervals.svg"
    assert "tiny" in words(root) and "nats" in words(root)
    assert saved(menu, "PDF")[1].startswith(b"%PDF-")
    picture = Image.open(io.BytesIO(saved(menu, "PNG")[1]))
    assert picture.format == "PNG" and picture.width > float(root.attrib["width"])
    (row,) = csv.DictReader(io.StringIO(saved(menu, "CSV")[1].decode()))
    assert str(found.value)[:6] in " ".join(row.values())
