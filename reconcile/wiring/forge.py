"""The forge that a pipeline belongs to, by its own variables: whoever runs it set them and their host."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from reconcile.core.values import Secret
from reconcile.errors import InvalidInput, Problem
from reconcile.forges import Forge as Forge
from reconcile.forges import GitHub, GitLab
from reconcile.forges import digest_in as digest_in
from reconcile.forges import posted as posted
from reconcile.forges.github import TOKEN as GITHUB_TOKEN
from reconcile.forges.gitlab import TOKEN as GITLAB_TOKEN
from reconcile.transport import BearerAuth, Net, ways_of
from reconcile.wiring import CommandRequest

FORGES = ("github", "gitlab")
_ADDRESS = {"github": ("GITHUB_API_URL", "https://api.github.com"), "gitlab": ("CI_API_V4_URL", None)}
_TOKENS = {"github": GITHUB_TOKEN, "gitlab": GITLAB_TOKEN}


@asynccontextmanager
async def forge_of(kind: str, request: CommandRequest) -> AsyncIterator[Forge]:
    """
    A forge, with connections that are closed at the end.

    Raises:
        InvalidInput: a variable is not set, or is none.
    """
    environ = request.environ
    variable, usual = _ADDRESS[kind]
    url = environ.get(variable) or usual
    if url is None:
        raise InvalidInput(Problem(f"{variable} is not set", hint="A job's runner sets it"))
    token = _token(kind, environ)
    net = Net(
        rng=request.parts.random(),
        emit=request.heard,
        wordy=request.wordy,
        transport=request.parts.transport or ways_of(environ, tuple(request.ca_files)),
    )
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    try:
        client = net.client(base_url=url, default_host=host, auth=BearerAuth(token), name=kind)
        yield GitHub(client, environ) if kind == "github" else GitLab(client, environ)
    finally:
        await net.aclose()


def _token(kind: str, environ: Mapping[str, str]) -> Secret:
    name = _TOKENS[kind]
    value = environ.get(name, "").strip()
    if not value:
        hint = "env: GITHUB_TOKEN: ${{ github.token }}" if kind == "github" else "A project token with the scope api"
        raise InvalidInput(Problem(f"{name} is not set", hint=hint))
    return Secret(value)
