"""Uploads: named before they come, streamed to disk, one session's own, deleted when refused."""

from __future__ import annotations

import errno
import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latent_workbench.live import upload_sessions
from latent_workbench.live.upload_sessions import (
    SessionUploads,
    UploadSessions,
    is_named,
    most_bytes,
)
from latent_workbench.live.uploads import UploadServer
from vae_core.config import DataConfig, RunConfig
from vae_core.data import Announced, Upload, begin_upload, load_dataset
from vae_core.data import uploads as uploads_module
from vae_core.data.labels import NO_LABEL
from vae_core.errors import UserError
from vae_core.imaging.kinds import has_image_name
from vae_core.runs import Store

from .live import port_of, serving
from .pictures import bring, png

MB = 10**6


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


PICTURES = packed({"cats/a.png": png(0), "dogs/b.png": png(1), "dogs/c.png": png(2)})


def received(files: dict[str, bytes], root: Path) -> Upload:
    upload = begin_upload([Announced(name, len(data)) for name, data in files.items()], root=root)
    for index, data in enumerate(files.values()):
        with upload.receiving(index) as out:
            out.write(data)
    return upload


def left_in(root: Path) -> list[str]:
    return sorted(os.listdir(root / "uploads"))


# --- what an upload is -----------------------------------------------------------------------


def test_a_zip_becomes_a_file_of_its_name_in_a_folder_that_nobody_can_guess(tmp_path: Path) -> None:
    first, again = (received({"../../My Fotos ü.ZIP": PICTURES}, tmp_path) for _ in range(2))
    assert all(name.startswith(".") for name in left_in(tmp_path)), "not to be seen until finished"
    path = first.finish()
    assert path == first.path and path.name == "My-Fotos-u.zip" and path.read_bytes() == PICTURES
    assert again.finish() != path
    assert path.parent.parent == tmp_path / "uploads" and len(path.parent.name) == 32
    assert path.parent.stat().st_mode & 0o077 == 0
    data = load_dataset(DataConfig(dataset="folder", data_dir=str(path)))
    assert data.label_names == ("cats", "dogs")


def test_the_folders_of_loose_images_are_labels_in_any_script(tmp_path: Path) -> None:
    files = {
        "pets/Кошки/a.png": png(0),
        "pets/Кошки/../a.png": png(1),
        "pets\\dogs\\.a.png": png(2),
        "pets/dogs/ü.png": png(3),
        "pets/dogs/ù.PNG": png(4),
    }
    upload = received(files, tmp_path)
    path = upload.finish()
    assert upload.name == "pets" and path.name == "images"
    found = sorted(str(each.relative_to(path)) for each in path.rglob("*.[pP]*"))
    assert found == [
        "pets/dogs/a.png", "pets/dogs/ù.PNG", "pets/dogs/ü.png",
        "pets/Кошки/1-a.png", "pets/Кошки/a.png",
    ]  # fmt: skip
    data = load_dataset(DataConfig(dataset="folder", data_dir=str(path)))
    assert data.label_names == ("dogs", "Кошки")


