"""
A plan as programs read it.

It has the `format_version` 1.2 shape of the field, so that policy and summary tools made for it work; what is ours sits
under `reconcile`, at the end and in each change. Nothing is grouped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconcile.core.digest import digest_of_change
from reconcile.core.options import unusual
from reconcile.core.plan import Action, Cause, Change, FieldChange, Plan, PolicyResult, Reason
from reconcile.core.seal import Seal
from reconcile.core.values import SecretRef
from reconcile.render.groups import section_of, was
from reconcile.render.json.values import (
    copied,
    dumps,
    masked,
    names,
    plain,
    position_json,
    put,
    sensitive,
)
from reconcile.render.report import PlanReport
from reconcile.render.words import Types

FORMAT_VERSION = "1.2"
TERRAFORM_VERSION = "1.11.4"  # whose shape this is: without it, tools of the field do not believe that it is a plan


def report_json(report: PlanReport) -> Iterator[str]:
    """A plan, or what somebody else changed, for programs."""
    yield from plan_json_text(report.plan, report.types, report.seal, report.digest)
    yield "\n"


def plan_json(plan: Plan, types: Types, seal: Seal | None = None, digest: str | None = None) -> dict[str, Any]:
    """The whole plan as one value; `plan_json_text` streams the same."""
    head, tail = _frame(plan, seal, digest)
    drift = [_drift(change, types) for change in plan.changes if change.drifted]
    changes = [_change(row, types) for row in plan.changes]
    planned = {"root_module": {"resources": list(_planned(plan, types))}}
    return {**head, "resource_drift": drift, "resource_changes": changes, "planned_values": planned, **tail}


def plan_json_text(plan: Plan, types: Types, seal: Seal | None = None, digest: str | None = None) -> Iterator[str]:
    """
    The lines of the same JSON, one change a line, so that a large plan is never whole in memory.

    Args:
        seal: of the file that holds the plan, if one does. digest: of the plan, if it has one.
    """
    head, tail = _frame(plan, seal, digest)
    yield "{"
    for name, value in head.items():
        yield f"{dumps(name)}: {dumps(value)},"
    yield '"resource_drift": ['
    yield from _listed(_drift(change, types) for change in plan.changes if change.drifted)
    yield '], "resource_changes": ['
    yield from _listed(_change(change, types) for change in plan.changes)
    yield '], "planned_values": {"root_module": {"resources": ['
    yield from _listed(_planned(plan, types))
    yield "]}},"
    yield (
        ", ".join(f"{dumps(name)}: {dumps(value)}" for name, value in tail.items()) + "}"
    )  # one line: some tools insist


def _listed(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    before: str | None = None
    for row in rows:
        if before is not None:
            yield before + ","
        before = dumps(row)
    if before is not None:
        yield before


def seal_json(seal: Seal) -> dict[str, Any]:
    """Whether somebody who has the key that is here vouches for the file, and which key the file names."""
    return {"verified": seal.verified, "key_id": seal.key_id}


def absent_json(plan: Plan) -> list[dict[str, Any]]:
    """What is not there yet, and what waits for it."""
    return [
        {
            "address": str(row.address),
            "what": row.what,
            "hint": row.hint,
            "waits": row.waits,
            "where": position_json(row.where),
        }
        for row in plan.absent
    ]


def not_compared_json(plan: Plan) -> list[dict[str, str]]:
    """Secrets of which nobody can tell here whether they changed."""
    return [
        {"address": str(row.address), "attribute": row.name, "reference": str(row.reference), "reason": row.reason}
        for row in plan.not_compared
    ]


def _frame(plan: Plan, seal: Seal | None, digest: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    made = plan.bindings
    imported, added, changed, destroyed, forgotten = plan.counts
    head = {
        "format_version": FORMAT_VERSION,
        "terraform_version": TERRAFORM_VERSION,
        "timestamp": made.made,
        "errored": False,
        "complete": plan.complete,
        "applyable": bool(plan.changes) and plan.applicable,
    }
    ours: dict[str, Any] = {
        "version": made.tool,
        "digest": digest,
        "fleet": made.fleet,
        "untrusted": plan.bindings.untrusted,
        "last_run": None if plan.last_run is None else dict(plan.last_run),
        "bindings": {
            "path": made.path,
            "lineage": made.lineage,
            "serial": made.serial,
            "document": made.document,
            "variables": made.variables,
            "accounts": {name: {"account": at[0], "host": at[1]} for name, at in made.accounts.items()},
            "expires": made.expires,
            "options": plain(unusual(made.options)),
        },
        "summary": {
            "import": imported,
            "add": added,
            "change": changed,
            "destroy": destroyed,
            "forget": forgotten,
            "units": plan.units,
            "requests": plan.requests,
            "expected_requests": plan.expected_requests,
            "in_sync": dict(plan.in_sync),
            "unresolved_secrets": plan.unresolved_secrets,
        },
        "pending": _unsettled(plan, "pending"),
        "failed": _unsettled(plan, "failed"),
        "renewals": [str(change.address) for change in plan.changes if _renews(change)],
        "unread": [
            {
                "type_path": row.type_path,
                "address": None if row.address is None else str(row.address),
                "error": row.error,
                "denied": row.denied,
                **({} if row.allow is None else {"allow_agent": row.allow}),
                **({} if row.hint is None else {"hint": row.hint}),
            }
            for row in plan.unread
        ],
        "blocked": [{"what": row.what, "hint": row.hint, "kind": row.kind, "count": row.count} for row in plan.blocked],
        "absent": absent_json(plan),
        "not_compared": not_compared_json(plan),
        "warnings": list(plan.warnings),
        "policies": [
            {
                "name": row.name,
                "kind": "deny" if row.denies else "warn",
                "status": row.status.value,
                "message": row.message,
                "count": row.count,
                "addresses": list(row.addresses),
                "why": row.why,
                "where": position_json(row.where),
            }
            for row in plan.policies
        ],
        "unmanaged": dict(plan.unmanaged),
    }
    if made.options.offline:
        ours["in_files"] = dict(plan.in_files)
        ours["settings"] = [
            {"name": row.name, "before": row.before, "after": row.after, "where": position_json(row.where)}
            for row in plan.settings
        ]
    if made.options.show_unchanged:
        ours["unchanged"] = list(plan.unchanged)
    if made.options.show_unmanaged:
        ours["strangers"] = [{"type_path": row.type_path, "id": row.id, "name": row.name} for row in plan.strangers]
    if seal is not None:
        ours["seal"] = seal_json(seal)
    checks = [_check(row) for row in plan.policies]
    providers = {name: {"name": name, "full_name": f"reconcile/{name}"} for name in made.accounts}
    return head, {
        "configuration": {"provider_config": providers, "root_module": {}},
        "checks": checks,
        "reconcile": ours,
    }


def _check(row: PolicyResult) -> dict[str, Any]:
    """What came of a policy, in the field's shape."""
    problems = [{"message": row.message if row.why is None else f"{row.message} ({row.why})"}]
    instances = [
        {"address": {"to_display": str(address)}, "status": row.status.value, "problems": problems}
        for address in row.addresses
    ]
    address = {"kind": "check", "name": row.name, "to_display": f"check.{row.name}"}
    return {"address": address, "status": row.status.value, "instances": instances}


