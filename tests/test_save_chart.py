"""A chart that a browser sends comes back as PDF, and what is no chart as a sentence."""

from __future__ import annotations

import base64
import http.client
import io
import json
import struct
from collections.abc import Iterator

import pytest
from PIL import Image

from latent_workbench.live.charts import chart_routes, checked
from latent_workbench.live.http import Refused
from vae_core import extras

from .live import port_of, serving

CHART = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    ' width="200" height="100" viewBox="0 0 200 100"><defs><clipPath id="c"><rect width="200"'
    ' height="100"/></clipPath></defs><g clip-path="url(#c)"><path d="M0 0L9 9" stroke="#0072B2"'
    ' style="fill: none; clip-path: url(\'#c\')"/></g>'
    '<text x="10" y="50" font-family="sans-serif" font-size="14">β = 0.5 nats</text>'
    '<image href="{}" width="1" height="1"/></svg>'
)  # fmt: skip


def picture(side: int) -> str:
    """The address of a picture of one pixel that says that it has `side` a side."""
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = struct.pack(">II", side, side)
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


CHART = CHART.format(picture(1))
SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{}</svg>'


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(chart_routes()) as server:
        yield port_of(server)


def post(port: int, body: str | bytes, **headers: str) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    content = body.encode() if isinstance(body, str) else body
    connection.request("POST", "/live/charts/pdf", content, headers)
    answer = connection.getresponse()
    found = answer.status, answer.getheader("content-type", ""), answer.read()
    connection.close()
    return found


def test_a_chart_becomes_a_page_of_lines_and_letters(port: int) -> None:
    status, kind, body = post(port, CHART)
    assert (status, kind) == (200, "application/pdf"), body
    assert body.startswith(b"%PDF-") and b"/Font" in body


@pytest.mark.parametrize(
    "inside",
    [
        '<image href="file:///etc/passwd"/>',
        '<image xlink:href="http://elsewhere.example/a.png"/>',
        '<image href="data:image/svg+xml;base64,AAAA"/>',
        '<rect fill="url(http://elsewhere.example/#a)"/>',
        "<style>rect { fill: url(  'file:///a') }</style>",
        "<style>@import 'a.css';</style>",
        "<script>alert(1)</script>",
        '<use href="#a"/>',
        "<foreignObject><p>a</p></foreignObject>",
        "<style>rect { fill: u\\72l(file:///a) }</style>",
        '<image href="data:image/png;base64,iVBORw0KGgo="/>',
        '<image href="data:image/png;base64,!"/>',
    ],
)
def test_what_names_something_outside_is_refused(inside: str) -> None:
    with pytest.raises(Refused, match="This is no chart"):
        checked(SVG.format(inside).encode())


@pytest.mark.parametrize(
    "inside",
    [
        '<clipPath id="a"><rect clip-path="url(#b)"/></clipPath>',
        '<clipPath id="a"><rect style="clip-path: url(#b)"/></clipPath>',
        '<clipPath id="a" clip-path="url(#b)"><rect/></clipPath>',
        f'<clipPath id="a"><path d="M0 0{"L1 1" * 300}"/></clipPath>',
        '<pattern id="a"><rect fill="url(#b)"/></pattern>',
        '<mask id="a"><rect mask="url(#b)"/></mask>',
        "<style>rect { clip-path: url(#a) }</style>",
        f'<image href="{picture(5000)}"/>',
        f'<image href="{picture(3000)}"/>' * 2,
    ],
)
def test_nothing_small_becomes_an_endless_picture(inside: str) -> None:
    """Each of ten cut by ten others, and so on, would be drawn for days; so would a picture of a
    single colour."""
    with pytest.raises(Refused, match=r"This is no chart|too many pictures"):
        checked(SVG.format(inside).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"", b"no chart", b"<svg", b"<html/>", b"\xff\xfe",
        b'<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg"/>',
    ],
)  # fmt: skip
def test_what_is_no_svg_is_refused(port: int, body: bytes) -> None:
    status, _, answer = post(port, body)
    assert status == 400 and json.loads(answer)["message"].startswith("This is no")


def test_a_chart_is_not_changed_by_looking_at_it() -> None:
    assert checked(CHART.encode()) == CHART


def test_another_site_cannot_have_one_drawn(port: int) -> None:
    assert post(port, CHART, Origin="https://elsewhere.example")[0] == 403


def test_too_large_a_chart_is_refused(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latent_workbench.live.charts.MOST_SVG", 100)
    status, _, answer = post(port, CHART)
    assert status == 413 and "too large" in json.loads(answer)["message"]


def test_without_the_extra_a_sentence_says_what_to_install(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(extras, "import_module", missing)
    status, _, answer = post(port, CHART)
    assert status == 400
    assert json.loads(answer)["message"].endswith("pip install vl-convert-python")
