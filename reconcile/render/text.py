"""
A plan as a person reads it: one screen, whatever the size of the fleet (docs/architecture.md, "How a plan is shown").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Any

from reconcile.core.options import unusual
from reconcile.core.plan import (
    Absent,
    Change,
    CheckStatus,
    NotCompared,
    Plan,
    PolicyResult,
    SettingChange,
    Unread,
    Unsettled,
    summary,
)
from reconcile.core.trust import ALLOWED_AGENTS
from reconcile.render.detail import attribute, one, since_lines
from reconcile.render.grouped import group_lines
from reconcile.render.groups import FROM, Group, PlanSection, groups
from reconcile.render.paint import BOLD, GREEN, RED, YELLOW, Paint
from reconcile.render.values import outside, show
from reconcile.render.words import NO_CHANGES, Types, alike, many, place, scope, singular_of, some, took

WIDTH = 100
MOST_SETTINGS = 20
_SHOWN_OTHERWISE = ("untrusted", "show_unchanged", "show_unmanaged")
MOST_STRANGERS = 20  # a screen has room for more, and nobody vouches for so many by hand


def plan_text(
    plan: Plan, *, types: Types, color: bool = False, width: int = WIDTH, per_s: float | None = None
) -> Iterator[str]:
    """
    The lines of a plan.

    Args:
        types: by path; only what each is called is read.
        width: columns; what stands at the right ends there.
        per_s: requests per second to expect, if anybody knows: then the time is said as well.
    """
    paint = Paint(color, width)
    by_section = groups(plan.changes)
    yield from header(plan, types, paint)
    yield from _blocked_above(plan, by_section.get(PlanSection.BLOCKED, []), types, paint)
    for section, members in by_section.items():
        if section not in (PlanSection.BLOCKED, PlanSection.RENEWAL):
            yield ""
            yield paint.heading(section.value)
            yield from _groups(members, types, paint)
    yield from setting_lines(plan.settings, paint)
    yield from policy_lines(plan.policies, paint)
    yield from unread_lines(plan.unread, types, paint)
    yield from absent_lines(plan.absent, types, paint)
    yield from one_by_one(plan, types, paint)
    yield from warning_lines(plan.warnings, paint)
    yield from not_compared_lines(plan.not_compared, types, paint)
    yield ""
    if any(change.drifted for change in plan.changes):
        yield from last_applied(plan)
    yield verdict(plan, paint)
    if plan.changed:
        yield from effort_lines(plan, per_s)
    yield from unsettled_lines(plan.unsettled, types, paint)
    yield from renewal_lines(by_section.get(PlanSection.RENEWAL, []), types, paint)
    if not plan.changed:
        yield from effort_lines(plan, per_s)
    yield from _closing(plan, paint)


def one_by_one(plan: Plan, types: Types, paint: Paint) -> Iterator[str]:
    """What needs nothing and what is in no file, where the options ask for it."""
    if plan.bindings.options.show_unmanaged:
        yield ""
        yield paint.heading(f"Not managed here: {many(len(plan.strangers), 'resource')}")
        for row in plan.strangers:
            called = f" ({outside(row.name)})" if row.name else ""
            yield f"  {singular_of(types, row.type_path)} {outside(row.id)}{called}"
    elif plan.unmanaged:
        yield ""
        yield "Not managed here: " + _by_type(plan.unmanaged, types) + "."
    if plan.bindings.options.show_unchanged:
        yield ""
        yield paint.heading(f"Unchanged: {many(len(plan.unchanged), 'resource')}")
        yield from (f"    {outside(address)}" for address in plan.unchanged)


def last_applied(plan: Plan) -> Iterator[str]:
    """Who applied last, and when; what somebody else changed was changed since then, or was overlooked by it."""
    if plan.last_run is not None:
        said = plan.last_run
        job = f", job {outside(said['job'])}" if said.get("job") else ""
        at = str(said.get("at"))[:16].replace("T", " ")
        yield f"Last applied {outside(at)} UTC by {outside(said.get('by'))}@{outside(said.get('host'))}{job}."


def header(plan: Plan, types: Types, paint: Paint) -> Iterator[str]:
    """What the plan is of, and what `apply` was told to do otherwise than usual."""
    made = plan.bindings
    if made.options.offline:
        against = f"the files against those in {outside(made.options.against)}" if made.options.against else "the files"
        trust = " · untrusted document" if made.untrusted else ""
        yield paint(f"{scope(made)} · offline: {against}; nothing live was read{trust}", BOLD)
        if counts := ", ".join(many(count, singular_of(types, path)) for path, count in plan.in_files.items()):
            yield f"In the files: {counts}."
        return
    serial = "no state yet" if made.serial is None else f"serial {made.serial}"
    read = f"{many(plan.units, 'unit')} read ({many(plan.requests, 'request')})"
    if plan.unread:
        read += f", {_unread_count(plan.unread)} not"
    trust = "untrusted document · " if plan.bindings.untrusted else ""
    yield paint(f"{scope(made)} · {trust}{serial} · {read}", BOLD)
    written = {name: value for name, value in unusual(made.options).items() if name not in _SHOWN_OTHERWISE}
    options = [_option(name, value) for name, value in written.items() if value not in (None, False, [], {}, "")]
    if options:
        yield "Options: " + "; ".join(options)


def _option(name: str, value: Any) -> str:
    name = outside(name.replace("_", "-"))
    if value is True:
        return name
    if isinstance(value, Mapping):
        return f"{name} " + ", ".join(f"{outside(key)}={outside(member)}" for key, member in value.items())
    if isinstance(value, list | tuple):
        return f"{name} " + ", ".join(outside(member) for member in value)
    return f"{name} {outside(value)}"


def setting_lines(settings: Sequence[SettingChange], paint: Paint) -> Iterator[str]:
    """What changes that no resource shows."""
    if not settings:
        return
    yield ""
    yield paint(f"Settings that change: {len(settings):,} (no resource shows them)", YELLOW)
    for row in settings[:MOST_SETTINGS]:
        before, after = ("not set" if side is None else outside(side) for side in (row.before, row.after))
        yield paint.row(3, "~", f"{outside(row.name)} = {before} -> {after}", place(row.where))
    if len(settings) > MOST_SETTINGS:
        yield f"  and {len(settings) - MOST_SETTINGS:,} more"


def policy_lines(results: Sequence[PolicyResult], paint: Paint) -> Iterator[str]:
    """What came of the policies: those that deny, those that warn, and how many passed."""
    if not results:
        return
    passed = sum(result.status is CheckStatus.PASS for result in results)
    yield ""
    yield paint.heading(f"Policies: {passed:,} of {len(results):,} passed")
    for result in sorted(results, key=lambda result: not result.denies):
        if result.status is CheckStatus.PASS:
            continue
        word, code = ("denied", RED) if result.denies else ("warning", YELLOW)
        text = f"{paint(word, code)} {outside(result.name)}: {outside(result.message)} ({many(result.count, 'change')})"
        yield paint.row(1, " ", text, place(result.where))
        if result.why:
            yield f"      {outside(result.why)}"
        yield f"      # {some(result.addresses, result.count, len(result.addresses))}"


def verdict(plan: Plan, paint: Paint) -> str:
    """The sentence that scripts parse. A plan that could not read (or compare) everything claims no agreement."""
    if plan.bindings.options.refresh_only:
        count = plan.taken_over
        if not count:
            return paint("The state has what is live: there is nothing to take over.", GREEN)
        return paint(f"{many(count, 'value')} would be taken over into the state; nothing is sent.", BOLD)
    if plan.bindings.options.offline and not plan.changed:
        return paint(_offline_verdict(plan), BOLD)
    if plan.changed or plan.unread:
        return paint(summary(plan.counts), BOLD)
    lacking = sum(not absent.waits for absent in plan.absent)
    found = [f"{many(lacking, 'resource')} {'is' if lacking == 1 else 'are'} not there yet"] if lacking else []
    if plan.not_compared:
        found.append(f"{many(len(plan.not_compared), 'secret')} could not be compared")
    if found:
        return paint(f"No changes found; {'; '.join(found)}.", BOLD)
    options = plan.bindings.options
    part = options.targets or options.excludes
    return paint(NO_CHANGES, GREEN) + ("\nThat is of what was selected; nothing is said of the rest." if part else "")


def _offline_verdict(plan: Plan) -> str:
    if plan.bindings.options.against is None:
        return f"Offline: {many(sum(plan.in_files.values()), 'resource')} in the files; nothing was compared."
    if plan.settings:
        return f"No resource changes between the two checkouts; {many(len(plan.settings), 'setting')} did."
    return "No changes between the two checkouts. Nothing live was read."


def _groups(members: list[Group], types: Types, paint: Paint) -> Iterator[str]:
    for group in members:
        yield from group_lines(group, types, paint) if group.grouped else one(group, paint)
        yield from since_lines((change for change in group.members if change.drifted), paint)


def _blocked_above(plan: Plan, members: list[Group], types: Types, paint: Paint) -> Iterator[str]:
    if not plan.blocked and not members:
        return
    yield ""
    yield paint("Blocked", RED)
    for reason in plan.blocked:
        yield f"  {outside(reason.what)}"
    yield from _groups(members, types, paint)


def _unread_count(unread: list[Unread]) -> str:
    single = sum(1 for row in unread if row.address is not None)
    listings = len(unread) - single
    said = [many(single, "resource")] if single else []
    return " and ".join([*said, many(listings, "listing")] if listings else said)


def unread_lines(unread: list[Unread], types: Types, paint: Paint) -> Iterator[str]:
    """What did not answer, by type and error; then what was not asked."""
    strangers = [row for row in unread if row.allow is not None]
    unread = [row for row in unread if row.allow is None]
    if unread:
        yield ""
        yield paint("Not read", YELLOW)
        yield from _silent_lines(unread, types)
    if strangers:
        yield ""
        yield (
            paint("Not read: not trusted yet", YELLOW)
            + " (a credential would be sent to units that nobody has vouched for)"
        )
        for row in strangers[:MOST_STRANGERS]:
            yield f"  {outside(row.address)}: {outside(row.allow)}"
        if len(strangers) > MOST_STRANGERS:
            yield f"  and {len(strangers) - MOST_STRANGERS:,} more"
        # Somebody pastes this into a shell, and a stranger wrote it.
        named = " ".join(f"--allow-agent {quote(outside(row.allow))}" for row in strangers[:3])
        more = " …" if len(strangers) > 3 else ""
        yield f"  If that is meant: {named}{more}, or {ALLOWED_AGENTS} with commas between them"


def _silent_lines(unread: list[Unread], types: Types) -> Iterator[str]:
    by_error: dict[tuple[str, bool, str], list[Unread]] = {}
    for row in unread:
        by_error.setdefault((row.type_path, row.address is None, alike(row.error)), []).append(row)
    for (type_path, listing, _), rows in by_error.items():
        error = rows[0].error
        if listing:
            yield f"  the listing of {outside(type_path)}: {outside(error)}"
        elif len(rows) < FROM:
            for row in rows:
                yield f"  {outside(row.address)}: {outside(row.error)}"
                if row.hint:
                    yield f"      {outside(row.hint)}"
        else:
            first = "" if len({row.error for row in rows}) == 1 else ", the first"
            yield f"  {many(len(rows), singular_of(types, type_path))}{first}: {outside(error)}"
            yield f"      # {some((row.address for row in rows), len(rows))}"
            if rows[0].hint:
                yield f"      {outside(rows[0].hint)}"


_NOT_COMPARED = {
    "no value": ("there is no value here", "Give them a value here"),
    "another key": (
        "recorded with another fingerprint key than is here",
        "Set RECONCILE_FINGERPRINT_KEY to that key, or --rewrite SEL writes them again",
    ),
    "not allowed": ("not allowed in an untrusted document", None),
    "offline": ("compared by reference alone", None),
}


def absent_lines(absent: Sequence[Absent], types: Types, paint: Paint) -> Iterator[str]:
    """What the account lacks, by type, and what waits for it."""
    if not absent:
        return
    yield ""
    yield paint(f"Not there yet: {many(sum(not row.waits for row in absent), 'resource')}", YELLOW)
    by_type: dict[tuple[bool, str], list[Absent]] = {}
    for row in absent:
        by_type.setdefault((row.waits, row.address.type_path), []).append(row)
    for (_, type_path), rows in by_type.items():
        if len(rows) < FROM:
            for row in rows:
                yield paint.row(2, " ", f"{outside(row.address)}: {outside(row.what)}", place(row.where))
                if row.hint:
                    yield f"      {outside(row.hint)}"
        else:
            yield f"  {many(len(rows), singular_of(types, type_path))}, the first: {outside(rows[0].what)}"
            yield f"      # {some((row.address for row in rows), len(rows))}"


def not_compared_lines(secrets: list[NotCompared], types: Types, paint: Paint) -> Iterator[str]:
    """Secrets of which nobody can tell whether they changed, by type and reason, and what makes them comparable."""
    if not secrets:
        return
    yield ""
    yield paint(f"Not compared: {many(len(secrets), 'secret')}", YELLOW)
    by_reason: dict[tuple[str, str], list[NotCompared]] = {}
    for secret in secrets:
        by_reason.setdefault((secret.reason, secret.address.type_path), []).append(secret)
    for (reason, type_path), rows in by_reason.items():
        words = _NOT_COMPARED[reason][0]
        if len(rows) < FROM:
            yield from (f"  {outside(row.address)} ({outside(row.reference)}): {words}" for row in rows)
        else:
            yield f"  {many(len(rows), singular_of(types, type_path))}: {words}"
            yield f"      # {some((f'{row.address} ({row.reference})' for row in rows), len(rows))}"
    for reason in dict.fromkeys(secret.reason for secret in secrets):
        if hint := _NOT_COMPARED[reason][1]:
            yield f"  {hint}"


def unsettled_lines(unsettled: list[Unsettled], types: Types, paint: Paint) -> Iterator[str]:
    """What the API accepted and units have not done, or could not do."""
    for kind, title, means, code in (
        ("pending", "Pending", "accepted by the API, not yet done by the unit", YELLOW),
        ("failed", "Failed", "the unit did not do it, and nothing is sent to it again by itself", RED),
    ):
        rows = [row for row in unsettled if row.kind == kind]
        if not rows:
            continue
        yield paint(f"{title}: {many(len(rows), 'resource')} ({means})", code)
        same: dict[tuple[str, str, tuple[str, ...]], list[Unsettled]] = {}
        for row in rows:
            names = tuple(name for name, _ in _held(row.holds))
            same.setdefault((row.address.type_path, row.detail, names), []).append(row)
        for (type_path, detail, names), members in same.items():
            if len(members) < FROM:
                for row in members:
                    yield f"  {outside(row.address)}: {outside(detail)}{_since(row)}"
                    if row.holds:
                        said = (f"{name} = {show(value)}" for name, value in _held(row.holds))
                        yield f"      # {some(said, len(names), 4)}"
                continue
            oldest = min((row for row in members if row.since), key=lambda row: row.since or "", default=None)
            tail = _since(oldest).replace(", ", ", oldest ", 1) if oldest else ""
            yield f"  {many(len(members), singular_of(types, type_path))}: {outside(detail)}{tail}"
            yield f"      # {some((row.address for row in members), len(members))}"
            if names:
                yield f"      # {some(names, len(names), 4)}"


def _since(row: Unsettled) -> str:
    if not row.since:
        return ""
    return f", since {outside(row.since)}" + (f" ({took(row.age_s)})" if row.age_s is not None else "")


def _held(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """What waits, by the last two parts of its path: `geofence.radius`."""
    for key, member in value.items():
        if isinstance(member, Mapping) and member:
            yield from _held(member, (*path, key))
        else:
            yield attribute((*path, key)[-2:]), member


def renewal_lines(members: list[Group], types: Types, paint: Paint) -> Iterator[str]:
    """Leases that an apply renews."""
    if not members:
        return
    total = sum(len(group.members) for group in members)
    yield paint(f"Leases to renew: {many(total, 'resource')} (renewed by apply; no change)", YELLOW)
    for group in members:
        what = sorted({".".join(field.path) for fields in group.fields for field in fields})
        tail = f" {', '.join(outside(name) for name in what)}" if what else ""
        names = some((change.address for change in group.members), len(group.members))
        lead = f"{many(len(group.members), singular_of(types, group.type_path))}{tail}: " if group.grouped else ""
        yield f"  {lead}{names}" + ("" if group.grouped else tail)


def warning_lines(warnings: list[str], paint: Paint) -> Iterator[str]:
    """One line for each different warning."""
    counts: dict[str, int] = {}
    for warning in warnings:
        counts[warning] = counts.get(warning, 0) + 1
    if counts:
        yield ""
    for warning, count in counts.items():
        yield f"{paint('Warning:', YELLOW)} {outside(warning)}" + (f" ({count:,} times)" if count > 1 else "")


def effort_lines(plan: Plan, per_s: float | None) -> Iterator[str]:
    """How many units it touches, how much there is to send, and what needs nothing."""
    said = []
    if plan.changed:
        touched = [change for change in plan.changes if any(change.counts)]
        said.append(f"On {many(units_of(touched), 'unit')}.")
    if plan.expected_requests:
        time = f", {took(plan.expected_requests / per_s)} at {per_s:,.0f}/s" if per_s else ""
        said.append(f"About {many(plan.expected_requests, 'request')}{time}.")
    if same := sum(plan.in_sync.values()):
        said.append(f"{many(same, 'resource')} {'needs' if same == 1 else 'need'} nothing.")
    if plan.changed and not plan.refused:
        said.append("Nothing is blocked.")
    if said:
        yield " ".join(said)


def _closing(plan: Plan, paint: Paint) -> Iterator[str]:
    if silent := [row for row in plan.unread if row.allow is None]:
        yield paint("Incomplete:", RED) + (
            f" {_unread_count(silent)} could not be read; nothing is done to what was not read,"
            " nothing is deleted because it was not seen."
        )
    for reason in plan.blocked:
        yield f"{paint('Blocked:', RED)} {outside(reason.what)}"
        if reason.hint:
            yield f"  {outside(reason.hint)}"
    if refused := sum(1 for change in plan.changes if change.blocked):
        yield f"{paint('Blocked:', RED)} {many(refused, 'change')} above; apply refuses this plan."
    elif plan.blocked:
        yield "apply refuses this plan."


def units_of(changes: list[Change]) -> int:
    """How many root resources the changes are of."""
    return len({change.address if _is_root(change) else change.address.root for change in changes})


def _is_root(change: Change) -> bool:
    return "[" not in change.address and change.address.count(".") == 2


def _by_type(counts: Mapping[str, int], types: Types) -> str:
    return ", ".join(many(count, singular_of(types, path)) for path, count in counts.items() if count)
