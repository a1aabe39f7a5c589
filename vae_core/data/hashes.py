"""What an image is known by: a number made of its pixels, the same in every run and process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np

from vae_core.data.dataset import Images, ImageSet

BLOCK = 4 * 2**20
"""Bytes of the images that are gathered together to be hashed."""


@runtime_checkable
class Hashed(Protocol):
    """Images that know their hashes, or have a quicker way to them than through the pixels."""

    def hashes(self) -> np.ndarray:
        """uint64 [N], equal where the pixels are equal."""


def content_hashes(images: Images) -> np.ndarray:
    """A hash of the pixels of each image: uint64 [N], equal where the images are exact copies.

    BLAKE2b of 8 bytes (RFC 7693): among a million different images two share a number with a
    probability of 3e-8. About 2 µs an image of 784 bytes, 16 µs for 64×64 in colour.
    """
    return images.hashes() if isinstance(images, Hashed) else hashed(images)


def hashed_part(part: ImageSet) -> ImageSet:
    """A part whose hashes are known: those that it has, or of its pixels."""
    if part.hashes is not None:
        return part
    return replace(part, hashes=content_hashes(part.images))


def hashed(images: Images) -> np.ndarray:
    """The same through the pixels, a block at a time: uint64 [N]."""
    count, *shape = images.shape
    at_once = max(1, BLOCK // int(np.prod(shape)))
    blocks = (np.arange(i, min(i + at_once, count)) for i in range(0, count, at_once))
    found = [hash_rows(images.gather(block)) for block in blocks]
    return np.concatenate(found) if found else np.zeros(0, np.uint64)


def hash_rows(array: np.ndarray) -> np.ndarray:
    """A hash of each row of `array` [N, ...] and of its shape: uint64 [N]."""
    # The shape too: a row of pixels is another picture than the column of the same ones.
    begun = hashlib.blake2b(repr(array.shape[1:]).encode(), digest_size=8)
    digests = bytearray()
    for row in np.ascontiguousarray(array):
        digest = begun.copy()
        digest.update(row.data)
        digests += digest.digest()
    return np.frombuffer(bytes(digests), "<u8").astype(np.uint64)


def occurrence(keys: np.ndarray) -> np.ndarray:
    """The how manieth of its kind each of `keys` [N] is, from 0: int64 [N]."""
    order = np.argsort(keys, kind="stable")
    _, start, sizes = np.unique(keys[order], return_index=True, return_counts=True)
    found = np.empty(len(keys), np.int64)
    found[order] = np.arange(len(keys)) - np.repeat(start, sizes)
    return found


def mixed(columns: Iterable[np.ndarray]) -> np.ndarray:
    """One number for each row of several columns of integers [N]: uint64 [N].

    The finaliser of SplitMix64 (Steele et al. 2014, Fast splittable pseudorandom number
    generators) after each column.
    """
    total: np.ndarray = np.full(1, 0x9E3779B97F4A7C15, np.uint64)
    with np.errstate(over="ignore"):
        for column in columns:
            x = (total ^ column.astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
            x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            total = x ^ (x >> np.uint64(31))
    return total


def match_rows(
    hashes: np.ndarray, labels: np.ndarray, among: np.ndarray, among_labels: np.ndarray
) -> np.ndarray:
    """The row of `among` [M] for each image of `hashes` [N], −1 where there is none: int64 [N].

    Copies are told apart by their labels first, then by their order; no row is given twice.
    """
    rows = np.full(len(hashes), -1)
    for mine, theirs in (((hashes, labels), (among, among_labels)), ((hashes,), (among,))):
        missing = np.flatnonzero(rows < 0)
        free = np.setdiff1d(np.arange(len(among)), rows)
        if not len(missing) or not len(free):
            break
        wanted, known = (
            mixed((key, occurrence(key)))
            for key in (mixed(c[missing] for c in mine), mixed(c[free] for c in theirs))
        )
        order = np.argsort(known)
        places = np.minimum(np.searchsorted(known, wanted, sorter=order), len(free) - 1)
        found = known[order[places]] == wanted
        rows[missing[found]] = free[order[places[found]]]
    return rows


def match_hashes(hashes: np.ndarray, among: np.ndarray) -> np.ndarray:
    """As `match_rows`, where copies are told apart by their order alone: int64 [N]."""
    return match_rows(hashes, np.zeros(len(hashes)), among, np.zeros(len(among)))
