"""
The API that the example manages: signs, by name, in memory. `python signs_server.py [PORT]` serves it.

    GET /signs?limit=N&after=NAME    {"signs": [{"name", "text", "brightness"}…], "next": URL or null}, by name
    POST /signs {name, text, …}      201, or 409 where the name is taken
    GET, PATCH, DELETE /signs/NAME   the sign, or 404; a pin is taken and never given out
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

TOKEN = "the-token-of-the-signs"
LIMIT = 100


class Signs:
    """What the server holds: every sign with its name, in the order in which they were made."""

    def __init__(self) -> None:
        self.signs: list[dict[str, Any]] = []
        self.lock = threading.Lock()
        self.url = ""

    def named(self, name: str) -> dict[str, Any] | None:
        return next((sign for sign in self.signs if sign["name"] == name), None)

    def answer(self, method: str, name: str | None, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """The status and the JSON of one request; `name` is None for the collection."""
        if name is None and method == "GET":
            return 200, self.page(int(query.get("limit", LIMIT)), query.get("after"))
        if name is None and method == "POST":
            return self.made({"brightness": 50, "pin": None, **body})
        sign = self.named(name or "")
        if sign is None:
            return 404, {"message": "there is no such sign"}
        if method == "PATCH":
            sign.update(body)
        elif method == "DELETE":
            self.signs.remove(sign)
            return 204, None
        return 200, self.shown(sign)

    def made(self, sign: dict[str, Any]) -> tuple[int, Any]:
        if self.named(sign["name"]) is not None:
            return 409, {"message": "that name is taken"}
        self.signs.append(sign)
        return 201, self.shown(sign)

    def page(self, limit: int, after: str | None) -> dict[str, Any]:
        rest = sorted((sign for sign in self.signs if after is None or sign["name"] > after), key=lambda it: it["name"])
        last = quote(rest[limit - 1]["name"], "") if len(rest) > limit else None
        link = f"{self.url}/signs?limit={limit}&after={last}" if last else None
        return {"signs": [self.shown(sign) for sign in rest[:limit]], "next": link, "total": len(self.signs)}

    def shown(self, sign: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in sign.items() if name != "pin"}


@contextlib.contextmanager
def serving(signs: Signs, port: int = 0) -> Iterator[Signs]:
    """Serves them on loopback until the block is left; `signs.url` says where."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = urlsplit(self.path)
            collection, _, name = parts.path.removeprefix("/").partition("/")
            query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                status, said = 401, {"message": "who are you?"}
            elif collection != "signs":
                status, said = 404, {"message": "there is no such thing"}
            else:
                with signs.lock:
                    # A link leads back to where the client asked: there may be something in between.
                    signs.url = f"http://{self.headers['Host']}"
                    status, said = signs.answer(
                        self.command, unquote(name) if name else None, query, json.loads(text or b"null")
                    )
            content = b"" if said is None else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer

        def log_message(self, *_: Any) -> None:
            """Not on standard error."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", port), Handler) as server:
        signs.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
        thread.start()
        try:
            yield signs
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    with (
        serving(Signs(), int(sys.argv[1]) if len(sys.argv) > 1 else 8099) as served,
        contextlib.suppress(KeyboardInterrupt),
    ):
        print(f"listening on {served.url}, with the token {TOKEN}", flush=True)
        threading.Event().wait()
