"""
Guards, which refuse a plan: limits, an emptied document, and `protect` (docs/document.md, "Limits").

A guard never hides anything: the plan is shown, marked blocked, and only `apply` refuses, with the words that allow it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconcile.core.bindings import check_trust
from reconcile.core.plan import Action, Blocked, Cause, Change, NotCompared, Plan
from reconcile.core.ports import Limit
from reconcile.errors import InvalidInput, Problem, Refused

KINDS = ("delete", "forget", "replace", "change")
UNKNOWN_SECRETS = "unknown-secrets"
ALLOWED = (*KINDS, UNKNOWN_SECRETS)
"""What `--allow KIND=N` raises."""

_DEFAULT = Limit(number=10, share=0.05)
_DEFAULTS = {"change": Limit(number=100, share=0.5)}
_UNASKED = (Cause.SOMEBODY, Cause.BOTH, Cause.VALUE_UNKNOWN)


def guard(
    plan: Plan,
    limits: Mapping[str, Limit],
    allow: Mapping[str, int],
    held: Mapping[str, int],
    wanted: int,
    nouns: Mapping[str, str],
) -> None:
    """
    Adds to `plan.blocked` the limits that the plan exceeds.

    Args:
        allow: ceilings of `--allow KIND=N`.
        held: the number of resources of each type in the state; of what is live, where it holds none yet.
        wanted: the number of resources in the files; 0 against a state that is not empty is refused.
        nouns: the word for a resource of each type.
    """
    total = sum(held.values())
    leaving = sum(change.action in (Action.DELETE, Action.FORGET) for change in plan.changes)
    if wanted == 0 and leaving:
        plan.blocked.append(
            Blocked(
                f"the files declare no resources, but the state has {total}",
                "If that is meant, `reconcile destroy` lets go of everything",
                "empty",
                leaving,
            )
        )
        return
    for kind, counts in _counts(plan, "change" in limits).items():
        most = max(counts.values(), default=0)  # one --allow for all types of a kind
        default = _DEFAULTS.get(kind, _DEFAULT)
        usual = f" (the default: {default.number} or {default.share:.0%}, whichever is more)".replace("%", " %")
        for type_path, count in counts.items():
            ceiling = _ceiling(limits.get(kind), default, held.get(type_path, 0))
            if ceiling is None or count <= max(ceiling, allow.get(kind, 0)):
                continue
            noun = nouns[type_path] + ("" if count == 1 else "s")
            done = {"delete": "deleted", "forget": "forgotten", "replace": "replaced", "change": "changed"}[kind]
            plan.blocked.append(
                Blocked(
                    f"{count:,} {noun} would be {done}, limits.{kind} is {ceiling:,}"
                    + ("" if kind in limits else usual),
                    f"If that is meant: --allow {kind}={most}",
                    kind,
                    count,
                )
            )


def _counts(plan: Plan, every_change: bool) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
    forgotten = {change.address for change in plan.changes if change.action is Action.FORGET}
    for change in plan.changes:
        kind = {
            Action.DELETE: "delete",
            Action.FORGET: "forget",
            Action.REPLACE: "replace",
            Action.UPDATE: "change" if every_change or _is_unasked(change) else None,
            Action.ADOPT: "change" if _is_unasked(change) else None,
        }.get(change.action)
        # What is forgotten together with its device is counted with the device.
        if kind is None or (kind == "forget" and change.address.parent in forgotten):
            continue
        of_type = counts[kind]
        of_type[change.address.type_path] = of_type.get(change.address.type_path, 0) + 1
    return counts


def _is_unasked(change: Change) -> bool:
    """True if it replaces what somebody else set, or a value that nobody knows: no file was edited for that."""
    return any(part.overwrites or part.cause in _UNASKED for part in change.fields)


def _ceiling(limit: Limit | None, default: Limit, held: int) -> int | None:
    if limit is None:
        return max(default.number or 0, int((default.share or 0) * held))
    if limit.share is not None:
        return int(limit.share * held) if limit.share < 1 else None
    return limit.number


def refuse_not_compared(secrets: Sequence[NotCompared], allow: Mapping[str, int]) -> None:
    """
    Raises when more secrets could not be compared than `--allow unknown-secrets=N` lets through.

    An apply over them would say that all is well, and nobody knows.

    Raises:
        InvalidInput: naming them.
    """
    if len(secrets) <= allow.get(UNKNOWN_SECRETS, 0):
        return
    count = "1 secret" if len(secrets) == 1 else f"{len(secrets):,} secrets"
    why = {
        "no value": "there is no value here",
        "another key": "recorded with another fingerprint key than is here",
        "not allowed": "not allowed in an untrusted document",
        "offline": "nobody asked for its value",
    }
    named = "; ".join(f"{secret.address} ({secret.reference}): {why[secret.reason]}" for secret in secrets[:3])
    more = f"; and {len(secrets) - 3:,} more" if len(secrets) > 3 else ""
    raise InvalidInput(
        Problem(
            f"{count} could not be compared: {named}{more}",
            hint="Give the value (or the key) here, or write it again with --rewrite; if they may stay as they are:"
            f" --allow {UNKNOWN_SECRETS}={len(secrets)}",
        )
    )


def refuse(plan: Plan) -> None:
    """
    Raises when a guard blocks the plan, or it is of an untrusted document.

    Raises:
        Refused: with every reason, and the words that allow it.
    """
    check_trust(plan.bindings)
    problems = [Problem(f"Blocked: {blocked.what}", hint=blocked.hint) for blocked in plan.blocked]
    problems += [
        Problem(f"Blocked: {change.address}: {change.blocked}", change.where)
        for change in plan.changes
        if change.blocked
    ]
    if problems:
        raise Refused(*problems)