def test_files_keep_their_names_and_the_table_beside_them_says_their_labels(tmp_path: Path) -> None:
    names = [f"Urlaub 🏖 ({i}).png" for i in range(4)] + ["長い名前" * 40 + ".png"]
    rows = "".join(f"{name},{'ab'[i % 2]}\n" for i, name in enumerate(names[:4]))
    files = {f"x/{name}": png(i) for i, name in enumerate(names)}
    upload = received({**files, "x/labels.csv": f"file,label\n{rows}".encode()}, tmp_path)
    data = load_dataset(DataConfig(dataset="folder", data_dir=str(upload.finish())))
    assert data.label_names == (NO_LABEL, "a", "b")
    kept = {name.removeprefix("x/") for part in data.parts.values() for name in part.files}
    assert set(names[:4]) < kept and all(len(name.encode()) < 255 for name in kept)


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4), st.sampled_from([".png", ".zip"]))
def test_no_name_leaves_its_folder(tmp_path_factory, parts: list[str], ending: str) -> None:
    root = tmp_path_factory.getbasetemp() / "any-name"
    name = "/".join(parts) + ending
    if ending == ".png" and not has_image_name(name.replace("\\", "/").rpartition("/")[2]):
        return  # a name that is nothing but its ending has none
    upload = begin_upload([Announced(name, 4)], root=root)
    try:
        with upload.receiving(0) as out:
            out.write(b"data")
        [written] = [each for each in root.rglob("*") if each.is_file()]
        inside = written.relative_to(root / "uploads")
        assert inside.parts[0] == f".{upload.id}.part"
        assert not any(part.startswith(".") for part in inside.parts[1:])
    finally:
        upload.remove()
    assert left_in(root) == []


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([], "Nothing was uploaded"),
        ([("dir/a.exe", 3)], r"'a\.exe' is nothing that can be read; what can be is JPEG, PNG"),
        ([("a.png", 3), ("b.zip", 3)], r"Upload b\.zip by itself"),
        ([("a.png", 0)], "'a.png' is empty"),
        ([("a.zip", 2001 * MB)], "This is 2,001 MB; at most 2,000 MB can be uploaded"),
        ([("a.zip", 10**18)], "at most 2,000 MB"),
        ([(f"{i}.png", 1) for i in range(100_001)], "pack more than 100,000 as a .zip"),
    ],
)
def test_what_is_refused_before_a_byte_has_come(tmp_path: Path, files: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        begin_upload([Announced(*file) for file in files], root=tmp_path)
    assert not (tmp_path / "uploads").exists()


def test_an_upload_that_the_disk_cannot_hold_is_refused_before_a_byte_has_come(tmp_path) -> None:
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(UserError, match=r"no room for .* MB: this server's disk has .* MB free"):
        begin_upload([Announced("a.zip", free - 100 * MB)], most_bytes=free, root=tmp_path)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no zip at all", r"^pictures\.zip is no zip file"),
        (PICTURES[: len(PICTURES) // 2], r"^pictures\.zip is no zip file"),
        (packed({"readme.txt": b"hello"}), r"no image in pictures\.zip"),
        (packed({"a.png": png(), "b.png": b"text"}), r"only one image in .*b\.png: no image"),
        (packed({"../a.png": png(), "b.png": png(1)}), r"^pictures\.zip was refused: .*leads out"),
    ],
)
def test_what_is_refused_once_it_has_come_is_deleted_at_once(tmp_path, content, sentence) -> None:
    upload = received({"pictures.zip": content}, tmp_path)
    with pytest.raises(UserError, match=sentence) as refused:
        upload.finish()
    assert str(tmp_path) not in str(refused.value)
    assert left_in(tmp_path) == []


def test_a_file_that_comes_short_and_an_upload_with_a_gap_are_not_kept(tmp_path: Path) -> None:
    upload = begin_upload([Announced("a.png", 100), Announced("b.png", 3)], root=tmp_path)
    with (
        pytest.raises(UserError, match=r"Only 3 of 100 bytes of a\.png"),
        upload.receiving(0) as out,
    ):
        out.write(b"abc")
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []
    with pytest.raises(UserError, match="2 of 2 files have not come"):
        upload.finish()
    assert left_in(tmp_path) == []


def test_what_a_killed_server_left_is_forgotten_after_a_day(tmp_path: Path) -> None:
    kept = received({"a.zip": PICTURES}, tmp_path).finish()
    left, fresh = (received({"a.zip": PICTURES}, tmp_path) for _ in range(2))
    [old] = (tmp_path / "uploads").glob(f".{left.id}*")
    os.utime(old, (0, time.time() - 25 * 3600))
    begin_upload([Announced("a.png", 3)], root=tmp_path).remove()
    assert left_in(tmp_path) == sorted([f".{fresh.id}.part", kept.parent.name])


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]).returncode:
        pytest.fail("A disk of 1 MB could not be mounted; the tests have to run as root.")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_disk_that_fills_up_meanwhile_leaves_nothing_behind(tiny_disk, monkeypatch) -> None:
    monkeypatch.setattr(uploads_module, "RESERVE", 0)
    upload = begin_upload([Announced("a.zip", 900_000)], root=tiny_disk)
    (tiny_disk / "somebody-else").write_bytes(bytes(600_000))
    with pytest.raises(UserError, match=os.strerror(errno.ENOSPC)), upload.receiving(0) as out:
        for _ in range(9):
            out.write(bytes(100_000))
    assert [each.name for each in tiny_disk.rglob("*") if each.is_file()] == ["somebody-else"]


