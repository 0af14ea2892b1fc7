"""
Where requests may go: the check of a base URL, and the paths below it (docs/architecture.md, "Hosts").

A document is reviewed but not trusted, so credentials reach only a vendor's default host, loopback, and the hosts
that whoever runs the tool allows. Pure: no name is resolved here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote, unquote, urlencode, urlsplit

from reconcile.errors import InvalidInput, Problem
from reconcile.transport.exchange import Params

LOOPBACK = "loopback"
"""The host that all of loopback is in a binding, whatever its port: a simulator takes a new port every time."""

_PORTS = {"https": 443, "http": 80}
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_PRINTABLE = re.compile(r"[!-\[\]-~]+")  # ASCII without blanks, control characters and the backslash


@dataclass(frozen=True, slots=True)
class Base:
    """
    A base URL that was checked.

    Attributes:
        url: without a trailing slash.
        secure: https; otherwise it is http on loopback.
        name: the host, lower case, IPv6 without brackets.
        port: never absent.
        path: percent-encoded, empty or beginning with a slash, without a trailing one.
    """

    url: str
    secure: bool
    name: str
    port: int
    path: str

    @property
    def host(self) -> str:
        """The host as bindings and messages name it: `loopback`, `host`, or `host:port` with a port of its own."""
        if is_loopback(self.name):
            return LOOPBACK
        return self.name if self.port == _PORTS["https"] else f"{_bracketed(self.name)}:{self.port}"

    @property
    def authority(self) -> str:
        """The `Host` header."""
        default = _PORTS["https" if self.secure else "http"]
        return _bracketed(self.name) + ("" if self.port == default else f":{self.port}")


def is_loopback(name: str) -> bool:
    """`localhost`, 127.0.0.0/8 and ::1, which has no zone: what follows a `%` may be any text."""
    try:
        address = ip_address(name)
    except ValueError:
        return name == "localhost"
    return (
        "%" not in name
        and address.is_loopback
        and address.version in (4, 6)
        and not getattr(address, "ipv4_mapped", None)
    )


def allow_list(*texts: str | None) -> frozenset[str]:
    """
    Hosts that are allowed, from `RECONCILE_ALLOWED_HOSTS` and every `--allow-host`: `host` or `host:port`, separated
    by commas or blanks. A host without a port is allowed on every port.

    Raises:
        InvalidInput: one of them is not a host (a URL, for instance).
    """
    hosts = [host for text in texts if text for host in re.split(r"[\s,]+", text) if host]
    for host in hosts:
        if _split_host(host.lower()) is None:
            raise InvalidInput(
                Problem(f"{_shown(host)} is not a host", hint="Write `host` or `host:port`, without a scheme or path")
            )
    return frozenset(host.lower() for host in hosts)


def check_base(url: str, *, default_host: str, allowed: Iterable[str] = ()) -> Base:
    """
    The base URL, when credentials may be sent there.

    Args:
        url: as it is written in the document; a trailing slash is ignored.
        default_host: the vendor's.
        allowed: of `allow_list`.

    Raises:
        InvalidInput: not https (or http on loopback), with credentials, a query or a fragment in it, or a host that
            nobody allowed.
    """
    if not _PRINTABLE.fullmatch(url):
        raise _bad(url, "holds blanks or characters that no URL has")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad(url, "is not a URL") from None
    if parts.scheme not in _PORTS:
        raise _bad(url, "is neither https nor http on loopback")
    if "@" in parts.netloc:
        raise InvalidInput(
            Problem("the base URL holds credentials", hint="Take them out; the provider's settings name them")
        )
    if "?" in url or "#" in url:
        raise _bad(url.partition("?")[0].partition("#")[0], "has a query or a fragment")
    split = _split_host(parts.netloc.lower())  # all of it: what a parser passes over would be read as a host by people
    if split is None or port == 0:
        raise _bad(url, "names no host")
    name = split[0]
    path = parts.path.rstrip("/")
    if not _is_plain(path):
        raise _bad(url, "has `.`, `..` or nothing between two slashes of its path")
    secure = parts.scheme == "https"
    if not secure and not is_loopback(name):
        raise _bad(url, "is plain http, which is for loopback only")
    port = port or _PORTS[parts.scheme]
    _check_allowed(name, port, default_host, allowed)
    url = f"{parts.scheme}://{_bracketed(name)}" + (f":{port}" if port != _PORTS[parts.scheme] else "") + path
    return Base(url, secure, name, port, path)


def check_host(name: str, port: int, allowed: Iterable[str]) -> None:
    """
    Raises InvalidInput when credentials may not go to a host that is no vendor's: it is not loopback, and nobody
    allowed it.
    """
    if _split_host(name if ":" not in name else f"[{name}]") is None:
        raise InvalidInput("that is not the name of one host")
    if not is_loopback(name):
        _check_allowed(name, port, None, allowed)


def target(base: Base, segments: Iterable[str], params: Params | None = None, slash: bool = False) -> str:
    """
    The path and query of a request: every segment percent-encoded as one, so that no id can leave its place.

    Args:
        slash: whether the path ends in one.

    Raises:
        InvalidInput: a segment is empty, `.` or `..`; a segment or a parameter is text that has no UTF-8.
    """
    path = base.path
    for text in segments:
        if text in ("", ".", ".."):
            raise InvalidInput(f"{text!r} cannot be a part of a path ({_shown(path) or '/'}/…)")
        try:
            path += "/" + quote(text, safe="")
        except UnicodeEncodeError:
            raise InvalidInput(f"a part of a path is not valid Unicode text ({_shown(path)}/…)") from None
    try:
        query = f"?{urlencode(params, quote_via=quote)}" if params else ""
    except UnicodeEncodeError:
        raise InvalidInput(f"a parameter of {_shown(path) or '/'} is not valid Unicode text") from None
    return (path or "/") + ("/" if slash and path else "") + query


def same_place(base: Base, url: str) -> str | None:
    """
    The path and query of an absolute URL that an answer gave (a next page), or None when it is not below `base`.

    Following one elsewhere would hand the credentials over. The host may be another name of loopback on that port.
    """
    url = url.partition("#")[0]
    if not _PRINTABLE.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    split = _split_host(parts.netloc.lower())
    if split is None or port != base.port:
        return None
    if split[0] != base.name and not (is_loopback(split[0]) and is_loopback(base.name)):
        return None
    if parts.scheme != ("https" if base.secure else "http"):
        return None
    if not _is_plain(parts.path) or not (parts.path + "/").startswith(base.path + "/"):
        return None
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def is_named(base: Base, allowed: Iterable[str]) -> bool:
    """Whether whoever runs the tool allowed the host by its name; default hosts and loopback need nobody's leave."""
    return _is_named(base.name, base.port, allowed)


