"""Whatever somebody writes into a plan file, it is refused or shown, and nothing breaks over it."""

from __future__ import annotations

import copy
import hashlib
import json
import random
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconcile import planfile
from reconcile.cli.saved import check_agreement, read_saved
from reconcile.core.address import Address
from reconcile.core.bindings import Bindings, check_bindings
from reconcile.core.options import Options
from reconcile.core.plan import Action, Blocked, Cause, Change, FieldChange, Plan, Reason, Unread, Unsettled
from reconcile.core.values import FileRef, Ref, SecretRef
from reconcile.errors import InvalidInput, Position, Refused
from reconcile.render.drift import drift_text
from reconcile.render.json.plan import plan_json_text
from reconcile.render.show import change_text
from reconcile.render.text import plan_text
from reconcile.wiring import registry, types_of_plan

NOW = datetime(2026, 1, 2, tzinfo=UTC)
GIVEN = {
    "var": (),
    "var_files": (),
    "allow_hosts": (),
    "state": None,
    "root": None,
    "auto_approve": True,
    "wait": "accepted",
    "timeout": 600.0,
    "lock_timeout": 0.0,
}
HERE = Bindings("f", ".", tool="0.1.0", made=NOW.isoformat())
ODD: list[Any] = [
    None, True, False, 0, 1, -1, 1.5, 10**300, 2**64, "", "x", "\x1b[2J", "\ud800", "\x00", "a.b.c", "a" * 5000,
    "2026-01-01T00:00:00+00:00", "create", "delete", "you", "pending", [], [[]], ["x"], [1], ["f", 1, 1, None], {},
    {"x": 1}, {"$secret": "env:X"}, {"$secret": 1}, {"$ref": "m", "name": "n"}, {"$unknown": "x"}, {"$map": {"$x": 1}},
    {"$file": "x", "sha256": None}, {"a": {"b": {"c": [1, {"d": None}]}}},
]  # fmt: skip


def device(number: int) -> Address:
    return Address.of("microvisor.devices", [f"d{number}"])


def rich_plan(action: Action, reason: Reason) -> Plan:
    """Single changes and groups, with every kind of value and everything else that a plan may hold."""
    where = Position("fleet.yaml", 3, 5, 2)
    values: list[tuple[Any, Any]] = [
        ("a", "b"), (None, 1), ({"x": {"y": 1}}, {"x": {"y": 2}, "$z": 1}), ("1\n2", "1\n3"), ([1], [2]),
        (None, SecretRef("env", "PSK")), (None, FileRef("x.bin", "ab")), (1, Ref("microvisor.apps", "a")),
        (1.5, 2.5),
    ]  # fmt: skip

    def change(number: int, address: Address, block: str | None, pair: tuple[Any, Any]) -> Change:
        before, after = pair
        cause = list(Cause)[number % len(Cause)]
        part = FieldChange(("value",), cause, before, after, prior=before, sensitive=after is None, where=where)
        return Change(
            address, action, reason, id=f"UV{number}", name="n", parent="UV", after={"value": after, "k": {"l": 1}},
            before={"value": before}, seen={"version": 1}, fields=(part,), prints={"value": {"key_id": "k"}},
            block=block, labels={"site": "north"}, needs=(device(99),), where=where, notes=("note",),
            former="UVx", wave=2,
        )  # fmt: skip

    changes = [change(at, device(at), None, pair) for at, pair in enumerate(values)]
    changes += [
        change(1, device(20 + at).child("configs", "a.b"), "microvisor.devices.many", ("a", f"b{at % 2}"))
        for at in range(6)
    ]
    return Plan(
        Bindings(
            "f", ".", "lineage", 3, "a" * 64, "", {"microvisor": ("AC", "api")}, "0.1.0", NOW.isoformat(),
            None, Options(("microvisor.devices",), (), {"delete": 3}, ("a",), destroy=True),
        ),
        changes,
        [Unsettled(device(at), "pending", "staged", NOW.isoformat(), 5, {"a": {"b": 1}}) for at in range(5)],
        [Unread("microvisor.apps", None, "503"), *(Unread("microvisor.devices", device(at), "403") for at in range(5))],
        [Blocked("too many", "--allow delete=3", "delete", 3)],
        ["a warning", "a warning"],
        {"microvisor.devices": 5}, {"microvisor.apps": 1}, 6, 7, 8, 9,
    )  # fmt: skip


