"""A small Hugging Face hub on loopback, with the faults that real networks have."""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from splinescape.models.record import RECORD_NAME

TOKEN = "hf_right"
LFS_FROM = 1000
COMMIT = "c0ffee" + "0" * 34


def random_bytes(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass
class Hub:
    """What the hub has and how it misbehaves; tests change it while it runs.

    Attributes:
        repos: repository -> path -> contents. gated: repositories that need TOKEN. commit: of every repository.
        cuts: after how many bytes the next answers break off. pace: seconds between pieces of 16 KiB.
        lies: path -> what is sent instead of the contents. statuses: path, or "api" -> HTTP status of the answer.
        ignores_ranges: how many answers are the whole file, whatever was asked for.
        nonsense: every answer is a page that asks for a login.
        gate: cleared, answers stop in the middle until it is set again.
        requests: (path, Range, whether a token was sent, "hub" or "store", User-Agent) of every request.
        sent: bytes of files so far.
    """

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    commit: str = COMMIT
    cuts: list[int] = field(default_factory=list)
    pace: float = 0.0
    lies: dict[str, bytes] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    ignores_ranges: int = 0
    nonsense: bool = False
    gate: threading.Event = field(default_factory=threading.Event)
    requests: list[tuple[str, str | None, bool, str, str]] = field(default_factory=list)
    sent: int = 0
    url: str = ""
    store_url: str = ""

    def file_requests(self, agent: str = "") -> list[tuple[str, str | None]]:
        """Path and Range of what the file store was asked for, by those whose User-Agent has `agent` in it."""
        return [
            (path.split("/", 3)[-1], range_)
            for path, range_, _, where, asking in self.requests
            if where == "store" and agent in asking
        ]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    where: str
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        authorised = self.headers.get("Authorization")
        agent = self.headers.get("User-Agent", "")
        self.hub.requests.append((path, self.headers.get("Range"), authorised is not None, self.where, agent))
        if self.hub.nonsense:
            self._answer(200, b"<html>Welcome to the hotel, please log in</html>")
        elif self.where == "store":
            repo, name = path[1:].split("/", 2)[:2], path[1:].split("/", 2)[2]
            self._file("/".join(repo), name)
        elif path.startswith("/api/models/"):
            self._info(path.removeprefix("/api/models/").split("/revision/")[0])
        else:
            repo, _, rest = path[1:].partition("/resolve/")
            self._resolve(repo, rest.split("/", 1)[1], authorised)

    def _info(self, repo: str) -> None:
        if repo not in self.hub.repos:
            self._refuse(404, "RepoNotFound")
            return
        if "api" in self.hub.statuses:
            self._refuse(self.hub.statuses["api"], "")
            return
        siblings = []
        for name, data in self.hub.repos[repo].items():
            entry = {"rfilename": name, "size": len(data), "blobId": git_sha1(data)}
            if len(data) >= LFS_FROM:
                sha256 = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 130}
            siblings.append(entry)
        info = {"id": repo, "sha": self.hub.commit, "siblings": siblings}
        self._answer(200, json.dumps(info).encode())

    def _resolve(self, repo: str, name: str, authorised: str | None) -> None:
        if repo in self.hub.gated and authorised != f"Bearer {TOKEN}":
            self._refuse(401 if authorised is None else 403, "GatedRepo")
        elif name in self.hub.statuses:
            self._refuse(self.hub.statuses[name], "")
        elif name not in self.hub.repos[repo]:
            self._refuse(404, "EntryNotFound")
        elif len(self.hub.repos[repo][name]) >= LFS_FROM:
            self.send_response(302)
            self.send_header("Location", f"{self.hub.store_url}/{repo}/{name}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._file(repo, name)

    def _file(self, repo: str, name: str) -> None:
        data = self.hub.lies.get(name, self.hub.repos[repo][name])
        start = 0
        range_ = self.headers.get("Range")
        if range_ and self.hub.ignores_ranges:
            self.hub.ignores_ranges -= 1
            range_ = None
        if range_:
            start = int(range_.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        stop = len(data)
        if self.hub.cuts and len(data) >= LFS_FROM:
            stop = start + self.hub.cuts.pop(0)
        for at in range(start, stop, 2**14):
            if at > start:
                self.hub.gate.wait()
            piece = data[at : min(at + 2**14, stop)]
            self.wfile.write(piece)
            self.hub.sent += len(piece)
            if self.hub.pace:
                threading.Event().wait(self.hub.pace)
        if stop < len(data):
            self.close_connection = True

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:  # the client was killed
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Serve a hub and, on a port of its own, the file store that it redirects large files to."""
    hub = Hub()
    hub.gate.set()
    servers = [
        _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub, "where": where}))
        for where in ("hub", "store")
    ]
    hub.url, hub.store_url = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield hub
    hub.gate.set()
    for server in servers:
        server.shutdown()
        server.server_close()


MOGE = "Ruicheng/moge-vitl"
FLUX = "black-forest-labs/FLUX.1-Fill-dev"
WEIGHTS = random_bytes(1_500_000, 1)


def fill(hub: Hub) -> None:
    """Give the hub two models of the catalogue, small and random, with files that are not needed beside them."""
    hub.repos[MOGE] = {".gitattributes": b"*.pt lfs", "model.pt": WEIGHTS}
    hub.repos[FLUX] = {
        "README.md": b"# about",
        "flux1-fill-dev.safetensors": random_bytes(50_000, 2),
        "model_index.json": b'{"_class_name": "FluxFillPipeline"}',
        "transformer/config.json": b"{}",
        "transformer/model-00001-of-00002.safetensors": random_bytes(400_000, 3),
        "transformer/model-00002-of-00002.safetensors": random_bytes(300_000, 4),
        "transformer/model.bin": b"a pickle",
        "tokenizer/merges.txt": b"a b",
        "vae/diffusion_pytorch_model.safetensors": random_bytes(200_000, 5),
    }
    hub.gated.add(FLUX)


FLUX_NEEDED = (
    "model_index.json",
    "tokenizer/merges.txt",
    "transformer/config.json",
    "transformer/model-00001-of-00002.safetensors",
    "transformer/model-00002-of-00002.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in a folder but our record."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != RECORD_NAME)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
