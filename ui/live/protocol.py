"""The frames of the live decoder, as pure functions from bytes to arrays and back.

A request is `sequence: uint32, count: uint16, reserved: uint16 = 0`, then `count` latent vectors
of D float32. A reply is `sequence: uint32, status: uint8, channels: uint8, count: uint16,
height: uint16, width: uint16`, then uint8 pixels [count, height, width, channels]; with a status
other than 0 the rest is a sentence in UTF-8. Everything is little-endian.
"""

from __future__ import annotations

import struct

import numpy as np

from vae_core.errors import UserError

REQUEST = struct.Struct("<IHH")
REPLY = struct.Struct("<IBBHHH")
MOST_VECTORS = 64
"""Eight filmstrips of seven pictures fit into one request."""

OK, FAILED = 0, 1


def sequence_of(message: bytes) -> int:
    """The number by which the client knows its request; 0 when the message is too short."""
    return struct.unpack_from("<I", message)[0] if len(message) >= 4 else 0


def read_request(message: bytes, latent_size: int) -> np.ndarray:
    """The latent vectors of a request, float32 [n, D].

    Raises:
        UserError: on a header, a length or a value that is not what this model takes.
    """
    if len(message) < REQUEST.size:
        raise UserError("The request is shorter than its header.")
    _, count, reserved = REQUEST.unpack_from(message)
    if reserved:
        raise UserError("The request asks for something that this server does not know.")
    if not 1 <= count <= MOST_VECTORS:
        raise UserError(f"A request holds 1 to {MOST_VECTORS} vectors; this one says {count}.")
    expected = REQUEST.size + 4 * count * latent_size
    if len(message) != expected:
        raise UserError(
            f"{count} vectors of {latent_size} numbers make {expected} bytes; "
            f"this request has {len(message)}."
        )
    vectors = np.frombuffer(message, dtype="<f4", offset=REQUEST.size).astype(np.float32)
    if not np.isfinite(vectors).all():
        raise UserError("The request holds a number that is not finite.")
    return vectors.reshape(count, latent_size)


def pixels_reply(sequence: int, pixels: np.ndarray) -> bytes:
    """The reply that carries uint8 pixels [n, H, W, C]."""
    count, height, width, channels = pixels.shape
    header = REPLY.pack(sequence, OK, channels, count, height, width)
    return header + np.ascontiguousarray(pixels).tobytes()


def error_reply(sequence: int, sentence: str) -> bytes:
    """The reply that says why there are no pixels."""
    return REPLY.pack(sequence, FAILED, 0, 0, 0, 0) + sentence.encode()
