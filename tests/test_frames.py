"""Frames of the live decoder: what the browser wrote is read, and what is written is what it reads.

`tests/js/frames.test.js` is the other half.
"""

from __future__ import annotations

import numpy as np
import pytest

from latent_workbench.live.protocol import TABLE, read_request, sequence_of
from vae_core.latent.region import Verdict

from .frames import CONTENT, FRAMES, replies


@pytest.mark.parametrize("name", ["request", "plain_request"])
def test_a_request_of_the_browser_is_read(name: str) -> None:
    told, frame = CONTENT[name], (FRAMES / f"{name}.bin").read_bytes()
    request = read_request(frame, len(told["vectors"][0]))
    assert request.sequence == sequence_of(frame) == told["sequence"]
    assert request.nearest == told["nearest"]
    np.testing.assert_array_equal(request.vectors, np.float32(told["vectors"]))


@pytest.mark.parametrize("name", ["reply", "reply_with_location", "failure"])
def test_replies_are_those_that_the_browser_reads(name: str) -> None:
    assert replies()[name] == (FRAMES / f"{name}.bin").read_bytes()


def test_the_verdicts_have_the_names_of_the_table() -> None:
    assert [verdict.name.lower() for verdict in Verdict] == TABLE["verdicts"]
