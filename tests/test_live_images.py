"""Pictures of a part's images by their rows: which come, how large, and what is refused."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from latent_workbench.encodings.encoded_images import PartImages
from latent_workbench.live import images as images_file
from latent_workbench.live.images import (
    DATASETS,
    MOST_ROWS,
    image_routes,
    images_of,
    read_rows,
)
from tests.live import port_of, serving
from vae_core.analysis import survey_of
from vae_core.data.images import SubsetImages
from vae_core.errors import UserError
from vae_core.imaging.png import from_png, untile
from vae_core.imaging.resize import thumbnails
from vae_core.loading import load_part
from vae_core.runs import Run


@pytest.fixture
def run(tiny_run: Run) -> Run:
    return tiny_run


@pytest.fixture
def port(run: Run) -> Iterator[int]:
    with serving(image_routes()) as server:
        yield port_of(server)


def get(port: int, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    result = answer.status, answer.headers, answer.read()
    connection.close()
    return result


def test_rows_come_in_their_order_once_a_page_has_opened_the_data_set(run: Run, port: int) -> None:
    rows = [7, 0, 3, *range(20, 40)]
    path = f"/live/images/tiny/validation?rows={','.join(map(str, rows))}"
    status, _, body = get(port, path)  # a request never makes the server load a data set
    assert status == 404 and "not open" in json.loads(body)["message"]
    images_of(run, "validation")
    status, headers, body = get(port, path)
    assert status == 200 and headers["content-type"] == "image/png"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    expected = load_part(run, "validation")[1].images.gather(np.array(rows))
    height, width = expected.shape[2:]
    found = untile(from_png(body, 1), height, width, len(rows))
    np.testing.assert_array_equal(found, expected)


def test_what_is_no_row_of_the_part_is_refused(run: Run, port: int) -> None:
    count = images_of(run, "train").shape[0]
    for query, words in [
        (f"train?rows={count}", f"There are {count} images"),
        ("train?rows=-1", "numbers with commas"),
        ("train?rows=1,,2", "numbers with commas"),
        ("train", "numbers with commas"),
        ("train?rows=99999999999999999999", "numbers with commas"),
        ("train?rows=" + "1," * MOST_ROWS + "1", "At most 256"),
        ("cached?rows=1", "split"),
    ]:
        status, _, body = get(port, f"/live/images/tiny/{query}")
        assert status == 400 and words in json.loads(body)["message"], query
    assert get(port, "/live/images/nobody/train?rows=1")[0] == 400
    assert get(port, "/live/images/..%2Ftiny/train?rows=1")[0] in (400, 404)


def test_other_sites_are_refused(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Streamlit's rule would otherwise ask the network for this machine's addresses.
    monkeypatch.setattr("streamlit.net_util.get_internal_ip", lambda: None)
    monkeypatch.setattr("streamlit.net_util.get_external_ip", lambda: None)
    assert get(port, "/live/images/tiny/train?rows=1", Origin="https://evil.example")[0] == 403


def test_as_many_rows_as_allowed_are_read() -> None:
    assert read_rows(",".join(["5"] * MOST_ROWS)).tolist() == [5] * MOST_ROWS
    with pytest.raises(UserError, match="numbers"):
        read_rows("\N{ARABIC-INDIC DIGIT ONE}")


def test_large_images_are_averaged_down_and_small_ones_left() -> None:
    large = np.zeros((2, 3, 128, 64), np.uint8)
    large[1, 2, :64, ::2] = 200
    small = thumbnails(large, 64)
    assert small.shape == (2, 3, 64, 32)
    assert (small[1, 2, :32] == 100).all() and small.sum() == 100 * 32 * 32
    assert thumbnails(small, 64) is small


def test_a_part_is_opened_when_an_image_is_wanted_and_has_to_be_the_one_encoded(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = load_part(run, "train")[1]
    images = PartImages(run, "train", len(part))
    assert DATASETS.peek(run) is None and images.shape == part.images.shape
    np.testing.assert_array_equal(
        images.gather(np.array([5, 2])), part.images.gather(np.array([5, 2]))
    )
    assert DATASETS.peek(run) is not None
    assert part.hashes is not None
    fewer = replace(
        part, images=SubsetImages(part.images, np.arange(9)[::-1]), hashes=part.hashes[:9][::-1]
    )
    other = replace(DATASETS.get(run), train=fewer)
    monkeypatch.setattr(images_file, "DATASETS", type("Known", (), {"get": lambda run: other}))
    with pytest.raises(UserError, match="has 9 images of this part"):
        images.gather(np.array([0]))
    # What was encoded is found again by what it shows, and what is gone is not made up.
    survey_of(run, "train")
    np.testing.assert_array_equal(
        images.gather(np.array([5, 2])), part.images.gather(np.array([5, 2]))
    )
    with pytest.raises(UserError, match="1 of the 2 images asked for is no longer in the data set"):
        images.gather(np.array([5, 9]))
