"""
The saved plan: what is written comes back, and no byte of it changes unseen (docs/architecture.md, "Saved plans"; bad
inputs 90-92).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import stat
from dataclasses import MISSING, Field, fields, replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconcile import planfile
from reconcile.core.address import Address
from reconcile.core.form import Form
from reconcile.core.options import Options
from reconcile.core.plan import (
    Action,
    Bindings,
    Blocked,
    Cause,
    Change,
    FieldChange,
    Plan,
    Reason,
    Unread,
    Unsettled,
)
from reconcile.core.resource import Entry
from reconcile.core.seal import Fit
from reconcile.core.values import FileRef, Ref, Secret, SecretRef
from reconcile.errors import InvalidInput, Position, ReconcileError, Refused

KEY, KEY_ID = b"k" * 32, "1" * 16
CONFIG = Address.of("microvisor.devices.configs", ("warehouse-7", "mqtt.host"))
DEVICE = Address.of("microvisor.devices", ("warehouse-7",))


def small_plan() -> Plan:
    """One of everything."""
    where = Position("fleet.yaml", 3, 5, 2)
    return Plan(
        Bindings(
            "depot", "./depot", "lineage-1", 4, "d" * 64, "hmac-sha256:" + "a" * 64, {"microvisor": ("AC1", "api")},
            "0.1.0",
            "2026-01-01T00:00:00Z", "2026-01-08T00:00:00Z", Options((str(DEVICE),), destroy=True),
            {"env:PSK": "b" * 64},
        ),
        [
            Change(
                CONFIG, Action.UPDATE, Reason.FIELDS_DIFFER, id="mqtt.host", parent="UV1",
                after={"value": SecretRef("env", "PSK"), "app": Ref("microvisor.apps", "a-1")},
                before={"value": None}, seen={"version": "7"},
                fields=(FieldChange(("value",), Cause.BOTH, "a\u202e", FileRef("x.bin", "ab"), where=where),),
                prints={"value": {"key": "k1", "mac": "00"}}, needs=(DEVICE,), where=where, wave=1,
                blocked="protected", notes=("says so",), labels={"site": "north"},
            ),
            Change(DEVICE, Action.ADOPT, Reason.NOT_IN_STATE, id="UV1", after={"app": Ref("microvisor.apps", "a")}),
        ],
        [Unsettled(DEVICE, "pending", "update staged", None)],
        [Unread("microvisor.apps", None, "503", False), Unread("microvisor.devices", DEVICE, "403", True, "EVIL")],
        [Blocked("too many", "--allow delete=3", "delete", 3)],
        ["a warning"],
        {"microvisor.devices": 5}, {"microvisor.apps": 1}, 6, 7, 8, 9,
    )  # fmt: skip


EMPTY = Plan(Bindings("f", ".", made="2026-01-01T00:00:00+00:00"))


def write(plan: Plan, path: Path, **given: Any) -> str:
    return planfile.write(plan, path, **{"seal_key": KEY, "key_id": KEY_ID, **given})


def read(path: Path, **given: Any) -> planfile.Saved:
    return planfile.read(path, **{"seal_key": KEY, "key_id": KEY_ID, **given})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "plan.rplan"
    write(small_plan(), path)
    return path


# ------------------------------------------------------------------ round trip

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
leaves = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | names
)
references = (
    names.map(lambda rest: SecretRef("env", rest.replace("#", "+")))
    | st.builds(FileRef, names, st.none() | names)
    | st.builds(Ref, names, names)
)
values = st.recursive(
    leaves | references,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
moments = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.isoformat(timespec="seconds"))
options = st.builds(
    Options,
    targets=st.lists(names, max_size=2).map(tuple),
    allow=st.dictionaries(names, st.integers(0, 9), max_size=2),
    destroy=st.booleans(),
    refresh=st.booleans(),
)
attrs = st.dictionaries(names, values, max_size=3)
maybe = st.none() | names
places = st.none() | st.builds(Position, names, st.integers(0, 9), st.integers(0, 9), st.none() | st.integers(1, 9))
addresses = st.builds(lambda key, child: Address.of("m.devices.configs", (key, child)), names, names) | names.map(
    lambda key: Address.of("m.devices", (key,))
)
field_changes = st.builds(
    FieldChange,
    path=st.lists(names, min_size=1, max_size=2).map(tuple),
    before=values,
    after=values,
    prior=values,
    cause=st.sampled_from(Cause),
    sensitive=st.booleans(),
    where=places,
    origin=maybe,
    note=maybe,
    naming=st.booleans(),
)
changes = st.builds(
    Change,
    address=addresses,
    action=st.sampled_from(Action),
    reason=st.sampled_from(Reason),
    **dict.fromkeys(("id", "name", "parent", "former", "former_name", "temporary", "block", "blocked"), maybe),
    after=attrs,
    before=attrs,
    seen=attrs,
    facts=attrs,
    prints=attrs,
    refers=st.dictionaries(names, names, max_size=2),
    fields=st.lists(field_changes, max_size=2).map(tuple),
    moved_from=st.none() | addresses,
    needs=st.lists(addresses, max_size=2).map(tuple),
    labels=st.dictionaries(names, names, max_size=2),
    protect=st.booleans(),
    on_removal=st.sampled_from([None, "forget", "clear", "delete"]),
    where=places,
    wave=st.integers(0, 5),
    notes=st.lists(names, max_size=2).map(tuple),
)
counts = st.integers(0, 10**6)
plans = st.builds(
    Plan,
    bindings=st.builds(
        Bindings,
        fleet=st.sampled_from(["f", "prod-1"]),
        path=names.filter(lambda path: path and "\0" not in path),
        lineage=maybe,
        serial=st.none() | counts,
        accounts=st.dictionaries(names, st.tuples(names, names), max_size=2),
        made=moments,
        expires=st.none() | moments,
        options=options,
        secrets=st.dictionaries(names, digests, max_size=2),
        variables=st.just("") | digests | digests.map("hmac-sha256:{}".format),
    ),
    changes=st.lists(changes, max_size=3, unique_by=lambda change: change.address),
    unsettled=st.lists(
        st.builds(Unsettled, addresses, st.sampled_from(["pending", "failed"]), names, maybe),
        max_size=2,
        unique_by=lambda row: row.address,
    ),
    unread=st.lists(st.builds(Unread, names, st.none() | addresses, names, st.booleans()), max_size=2, unique=True),
    blocked=st.lists(st.builds(Blocked, names, maybe, maybe, counts), max_size=2, unique=True),
    warnings=st.lists(names, max_size=2),
    in_sync=st.dictionaries(names, counts, max_size=2),
    unmanaged=st.dictionaries(names, counts, max_size=2),
    units=counts,
    requests=counts,
)


@given(plan=plans, sealed=st.booleans())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_a_plan_comes_back_as_it_was_written(tmp_path: Path, plan: Plan, sealed: bool) -> None:
    path = tmp_path / "plan"
    key = KEY if sealed else None
    digest = write(plan, path, seal_key=key)
    saved = read(path, seal_key=key)
    assert (plan, digest, sealed) == (saved.plan, saved.digest, saved.seal.verified)
    assert planfile.effect_of(plan) == planfile.effect_of(saved.plan)


@pytest.mark.parametrize("kind", [Change, FieldChange, Bindings, Options, Unsettled, Unread, Blocked, Entry])
def test_what_has_its_default_is_left_out_and_a_name_that_is_missing_has_it(kind: type[Any]) -> None:
    """So that a field is one line with a default, and a file from before there was one still opens."""
    needed: dict[str, Any] = dict.fromkeys(("detail", "error", "what", "id", "fleet", "type_path"), "x")
    needed |= {"address": "m.devices.a", "action": "create", "reason": "gone", "cause": "you", "kind": "pending"}
    needed |= {"attrs": {}, "path": ["a"]}
    row = {field.name: needed[field.name] for field in fields(kind) if is_needed(field)}
    row |= {"path": "."} if kind is Bindings else {}
    form = Form(kind)
    assert json.loads(json.dumps(form.dump(form.load(row)))) == row
    for name in row:
        with pytest.raises(ValueError, match=name):
            form.load({other: value for other, value in row.items() if other != name})
    with pytest.raises(ValueError, match="exec"):
        form.load({**row, "exec": "rm"})


def is_needed(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def test_an_empty_plan_is_a_plan(tmp_path: Path) -> None:
    write(EMPTY, tmp_path / "plan")
    assert read(tmp_path / "plan").plan == EMPTY


def test_the_digest_is_of_every_byte_after_the_first_line(saved: Path) -> None:
    """`tail -n +2 FILE | sha256sum` tells a person the digest."""
    first, _, rest = saved.read_bytes().partition(b"\n")
    assert hashlib.sha256(rest).hexdigest() == json.loads(first)["sha256"] == read(saved).digest


def test_the_file_is_ascii_so_that_nothing_in_it_acts_on_a_terminal(saved: Path) -> None:
    data = saved.read_bytes()
    assert data.isascii()
    assert b"\x1b" not in data


# ------------------------------------------------------------------ damage


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    plan = Plan(EMPTY.bindings, [Change(DEVICE, Action.FORGET, Reason.NOT_IN_FILES, id="UV1")])
    write(plan, tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_flip_of_any_byte_is_refused(tiny: Path) -> None:
    """At every position, one changed bit and one foreign character; the header without the key as well."""
    whole = tiny.read_bytes()
    header = whole.index(b"\n") + 1
    for at in range(len(whole)):
        for other in (whole[at] ^ 1, ord(" ") if whole[at] != ord(" ") else ord("x")):
            tiny.write_bytes(whole[:at] + bytes([other]) + whole[at + 1 :])
            for key in (KEY, None) if at < header else (None,):
                with pytest.raises(InvalidInput):
                    read(tiny, seal_key=key)


def test_a_file_cut_at_any_length_is_refused(tiny: Path) -> None:
    whole = tiny.read_bytes()
    for length in range(len(whole)):
        tiny.write_bytes(whole[:length])
        with pytest.raises(InvalidInput):
            read(tiny)


@pytest.mark.parametrize("more", [b"\n", b" ", b"\0", b'{"warning": "x"}\n'])
def test_anything_after_the_end_is_refused(saved: Path, more: bytes) -> None:
    saved.write_bytes(saved.read_bytes() + more)
    with pytest.raises(InvalidInput, match="damaged plan file"):
        read(saved)


def forge(path: Path, change_lines: Any, *, key: bytes | None = None, header: dict[str, Any] | None = None) -> None:
    """Rewrites a plan's lines as somebody would who knows the format and has `key`."""
    lines = path.read_bytes().splitlines(keepends=True)[1:]
    body = b"".join(change_lines(lines))
    first = {"reconcile_plan": 1, "sha256": hashlib.sha256(body).hexdigest(), "seal": None, "key_id": None}
    if key is not None:
        text = json.dumps(["reconcile plan", 1, KEY_ID, first["sha256"]])
        first |= {"seal": hmac.new(key, text.encode(), hashlib.sha256).hexdigest(), "key_id": KEY_ID}
    first |= header or {}
    first["check"] = hashlib.sha256(json.dumps(first).encode()).hexdigest()[:16]
    path.write_bytes(json.dumps(first).encode() + b"\n" + body)