def _arrays() -> bytes:
    out = io.BytesIO()
    np.save(out, np.arange(5 * 64, dtype=np.uint8).reshape(5, 8, 8))
    return out.getvalue()


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for i in range(3):
            info = tarfile.TarInfo(f"cats/{i}.png")
            info.size = len(png(i))
            archive.addfile(info, io.BytesIO(png(i)))
    return out.getvalue()


@pytest.mark.parametrize(
    ("files", "count"),
    [({"stack.npy": _arrays()}, 5), ({"shard 1.tar.gz": _tar()}, 3),
     ({"a/stack.npy": _arrays(), "b.tar.gz": _tar(), "c.png": png(7)}, 9)],
)  # fmt: skip
def test_files_of_several_images_and_other_archives_come_as_they_are(
    tmp_path: Path, files: dict[str, bytes], count: int
) -> None:
    upload = received(files, tmp_path)
    data = load_dataset(DataConfig(dataset="folder", data_dir=str(upload.finish()), image_size=8))
    assert len(data.train) + len(data.validation) == count


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [("a.npy", b"\x93NUMPY nothing", r"no image .*a\.npy \(no array that can be read"),
     ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(500), r"no image .*a\.h5 \(no HDF5 that can be read"),
     ("a.tar", bytes(100), r"no image .*a\.tar \(no tar that can be read")],
)  # fmt: skip
def test_what_such_a_file_lacks_is_said_and_nothing_is_kept(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence) as refused:
        received({name: content}, tmp_path).finish()
    assert str(tmp_path) not in str(refused.value) and left_in(tmp_path) == []


# --- whose it is ------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VAE_DATA", str(tmp_path))
    monkeypatch.setenv("VAE_STORE", str(tmp_path / "runs"))
    return tmp_path


def zip_in(uploads: SessionUploads) -> Upload:
    return bring(uploads, "a.zip", PICTURES)


def test_a_new_upload_takes_the_place_of_the_last(place: Path) -> None:
    uploads = SessionUploads()
    zip_in(uploads)
    second = zip_in(uploads)
    assert uploads.finished is second and left_in(place) == [second.id]
    with pytest.raises(UserError):
        bring(uploads, "b.zip", b"x")
    assert uploads.finished is second and left_in(place) == [second.id], (
        "a refused one changes nothing"
    )


def test_what_a_run_was_trained_on_outlives_its_session(place: Path) -> None:
    uploads, store = SessionUploads(), Store()
    upload = zip_in(uploads)
    assert not is_named(upload.id)
    config = RunConfig().updated({"data": {"dataset": "folder", "data_dir": str(upload.path)}})
    run = store.create("mine", config)
    run.file("config.json").write_bytes(run.file("config.json").read_bytes()[:-9])  # damaged
    zip_in(uploads)
    uploads.close()
    assert left_in(place) == [upload.id]
    assert upload.path.read_bytes() == PICTURES
    with pytest.raises(UserError, match="session has ended"):
        zip_in(uploads)


