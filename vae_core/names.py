"""What a person calls an image: the name of its file, as text, and short where there is no room."""

from __future__ import annotations

from collections.abc import Container


def readable(name: str) -> str:
    """A file name as text that can be written: bytes that are no UTF-8 become �."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def shortened(name: str, most: int) -> str:
    """A name of at most `most` characters: without its folders where it is longer, and then
    without its middle, for names differ at their ends."""
    if len(name) <= most:
        return name
    last = name.rpartition("/")[2]
    if len(last) + 2 <= most:
        return f"…/{last}"
    if len(last) <= most:
        return last
    before = (most - 1) // 3
    return f"{last[:before]}…{last[len(last) - (most - 1 - before) :]}"


def unused(name: str, taken: Container[str]) -> str:
    """`name`, or with a number behind it, so that it is not in the container `taken`."""
    found, number = name, 2
    while found in taken:
        found, number = f"{name} ({number})", number + 1
    return found
