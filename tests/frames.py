"""The frames of the live decoder that both sides are tested with.

`tests/fixtures/frames/frames.json` says what is in them. Replies are written by this module
(`python -m tests.frames`) and read by `tests/js/frames.test.js`; requests are written by
`node tests/js/frames.js` and read by `tests/test_frames.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from latent_workbench.live.protocol import Location, error_reply, pixels_reply
from vae_core.latent.region import Place, Verdict

FRAMES = Path(__file__).parent / "fixtures" / "frames"
CONTENT: dict[str, Any] = json.loads((FRAMES / "frames.json").read_text(encoding="utf-8"))


def pixels_of(reply: dict[str, int]) -> np.ndarray:
    """uint8 [count, height, width, channels]: 0, 7, 14 and so on, modulo 256."""
    shape = [reply[name] for name in ("count", "height", "width", "channels")]
    return (7 * np.arange(np.prod(shape)) % 256).astype(np.uint8).reshape(shape)


def whereabouts() -> Location:
    """What `location` says."""
    told = CONTENT["location"]
    numbers = (told[name] for name in ("distance", "nearer", "gap", "closer"))
    return Location(
        Place(*numbers, Verdict[told["verdict"].upper()]),
        told["log_density"],
        np.array([each["index"] for each in told["nearest"]]),
        np.array([each["distance"] for each in told["nearest"]]),
    )


def replies() -> dict[str, bytes]:
    """Every reply, by its name."""
    plain, located, failure = (
        CONTENT[name] for name in ("reply", "reply_with_location", "failure")
    )
    return {
        "reply": pixels_reply(plain["sequence"], pixels_of(plain)),
        "reply_with_location": pixels_reply(located["sequence"], pixels_of(located), whereabouts()),
        "failure": error_reply(failure["sequence"], failure["message"]),
    }


if __name__ == "__main__":
    for name, frame in replies().items():
        (FRAMES / f"{name}.bin").write_bytes(frame)