def _planned(plan: Plan, types: Types) -> Iterator[dict[str, Any]]:
    """What would be there afterwards, of what changes: as tools of the field look it up."""
    for change in plan.changes:
        sides = _sides(change)
        if sides["after"] is not None:
            hidden = sides["after_sensitive"]
            yield {**names(change.address, types), "values": sides["after"], "sensitive_values": hidden}


def _renews(change: Change) -> bool:
    return change.reason is Reason.LEASE_ENDS or any(field.cause is Cause.LEASE for field in change.fields)


def _unsettled(plan: Plan, kind: str) -> list[dict[str, Any]]:
    return [
        {
            "address": str(row.address),
            "detail": row.detail,
            "since": row.since,
            "age_s": row.age_s,
            "holds": dict(row.holds),
        }
        for row in plan.unsettled
        if row.kind == kind
    ]


def _change(change: Change, types: Types) -> dict[str, Any]:
    out = names(change.address, types)
    if change.moved_from is not None:
        out["previous_address"] = str(change.moved_from)
    out["action_reason"] = change.reason.value
    out["change"] = _sides(change)
    ours: dict[str, Any] = {
        "action": change.action.value,
        "section": section_of(change).name.lower(),
        "id": change.id,
        "block": change.block,
        "wave": change.wave,
        "where": position_json(change.where),
        "labels": dict(change.labels),
        "digest": digest_of_change(change),
        "causes": [_cause(field) for field in change.fields],
    }
    if change.drifted and change.written is not None:
        ours["written"] = change.written
    for name in ("former", "former_name", "temporary", "blocked"):
        if (value := getattr(change, name)) is not None:
            ours[name] = value
    for name in ("protect", "on_removal", "needs", "notes"):
        if value := getattr(change, name):
            ours[name] = plain(value)
    out["reconcile"] = ours
    return out


