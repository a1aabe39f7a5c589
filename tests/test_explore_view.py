"""The view in the address: there and back, and every damaged address in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latent_workbench.shared.explore_view import CLASSES, KINDS, LOCAL, NAMES, View, from_query
from vae_core.errors import UserError

vectors = st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=40).map(
    lambda numbers: np.array(numbers, "<f4").tobytes()
)
values = st.lists(st.integers(-60, 60).map(lambda n: n / 20), min_size=1, max_size=20).map(tuple)


@given(
    kind=st.sampled_from(KINDS),
    label=st.integers(0, 99),
    neighbours=st.integers(2, 3000),
    at=st.none() | vectors,
    shown=st.none() | st.integers(1, 64),
    values=values,
    base=st.none() | vectors,
    given_label=st.none() | st.integers(0, 99),
    prefix=st.sampled_from(["", "beside-"]),
)
def test_there_and_back(
    kind, label, neighbours, at, shown, values, base, given_label, prefix
) -> None:
    view = View(kind, label, neighbours, at, shown, values, base, given_label)
    back = from_query(view.to_query(prefix), prefix)
    assert (back.kind, back.shown, back.base, back.condition) == (kind, shown, base, given_label)
    if any(values):
        assert back.values == pytest.approx(values, abs=1e-6)
    if kind == CLASSES:
        assert back.label == label
    if kind == LOCAL:
        assert (back.neighbours, back.at) == (neighbours, at)


def test_a_new_view_leaves_the_address_alone() -> None:
    assert View().to_query() == {} and from_query({}) == View()


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=50)))
def test_any_address_is_a_view_or_a_sentence(parameters: dict[str, str]) -> None:
    try:
        view = from_query(parameters)
    except UserError as error:
        assert str(error).startswith("The link's ")
    else:
        assert all(np.isfinite(view.values or ()))


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"directions": "sideways"}, "directions='sideways'"),
        ({"label": "-1"}, "label"),
        ({"neighbours": "1"}, "neighbours"),
        ({"shown": "9999999999"}, "shown"),
        ({"values": "1,two"}, "values"),
        ({"values": "nan"}, "values"),
        ({"values": "inf"}, "values"),
        ({"values": "0,3.1"}, "values"),
        ({"base": "AAA"}, "base"),
        ({"base": ""}, "base"),
        ({"at": "AADAfw"}, "at"),  # a NaN
        ({"at": "AACAfw"}, "at"),  # infinity
    ],
)
def test_what_is_wrong_is_named(parameters: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=f"^The link's {said}"):
        from_query(parameters)
