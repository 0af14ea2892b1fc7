"""
Policies: what a plan may not do, or only with a word, judged over each change (docs/document.md, "Policies"). Pure.

An expression sees `change` and `summary` and nothing else. What is not there is none; a secret, and what is only known
after the apply, can be read by no expression: whoever reads one cannot tell, and that counts as denied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconcile.core.plan import Action, Blocked, Change, CheckStatus, Plan, PolicyResult
from reconcile.core.ports import PolicyRule
from reconcile.core.resource_type import ResourceType
from reconcile.core.tree import get
from reconcile.core.values import FileRef, Ref, Secret, SecretRef
from reconcile.errors import Flaw

NAMES = ("change", "summary")
"""What the expression of a policy sees."""
SHOWN = 5  # changes that a result names


class Untold:
    """Stands for a value that no expression may read."""

    __slots__ = ("why",)

    def __init__(self, why: str) -> None:
        self.why = why

    def __eq__(self, other: object) -> bool:
        raise self.flaw()

    __hash__ = None  # type: ignore[assignment]

    def flaw(self) -> Flaw:
        """What is said to whoever reads it."""
        return Flaw(f"cannot tell: {self.why}", kind="untold")


class Seen(dict[str, Any]):
    """A map in which what is not there is none, and what nobody may read says so."""

    def look(self, key: str) -> Any:
        """The member. Raises Flaw where it may not be read."""
        value = self.get(key)
        if isinstance(value, Untold):
            raise value.flaw()
        return value


def judge(plan: Plan, policies: Iterable[PolicyRule], types: Mapping[str, ResourceType]) -> None:
    """Judges every change that does something, notes what came of it, and blocks the plan where it is denied."""
    changes = [change for change in plan.changes if any(change.counts) or change.fields]
    imported, added, changed, destroyed, forgotten = plan.counts
    summary = {"import": imported, "add": added, "change": changed, "destroy": destroyed, "forget": forgotten}
    views = [_view(change, types) for change in changes]
    for policy in dict.fromkeys(policies):
        result = _judged(policy, changes, views, Seen(summary))
        plan.policies.append(result)
        if policy.denies and result.status is not CheckStatus.PASS:
            what = f"the policy {policy.name} denies {_count(result.count)}: {policy.message}"
            plan.blocked.append(Blocked(f"{what} ({result.why})" if result.why else what, None, "policy", result.count))


def _judged(policy: PolicyRule, changes: Sequence[Change], views: Sequence[Seen], summary: Seen) -> PolicyResult:
    held: list[Change] = []
    untold: list[Change] = []
    why: str | None = None
    for change, view in zip(changes, views, strict=True):
        try:
            answer = policy.judge({"change": view, "summary": summary})
            if not isinstance(answer, bool):
                raise Flaw(f"cannot tell: the expression gives {_kind(answer)}, neither true nor false")
        except Flaw as flaw:
            untold.append(change)
            why = why or flaw.what
            continue
        if answer:
            held.append(change)
    status = CheckStatus.FAIL if held else CheckStatus.UNKNOWN if untold else CheckStatus.PASS
    named = tuple(change.address for change in [*held, *untold][:SHOWN])
    return PolicyResult(
        policy.name, policy.denies, status, policy.message, len(held) + len(untold), named, why, policy.where
    )


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _count(count: int) -> str:
    return "1 change" if count == 1 else f"{count:,} changes"


def _view(change: Change, types: Mapping[str, ResourceType]) -> Seen:
    path, provider = change.address.type_path, change.address.provider
    before, after = _side(change.before), _side(change.after)
    leaves = change.action in (Action.DELETE, Action.FORGET)
    for part in change.fields:
        if part.sensitive:
            _hide(before, part.path, "it is a secret")
            _hide(after, part.path, "it is a secret")
    if change.action is Action.CREATE:
        after.setdefault("id", Untold("it is known after the apply"))
    return Seen(
        {
            "address": str(change.address),
            "type": f"{provider}_{types[path].singular}",
            "name": change.address.name,
            "provider": provider,
            "block": change.block,
            "actions": change.actions,
            "labels": Seen(change.labels),
            "before": Seen() if change.action is Action.CREATE else before,
            "after": Seen() if leaves else after,
        }
    )


def _side(attrs: Mapping[str, Any]) -> Seen:
    return Seen({name: _plain(value) for name, value in attrs.items()})


def _plain(value: Any) -> Any:
    match value:
        case SecretRef() | Secret():
            return Untold("it is a secret")
        case FileRef():
            return Seen({"path": value.path, "sha256": value.sha256})
        case Ref():
            return value.name
        case Mapping():
            return Seen({str(key): _plain(member) for key, member in value.items()})
        case list() | tuple():
            return [_plain(member) for member in value]
    return value


def _hide(side: Seen, path: tuple[str, ...], why: str) -> None:
    above = get(side, path[:-1]) if len(path) > 1 else side
    if isinstance(above, Seen):
        above[path[-1]] = Untold(why)
