"""How large a file of each kind may be, in a folder that anybody may have sent."""

from __future__ import annotations

from fnmatch import fnmatchcase

KB, MB, GB = 10**3, 10**6, 10**9

LARGEST: tuple[tuple[str, int], ...] = (
    ("config.json", MB),
    ("status.json", MB),
    ("environment.json", MB),
    ("job.json", 64 * KB),
    ("data.json", 4 * MB),  # names of labels
    ("summary.json", 4 * MB),  # a KL for each of some ten thousand dimensions
    ("scores.json", MB),
    ("saved_directions.json", 16 * MB),
    ("sweep.json", 4 * MB),
    ("state.json", 16 * MB),  # a thousand entries
    ("*.json", MB),
    ("study.db*", 64 * GB),  # a database, which reads of itself what it needs
    ("history.jsonl", GB),  # four million records: weeks of training
    ("*.jsonl", 64 * MB),
    ("thumbnails.png", 64 * MB),
    ("*.png", 16 * MB),
    ("model.safetensors", 16 * GB),
    ("best*.safetensors", 16 * GB),
    ("training_state*.pt", 128 * GB),  # and no more than a multiple of the weights
    ("parts.safetensors", 128 * MB),  # 12 million images
    ("encodings.safetensors", 512 * MB),
    ("encodings-*.safetensors", 4 * GB),
    ("*.safetensors", 128 * MB),
    ("log.txt", 1000 * GB),  # its end alone is read
)
"""Bytes of a file of each kind, the first pattern that fits; of others 1 MB."""

QUICKLY = 4 * MB
"""Of a .jsonl file, looked at by who shows a long history as a curve: half a second."""

AT_ONCE = 16 * MB
"""Of a .jsonl file, read by one call that returns all it has read."""


def largest(name: str) -> int:
    """Bytes that a file of this name may have."""
    last = name.rpartition("/")[2]
    return next((most for pattern, most in LARGEST if fnmatchcase(last, pattern)), MB)


def require_within(name: str, size: int) -> None:
    """Refuse a file of so many bytes where its kind has fewer.

    Raises:
        OSError: with both numbers.
    """
    if size > (most := largest(name)):
        raise OSError(f"it has {_told(size)}, and at most {_told(most)} are read")


def _told(size: int) -> str:
    unit, name = next(pair for pair in ((GB, "GB"), (MB, "MB"), (KB, "kB")) if size >= pair[0])
    return f"{size / unit:.3g} {name}"