def test_uploads_end_some_time_after_their_session(place: Path) -> None:
    there, sessions = {"a": True, "b": True}, UploadSessions(away_s=0.3)
    first, second = (sessions.open(lambda name=name: there[name]) for name in there)
    mine, theirs = zip_in(first), zip_in(second)
    there["a"] = False
    time.sleep(0.15)
    there["a"] = True  # a network that comes and goes
    time.sleep(0.4)
    assert left_in(place) == sorted([mine.id, theirs.id])
    there["a"] = False
    deadline = time.monotonic() + 10
    while left_in(place) != [theirs.id] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left_in(place) == [theirs.id]
    assert sessions.get(second.token) is second
    with pytest.raises(UserError, match="session has ended"):
        sessions.get(first.token)
    sessions.close_all()
    assert left_in(place) == []


# --- by the route -----------------------------------------------------------------------------


class Client:
    """A browser's requests."""

    def __init__(self, port: int) -> None:
        self.port = port

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        response = connection.getresponse()
        said = response.read()
        connection.close()
        return response.status, json.loads(said) if said else None

    def begin(self, uploads: SessionUploads, **files: int) -> tuple[int, Any]:
        told = [{"name": name.replace("_", "."), "size": size} for name, size in files.items()]
        return self("POST", f"/live/uploads/{uploads.token}", json.dumps({"files": told}))


@pytest.fixture
def sessions(place: Path) -> UploadSessions:
    return UploadSessions()


@pytest.fixture
def client(sessions: UploadSessions) -> Iterator[Client]:
    with serving(UploadServer(sessions, stalled_s=0.5).routes()) as server:
        yield Client(port_of(server))


def test_a_file_is_announced_sent_and_kept(
    sessions: UploadSessions, client: Client, place: Path
) -> None:
    uploads = sessions.open(lambda: True)
    status, answer = client.begin(uploads, a_zip=len(PICTURES))
    assert status == 200
    address = f"/live/uploads/{uploads.token}/{answer['upload']}"
    assert client("PUT", f"{address}/0", PICTURES) == (204, None)
    assert uploads.finished is None
    assert client("POST", address) == (200, {"name": "a.zip", "bytes": len(PICTURES)})
    assert uploads.finished is not None and uploads.finished.path.read_bytes() == PICTURES
    assert client("POST", address)[0] == 404, "it is no longer on its way"
    assert client("DELETE", f"/live/uploads/{uploads.token}")[0] == 204
    assert left_in(place) == [] and uploads.finished is None


def test_nobody_else_can_name_open_or_end_it(
    sessions: UploadSessions, client: Client, place: Path
) -> None:
    mine, theirs = (sessions.open(lambda: True) for _ in range(2))
    _, answer = client.begin(mine, a_zip=len(PICTURES))
    stolen = f"/live/uploads/{theirs.token}/{answer['upload']}"
    for method, path in [
        ("PUT", f"{stolen}/0"), ("POST", stolen), ("DELETE", stolen),
        ("POST", "/live/uploads/guess"), ("DELETE", "/live/uploads/guess"),
        ("PUT", f"/live/uploads/guess/{answer['upload']}/0"),
    ]:  # fmt: skip
        assert client(method, path, PICTURES)[0] == 404, (method, path)
    assert client("DELETE", f"/live/uploads/{theirs.token}")[0] == 204
    assert left_in(place) == [f".{answer['upload']}.part"]
    path = f"/live/uploads/{mine.token}"
    assert client("POST", path, "{}", Origin="http://elsewhere.example")[0] == 403


def test_one_picture_is_enough_to_be_looked_at_and_bounded_for_all_together(place: Path) -> None:
    looks = UploadSessions(kind="looks", least=1, together=4000)
    with serving(UploadServer(looks).routes()) as server:
        client = Client(port_of(server))
        mine, theirs = looks.open(lambda: True), looks.open(lambda: True, most=2000)
        body = json.dumps({"files": [{"name": "a.png", "size": len(png(0))}]})
        assert client("POST", f"/live/looks/{mine.token}", body)[0] == 200
        bring(mine, "a.png", png(0))
        assert mine.finished is not None and mine.finished.path.is_dir()
        with pytest.raises(UserError, match="no image in what was uploaded that can be read"):
            bring(mine, "b.png", b"x" * 500)
        with pytest.raises(UserError, match=r"at most 0\.0 MB"):
            theirs.begin([Announced("c.png", 2001)])
        bring(mine, "b.png", png(1) + bytes(2500))
        with pytest.raises(UserError, match="Others here look at many"):
            theirs.begin([Announced("c.png", 1900)])
        looks.close_all()
    assert left_in(place) == []