def test_the_forger_of_these_tests_knows_the_format(saved: Path) -> None:
    whole = saved.read_bytes()
    forge(saved, lambda lines: lines, key=KEY)
    assert whole == saved.read_bytes()


def test_a_changed_plan_with_the_old_seal_is_refused(saved: Path) -> None:
    """T15: a value is edited, and every checksum made to fit."""
    seal = json.loads(saved.read_bytes().splitlines()[0])["seal"]
    forge(
        saved,
        lambda lines: [line.replace(b"warehouse-7", b"warehouse-8") for line in lines],
        header={"seal": seal, "key_id": KEY_ID},
    )
    with pytest.raises(Refused, match="changed after it was made"):
        read(saved)


def test_a_plan_sealed_with_another_key_is_refused(saved: Path) -> None:
    with pytest.raises(Refused, match=f"the key {KEY_ID}, and the key here is {'2' * 16}.*RECONCILE_FINGERPRINT_KEY"):
        read(saved, seal_key=b"z" * 32, key_id="2" * 16)
    with pytest.raises(Refused):
        read(saved, seal_key=b"z" * 32)


def test_a_seal_that_was_taken_off_is_refused_where_the_key_is(saved: Path) -> None:
    forge(saved, lambda lines: lines)
    with pytest.raises(
        Refused, match=f"not sealed .key: none., and the key here is {KEY_ID}.*RECONCILE_FINGERPRINT_KEY"
    ):
        read(saved)