def _sides(change: Change) -> dict[str, Any]:
    comes, goes = change.action is Action.CREATE, change.action in (Action.DELETE, Action.FORGET)
    secrets = _secrets(change.fields)
    wanted = change.after if change.after or change.action is not Action.NOOP else change.before
    unknown = {"id": True} if comes and change.id is None else {}
    hidden_before, hidden_after = ({**sensitive(side), **secrets} for side in (change.before, wanted))
    out: dict[str, Any] = {
        "actions": change.actions,
        "before": None if comes else masked(plain(change.before), hidden_before),
        "after": None if goes else masked(plain(wanted), hidden_after),
        "after_unknown": {} if goes else unknown,
        "before_sensitive": False if comes else hidden_before,
        "after_sensitive": False if goes else hidden_after,
    }
    if change.action is Action.ADOPT:
        out["importing"] = {"id": change.id}
    return out


def _secrets(fields: Iterable[FieldChange]) -> dict[str, Any]:
    marks: dict[str, Any] = {}
    for field in fields:
        if field.sensitive:
            put(marks, field.path, True)
    return marks


def _drift(change: Change, types: Types) -> dict[str, Any]:
    """What somebody else did: from what was applied to what is live."""
    out = names(change.address, types)
    out["action_reason"] = change.reason.value
    gone = change.reason is Reason.GONE
    fields = [field for field in change.fields if field.cause in (Cause.SOMEBODY, Cause.BOTH)]
    live: dict[str, Any] = copied(plain(change.before))
    applied: dict[str, Any] = copied(live)
    for field in fields:
        if not field.sensitive:
            put(applied, field.path, plain(was(field)))
            put(live, field.path, plain(field.before))
    hidden = {**sensitive(change.before), **_secrets(fields)}
    out["change"] = {
        "actions": ["delete"] if gone else ["update"],
        "before": masked(applied, hidden),
        "after": None if gone else masked(live, hidden),
        "after_unknown": {},
        "before_sensitive": hidden,
        "after_sensitive": False if gone else hidden,
    }
    out["reconcile"] = {"id": change.id, "causes": [_cause(field) for field in fields]}
    return out


def _cause(field: FieldChange) -> dict[str, Any]:
    out: dict[str, Any] = {"path": list(field.path), "cause": field.cause.value, "where": position_json(field.where)}
    if field.origin:
        out["origin"] = field.origin
    if field.note:
        out["note"] = field.note
    if field.prior is not None and not field.sensitive:
        out["prior"] = plain(field.prior)
    if isinstance(field.after, SecretRef):
        out["reference"] = str(field.after)
    return out