def test_too_much_is_refused_before_it_is_sent(sessions, client, place, monkeypatch) -> None:
    monkeypatch.setenv("VAE_UPLOAD_MB", "1")
    assert most_bytes() == MB
    uploads = sessions.open(lambda: True)
    status, told = client.begin(uploads, a_zip=MB + 1)
    assert status == 400 and "This is 1.0 MB; at most 1.0 MB" in told["message"]
    _, answer = client.begin(uploads, a_zip=10)
    address = f"/live/uploads/{uploads.token}/{answer['upload']}"
    # By its head alone: not one byte of the body is sent.
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as raw:
        head = f"PUT {address}/0 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999"
        raw.sendall(f"{head}\r\n\r\n".encode())
        assert b" 413 " in raw.recv(4096)
    assert client("PUT", f"{address}/0", b"x" * 10)[0] == 404, "what lied is taken back"
    _, answer = client.begin(uploads, a_zip=10)
    address = f"/live/uploads/{uploads.token}/{answer['upload']}"
    status, told = client("PUT", f"{address}/0", iter([b"x" * 9] * 9))
    assert status == 413 and "More has come than the 10 bytes" in told["message"]
    assert client("PUT", f"{address}/5", b"")[0] == 404
    for nonsense in (b"", b"[]", b'{"files":[{"name":"a.png","size":-1}]}', b"\xff" * 99):
        status, told = client("POST", f"/live/uploads/{uploads.token}", nonsense)
        assert status == 400 and told["message"]
    assert left_in(place) == []


@pytest.mark.parametrize("how", ["leaves", "stalls"])
def test_an_upload_that_breaks_off_is_deleted_at_once(sessions, client, place, how) -> None:
    uploads = sessions.open(lambda: True)
    _, answer = client.begin(uploads, a_zip=5_000_000)
    raw = socket.create_connection(("127.0.0.1", client.port), timeout=10)
    head = f"PUT /live/uploads/{uploads.token}/{answer['upload']}/0 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    raw.sendall(f"{head}Content-Length: 5000000\r\n\r\n".encode() + bytes(2_000_000))
    deadline = time.monotonic() + 10
    while not [each for each in place.rglob("*.zip")] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert left_in(place) != []
    if how == "leaves":
        raw.close()
    while left_in(place) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left_in(place) == []
    raw.close()


def test_megabytes_pass_through_and_stay_on_disk(
    sessions: UploadSessions, client: Client, place: Path
) -> None:
    uploads, process = sessions.open(lambda: True), psutil.Process()
    size = 200 * MB
    _, answer = client.begin(uploads, a_zip=size)
    most, going = process.memory_info().rss, threading.Event()

    def watch() -> None:
        nonlocal most
        while not going.wait(0.005):
            most = max(most, process.memory_info().rss)

    before, piece = process.memory_info().rss, bytes(10**5)
    watcher = threading.Thread(target=watch)
    watcher.start()
    address = f"/live/uploads/{uploads.token}/{answer['upload']}"
    body = (piece for _ in range(size // len(piece)))
    assert client("PUT", f"{address}/0", body, Content_Length=str(size))[0] == 204
    going.set()
    watcher.join()
    assert most - before < 30 * MB
    assert client("POST", address)[0] == 400, "zeros are no zip"
    assert left_in(place) == []


def test_a_limit_that_is_no_number_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_UPLOAD_MB", "much")
    assert most_bytes() == upload_sessions.DEFAULT_MB * MB