def _is_named(name: str, port: int, allowed: Iterable[str]) -> bool:
    bracketed = _bracketed(name)
    return bool({name, bracketed, f"{bracketed}:{port}"} & set(allowed))


def _check_allowed(name: str, port: int, default_host: str | None, allowed: Iterable[str]) -> None:
    if name == (default_host or "").lower() or is_loopback(name) or _is_named(name, port, allowed):
        return
    raise InvalidInput(
        Problem(
            f"credentials would go to {_shown(name)}, which nobody allowed",
            notes=(f"the default is {default_host}",) if default_host is not None else (),
            hint=f"If that is meant: --allow-host {_shown(name)}, or RECONCILE_ALLOWED_HOSTS={_shown(name)}",
        )
    )


def _is_plain(path: str) -> bool:
    """No empty, `.` or `..` segment, encoded or not; one trailing slash is fine."""
    segments = path.removesuffix("/").split("/")[1:]
    return (not path or path.startswith("/")) and not {"", ".", ".."} & {unquote(part) for part in segments}


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _split_host(text: str) -> tuple[str, str] | None:
    """Host and port (or "") of `host`, `host:port`, `[v6]`, `[v6]:port`; None when it is none of them."""
    if text.startswith("["):
        name, closed, port = text[1:].partition("]")
        try:
            valid = bool(closed) and ip_address(name).version == 6 and "%" not in name
        except ValueError:
            return None
        port, colon = port[1:], port[:1]
        return (name, port) if valid and (colon, port.isdigit()) in ((":", True), ("", False)) else None
    name, colon, port = text.partition(":")
    return (name, port) if _NAME.fullmatch(name) and (not colon or (port.isascii() and port.isdigit())) else None


def _bad(url: str, why: str) -> InvalidInput:
    return InvalidInput(Problem(f"the base URL {_shown(url)} {why}"))


def _shown(text: str) -> str:
    """`text` without control characters, at most 200 characters."""
    return re.sub(r"[^ -~]", lambda match: ascii(match[0])[1:-1], text[:200])