def nodes(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a JSON value, with each of its keys."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in list(pairs):
        yield value, key
        yield from nodes(member)


def forged(lines: list[Any], rng: random.Random) -> list[Any]:
    """The lines with one to three changes at random."""
    out = copy.deepcopy(lines)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(out))
        match rng.randrange(12):
            case 0:
                out.insert(at, copy.deepcopy(out[at]))
            case 1 if len(out) > 3:
                del out[at]
            case 2:
                other = rng.randrange(len(out))
                out[at], out[other] = out[other], out[at]
            case _:
                found = list(nodes(out[at]))
                if not found:
                    continue
                holder, key = rng.choice(found)
                match rng.randrange(5):
                    case 0:
                        del holder[key]
                    case 1 if isinstance(holder, dict):
                        name = rng.choice(["x", "$secret", "run", "protect", "blocked", "moved_from"])
                        holder[name] = copy.deepcopy(rng.choice(ODD))
                    case _:
                        holder[key] = copy.deepcopy(rng.choice(ODD))
    return out


def put(file: Path, lines: list[Any]) -> None:
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    header = {"reconcile_plan": 1, "sha256": hashlib.sha256(body).hexdigest(), "seal": None, "key_id": None}
    header["check"] = hashlib.sha256(json.dumps(header).encode()).hexdigest()[:16]
    file.write_bytes(json.dumps(header).encode() + b"\n" + body)


def used(file: Path, rng: random.Random) -> None:
    """Everything that is done with a plan before it is carried out."""
    plan = planfile.read(file, seal_key=None, key_id=None).plan
    types = types_of_plan(plan, registry())
    shown = "\n".join(plan_text(plan, types=types))
    for change in rng.sample(plan.changes, min(2, len(plan.changes))):
        shown += "\n".join(change_text(plan, change.address, types=types))
    shown += "\n".join(change_text(plan, "microvisor.devices", types=types))
    shown += "\n".join(drift_text(plan, types=types))
    assert "\x1b" not in shown
    shown.encode()
    json.loads("".join(plan_json_text(plan, types)))
    planfile.effect_of(plan)
    saved = planfile.read(file, seal_key=None, key_id=None)
    checks: list[Callable[[], object]] = [
        lambda: check_bindings(plan.bindings, HERE, NOW),
        lambda: check_agreement(saved, rich_plan(Action.UPDATE, Reason.MOVED)),
        lambda: read_saved({**GIVEN, "path": str(file)}, Options()),
    ]
    for check in checks:
        try:
            check()
        except (InvalidInput, Refused) as error:
            assert error.problems


def trial(file: Path, rounds: int, seed: int) -> tuple[int, int]:
    """How many forged files were refused, and how many taken."""
    rng = random.Random(seed)
    plans = []
    for action in Action:
        planfile.write(rich_plan(action, rng.choice(list(Reason))), file, seal_key=None, key_id=None)
        plans.append([json.loads(line) for line in file.read_bytes().splitlines()[1:]])
    for lines in plans:
        put(file, lines)
        used(file, rng)
    refused = 0
    for _ in range(rounds):
        put(file, forged(rng.choice(plans), rng))
        try:
            used(file, rng)
        except InvalidInput:
            refused += 1
    return refused, rounds - refused


def test_a_forged_plan_is_refused_or_shown_and_breaks_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("RECONCILE_FINGERPRINT_KEY", raising=False)
    refused, taken = trial(tmp_path / "plan", 250, 0)
    assert refused > 100
    assert taken > 20  # else the forger of this test is too clumsy to show anything


if __name__ == "__main__":
    print(trial(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
