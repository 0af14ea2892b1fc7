"""
How hosts are reached: through which proxy, and by whose word a certificate is trusted (docs/trust.md, "The network").

Both are decided by whoever runs the command, in its environment or on its command line, never by a document. Nothing
turns verification off.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from reconcile.core.values import Secret
from reconcile.errors import InvalidInput, Problem
from reconcile.transport.exchange import Connector, ProxyServer
from reconcile.transport.hosts import Base, is_loopback
from reconcile.transport.pieces import LIMIT

if TYPE_CHECKING:
    import ssl

PROXY, DIRECT, AUTHORITIES = "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"


@dataclass(frozen=True, slots=True)
class Authorities:
    """
    Who vouches for certificates.

    Attributes:
        instead: a file of certificates in place of certifi's. `besides`: files of more, of `--ca-file`.
    """

    instead: str | None = None
    besides: tuple[str, ...] = ()

    def __str__(self) -> str:
        first = f"those of {AUTHORITIES} ({self.instead})" if self.instead else "certifi's"
        return " and ".join([first, *self.besides])


@dataclass(frozen=True, slots=True)
class Ways:
    """
    How hosts are reached; makes our connections to one.

    Attributes:
        proxy: for https hosts, but for those of `direct`: `*`, a host and what is below it, `host:port`, an address or
            a network.
    """

    proxy: ProxyServer | None = None
    direct: tuple[str, ...] = ()
    authorities: Authorities = field(default_factory=Authorities)

    def __call__(self, base: Base) -> Connector:
        """Raises InvalidInput when a file of authorities cannot be used."""
        from reconcile.transport.http1 import Connections

        tls = tls_context(self.authorities) if base.secure else None
        proxy = self.proxy if base.secure and not is_loopback(base.name) and not self._goes_direct(base) else None
        return Connections(base, tls, proxy, limit=LIMIT, authorities=str(self.authorities))

    def _goes_direct(self, base: Base) -> bool:
        return any(_covers(entry, base.name, base.port) for entry in self.direct)


def ways_of(environ: Mapping[str, str], ca_files: tuple[str, ...] = ()) -> Ways:
    """
    The ways that an environment says, as curl reads it: the lower case of a name wins over the upper case.

    Raises:
        InvalidInput: a proxy that is none of ours; a file of `--ca-file` that cannot be used.
    """

    def said(name: str) -> tuple[str, str]:
        return next(((n, value) for n in (name.lower(), name) if (value := environ.get(n, "").strip())), (name, ""))

    variable, url = said(PROXY)
    direct = tuple(entry.lower() for entry in re.split(r"[\s,]+", said(DIRECT)[1]) if entry)
    authorities = Authorities(environ.get(AUTHORITIES) or None, ca_files)
    if ca_files:
        tls_context(authorities)
    return Ways(_proxy_of(variable, url) if url else None, direct, authorities)


@lru_cache(maxsize=4)
def tls_context(authorities: Authorities = Authorities()) -> ssl.SSLContext:
    """
    Certificates are verified, host names too. Nothing turns that off, and of the environment only `SSL_CERT_FILE` has a
    say: `ssl.create_default_context` would open the file that SSLKEYLOGFILE names.

    Raises:
        InvalidInput: a file of certificates that cannot be used.
    """
    import ssl  # it takes a moment to import: who talks to an API pays

    import certifi

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    files = [(AUTHORITIES, authorities.instead)] if authorities.instead else [("", certifi.where())]
    for source, file in [*files, *(("--ca-file", file) for file in authorities.besides)]:
        try:
            context.load_verify_locations(cadata=Path(file or "").read_text("ascii"))
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else None
            what = f"cannot be read: {why}" if why else "holds no certificate"
            hint = "It has certificates in PEM form, as in -----BEGIN CERTIFICATE-----"
            raise InvalidInput(Problem(f"{source} {file} {what}", hint=hint)) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _proxy_of(variable: str, url: str) -> ProxyServer:
    """The proxy that a variable names. The value is never shown: it may hold a password."""
    hint = f"Write {variable}=http://host:port, or http://user:password@host:port"
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        name, port = parts.hostname, parts.port
    except ValueError:
        raise InvalidInput(Problem(f"{variable} is not the URL of a proxy", hint=hint)) from None
    if parts.scheme != "http":
        what = "an https proxy" if parts.scheme == "https" else f"a {parts.scheme} proxy"
        raise InvalidInput(Problem(f"{variable} names {what}; http proxies are known", hint=hint))
    if not name or port == 0 or not re.fullmatch(r"[A-Za-z0-9._:-]+", name) or parts.path not in ("", "/"):
        raise InvalidInput(Problem(f"{variable} is not the URL of a proxy", hint=hint))
    port = port or 80  # as its scheme has it
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        authorization = Secret(f"Basic {b64encode(pair).decode()}")
    bracketed = f"[{name}]" if ":" in name else name
    return ProxyServer(name, port, f"{bracketed}:{port} ({variable})", authorization)


def _covers(entry: str, name: str, port: int) -> bool:
    """Whether an entry of `NO_PROXY` means a host."""
    if entry == "*":
        return True
    try:
        return ip_address(name) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass
    host, colon, own_port = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
    if colon and own_port != str(port):
        return False
    host = host.removeprefix("*").removeprefix(".")
    return bool(host) and (name == host or name.endswith(f".{host}"))
