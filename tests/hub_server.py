"""The few routes of the Hugging Face hub that pushing and pulling ask for, on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_test_0123456789"


class Hub:
    """Repositories in memory: files by name. `asked` has every request's line and body."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: set[str] = set()
        self.sizes: dict[str, int] = {}
        """What is claimed of a file in place of its size."""
        self.asked: list[str] = []
        self.url = ""

    def commit(self, repository: str) -> str:
        content = repr(sorted(self.files[repository].items())).encode()
        return hashlib.sha1(content).hexdigest()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: Any) -> None:
            """Nothing."""

        def answer(self, status: int, data: Any = b"", **headers: str) -> None:
            body = data if isinstance(data, bytes) else json.dumps(data).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def refused(self, repository: str) -> bool:
            known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            if repository in hub.files and (known or repository not in hub.private):
                return False
            self.answer(401, {"error": "not found"}, X_Error_Code="RepoNotFound",
                        X_Error_Message="Repository not found")  # fmt: skip
            return True

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.asked.append(f"{self.command} {path}")
            parts = path.strip("/").split("/")
            if parts == ["api", "whoami-v2"]:
                self.answer(200, {"name": "someone", "type": "user", "orgs": []})
            elif parts[:2] == ["api", "models"] and not self.refused("/".join(parts[2:4])):
                self.described("/".join(parts[2:4]), parts[4:])
            elif parts[2:3] == ["resolve"] and not self.refused("/".join(parts[:2])):
                repository, name = "/".join(parts[:2]), "/".join(parts[4:])
                data = hub.files[repository][name]
                etag = f'"{hashlib.sha1(data).hexdigest()}"'
                self.answer(200, data, ETag=etag, X_Repo_Commit=hub.commit(repository))

        do_HEAD = do_GET

        def described(self, repository: str, rest: list[str]) -> None:
            commit = hub.commit(repository)
            if rest and rest[1:] and rest[1] not in ("main", commit):
                self.answer(404, {"error": "no"}, X_Error_Code="RevisionNotFound")
            elif rest[:1] == ["tree"]:
                self.answer(200, [
                    {"type": "file", "path": name, "oid": hashlib.sha1(data).hexdigest(),
                     "size": hub.sizes.get(name, len(data))}
                    for name, data in hub.files[repository].items()
                    if "/" not in name
                ])  # fmt: skip
            else:
                self.answer(200, {"id": repository, "sha": commit, "siblings": []})

        def do_POST(self) -> None:
            path = unquote(urlsplit(self.path).path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            hub.asked.append(f"POST {path} {body[:2000].decode(errors='replace')}")
            parts = path.strip("/").split("/")
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self.answer(401, {"error": "who?"})
            elif parts == ["api", "repos", "create"]:
                wish = json.loads(body)
                repository = f"{wish.get('organization') or 'someone'}/{wish['name']}"
                hub.files.setdefault(repository, {})
                private = wish.get("private") or wish.get("visibility") == "private"
                hub.private |= {repository} if private else set()
                self.answer(200, {"url": f"{hub.url}/{repository}", "id": repository})
            elif parts[4:5] == ["preupload"]:
                files = json.loads(body)["files"]
                self.answer(200, {"files": [
                    {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                    for f in files
                ]})  # fmt: skip
            elif parts[4:5] == ["commit"]:
                repository = "/".join(parts[2:4])
                for line in map(json.loads, body.splitlines()):
                    if line["key"] == "file":
                        data = base64.b64decode(line["value"]["content"])
                        hub.files[repository][line["value"]["path"]] = data
                commit = hub.commit(repository)
                url = f"{hub.url}/{repository}/commit/{commit}"
                self.answer(200, {"commitUrl": url, "commitOid": commit, "success": True})
            else:
                self.answer(200, {})

    return Handler


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub on a free port of this machine."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
