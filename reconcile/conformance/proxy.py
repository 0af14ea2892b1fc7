"""
What stands between reconcile and the server of a case, on loopback: it watches, loses answers, adds to them, makes
pages small and lets things happen between two of them.

Plain `http.server` and `http.client`: a request goes on with its path as it came, byte for byte.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, urlsplit

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "te", "trailer", "upgrade"}
_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it came: `path` still encoded, with its query."""

    method: str
    path: str
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Loss:
    """
    An answer that never arrives.

    Attributes:
        at: of the how-manieth request that changes something, 0-based.
        done: whether the server did what it was asked.
        on: whether all that follow are lost as well.
    """

    at: int
    done: bool
    on: bool

    def __str__(self) -> str:
        which = f"number {self.at + 1} and all that follow" if self.on else f"number {self.at + 1}"
        return f"the answer to change {which} is lost {'after' if self.done else 'before'} the work"


class Proxy:
    """
    One server behind loopback.

    Attributes:
        url: where it listens.
        sent: every request since `begin`.
        page_size: the query parameter of a page's size and the size that is asked for instead, or None.
        loss: what is lost. `refuses`: changes are answered by a 400 that repeats what was sent, and not done.
        unknown: whether answers carry members that nobody knows; `data`: not in members of these names.
        between_pages: called once, when the second page of a listing is asked for.
        astray: two ids: what is asked about the first, without changing anything, is answered about the second.
        strayed: how many such answers there were.
    """

    def __init__(self, upstream: str, reads: frozenset[str], data: frozenset[str]) -> None:
        parts = urlsplit(upstream)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.reads, self.data = reads, data
        self.url = ""
        self.page_size: tuple[str, int] | None = None
        self.loss: Loss | None = None
        self.refuses = self.unknown = False
        self.between_pages: Callable[[], None] | None = None
        self.astray: tuple[str, str] | None = None
        self.strayed = 0
        self.sent: list[Sent] = []
        self._paged = ""
        self._lock = threading.Lock()
        self._count = itertools.count(1)

    def begin(self) -> None:
        """Forgets the requests so far."""
        self.sent, self._paged = [], ""

    @property
    def changes(self) -> list[Sent]:
        """Requests that change something, since `begin`."""
        return [request for request in self.sent if request.method not in self.reads]

    # -- of one request ---------------------------------------------------------------------------------------------

    def arrived(self, request: Sent) -> int | None:
        """Notes a request; its place among those that change something, or None."""
        with self._lock:
            self.sent.append(request)
            return None if request.method in self.reads else len(self.changes) - 1

    def lost(self, place: int | None, done: bool) -> bool:
        """Whether the answer to the change at this place is lost, before or after the work was done."""
        loss = self.loss
        if loss is None or place is None or loss.done is not done:
            return False
        return place >= loss.at if loss.on else place == loss.at

    def asked(self, request: Sent) -> str:
        """The path that the server is asked for."""
        if self.astray is not None and request.method in self.reads:
            id, other = (quote(id, safe="") for id in self.astray)
            path = re.sub(rf"(?<=/){re.escape(id)}(?=[/?]|$)", lambda _: other, request.path)
            self.strayed += path != request.path
            return path
        if self.page_size is None or request.method not in self.reads:
            return request.path
        name, size = self.page_size
        path, count = re.subn(rf"(?<=[?&]){re.escape(name)}=[^&]*", f"{name}={size}", request.path)
        if count:
            before, self._paged = self._paged, path
            if self.between_pages is not None and _goes_on(before, path):
                happens, self.between_pages = self.between_pages, None
                happens()
        return path

    def answered(self, content: bytes) -> bytes:
        """The body that goes back."""
        if not self.unknown or not content:
            return content
        try:
            value = json.loads(content)
        except ValueError:
            return content
        return json.dumps(self._added(value)).encode()

    def _added(self, value: Any, data: bool = False) -> Any:
        if isinstance(value, list):
            return [self._added(member, data) for member in value]
        if not isinstance(value, dict):
            return value
        if data:
            return value
        added = {key: self._added(member, key in self.data) for key, member in value.items()}
        # Never the same twice, and of every kind that JSON has.
        number = next(self._count)
        unknown = [f"text {number}", number, number / 7, number % 2 == 0, None, [number, {"unknown": number}]]
        names = (f"unknown_{kind}" for kind in ("text", "number", "fraction", "flag", "nothing", "list"))
        return {**dict(zip(names, unknown, strict=True)), **added, "unknown_object": {"id": number, "name": [number]}}


def _goes_on(before: str, path: str) -> bool:
    """Whether a request asks for the page after the one before: the same list and filters, from another place on."""
    (one, _, first), (other, _, second) = before.partition("?"), path.partition("?")
    names = [{part.partition("=")[0] for part in query.split("&")} for query in (first, second)]
    return one == other and first != second and names[0] <= names[1]


@contextlib.contextmanager
def proxied(upstream: str, reads: frozenset[str], data: frozenset[str]) -> Iterator[Proxy]:
    """A proxy before a server, until the block is left."""
    proxy = Proxy(upstream, reads, data)

    class Handler(_Handler):
        between = proxy

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128  # what does not fit in is tried again a second later

        def handle_error(self, *_: Any) -> None:
            """A client that leaves is nothing to talk about."""

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    between: Proxy
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: else each answer waits for an acknowledgement
    disable_nagle_algorithm = True
    upstream: http.client.HTTPConnection | None = None

    def _pass(self) -> None:
        proxy = self.between
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Sent(self.command, self.path, body)
        place = proxy.arrived(request)
        if proxy.lost(place, done=False):
            self.close_connection = True
            return
        if proxy.refuses and place is not None:
            said = json.dumps({"message": f"{body.decode('latin-1')} {self.headers.get('Authorization')}"}).encode()
            self._answer(400, [("Content-Type", "application/json")], said)
            return
        answer, content = self._forwarded(request)
        if proxy.lost(place, done=True):
            self.close_connection = True
            return
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP]
        self._answer(answer.status, headers, proxy.answered(content))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _pass

    def _forwarded(self, request: Sent) -> tuple[http.client.HTTPResponse, bytes]:
        if self.upstream is None:
            self.upstream = http.client.HTTPConnection(self.between.host, self.between.port, timeout=_TIMEOUT_S)
        self.upstream.putrequest(request.method, self.between.asked(request), skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in (*_HOP, "accept-encoding"):
                self.upstream.putheader(name, value)
        if request.body or request.method not in ("GET", "HEAD", "DELETE"):
            self.upstream.putheader("Content-Length", str(len(request.body)))
        self.upstream.endheaders(request.body or None)
        answer = self.upstream.getresponse()
        return answer, answer.read()

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        if self.upstream is not None:
            self.upstream.close()

    def log_message(self, *_: Any) -> None:
        """Not on standard error."""
