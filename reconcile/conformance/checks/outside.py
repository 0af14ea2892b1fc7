"""What somebody else does at the server, between two runs and during one."""

from __future__ import annotations

from reconcile.conformance.bench import Lab
from reconcile.conformance.checks.check import check
from reconcile.conformance.checks.life import MANY


@check(lambda subject: bool(subject.watched))
def a_field_changed_outside_is_somebody_elses_and_is_put_back(lab: Lab) -> None:
    """Field by field: the plan shows that one as somebody else's, and one apply puts it back."""
    bench = lab.bench()
    member, other = lab.subject.member(), lab.subject.member(other=True)
    bench.write(member)
    bench.apply_well()
    before = bench.live()
    for leaf in lab.subject.watched:
        bench.account.change(member.id, leaf.path, lab.subject.held(leaf, leaf.of(other.values)))
        assert bench.live() != before, f"the account of the case does not change {leaf}"
        bench.assert_planned(member, leaf, "somebody")
        ran = bench.apply_well()
        assert bench.live() == before, f"{leaf} was changed outside, and is not put back: {ran}"
    bench.assert_in_sync("after every field was put back")


@check()
def what_is_deleted_outside_is_made_again_or_an_error(lab: Lab) -> None:
    """What can be made is made again; what cannot is an error that names it, and nothing is sent."""
    bench = lab.bench()
    gone, staying = lab.subject.member(0), lab.subject.member(1)
    bench.write(gone, staying)
    bench.apply_well()
    before = bench.live()
    bench.account.remove(gone.id)
    assert gone.id not in bench.live(), f"the account of the case does not remove {gone.id}"
    if lab.subject.creates:
        change = bench.changes().get(gone.address)
        assert change is not None, f"{gone.address} was deleted outside, and the plan says nothing: {bench.history[-1]}"
        assert change["change"]["actions"] == ["create"], f"{gone.address} was deleted outside: {bench.history[-1]}"
        ran = bench.apply_well()
        assert set(bench.live()) == set(before), f"{gone.address} was deleted outside, and is not made again: {ran}"
        bench.assert_live("after it was made again")
        bench.assert_in_sync("after it was made again")
        return
    for ran in (bench.plan(), bench.apply()):
        assert ran.code == 1, f"{gone.address} is gone and cannot be made: {ran}"
        assert "Not there yet: 1 resource" in ran.out, f"{gone.address} is gone, and there is no section for it: {ran}"
        assert gone.address in ran.out, f"nothing says that {gone.address} is gone: {ran}"
        assert not bench.changing(ran), f"{gone.address} is gone, and something is sent: {ran}"


@check(lambda subject: subject.case.page_size is not None and subject.rtype.listed != "unit")
def pages_that_move_while_they_are_read_lose_and_double_nothing(lab: Lab) -> None:
    """Members come and go between two pages of a listing: the plan stays empty, and a take-over makes none twice."""
    bench = lab.bench()
    bench.small_pages()
    strange = [bench.account.add(f"0-strange-{number}") for number in range(3)]
    bench.write(*(lab.subject.member(number) for number in range(MANY)))
    bench.apply_well()
    before = bench.live()

    def gone() -> None:
        bench.account.remove(strange[0])

    def comes() -> None:
        bench.account.add("0-comes")

    for moved, what in ((gone, "one before them was removed"), (comes, "one before them was added")):
        bench.proxy.between_pages = moved
        bench.assert_in_sync(f"while the pages were read, {what}")
        assert bench.proxy.between_pages is None, (
            f"no listing of {lab.case.type} came in two pages: is {lab.case.page_size!r} the parameter of their size?"
        )
    bench.lose_state()
    bench.proxy.between_pages = lambda: bench.account.remove(strange[1])
    bench.apply()
    bench.account.settle()
    bench.apply_well()
    bench.assert_in_sync("after a take-over while the pages moved")
    known = {id: fields for id, fields in bench.live().items() if id in before}
    assert known == {id: before[id] for id in before if id not in strange[:2]}, "the pages moved, and members changed"
    made = set(bench.live()) - set(before)
    assert len(made) <= 1, f"the pages moved, and {sorted(made)} were made"


@check(lambda subject: bool(subject.optional))
def what_the_document_does_not_mention_is_left_alone(lab: Lab) -> None:
    """Fields that an entry leaves out belong to somebody else: no drift, nothing sent, and no write touches them."""
    bench = lab.bench()
    full, other, optional = lab.subject.member(), lab.subject.member(other=True), lab.subject.optional
    bare = {name: value for name, value in full.values.items() if name not in optional}
    bench.write(lab.subject.with_values(full, bare))
    bench.apply_well()
    unmentioned = [leaf for leaf in lab.subject.changeable if leaf.path[0] in optional]
    for leaf in unmentioned:
        bench.account.change(full.id, leaf.path, lab.subject.held(leaf, leaf.of(other.values)))
    before = bench.live()
    bench.assert_in_sync("somebody else changed what the document does not mention")
    ran = bench.apply()
    assert not bench.changing(ran), f"somebody else changed what the document does not mention: {ran}"
    mentioned = [leaf for leaf in lab.subject.changeable if leaf.path[0] in bare and not leaf.trigger]
    added = [next(leaf for leaf in unmentioned if leaf.path[0] == name) for name in optional]
    for leaf in [*mentioned, *added]:
        value = leaf.of((other if leaf in mentioned else full).values)
        bare = leaf.put(bare, value)
        bench.write(lab.subject.with_values(full, bare))
        ran = bench.apply_well()
        before[full.id] = leaf.put(before[full.id], lab.subject.held(leaf, value))
        assert bench.live() == before, f"{leaf} was changed in the document, and not only {leaf}: {ran}"
    bench.assert_in_sync("with most of its fields left out")


CHECKS = (
    a_field_changed_outside_is_somebody_elses_and_is_put_back,
    what_the_document_does_not_mention_is_left_alone,
    what_is_deleted_outside_is_made_again_or_an_error,
    pages_that_move_while_they_are_read_lose_and_double_nothing,
)
