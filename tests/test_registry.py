"""The registry by decorator: names, options, and what a person is told of a wrong one."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from vae_core.errors import UserError
from vae_core.registry import Entry, Registry
from vae_core.settings import Settings, setting


class WidthOptions(Settings):
    width: int = setting(3, "Width", "How wide it is.", ge=1, le=9)


Shape = Entry[Callable[[], str]]


@pytest.fixture
def shapes() -> Registry[Shape]:
    registry: Registry[Shape] = Registry("shape", Entry)

    @registry.register("square", label="Square", blurb="Four sides.", options=WidthOptions)
    def square() -> str:
        return "a square"

    @registry.register("circle", label="Circle", blurb="No corners.", paper="Euclid")
    def circle() -> str:
        return "a circle"

    return registry


def test_entries_keep_their_order_and_what_is_shown(shapes: Registry[Shape]) -> None:
    assert [entry.name for entry in shapes] == ["square", "circle"]
    entry = shapes["circle"]
    assert (entry.label, entry.blurb, entry.paper) == ("Circle", "No corners.", "Euclid")
    assert entry.build() == "a circle"
    assert "circle" in shapes
    assert "line" not in shapes


def test_an_unknown_name_lists_the_known_and_suggests(shapes: Registry[Shape]) -> None:
    with pytest.raises(UserError) as error:
        shapes["sqare"]
    assert str(error.value) == (
        "There is no shape 'sqare'; choose one of square, circle. Did you mean 'square'?"
    )
    with pytest.raises(UserError) as error:
        shapes["zzz"]
    assert str(error.value) == "There is no shape 'zzz'; choose one of square, circle."


def test_a_name_is_taken_once(shapes: Registry[Shape]) -> None:
    with pytest.raises(ValueError, match="'square' is registered twice"):
        shapes.register("square", label="", blurb="")(lambda: "another")
    assert shapes["square"].build() == "a square"


def test_options_are_validated_by_their_entry(shapes: Registry[Shape]) -> None:
    assert shapes["square"].parse_options({"width": 4}, "options") == WidthOptions(width=4)
    assert shapes["square"].parse_options({}, "options") == WidthOptions()
    with pytest.raises(UserError, match=r"^options\.width: .*less than or equal to 9 \(it is 10\)"):
        shapes["square"].parse_options({"width": 10}, "options")
    with pytest.raises(UserError, match=r"Did you mean 'options\.width'\?"):
        shapes["square"].parse_options({"widht": 4}, "options")
    with pytest.raises(UserError, match="Nothing can be set here"):
        shapes["circle"].parse_options({"width": 4}, "options")


def test_lists_follow_the_order_that_entries_name(shapes: Registry[Shape]) -> None:
    shapes.register("line", label="Line", blurb="One side.", order=10)(lambda: "a line")
    shapes.register("dot", label="Dot", blurb="No side.")(lambda: "a dot")
    assert [entry.name for entry in shapes] == ["line", "square", "circle", "dot"]
    with pytest.raises(UserError, match="choose one of line, square, circle, dot"):
        shapes["zzz"]


def test_a_file_in_the_folder_is_found_without_being_named_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "found_shapes"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from vae_core.registry import Entry, Registry\n"
        "shapes = Registry('shape', Entry)\n"
        "shapes.discover(__name__, plugins='found_shapes')\n"
    )
    (package / "triangle.py").write_text(
        "from found_shapes import shapes\n"
        "shapes.register('triangle', label='Triangle', blurb='Three.')(lambda: 'a triangle')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    found: Registry[Shape] = importlib.import_module("found_shapes").shapes
    assert [entry.build() for entry in found] == ["a triangle"]
