"""A Hugging Face hub on the loopback interface, faults included: the routes that huggingface_hub asks for files.

Repositories are dicts from a file's path to its content. Large files (LFS) are redirected to another address, as the
hub does, and their connections can be cut, or left silent, after a number of bytes.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_right"  # noqa: S105
LARGE = (".safetensors", ".bin", ".parquet", ".pth", ".gguf")
"""Kept by their sha256, as Git LFS does."""


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    method: str
    path: str
    range: str | None


@dataclass
class Hub:
    """A hub that runs."""

    url: str = ""
    repositories: dict[tuple[str, str, str], Mapping[str, bytes]] = field(default_factory=dict)
    """By kind (models, datasets), name and revision."""
    gated: set[str] = field(default_factory=set)
    cut_after: dict[str, list[int]] = field(default_factory=dict)
    """By the name of a large file: bytes of each coming answer after which its connection breaks."""
    silent_after: dict[str, int] = field(default_factory=dict)
    """The same, but the connection stays open and nothing more comes."""
    spoilt: set[str] = field(default_factory=set)
    """Large files that come with other content."""
    requests: list[Request] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)
    """Set once an answer has fallen silent."""

    def contents(self) -> list[str]:
        """Return the names of the files whose content was asked for, in that order."""
        asked = [item for item in self.requests if item.method == "GET" and "/resolve/" in item.path]
        return [item.path.split("/resolve/")[1].partition("/")[2] for item in asked]


def digest(name: str, content: bytes) -> str:
    """Return what the hub calls a content by."""
    if name.endswith(LARGE):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@contextmanager
def stub_hub() -> Iterator[Hub]:
    """Run a hub until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Answering(BaseHTTPRequestHandler):
    """Sends whole answers, and logs nothing."""

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send an answer; a HEAD is answered without the body."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(Answering):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append(Request(self.command, path, self.headers.get("Range")))
            parts = path.strip("/").split("/")
            if parts[0] == "large":
                self._large(parts[1], "/".join(parts[2:]))
            elif parts[0] == "api":
                self._api(parts[1], "/".join(parts[2:4]), parts[4:])
            else:
                kind = "datasets" if parts[0] == "datasets" else "models"
                rest = parts[1:] if kind == "datasets" else parts
                self._file(kind, "/".join(rest[:2]), rest[3], "/".join(rest[4:]))

        do_HEAD = do_GET  # noqa: N815

        def _api(self, kind: str, name: str, rest: list[str]) -> None:
            if not rest:
                self.answer(404, {}, b"")
            elif rest[0] == "auth-check":
                if self._allowed(name):
                    self.answer(200, {}, b"")
            elif (files := self._repository(kind, name, rest[1])) is not None:
                self.answer(200, {}, json.dumps([_listed(*item) for item in files.items()]).encode())

        def _file(self, kind: str, name: str, revision: str, file: str) -> None:
            files = self._repository(kind, name, revision)
            if files is None or not self._allowed(name):
                return
            if file not in files:
                self.answer(404, {"X-Error-Code": "EntryNotFound"}, b"")
                return
            content = files[file]
            headers = {"X-Repo-Commit": revision, "ETag": f'"{digest(file, content)}"'}
            if not file.endswith(LARGE):
                self.answer(200, headers, content)
                return
            linked = {"X-Linked-ETag": headers["ETag"], "X-Linked-Size": str(len(content))}
            other_host = hub.url.replace("127.0.0.1", "localhost")
            there = {"Location": f"{other_host}/large/{digest(file, content)}/{file}"}
            self.answer(302, {**headers, **linked, **there}, b"")

        def _large(self, name: str, file: str) -> None:
            (content,) = {
                content
                for files in hub.repositories.values()
                for path, content in files.items()
                if path == file and digest(path, content) == name
            }
            if file in hub.spoilt:
                content = bytes(len(content))
            start = int((self.headers.get("Range") or "bytes=0-")[6:].partition("-")[0])
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if self.command == "HEAD":
                return
            rest = content[start:]
            if file in hub.silent_after:
                self.wfile.write(rest[: hub.silent_after.pop(file)])
                self.wfile.flush()
                hub.stalled.set()
                self.rfile.read(1)  # until the other side has gone
                self.close_connection = True
            elif hub.cut_after.get(file):
                self.wfile.write(rest[: hub.cut_after[file].pop(0)])
                self.wfile.flush()
                self.close_connection = True
            else:
                self.wfile.write(rest)

        def _repository(self, kind: str, name: str, revision: str) -> Mapping[str, bytes] | None:
            if (kind, name, revision) in hub.repositories:
                return hub.repositories[kind, name, revision]
            known = any(key[:2] == (kind, name) for key in hub.repositories)
            self.answer(404, {"X-Error-Code": "RevisionNotFound" if known else "RepoNotFound"}, b"")
            return None

        def _allowed(self, name: str) -> bool:
            sender = self.headers.get("Authorization")
            if name not in hub.gated or sender == f"Bearer {TOKEN}":
                return True
            self.answer(401 if sender is None else 403, {"X-Error-Code": "GatedRepo"}, b"")
            return False

        def handle(self) -> None:
            with suppress(ConnectionError):  # the other side has gone
                super().handle()

    return Handler


def _listed(name: str, content: bytes) -> dict[str, Any]:
    found = {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
    if name.endswith(LARGE):
        return {**found, "lfs": {"oid": digest(name, content), "size": len(content), "pointerSize": 134}}
    return {**found, "oid": digest(name, content)}
