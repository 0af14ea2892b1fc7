"""From the first apply to the last: made or taken over, left alone, changed from the document, and gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconcile.conformance.bench import Bench, Lab
from reconcile.conformance.checks.check import check
from reconcile.conformance.subject import Subject
from reconcile.core.resource import Entry, entry_from_json

MANY = 5  # resources: more than two pages of the smallest size


@check()
def the_case_sets_every_field(lab: Lab) -> None:
    """The case sets every field of the model, and to two values: what it leaves out is not under test."""
    unset = lab.subject.unset
    assert not unset, (
        f"the case of {lab.case.type} has no two values for {', '.join(unset)}: give `entry` and `other` one each, or "
        f"say why not in `left_out`"
    )
    stale = lab.subject.left_out_in_vain
    assert not stale, f"`left_out` names {', '.join(stale)}, which is no field that the case could set"


@check()
def what_is_written_is_live_after_an_apply(lab: Lab) -> None:
    """What is not there is made, what is hardware is adopted; then the server holds what the document says."""
    bench = lab.bench()
    member = lab.subject.member()
    bench.write(member)
    change = bench.changes().get(member.address)
    assert change is not None, f"the plan says nothing of {member.address}: {bench.history[-1]}"
    if lab.subject.creates:
        assert change["change"]["actions"] == ["create"], f"{member.address} is not to be made: {bench.history[-1]}"
    else:
        assert "importing" in change["change"], f"{member.address} is not to be adopted: {bench.history[-1]}"
    assert not bench.changing(bench.history[-1]), f"a plan changes something: {bench.history[-1]}"
    bench.apply_well()
    bench.assert_live("after the first apply")


@check()
def a_second_plan_is_empty_and_a_second_apply_sends_nothing(lab: Lab) -> None:
    """The plan after an apply is empty; another apply reads, changes nothing and leaves the state as it is."""
    bench = lab.bench()
    bench.write(lab.subject.member())
    bench.apply_well()
    _assert_quiet(bench, "after the first apply")
    bench.write(lab.subject.member(other=True))
    bench.apply_well()
    _assert_quiet(bench, "after an apply that changed every field")


def _assert_quiet(bench: Bench, when: str) -> None:
    bench.assert_in_sync(when)
    before, live = bench.state(), bench.live()
    ran = bench.apply()
    assert ran.code == 0, f"{when}: a second apply fails: {ran}"
    assert not bench.changing(ran), f"{when}: a second apply changes something: {ran}"
    assert bench.state()["serial"] == before["serial"], f"{when}: a second apply writes to the state: {ran}"
    assert bench.live() == live, f"{when}: a second apply changes the server: {ran}"


@check()
def what_is_live_already_is_taken_over_and_not_made_twice(lab: Lab) -> None:
    """A lost state costs nothing but what only it knew: all are found again, over several pages, none is made."""
    bench = lab.bench()
    bench.small_pages()
    bench.write(*(lab.subject.member(number) for number in range(MANY)))
    bench.apply_well()
    before = bench.live()
    bench.lose_state()
    for address, change in bench.changes().items():
        actions = change["change"]["actions"]
        assert not {"create", "delete"} & set(actions), f"{address} is live, and the plan says {actions}"
    ran = bench.apply_well()
    assert bench.live() == before, f"taking over changes the server: {ran}"
    bench.assert_in_sync("after everything was taken over")


@check(lambda subject: bool(subject.changeable))
def a_field_changed_in_the_document_is_written_and_nothing_else(lab: Lab) -> None:
    """Field by field: the plan shows that one as yours, an apply writes it, and no other field changes."""
    bench = lab.bench()
    first, other = lab.subject.member(), lab.subject.member(other=True)
    bench.write(first)
    bench.apply_well()
    values = first.values
    for leaf in lab.subject.changeable:
        live = bench.live()
        values = leaf.put(values, leaf.of(other.values))
        member = lab.subject.with_values(first, values)
        bench.write(member)
        bench.assert_planned(member, leaf, "you")
        ran = bench.apply_well()
        assert bench.changing(ran), f"{leaf} is changed in the document, and nothing is sent: {ran}"
        wanted = dict(live[member.id])
        if not leaf.trigger:
            wanted = leaf.put(wanted, lab.subject.held(leaf, leaf.of(values)))
        assert _known(bench.live()[member.id]) == _known(wanted), f"{leaf} is changed in the document: {ran}"
        rest = {id: fields for id, fields in bench.live().items() if id != member.id}
        assert rest == {id: fields for id, fields in live.items() if id != member.id}, f"another one changes: {ran}"
    bench.assert_in_sync("after every field was changed")
    bench.assert_live("after every field was changed")


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is not there, which an account may show as nothing."""
    return {
        name: _known(value) if isinstance(value, Mapping) else value
        for name, value in fields.items()
        if value is not None
    }


