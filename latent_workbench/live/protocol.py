"""The frames of the live decoder, as pure functions from bytes to arrays and back.

How headers lie is told by `protocol.json`, which the browser's side reads too: names and types in
their order, without gaps, little-endian.

A request is a header, then `count` latent vectors of D float32. `nearest` says how many of the
nearest encodings are wanted for the first vector; 0 asks for none and for no trailer.

A reply is a header, then uint8 pixels [count, height, width, channels]; with a status other than 0
the rest is a sentence in UTF-8. Where it was asked for and the run has encodings, a trailer says
where the first vector lies: `location`, then `found` times `neighbour`. The log-density is no
number where the model has none.

A model with a dial takes D + 1 numbers for each picture: behind the latents the value of its dial.

A conditional model is told its label by `?label=N` in the address; without one, or with −1, the
label is unknown to it.

Text requests and replies are JSON; `Random` and `Encoding` are the requests there are.
"""

from __future__ import annotations

import json
import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from vae_core.errors import UserError
from vae_core.settings import Settings

if TYPE_CHECKING:
    from vae_core.latent.region import Place
    from vae_core.models import Dial

TABLE: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
_CODES = {"u1": "B", "u2": "H", "u4": "I", "f4": "f"}


def _layout(name: str) -> struct.Struct:
    return struct.Struct("<" + "".join(_CODES[kind] for kind in TABLE[name].values()))


REQUEST, REPLY, TRAILER = _layout("request"), _layout("reply"), _layout("location")
NEIGHBOURS = np.dtype([(name, f"<{kind}") for name, kind in TABLE["neighbour"].items()])

MOST_VECTORS = 64
"""Eight filmstrips of seven pictures fit into one request."""
MOST_NEAREST = 16
MOST_TEXT = 1000
"""Characters of a text request."""

OK, FAILED = 0, 1


@dataclass(frozen=True)
class Request:
    """Latent vectors [n, D] float32 to decode, [n, D + 1] for a model with a dial; `nearest`
    encodings are wanted for the first."""

    sequence: int
    vectors: np.ndarray
    nearest: int = 0


@dataclass(frozen=True)
class Location:
    """Where a latent vector lies among the encodings and under the prior.

    log_density: log p(z) in nats, NaN where the model has no density.
    indices, distances: the nearest encodings [k], and how far they are in Euclidean terms [k].
    """

    place: Place
    log_density: float
    indices: np.ndarray
    distances: np.ndarray


class _Asked(Settings):
    """What all text requests share; JSON types are taken as they are, so "1" is no number."""

    model_config = ConfigDict(strict=True)

    sequence: int = Field(0, ge=0, lt=2**32)


class Random(_Asked):
    """A draw from the prior."""

    type: Literal["random"]
    seed: int | None = Field(None, ge=0, lt=2**32)
    temperature: float = Field(1.0, ge=0, le=3)


class Encoding(_Asked):
    """The posterior mean of a cached encoding, by its row; encoded anew with `dial` at a value."""

    type: Literal["encoding"]
    index: int = Field(ge=0, lt=2**32)
    dial: float | None = Field(None, gt=0, allow_inf_nan=False)


_TEXT: TypeAdapter[Random | Encoding] = TypeAdapter(
    Annotated[Random | Encoding, Field(discriminator="type")]
)


def sequence_of(message: bytes) -> int:
    """The number by which the client knows its request; 0 when the message is too short."""
    return struct.unpack_from("<I", message)[0] if len(message) >= 4 else 0


def read_request(
    message: bytes, latent_size: int, most: int = MOST_VECTORS, dial: Dial | None = None
) -> Request:
    """A request for at most `most` pictures; of a model with a dial each is told where it is.

    Raises:
        UserError: on a header, a length or a value that is not what this model takes.
    """
    if len(message) < REQUEST.size:
        raise UserError("The request is shorter than its header.")
    sequence, count, nearest = REQUEST.unpack_from(message)
    if nearest > MOST_NEAREST:
        raise UserError(f"A request asks for 0 to {MOST_NEAREST} neighbours; not {nearest}.")
    if not 1 <= count <= most:
        raise UserError(f"A request holds 1 to {most} vectors; this one says {count}.")
    numbers = latent_size + (dial is not None)
    expected = REQUEST.size + 4 * count * numbers
    if len(message) != expected:
        raise UserError(
            f"{count} vectors of {numbers} numbers make {expected} bytes; "
            f"this request has {len(message)}."
        )
    vectors = np.frombuffer(message, dtype="<f4", offset=REQUEST.size).astype(np.float32)
    if not np.isfinite(vectors).all():
        raise UserError("The request holds a number that is not finite.")
    vectors = vectors.reshape(count, numbers)
    if dial is not None:
        for end in (vectors[:, -1].min(), vectors[:, -1].max()):
            dial.require(float(end))
    return Request(sequence, vectors, nearest)


def read_text(text: str) -> Random | Encoding:
    """A text request.

    Raises:
        UserError: when it is none of those that there are.
    """
    try:
        return _TEXT.validate_json(text if len(text) <= MOST_TEXT else "")
    except ValidationError:
        raise UserError("The request is none that this server knows.") from None


def read_label(text: str | None) -> int | None:
    """The label in an address; None where there is none.

    Raises:
        UserError: when it is no whole number.
    """
    if text is None:
        return None
    if not re.fullmatch(r"-1|[0-9]{1,6}", text):
        raise UserError("A label is a whole number, or -1 where it is unknown.")
    return int(text)


def read_dial(text: str | None) -> float | None:
    """The value of a dial in an address; None where there is none.

    Raises:
        UserError: when it is no number above 0.
    """
    if text is None:
        return None
    try:
        value = float(text) if len(text) <= 40 else math.nan
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise UserError("The dial of a model is a number above 0.")
    return value


def pixels_reply(sequence: int, pixels: np.ndarray, where: Location | None = None) -> bytes:
    """The reply that carries uint8 pixels [n, H, W, C] and, where known, the trailer."""
    count, height, width, channels = pixels.shape
    header = REPLY.pack(sequence, OK, channels, count, height, width)
    trailer = b"" if where is None else _trailer(where)
    return header + np.ascontiguousarray(pixels).tobytes() + trailer


def error_reply(sequence: int, sentence: str) -> bytes:
    """The reply that says why there are no pixels."""
    return REPLY.pack(sequence, FAILED, 0, 0, 0, 0) + sentence.encode()


def text_error(sequence: int, sentence: str) -> dict[str, Any]:
    """The answer to a text request that says why there is no vector."""
    return {"type": "error", "sequence": sequence, "message": sentence}


def _trailer(where: Location) -> bytes:
    # A vector may lie so far out that its distance is more than a float32 holds.
    limit = np.finfo(np.float32).max
    place = where.place
    numbers = np.clip(
        [place.distance, place.nearer, place.gap, place.closer, where.log_density], -limit, limit
    )
    nearest = np.empty(len(where.indices), NEIGHBOURS)
    nearest["index"], nearest["distance"] = where.indices, np.minimum(where.distances, limit)
    return TRAILER.pack(*numbers, len(nearest), place.verdict) + nearest.tobytes()
