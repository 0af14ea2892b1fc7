"""The words of the renderers: plurals, numbers, durations, headings, and what an action or a cause is called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from reconcile.core.address import Address
from reconcile.core.bindings import Bindings
from reconcile.core.plan import Action, Cause, FieldChange
from reconcile.core.values import SecretRef
from reconcile.errors import InvalidInput, Position
from reconcile.render.groups import was
from reconcile.render.values import apart, outside, show

NO_CHANGES = "No changes. Your infrastructure matches the configuration."

SYMBOL = {
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.REPLACE: "-/+",
    Action.DELETE: "-",
    Action.ADOPT: "~",
    Action.FORGET: ".",
    Action.NOOP: " ",
}


# What differs between two answers that say the same: the path, the request's id, SIDs and other long ids.
_OWN = re.compile(r"request id \S+|(?<=[A-Z] )/\S*|\b[A-Za-z]{0,2}[0-9a-f]{16,}\b")


def alike(words: str) -> str:
    """An API's words without what is different in each answer: equal for answers that say the same."""
    return _OWN.sub("…", words)


class Noun(Protocol):
    """What a renderer must know of a resource type; `core.resource.ResourceType` has it."""

    @property
    def noun(self) -> str:
        """What a person calls one: `device config`."""

    @property
    def singular(self) -> str:
        """What JSON calls one: `device_config`."""


Types = Mapping[str, Noun]


def singular_of(types: Types, type_path: str) -> str:
    """The noun of a type, made from its path when the type is not known."""
    known = types.get(type_path)
    return outside(known.noun if known else type_path.rpartition(".")[2].removesuffix("s").replace("_", " "))


def plural(noun: str, count: int) -> str:
    """`device` for 1, `devices` otherwise."""
    if count == 1:
        return noun
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def many(count: int, noun: str) -> str:
    """`4,050 devices`."""
    return f"{count:,} {plural(noun, count)}"


def took(seconds: float) -> str:
    """A duration as people write it: `0.4s`, `41s`, `2m06s`, `1h02m`, `3d07h`."""
    if seconds < 0.95:
        return f"{max(seconds, 0):.1f}s" if seconds > 0 else "0s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 48 * 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def place(where: Position | None) -> str:
    """`file:line`."""
    if where is None:
        return ""
    return outside(where.file) + (f":{where.line}" if where.line else "")


def asked_by(where: Position | None, origin: str | None) -> str:
    """`file:line (profile cold)`: what asks for a change."""
    said = place(where)
    if not origin:
        return said
    return f"{said} ({outside(origin)})" if said else outside(origin)


def block_name(block: str) -> str:
    """The key by which a block is known, when it is given as an address."""
    try:
        return outside(Address.parse(block).key)
    except InvalidInput:
        return outside(block)


def some(names: Iterable[object], total: int, at_most: int = 3) -> str:
    """The first names, and a mark when there are more."""
    shown = [outside(name) for _, name in zip(range(at_most), names, strict=False)]
    return ", ".join([*shown, "…"] if total > len(shown) else shown)


def scope(bindings: Bindings) -> str:
    """`fleet · account at host`: the beginning of every plan, and of the question before an apply."""
    accounts = [
        (f"{outside(provider)} " if len(bindings.accounts) > 1 else "") + f"{outside(account)} at {outside(host)}"
        for provider, (account, host) in bindings.accounts.items()
    ]
    return " · ".join([outside(bindings.fleet), *accounts])


def secret_reason(change: FieldChange, created: bool = False) -> str:
    """Why a secret is written; of one that is `created`, where it comes from."""
    if change.note:
        return outside(change.note)
    ref = outside(change.after) if isinstance(change.after, SecretRef) else ""
    if created:
        return ref
    match change.cause:
        case Cause.YOU if ref:
            return f"the value behind {ref} changed"
        case Cause.YOU:
            return "the value changed"
        case Cause.SOMEBODY:
            return "rotated by somebody else"
        case Cause.BOTH:
            return "rotated by somebody else, and the value " + (f"behind {ref} changed" if ref else "changed")
        case Cause.VALUE_UNKNOWN:
            return "value unknown: no record"
        case Cause.ADOPTION:
            return "what is live is overwritten"
        case Cause.UNIT:
            return "another unit: written again"
        case Cause.LEASE:
            return "renewed"
        case Cause.LOST | Cause.STORED:
            return "written again"
    raise AssertionError(change.cause)


def whose(change: FieldChange, created: bool = False) -> str:
    """Whose change it is, in so many words, where the section does not say it."""
    if change.note and not change.sensitive:
        return outside(change.note)
    if change.sensitive:
        return secret_reason(change, created)
    if created:
        return ""
    match change.cause:
        case Cause.SOMEBODY:
            last, now = _both(was(change), change.before)
            return f"somebody else changed it: was {last} at the last apply, is {now}"
        case Cause.BOTH:
            last, now = _both(change.prior, change.before)
            last = f"was {last} at the last apply, " if change.prior is not None else ""
            return f"both changed it: {last}somebody else made it {now}"
        case Cause.STORED:
            sent, stored = _both(was(change), change.before)
            return f"the API keeps {sent} as {stored}: write it as it is kept"
        case Cause.LEASE:
            return "renewed"
        case Cause.UNIT | Cause.YOU | Cause.ADOPTION | Cause.VALUE_UNKNOWN | Cause.LOST:
            return ""
    raise AssertionError(change.cause)


def _both(last: Any, now: Any) -> tuple[str, str]:
    if last is None or now is None:
        return _or_nothing(last), _or_nothing(now)
    return apart(last, now)


def _or_nothing(value: Any) -> str:
    return "not there" if value is None else show(value)
