"""Where a state is in PostgreSQL: how a URL is taken apart, and when the line has to be encrypted."""

from __future__ import annotations

import pytest

from reconcile.backends.postgres.address import address_of
from reconcile.core.home import Place
from reconcile.core.values import Secret
from reconcile.errors import InvalidInput

REMOTE = "postgresql://me@state.example.com/fleets"
MODES = {
    "loopback needs none": ("postgresql://127.0.0.1/x", {}, None),
    "nor does localhost": ("postgresql://localhost:5433/x", {}, None),
    "nor a socket": ("postgresql://%2Frun%2Fpostgresql/x", {}, None),
    "nor the default, which is one": ("postgresql:///x", {}, None),
    "what is asked for there counts": ("postgresql://127.0.0.1/x?sslmode=verify-ca", {}, "verify-ca"),
    "elsewhere it is require": (REMOTE, {}, "require"),
    "one of two elsewhere": ("postgresql://127.0.0.1,state.example.com/x", {}, "require"),
    "or what is stricter": (f"{REMOTE}?sslmode=verify-full", {}, "verify-full"),
    "a stricter variable counts": (REMOTE, {"PGSSLMODE": "verify-full"}, "verify-full"),
    "a weaker one does not": (REMOTE, {"PGSSLMODE": "disable"}, "require"),
    "a host by variable": ("postgresql:///x", {"PGHOST": "state.example.com"}, "require"),
    "loopback by variable": ("postgresql:///x", {"PGHOST": "127.0.0.1"}, None),
    "a service says all of it": ("postgresql:///?service=prod", {}, None),
}


def place(url: str, trusted: bool = True, **more: Secret) -> Place:
    return Place(Secret(url), "--state", trusted, **more)


@pytest.mark.parametrize(("url", "environ", "mode"), MODES.values(), ids=MODES)
def test_off_this_machine_the_line_is_encrypted(url: str, environ: dict[str, str], mode: str | None) -> None:
    assert address_of(place(url), (), environ).parameters.get("sslmode") == mode


def test_an_address_names_all_but_the_password() -> None:
    found = address_of(place("postgresql://me:s3cret@127.0.0.1:5433/fleets?application_name=x"), (), {})
    assert str(found) == "the database fleets at 127.0.0.1:5433 (user me)"
    assert found.parameters["password"] == "s3cret" and "s3cret" not in repr(found)
    assert found.parameters["application_name"] == "x" and found.parameters["connect_timeout"] == "10"


def test_what_stands_beside_a_url_wins() -> None:
    more = {"username": Secret("you"), "password": Secret("s3cret")}
    found = address_of(place("postgresql://me@127.0.0.1/fleets", trusted=False, **more), (), {})
    assert (found.parameters["user"], found.parameters["password"]) == ("you", "s3cret")


@pytest.mark.parametrize("allowed", ["state.example.com", "state.example.com:5432"])
def test_a_host_that_is_allowed_may_stand_in_a_document(allowed: str) -> None:
    assert address_of(place(REMOTE, trusted=False), (allowed,), {}).parameters["sslmode"] == "require"
    with pytest.raises(InvalidInput, match="nobody allowed"):
        address_of(place(REMOTE, trusted=False), ("state.example.com:5433",), {})