@pytest.mark.parametrize("strip", [True, False])
def test_without_a_key_nobody_vouches_for_a_plan(saved: Path, strip: bool) -> None:
    if strip:
        forge(saved, lambda lines: lines)
    found = read(saved, seal_key=None, key_id=None)
    assert (found.plan, found.seal.verified) == (small_plan(), False)
    assert found.seal.key_id == (None if strip else KEY_ID)


@pytest.mark.parametrize("key", [None, b"z" * 32])
def test_the_seal_is_checked_before_anything_is_taken_apart(saved: Path, key: bytes | None) -> None:
    """A file without a seal, or with another one, whose lines are none of a plan: refused, not looked at."""
    forge(saved, lambda lines: [b"[" * 100_000 + b"\n"], key=key)
    with pytest.raises(Refused):
        read(saved)


@pytest.mark.parametrize(
    ("given", "forged", "fit"),
    [
        ({}, {}, Fit.FITS),
        ({"seal_key": None}, {}, Fit.NO_KEY),
        ({"key_id": "2" * 16}, {}, Fit.ANOTHER),
        ({"seal_key": b"z" * 32}, {}, Fit.BROKEN),
        ({}, {"seal": None, "key_id": None}, Fit.NONE),
    ],
)
def test_a_plan_that_is_only_shown_says_how_its_seal_stands(
    saved: Path, given: dict[str, Any], forged: dict[str, Any], fit: Fit
) -> None:
    forge(saved, lambda lines: lines, key=KEY, header=forged)
    found = read(saved, only_shown=True, **given)
    assert (found.seal.fit, found.plan) == (fit, small_plan())


