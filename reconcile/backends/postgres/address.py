"""
Where a state is in PostgreSQL: a URL, taken apart, and how far it is trusted.

A URL that stands in a document is reviewed, not trusted: it names one host, which whoever runs the tool allows, and
says nothing that could lead elsewhere. One of the command line or the environment is theirs, and may say what libpq
knows (postgresql.org/docs/current/libpq-connect.html). A piece of it that was not understood is never shown, since it
may be a part of the password.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import psycopg
from psycopg.conninfo import conninfo_to_dict

from reconcile.core.home import Place
from reconcile.core.text import printable
from reconcile.errors import InvalidInput, Problem
from reconcile.transport import check_host, is_loopback

IN_A_DOCUMENT = ("sslmode", "connect_timeout", "application_name")
STRICT = ("require", "verify-ca", "verify-full")
DEFAULTS = {
    "application_name": "reconcile",
    "connect_timeout": "10",
    # A server that is gone without a word is noticed after some 25 seconds: before the lease on it ends.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}
_SSLMODES = ("disable", "allow", "prefer", *STRICT)
_HINT = "Write postgresql://user@host:5432/database, and % with two digits for what is special in a URL"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A database, in libpq's words; a password among them is never shown."""

    parameters: Mapping[str, str] = field(repr=False)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts or directories of sockets that it names; none where libpq's default counts."""
        named = self.parameters.get("hostaddr") or self.parameters.get("host")
        return tuple(named.split(",")) if named else ()

    def __str__(self) -> str:
        """For people: the database, host, port and user, as far as they are given."""
        said = self.parameters
        host = ",".join(self.hosts) or (f"the service {said['service']}" if "service" in said else "the default host")
        port = f":{said['port']}" if "port" in said else ""
        database = f"the database {said['dbname']}" if "dbname" in said else "the default database"
        return printable(f"{database} at {host}{port}" + (f" (user {said['user']})" if "user" in said else ""))


def address_of(place: Place, allowed: Collection[str], environ: Mapping[str, str]) -> ServerAddress:
    """
    A place, taken apart and checked.

    Args:
        allowed: hosts that a document may name, beside loopback (`transport.allow_list`).
        environ: with libpq's own variables. A service file says all of a connection, and is left alone.

    Raises:
        InvalidInput: it is no such URL, or says what it may not. Nothing was asked.
    """
    address = _parsed(place)
    if not place.trusted:
        _check_untrusted(address, place, allowed)
    said = {**DEFAULTS, **address.parameters}
    if place.username is not None:
        said["user"] = place.username.reveal()
    if place.password is not None:
        said["password"] = place.password.reveal()
    if "sslmode" in said and said["sslmode"] not in _SSLMODES:
        raise _wrong(place, "has an sslmode that libpq does not know", f"It knows {', '.join(_SSLMODES)}")
    elsewhere = environ.get("PGHOSTADDR") or environ.get("PGHOST") or ""
    hosts = address.hosts or tuple(elsewhere.split(","))
    in_service = not address.hosts and ("service" in said or "PGSERVICE" in environ)
    if not in_service and not all(not host or is_loopback(host) or host.startswith(("/", "@")) for host in hosts):
        if "sslmode" in said and said["sslmode"] not in STRICT:
            what = "says an sslmode with which the password and the state can be read on the way"
            raise _wrong(place, what, f"Off this machine it is {', '.join(STRICT)}; without one, require")
        given = environ.get("PGSSLMODE", "")
        said.setdefault("sslmode", given if given in STRICT else "require")
    return replace(address, parameters=said)


def _parsed(place: Place) -> ServerAddress:
    text = place.url.reveal()
    rest = text.partition("://")[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    # An `@` anywhere else is one that a password holds: what stands before it would be taken for a host or a name.
    if not text.isprintable() or "#" in rest or rest.count("@") > 1 or rest.count("@") != authority.count("@"):
        raise _wrong(place, "is not a URL", _HINT)
    try:
        known = conninfo_to_dict(text)
    except (psycopg.Error, ValueError):
        raise _wrong(place, "is not one that libpq understands", _HINT) from None
    return ServerAddress({name: str(value) for name, value in known.items() if value not in (None, "")})


def _check_untrusted(address: ServerAddress, place: Place, allowed: Collection[str]) -> None:
    said = address.parameters
    if "password" in said:
        hint = "Take it out, and rotate it if it was committed; `password:` says where it is, as in env:PGPASSWORD"
        raise _wrong(place, "holds a password", hint)
    if set(said) - {"host", "port", "dbname", "user", *IN_A_DOCUMENT}:
        raise _wrong(
            place,
            f"says more than a document may, which is {', '.join(IN_A_DOCUMENT)}",
            "Anything else is said by whoever runs it: --state, RECONCILE_STATE, or libpq's own variables",
        )
    port = said.get("port", "5432")
    if not port.isascii() or not port.isdigit() or "dbname" not in said:
        raise _wrong(place, "does not name one host and a database", _HINT)
    try:
        check_host(said.get("host", "").lower(), int(port), allowed)
    except InvalidInput as error:
        problem = error.problems[0]
        raise _wrong(place, f"cannot be used: {problem.what}", problem.hint or _HINT) from None


def _wrong(place: Place, what: str, hint: str) -> InvalidInput:
    return InvalidInput(Problem(f"the URL of the state {what}", place.where, address=place.setting, hint=hint))
