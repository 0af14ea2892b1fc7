"""An API on loopback that answers what a test tells it to, in a thread of its own."""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

JSON = "application/json"


@dataclass
class Answer:
    """
    Attributes:
        body: text and bytes as they are, anything else as JSON.
        cut: the connection is reset after half of the body.
    """

    body: Any = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    type: str = JSON
    cut: bool = False

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


Answers = Callable[["Api", str, str], Answer | None]
"""(this API, method, path with query) → the answer; None = that of a healthy account with nothing in it."""


def page(key: str, *members: Any, next_page_url: str | None = None, **more: Any) -> dict[str, Any]:
    """One page of a listing."""
    return {key: list(members), "meta": {"key": key, "next_page_url": next_page_url}, **more}


def healthy(api: Api, method: str, path: str) -> Answer:
    """An account without apps, configs, secrets and devices, that takes one config."""
    if method == "GET":
        return Answer(page(path.partition("?")[0].rpartition("/")[2].lower()))
    return Answer({"key": "a", "value": "b", "date_updated": "2026-01-01T00:00:00Z"}, 201)


@dataclass
class Api:
    """`seen` is every request, as `GET /v1/Configs?PageSize=1000`; a request to a trap is one that must not be."""

    answers: Answers
    scheme: str = "http"
    port: int = 0
    seen: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/v1"

    @property
    def mutations(self) -> list[str]:
        return [line for line in self.seen if not line.startswith("GET ")]


def nothing_special(api: Api, method: str, path: str) -> Answer | None:
    return None


@contextlib.contextmanager
def serving(answers: Answers = nothing_special, tls: ssl.SSLContext | None = None) -> Iterator[Api]:
    """The API, until the block is left."""
    api = Api(answers, "https" if tls else "http")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            with contextlib.suppress(OSError, ssl.SSLError):  # clients that leave are what these tests are about
                super().handle_one_request()
                return
            self.close_connection = True

        def _answer(self) -> None:
            api.seen.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = api.answers(api, self.command, self.path) or healthy(api, self.command, self.path)
            content = answer.content
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.type)
            self.send_header("Content-Length", str(len(content)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if answer.cut else content)
            self.close_connection = self.close_connection or answer.cut

        do_GET = do_POST = do_DELETE = do_CONNECT = _answer

        def log_message(self, *_: Any) -> None:
            """Not on standard error."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A TLS handshake that the client breaks off is no error here."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        api.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()


def certificate(directory: Path, name: str, *, host: str = "IP:127.0.0.1", expired: bool = False) -> ssl.SSLContext:
    """A server's TLS with a certificate that signs itself, written to `directory/name.pem`."""
    key, pem = directory / f"{name}.key", directory / f"{name}.pem"
    made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key)]
    about = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={host}"]
    request = directory / f"{name}.csr"
    _openssl("req", "-new", *made, *about, "-out", str(request))
    (directory / f"{name}.ext").write_text(f"subjectAltName={host}\nbasicConstraints=critical,CA:TRUE\n")
    signed = ["-req", "-in", str(request), "-signkey", str(key), "-extfile", str(directory / f"{name}.ext")]
    _openssl("x509", *signed, "-days", "-1" if expired else "2", "-out", str(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return context


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
