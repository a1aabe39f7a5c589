"""Data sets by address: fetched once and whole, through broken connections, and nothing is told of
secrets. The server is one on this machine."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from latent_workbench.shared import access
from tests.pictures import png
from vae_core import signed
from vae_core.cli.train import config_from
from vae_core.config import DataConfig, parse_config
from vae_core.data import Dataset, load_dataset, remote
from vae_core.errors import Stopped, UserError
from vae_core.imaging.braces import expanded
from vae_core.imaging.walk import list_folder, open_pictures
from vae_core.locations import cache_folder
from vae_core.progress import no_progress
from vae_core.runs import Store


def tar(names: dict[str, bytes]) -> bytes:
    """A tar of these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in names.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def shard(first: int, count: int = 8) -> bytes:
    """A WebDataset shard: pictures with a class and a table each."""
    files: dict[str, bytes] = {}
    for i in range(first, first + count):
        files[f"{i:06}.png"] = png(i)
        files[f"{i:06}.cls"] = str(i % 2).encode()
        files[f"{i:06}.json"] = json.dumps({"width": i}).encode()
    return tar(files)


OWN = {"dataset": "folder"}
SHARDS = {f"train-{i:03}.tar": shard(8 * i) for i in range(3)}


class Server(ThreadingHTTPServer):
    """Serves `files`. breaks: of how many answers only half comes, after
    `spare` whole ones. ranges: whether it gives parts.
    asked: the path and the range of each GET."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.ranges, self.status = dict(files), True, 200
        self.breaks, self.spare, self.version, self.signature = 0, 0, 1, ""
        self.asked: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        server, name = self.server, self.path.lstrip("/")
        name, _, signature = name.partition("?")
        if server.signature and (signature != server.signature or not body):
            self.send_error(403)
            return
        if server.status != 200 or name not in server.files:
            self.send_error(404 if server.status == 200 else server.status)
            return
        data, wanted = server.files[name], self.headers.get("Range", "")
        if body:
            server.asked.append((name, wanted))
        part = data
        if wanted and server.ranges:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            part = data[int(first) : int(last or len(data)) + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("ETag", f'"{server.version}"')
        self.end_headers()
        if body and server.spare:
            server.spare -= 1
            self.wfile.write(part)
        elif body and server.breaks:
            server.breaks -= 1
            self.wfile.write(part[: len(part) // 2])
            self.wfile.flush()
            self.connection.close()
        elif body:
            self.wfile.write(part)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("VAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "PIECE", 1000)
    monkeypatch.setattr(remote, "FIRST_WAIT_S", 0.01)
    with Server(SHARDS) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.02,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def load(place: str, progress=no_progress) -> Dataset:
    return load_dataset(DataConfig(dataset="folder", data_dir=place), progress)


def local(tmp_path: Path) -> Dataset:
    folder = tmp_path / "local"
    folder.mkdir()
    for name, data in SHARDS.items():
        (folder / name).write_bytes(data)
    return load(str(folder))


def same(one: Dataset, other: Dataset) -> None:
    assert one.train.files == other.train.files and one.label_names == other.label_names == (
        "0",
        "1",
    )
    assert np.array_equal(one.train.known_hashes, other.train.known_hashes)
    assert one.train.labels is not None and np.array_equal(one.train.labels, other.train.labels)
    assert list(one.train.columns) == ["width"]


def test_shards_by_address_are_what_they_are_on_the_disk(server: Server, tmp_path: Path) -> None:
    said: list[tuple[str, float | None]] = []
    found = load(f"{server.url}/train-{{000..002}}.tar", lambda *each: said.append(each))
    same(found, local(tmp_path))
    assert any(text.startswith("Asking 127.0.0.1") for text, _ in said)
    assert any(text.startswith("Fetching 3 files from 127.0.0.1: ") for text, _ in said)
    fetched = len(server.asked)
    assert fetched > sum(map(len, SHARDS.values())) // 1000, "piece by piece"
    same(load(f"{server.url}/train-{{000..002}}.tar"), found)
    assert len(server.asked) == fetched, "once"
    server.status = 503
    same(load(f"{server.url}/train-{{000..002}}.tar"), found)


def test_what_breaks_off_goes_on_where_it_ended(server: Server, tmp_path: Path) -> None:
    server.breaks = 4
    same(load(f"{server.url}/train-{{000..002}}.tar"), local(tmp_path))
    begun = [int(where[6:].partition("-")[0]) for name, where in server.asked if "000" in name]
    assert begun.count(0) <= 5 and max(begun) > 0


def test_a_server_that_gives_no_parts_is_asked_for_the_whole(
    server: Server, tmp_path: Path
) -> None:
    server.ranges = False
    server.breaks = 4
    same(load(f"{server.url}/train-{{000..002}}.tar"), local(tmp_path))


def test_a_fetch_that_was_stopped_goes_on(server: Server, tmp_path: Path) -> None:
    server.files = {"a.tar": SHARDS["train-000.tar"]}
    whole = len(server.files["a.tar"])

    def stop(message: str, share: float | None) -> None:
        if share and "Fetching" in message:
            raise Stopped

    with pytest.raises(Stopped):
        while True:  # it may be through before it is looked at
            load(f"{server.url}/a.tar", stop)
            raise Stopped
    (entry,) = cache_folder().glob("remote-*")
    kept = sum(path.stat().st_size for path in (entry / "files").glob("a.tar*"))
    server.asked.clear()
    dataset = load(f"{server.url}/a.tar")
    assert len(dataset.train) + len(dataset.validation) == 8
    assert len(server.asked) <= (whole - kept) // 1000 + 2


def test_what_changes_at_the_server_is_fetched_anew_and_alone(server: Server) -> None:
    place = f"{server.url}/train-{{000..001}}.tar"
    load(place)
    prepared = len(list(cache_folder().glob("folder-*")))
    for path in cache_folder().glob("remote-*/about.json"):
        path.unlink()  # as if it had been pruned on the way
    load(place)
    assert len(list(cache_folder().glob("folder-*"))) == prepared, "prepared images are found again"
    server.version, server.files["train-001.tar"] = 2, shard(100, 4)
    assert any("000101.png" in name for name in load(place).train.files)


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("absent.tar", 200, "absent.tar cannot be read: the server answered 404"),
        ("train-{000..003}.tar", 200, "train-003.tar cannot be read: the server answered 404"),
        ("train-000.tar", 403, "the server answered 403"),
        ("{0..999}{0..999}{0..9}.tar", 200, "at most 100 000"),
        ("no.zip", 200, "no.zip is no zip"),
    ],
)
def test_what_cannot_be_fetched_is_one_sentence(
    server: Server, name: str, status: int, said: str
) -> None:
    server.files["no.zip"] = b"nothing of the kind"
    server.status = status
    with pytest.raises(UserError) as error:
        load(f"{server.url}/{name}")
    assert said in str(error.value), str(error.value)
    assert "\n" not in str(error.value)


def test_a_dead_server_is_said_and_what_came_is_kept(server: Server) -> None:
    server.spare, server.breaks = 2, 1000
    with pytest.raises(
        UserError, match=r"train-000.tar could not be fetched: .*is kept; try again"
    ):
        load(f"{server.url}/train-000.tar")
    (part,) = cache_folder().glob("remote-*/files/*.part")
    assert part.read_bytes() == SHARDS["train-000.tar"][:2000]
    server.breaks = 0
    assert len(load(f"{server.url}/train-000.tar").train.files) > 4


def test_bounds_hold_for_what_comes_from_elsewhere(server: Server) -> None:
    """A server that sends more than it said, and a tar that unpacks beyond all measure."""
    import gzip

    bomb = tar({f"{i}.png": bytes(60_000_000) for i in range(2)})
    server.files["bomb.tar.gz"] = gzip.compress(bomb, 9)
    with pytest.raises(UserError, match="was refused: it unpacks to"):
        load(f"{server.url}/bomb.tar.gz")
    server.files["evil.tar"] = tar({"../../x.png": png(0)})
    with pytest.raises(UserError, match="leads out of the folder"):
        load(f"{server.url}/evil.tar")


@pytest.mark.parametrize(
    "address",
    ["http://me:s3cret@host/a.tar", "https://host/a?key=s3cret", "s3://b/a.tar#s3cret",
     "s3://b/a.tar?key=s3cret", "https://host/*.tar?key=s3cret", "https://me:s3cret@host/a.tar?k=1",
     "https://s3cret@host/a.tar", "https://[s3cret/a.tar"],
)  # fmt: skip
def test_secrets_in_an_address_are_refused_and_never_repeated(address: str) -> None:
    for refused in (
        lambda: parse_config({"data": {"data_dir": address}}),
        lambda: config_from(None, None, "folder", address, None, []),
        lambda: config_from(None, None, "folder", None, None, [f"data.data_dir={address}"]),
        lambda: load_dataset(DataConfig().model_copy(update={"data_dir": address} | OWN)),
        lambda: access.folder_allowed(address),
    ):
        with pytest.raises(UserError, match="address of the data") as error:
            refused()
        assert "s3cret" not in str(error.value)


SIGNATURE = "X-Amz-Credential=A%2F2026%2Fs3&X-Amz-Signature=s3cret%2Bx"


def test_a_signed_address_is_fetched_and_its_signature_is_written_nowhere(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """A store gives nothing without it, and nothing to HEAD, for which it is not signed."""
    monkeypatch.delenv(signed.VARIABLE, raising=False)
    server.signature = SIGNATURE
    bare = f"{server.url}/train-{{000..002}}.tar"
    with pytest.raises(UserError, match="the server answered 403"):
        load(bare)
    config = config_from(None, None, "folder", f"{bare}?{SIGNATURE}", None, [])
    assert config.data.data_dir == bare
    child = [
        sys.executable,
        "-c",
        "import sys, vae_core.signed as s; print(s.signature_of(sys.argv[1]))",
    ]
    assert (
        subprocess.run([*child, bare], capture_output=True, text=True).stdout.strip() == SIGNATURE
    )
    run = Store(tmp_path / "store").create("signed", config)
    same(load(str(run.config().data.data_dir)), local(tmp_path))
    server.signature = "another"
    monkeypatch.delenv(signed.VARIABLE)
    same(load(bare), load(str(tmp_path / "local")))  # what was fetched serves once it has expired
    with pytest.raises(UserError, match="the server answered 403") as error:
        load(f"{server.url}/train-000.tar?{SIGNATURE}")
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    said = "".join(capsys.readouterr()) + str(error.value)
    assert "s3cret" not in said and not any(b"s3cret" in each.read_bytes() for each in written)


@pytest.mark.parametrize(
    "address", ["file:///etc/x.tar", "memory://x.tar", "github://a:b@/x", "simplecache::http://h/x"]
)
def test_what_opens_this_machine_is_no_address(address: str) -> None:
    with pytest.raises(
        UserError, match=r"are not read by|an address in an address|a name or passw"
    ):
        load(address)


def test_an_address_stays_one_on_the_command_line() -> None:
    config = config_from(None, None, "folder", "s3://bucket/train-{000..099}.tar", None, [])
    assert config.data.data_dir == "s3://bucket/train-{000..099}.tar"


# --- names with braces ----------------------------------------------------------------------------


def test_braces_count_and_list() -> None:
    assert expanded("a-{08..11}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]
    assert expanded("{b,a}/{2..1}") == ["b/2", "b/1", "a/2", "a/1"]
    for plain in ("a.tar", "a{}.tar", "{x}", "{1..}", "{a..c}"):
        assert expanded(plain) == [plain]
    with pytest.raises(UserError, match="at most 100 000"):
        expanded("{0..999999999}")


def test_shards_named_by_braces_are_those_and_no_others(tmp_path: Path) -> None:
    for name, data in SHARDS.items():
        (tmp_path / name).write_bytes(data)
    with open_pictures(tmp_path / "train-{000..001}.tar") as listing:
        assert len(listing) == 16 and listing.names[0] == "train-000.tar/000000.png"
        assert listing.labels == ["0", "1"] * 8 and list(listing.columns["width"]) == [*range(16)]
        assert listing.root == tmp_path and listing.read(15).size
    with open_pictures(tmp_path / "{train-002,train-000}.tar") as listing:
        assert len(listing) == 16 and listing.names[-1] == "train-002.tar/000023.png"
    assert len(list_folder(tmp_path)) == 24
    with (
        pytest.raises(UserError, match=r"train-003.tar is not in .*, nor are 1 more of the 5"),
        open_pictures(tmp_path / "train-{000..004}.tar"),
    ):
        pass
