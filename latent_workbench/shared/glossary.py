"""The words of the app, one sentence each: `glossary.json` is the one list, for Python and for
JavaScript (`components/shared/glossary.js`, which links axis titles and legends)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import streamlit as st

PAGE, TAB, TERM = "concepts", "concepts-tab", "term"
GLOSSARY = "Glossary"


@dataclass(frozen=True)
class Term:
    """A word, what it means, other words for it, and the figure that shows it, "" for none."""

    term: str
    says: str
    also: tuple[str, ...] = ()
    figure: str = ""

    @property
    def link(self) -> str:
        """Where it stands, as an address beside that of any other page."""
        return f"{PAGE}?{TAB}={GLOSSARY}&{TERM}={quote(self.term)}"


@cache
def terms() -> tuple[Term, ...]:
    """Every term, in the order of the list."""
    listed = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return tuple(Term(**each | {"also": tuple(each["also"])}) for each in listed)


def term_in(text: str) -> Term | None:
    """The term that comes first in a title; of two that begin there, the longer one."""
    best: tuple[int, int, Term] | None = None
    for each in terms():
        for word in (each.term, *each.also):
            found = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE)
            if found and (best is None or (found.span()[0], -len(word)) < best[:2]):
                best = (found.span()[0], -len(word), each)
    return None if best is None else best[2]


def explained(heads: Iterable[str], config: dict[str, Any] | None = None) -> dict[str, Any]:
    """`config` of a table's columns, where each head that names a term says what it means and leads
    to the glossary, unless it has words of its own."""
    told = dict(config or {})
    for head in heads:
        term = term_in(head)
        if term is None:
            continue
        column = dict(told.get(head) or st.column_config.Column())
        if not column.get("help"):
            column["help"] = f"{term.says} [In the glossary]({term.link})"
        told[head] = column
    return told