@pytest.mark.parametrize(
    "header",
    [
        {"seal": 0},
        {"seal": ""},
        {"seal": ["a" * 64]},
        {"seal": "a" * 63},
        {"key_id": 0},
        {"key_id": None},
        {"key_id": "1" * 15},
        {"key_id": "\u001b[2J\u001b[2J\u001b[2J"},
        {"seal": None},
        {"sha256": 0},
        {"sha256": None},
        {"reconcile_plan": True},
        {"reconcile_plan": 1.0},
        {"reconcile_plan": "1"},
        {"reconcile_plan": None},
    ],
)
@pytest.mark.parametrize("key", [KEY, None])
def test_a_first_line_of_another_shape_is_damage(saved: Path, header: dict[str, Any], key: bytes | None) -> None:
    forge(saved, lambda lines: lines, key=KEY, header=header)
    with pytest.raises(InvalidInput):
        read(saved, seal_key=key)


def _edit(kind: str, edit: Any) -> Any:
    def change(lines: list[bytes]) -> list[bytes]:
        out = []
        for line in lines:
            row = json.loads(line)
            if kind in row:
                edit(row[kind])
            out.append(json.dumps(row).encode() + b"\n")
        return out

    return change


@pytest.mark.parametrize(
    "forged",
    [
        lambda lines: [],
        lambda lines: lines[1:],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [*lines, lines[2]],
        *(lambda lines, at=at: [*lines[: at + 1], *lines[at:]] for at in range(2, 8)),
        lambda lines: [*lines, lines[0]],
        lambda lines: [*lines, b"[]\n"],
        lambda lines: [*lines, b"null\n"],
        lambda lines: [*lines, b"{}\n"],
        lambda lines: [*lines, b'{"warning": NaN}\n'],
        lambda lines: [*lines, b'{"warning": 3}\n'],
        lambda lines: [*lines, b'{"warning":"no blank"}\n'],
        lambda lines: [*lines, b'{"warning": "a", "warning": "b"}\n'],
        lambda lines: [*lines, b'{"exec": "rm"}\n'],
        lambda lines: [*lines, b"[" * 100_000 + b"\n"],
        lambda lines: [*lines, b'{"warning": ' + b"9" * 6000 + b"}\n"],
        lambda lines: [*lines, "{\"warning\": \"\u00e4\"}\n".encode()],
        _edit("bindings", lambda row: row.update(extra=1)),
        _edit("bindings", lambda row: row.pop("fleet")),
        _edit("bindings", lambda row: row.update(serial=True)),
        _edit("bindings", lambda row: row.update(serial=-1)),
        _edit("bindings", lambda row: row.update(accounts={"m": ["a"]})),
        _edit("bindings", lambda row: row.update(accounts=[])),
        _edit("bindings", lambda row: row.update(serial=2**63)),
        _edit("bindings", lambda row: row.update(expires="soon")),
        _edit("bindings", lambda row: row.update(expires="2026-01-08T00:00:00")),
        _edit("bindings", lambda row: row.update(made="")),
        _edit("bindings", lambda row: row.update(variables="a PIN")),
        _edit("bindings", lambda row: row.update(secrets={"env:A": 7})),
        _edit("bindings", lambda row: row.update(options={"exec": True})),
        _edit("bindings", lambda row: row.update(options={"destroy": "yes"})),
        _edit("bindings", lambda row: row.update(options={"destroy": 0})),
        _edit("bindings", lambda row: row.update(options={"allow": {"delete": "9"}})),
        _edit("bindings", lambda row: row.update(options={"targets": [1]})),
        _edit("totals", lambda row: row.update(units="6")),
        _edit("totals", lambda row: row.pop("units")),
        _edit("change", lambda row: row.update(action="exec")),
        _edit("change", lambda row: row.update(reason="because")),
        _edit("change", lambda row: row.update(id=5)),
        _edit("change", lambda row: row.update(wave="1")),
        _edit("change", lambda row: row.update(address="nowhere")),
        _edit("change", lambda row: row.update(address='m.devices["plain"]')),
        _edit("change", lambda row: row.update(needs="m.devices.a")),
        _edit("change", lambda row: row.update(after=[])),
        _edit("change", lambda row: row.update(after={"x": {"$secret": "none"}})),
        _edit("change", lambda row: row.update(after={"$secret": "env:PSK"})),
        _edit("change", lambda row: row.update(before={"$unknown": "x"})),
        _edit("change", lambda row: row.update(patch={"$file": "x", "sha256": None})),
        _edit("change", lambda row: row.update(protect=1)),
        _edit("change", lambda row: row.update(after={"x": {"$map": {"y": 1}}})),
        _edit("change", lambda row: row.update(fields=[{"path": [], "cause": "you"}])),
        _edit("change", lambda row: row.update(where=["f", 1])),
        _edit("change", lambda row: row.update(fields=[{"path": ["a"]}])),
        _edit("change", lambda row: row.update(fields=[{"path": "a", "cause": "you"}])),
        _edit("change", lambda row: row.update(fields=[{"path": ["a"], "cause": "me"}])),
        _edit("change", lambda row: row.update(fields=[{"path": ["a"], "cause": "you", "run": "x"}])),
        _edit("change", lambda row: row.update(command="rm")),
        _edit("change", lambda row: row.pop("reason")),
        _edit("unsettled", lambda row: row.update(address=None)),
        _edit("unsettled", lambda row: row.update(kind="asleep")),
        _edit("unread", lambda row: row.update(denied="no")),
        _edit("blocked", lambda row: row.update(count=-1)),
    ],
)  # fmt: skip
def test_a_line_that_is_not_of_a_plan_is_invalid_even_under_a_good_seal(saved: Path, forged: Any) -> None:
    forge(saved, forged, key=KEY)
    with pytest.raises(InvalidInput) as caught:
        read(saved)
    assert caught.value.exit_code == 3