@check(lambda subject: bool(subject.fixed))
def what_cannot_be_changed_is_replaced_or_refused(lab: Lab) -> None:
    """An immutable field is never changed in place: another one is made, or the apply refuses and sends nothing."""
    for leaf in lab.subject.fixed:
        bench = lab.bench()
        first = lab.subject.member()
        bench.write(first)
        bench.apply_well()
        live = bench.live()
        changed = lab.subject.with_values(first, leaf.put(first.values, leaf.of(lab.subject.other)))
        bench.write(changed)
        shown = bench.plan("--format", "json")
        ran = bench.apply()
        if ran.code == 0:
            actions = [row["change"]["actions"] for row in shown.json["resource_changes"]]
            assert any("create" in action for action in actions), f"{leaf} is changed in place: {shown}"
            bench.account.settle()
            bench.assert_in_sync(f"after {leaf} was changed")
            continue
        assert ran.code in (3, 5), f"{leaf} cannot be changed, and the apply ends with {ran.code}: {ran}"
        assert not bench.changing(ran), f"{leaf} cannot be changed, and something is sent: {ran}"
        assert bench.live() == live, f"{leaf} cannot be changed, and the server is changed: {ran}"


@check()
def what_leaves_the_document_is_deleted_or_forgotten(lab: Lab) -> None:
    """As the type says: it is gone from the server, or forgotten, and then nothing is sent. The others stay."""
    bench = lab.bench()
    leaving, staying = lab.subject.member(0), lab.subject.member(1)
    bench.write(leaving, staying)
    bench.apply_well()
    live = bench.live()
    entry = next(row for row in bench.state()["entries"] if row["address"] == leaving.address)
    deleted = _is_deleted(lab.subject, entry_from_json(entry))
    bench.write(staying)
    change = bench.changes().get(leaving.address)
    assert change is not None, f"the plan says nothing of {leaving.address}, which left: {bench.history[-1]}"
    wanted = "delete" if deleted else "forget"
    assert change["change"]["actions"] == [wanted], f"{leaving.address} left: {bench.history[-1]}"
    ran = bench.apply_well()
    known = {row["address"] for row in bench.state()["entries"]}
    assert leaving.address not in known, f"{leaving.address} left, and the state still knows it: {ran}"
    if deleted:
        live.pop(leaving.id)
        assert bench.live() == live, f"{leaving.address} is to be deleted: {ran}"
    else:
        assert not bench.changing(ran), f"{leaving.address} is forgotten, and something is sent: {ran}"
        assert bench.live() == live, f"{leaving.address} is forgotten, and the server is changed: {ran}"
    bench.assert_in_sync("after one left")


def _is_deleted(subject: Subject, entry: Entry) -> bool:
    """As its type declares it, before it is asked about this one."""
    lifecycle = subject.rtype.lifecycle(entry.attrs)
    return lifecycle.delete and lifecycle.on_removal == "delete"


CHECKS = (
    the_case_sets_every_field,
    what_is_written_is_live_after_an_apply,
    a_second_plan_is_empty_and_a_second_apply_sends_nothing,
    what_is_live_already_is_taken_over_and_not_made_twice,
    a_field_changed_in_the_document_is_written_and_nothing_else,
    what_cannot_be_changed_is_replaced_or_refused,
    what_leaves_the_document_is_deleted_or_forgotten,
)
