"""POST `/live/charts/pdf`: a chart, which a browser sends as SVG, comes back as PDF.

What is sent is looked through first: shapes, text and pictures that it holds itself, nothing that
names a file, an address or a program, and nothing small of which much becomes.
"""

from __future__ import annotations

import asyncio
import re
import struct
from base64 import b64decode
from binascii import Error as NoBase64
from xml.etree import ElementTree

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from latent_workbench.live.http import Refused, read_body, with_json_errors
from vae_core.extras import extra

MOST_SVG = 16 * 2**20
"""Bytes of a chart: a scatter plot of 60 000 points has 8 MB."""

ELEMENTS = frozenset(
    [
        "svg",
        "g",
        "defs",
        "path",
        "rect",
        "circle",
        "ellipse",
        "line",
        "polyline",
        "polygon",
        "text",
        "tspan",
        "title",
        "desc",
        "clipPath",
        "linearGradient",
        "radialGradient",
        "stop",
        "image",
        "style",
    ]
)
"""What charts are made of; `use`, patterns and masks, by which a small file becomes an endless
picture, are none."""

MOST_CLIP = 1000
"""Letters in the attributes of what a `clipPath` holds, which every element may name."""

MOST_PIXELS = 2**24
"""Of all pictures in a chart together, which are stored compressed a thousand times."""

_NAMESPACE = re.compile(r"\{[^}]*\}")
_OUTSIDE = re.compile(r"url\((?!\s*[\"']?\s*#)|@import|expression\(", re.IGNORECASE)
_REFERENCE = re.compile(r"url\(|@|\\", re.IGNORECASE)
_OWN_PICTURE = "data:image/png;base64,"

_one_at_a_time = asyncio.Semaphore(1)


def checked(svg: bytes) -> str:
    """The chart as text.

    Raises:
        Refused: when it is no SVG, or holds what no chart does.
    """
    if b"<!DOCTYPE" in svg or b"<!ENTITY" in svg:
        raise Refused(400, "This is no chart: it declares entities.")
    try:
        text = svg.decode()
        root = ElementTree.fromstring(text)
    except (UnicodeDecodeError, ElementTree.ParseError):
        raise Refused(400, "This is no SVG.") from None
    if _NAMESPACE.sub("", root.tag) != "svg":
        raise Refused(400, "This is no SVG.")
    pixels = 0
    for each in root.iter():
        name = _NAMESPACE.sub("", str(each.tag))
        if name not in ELEMENTS:
            raise Refused(400, f"This is no chart: it holds {name}.")
        for key, value in each.attrib.items():
            attribute = _NAMESPACE.sub("", key)
            if attribute == "href" and value.startswith(_OWN_PICTURE):
                pixels += _pixels(value)
            elif (attribute == "href" and not value.startswith("#")) or _OUTSIDE.search(value):
                raise Refused(400, f"This is no chart: its {name} names something outside of it.")
        if name == "style" and _REFERENCE.search(each.text or ""):
            raise Refused(400, "This is no chart: its style names something outside of it.")
        if name == "clipPath":
            _check_clip(each)
    if pixels > MOST_PIXELS:
        raise Refused(400, "This chart holds too many pictures for a PDF; save it as SVG.")
    return text


def _check_clip(clip: ElementTree.Element) -> None:
    """A clip that is cut by others, or a long one that many are cut by, would never be drawn."""
    values = [value for each in clip.iter() for value in each.attrib.values()]
    if sum(map(len, values)) > MOST_CLIP or any(map(_REFERENCE.search, values)):
        raise Refused(400, "This is no chart: what it is cut by is no plain shape.")


def _pixels(picture: str) -> int:
    """How many a PNG in an address says that it has."""
    try:
        head = b64decode(picture.removeprefix(_OWN_PICTURE)[:32], validate=True)
        signature, width, height = struct.unpack(">16sII", head)
    except (NoBase64, struct.error):
        signature = b""
    if not signature.startswith(b"\x89PNG\r\n\x1a\n"):
        raise Refused(400, "This is no chart: it holds a picture that is none.")
    return int(width * height)


def to_pdf(svg: str) -> bytes:
    """A page as large as the chart, whose lines and letters stay lines and letters.

    Raises:
        UserError: when what draws it is not installed.
    """
    library = extra("vl_convert", "pdf", "Saving a chart as PDF")
    pdf: bytes = library.svg_to_pdf(svg)
    return pdf


async def chart_pdf(request: Request) -> Response:
    """The chart of the body, drawn off the event loop; others wait for their turn."""
    svg = checked(await read_body(request, MOST_SVG))
    async with _one_at_a_time:
        try:
            pdf = await asyncio.to_thread(to_pdf, svg)
        except ValueError:  # the library's, of what it cannot draw
            raise Refused(400, "This chart cannot be drawn as PDF; save it as SVG.") from None
    return Response(pdf, media_type="application/pdf")


def chart_routes() -> list[BaseRoute]:
    """The route of charts."""
    return [Route("/charts/pdf", with_json_errors(chart_pdf), methods=["POST"])]