def test_a_plan_that_was_written_before_secrets_were_bound_is_read(saved: Path) -> None:
    """Format 1 without `secrets`, and with a bare SHA-256 of the variables."""

    def earlier(row: dict[str, Any]) -> None:
        del row["secrets"]
        row["variables"] = "a" * 64

    forge(saved, _edit("bindings", earlier), key=KEY)
    bindings = read(saved).plan.bindings
    assert bindings == replace(small_plan().bindings, variables="a" * 64, secrets={})


def test_a_plan_of_a_newer_version_says_so(saved: Path) -> None:
    forge(saved, lambda lines: lines, header={"reconcile_plan": 2})
    with pytest.raises(InvalidInput, match="format 2"):
        read(saved)


@pytest.mark.parametrize(
    "content", [b"", b"fleet: depot\n", b"{}", b"PK\x03\x04", b"\xff\xfe{", b'{"reconcile_plan": 1}\n', b"null\n"]
)
def test_what_is_not_a_plan_is_invalid(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan"
    path.write_bytes(content)
    with pytest.raises(InvalidInput):
        read(path)


# ------------------------------------------------------------------ where it is written


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket is short
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def _link(path: Path) -> None:
    (path.parent / "elsewhere").write_bytes(b"precious")
    path.symlink_to("elsewhere")


@pytest.mark.parametrize(
    "make",
    [
        Path.mkdir,
        _fifo,
        _socket,
        _link,
        lambda path: path.write_text("fleet: depot\n"),
        lambda path: path.write_text("\n"),
    ],
)
def test_what_is_no_plan_is_neither_replaced_nor_read(tmp_path: Path, make: Any) -> None:
    path = tmp_path / "plan"
    make(path)
    before = path.lstat()
    with pytest.raises(InvalidInput):
        write(small_plan(), path)
    assert before.st_ino == path.lstat().st_ino
    assert not planfile.looks_like_plan(path)
    with pytest.raises(InvalidInput):
        read(path)
    if path.is_symlink():
        assert (tmp_path / "elsewhere").read_bytes() == b"precious"


@pytest.mark.parametrize("old", [b"", b'{"reconcile_plan": 1, damaged'])
def test_an_old_plan_or_an_empty_file_is_replaced(tmp_path: Path, old: bytes) -> None:
    """`plan --out $(mktemp)` works."""
    path = tmp_path / "plan"
    path.write_bytes(old)
    path.chmod(0o644)
    write(small_plan(), path)
    assert read(path).plan == small_plan()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_the_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write(small_plan(), tmp_path / "plan")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "plan").stat().st_mode) & 0o077 == 0


