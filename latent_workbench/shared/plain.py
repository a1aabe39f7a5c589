"""Words out of a file, in the middle of Markdown: shown as they are, whatever signs they hold."""

from __future__ import annotations

import re

LONGEST = 300
_SIGNS = re.compile(r"([\\`*\[\]<>!$~|])")


def plain(text: str, longest: int = LONGEST) -> str:
    """`text` as Markdown that shows just it, on one line, cut where it is long.

    A picture of some other server, say, is not fetched because a run's status names it.
    """
    one_line = " ".join(text[: longest + 1].split())
    cut = one_line if len(text) <= longest else one_line[: longest - 1] + "…"
    return _SIGNS.sub(r"\\\1", cut)
