"""
Stand-ins of GitHub's and GitLab's APIs on loopback: what their documentation says of comments, pages, limits and users.

No real one can be had here; what is checked of these is what `docs/pipelines.md` names.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "token-of-the-forge"


@dataclass
class StandIn:
    """
    One repository or project.

    Attributes:
        user: who the token is; None where it may not ask (GitHub's workflow token).
        comments: by number of the pull request. pulls: by commit.
        longest: characters of a comment; a longer one is a 422 (GitHub) or 400.
        broken: status with which every request is answered.
    """

    user: str | None = "ci-bot"
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    pulls: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    longest: int = 65_536
    broken: int | None = None
    requests: list[str] = field(default_factory=list)
    url: str = ""

    def add(self, pull: int, author: str, body: str) -> None:
        rows = self.comments.setdefault(pull, [])
        who = {"login": author, "username": author}
        rows.append({"id": 1000 + sum(map(len, self.comments.values())), "user": who, "author": who, "body": body})

    def bodies(self, pull: int, author: str | None = None) -> list[str]:
        return [row["body"] for row in self.comments.get(pull, []) if author in (None, row["user"]["login"])]

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        self.requests.append(f"{method} {target}")
        if self.broken is not None:
            return self.broken, {"message": "broken"}
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        path = parts.path
        if path == "/user":
            return (403, {"message": "Resource not accessible by integration"}) if self.user is None else (200, self.me)
        if found := re.fullmatch(r"/(?:repos/o/r/issues|projects/7/merge_requests)/(\d+)/(?:comments|notes)", path):
            rows = self.comments.setdefault(int(found[1]), [])
            if method == "GET":
                return 200, self._page(rows, query)
            return self._written(method, int(found[1]), None, body)
        if found := re.fullmatch(r"/repos/o/r/issues/comments/(\d+)", path):
            return self._written(method, None, int(found[1]), body)
        if found := re.fullmatch(r"/projects/7/merge_requests/(\d+)/notes/(\d+)", path):
            return self._written(method, int(found[1]), int(found[2]), body)
        if found := re.fullmatch(
            r"/repos/o/r/commits/(\w+)/pulls|/projects/7/repository/commits/(\w+)/merge_requests", path
        ):
            return 200, self._page(self.pulls.get(found[1] or found[2], []), query)
        return 404, {"message": "Not Found"}

    @property
    def me(self) -> dict[str, Any]:
        return {"login": self.user, "username": self.user, "id": 5}

    def _page(self, rows: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
        size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
        return rows[(page - 1) * size : page * size]

    def _written(self, method: str, pull: int | None, id: int | None, body: Any) -> tuple[int, Any]:
        text = body["body"]
        if len(text) > self.longest:
            return 422, {"message": "Validation Failed", "errors": [{"message": "body is too long"}]}
        author = self.user or "github-actions[bot]"
        if method == "POST" and pull is not None:
            self.add(pull, author, text)
            return 201, self.comments[pull][-1]
        for rows in self.comments.values():
            for row in rows:
                if row["id"] == id:
                    if row["user"]["login"] != author:
                        return 403, {"message": "not yours"}
                    row["body"] = text
                    return 200, row
        return 404, {"message": "Not Found"}


@contextmanager
def stand_in(**about: Any) -> Iterator[StandIn]:
    """A forge that answers on loopback."""
    made = StandIn(**about)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            good = self.headers.get("authorization") == f"Bearer {TOKEN}"
            status, said = made.answer(self.command, self.path, body) if good else (401, {"message": "Bad credentials"})
            data = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_PUT = _serve

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