@pytest.mark.parametrize("path", ["missing/plan", "file/plan", "/dev/null", "/dev/full"])
def test_a_path_that_cannot_hold_a_plan_is_invalid(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInput):
        write(small_plan(), tmp_path / path)


def test_a_failed_write_leaves_the_old_plan_and_nothing_else(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReconcileError, match="No space left"):
        write(Plan(replace(EMPTY.bindings, fleet="other")), saved)
    assert [saved] == list(saved.parent.iterdir())
    assert before == saved.read_bytes()


def _with_secret(plan: Plan, place: str) -> Plan:
    secret = Secret("hunter2-canary")
    first = plan.changes[0]
    match place:
        case "fields":
            first = replace(first, fields=(FieldChange(("value",), Cause.YOU, None, secret),))
        case "options":
            plan.bindings = replace(plan.bindings, options=Options(allow={"x": secret}))
        case _:
            first = replace(first, **{place: {"value": {"deep": [secret]}}})
    plan.changes[0] = first
    return plan


@pytest.mark.parametrize("place", ["after", "before", "seen", "facts", "prints", "labels", "fields", "options"])
def test_a_secret_is_never_written(tmp_path: Path, place: str) -> None:
    with pytest.raises(TypeError) as caught:
        write(_with_secret(small_plan(), place), tmp_path / "plan")
    assert list(tmp_path.iterdir()) == []
    assert "hunter2" not in str(caught.value)


def test_a_plan_is_told_from_a_document_by_its_content(saved: Path, tmp_path: Path) -> None:
    assert planfile.looks_like_plan(saved)
    document = tmp_path / "plan.yaml"
    document.write_text("fleet: reconcile_plan\n")
    assert not planfile.looks_like_plan(document)
    assert not planfile.looks_like_plan(tmp_path)
    assert not planfile.looks_like_plan(tmp_path / "nothing")


# ------------------------------------------------------------------ comparing with a plan that was made again


@pytest.mark.parametrize(
    "other",
    [
        lambda change: replace(change, where=None, notes=("seen 3 h ago",)),
        lambda change: replace(change, seen={"version": "8"}, facts={"date": "later"}),
    ],
)
def test_what_moves_without_a_change_is_not_in_the_fingerprint(other: Any) -> None:
    plan, again = small_plan(), small_plan()
    again.changes[0] = other(again.changes[0])
    again.changes.reverse()
    again.bindings = replace(again.bindings, made="2027", expires=None)
    assert planfile.effect_of(plan) == planfile.effect_of(again)


@pytest.mark.parametrize(
    "other",
    [
        lambda change: replace(change, after={"value": SecretRef("env", "OTHER")}),
        lambda change: replace(change, before={"value": "drifted"}),
        lambda change: replace(change, action=Action.REPLACE),
        lambda change: replace(change, id="other"),
        lambda change: replace(change, parent="UV2"),
        lambda change: replace(change, fields=()),
        lambda change: replace(change, blocked=None),
        lambda change: replace(change, needs=()),
        lambda change: replace(change, protect=True),
        lambda change: replace(change, address=DEVICE.child("configs", "other")),
    ],
)
def test_whatever_would_do_something_else_is_in_the_fingerprint(other: Any) -> None:
    plan, again = small_plan(), small_plan()
    again.changes[0] = other(again.changes[0])
    assert planfile.effect_of(plan) != planfile.effect_of(again)
