"""Answers that never arrive, that hold more than anybody knows, and that are about something else."""

from __future__ import annotations

from collections.abc import Callable

from reconcile.conformance.bench import Bench, Lab
from reconcile.conformance.checks.check import check
from reconcile.conformance.proxy import Loss

_BROKEN = (0, 1, 7)  # exits of an apply whose answers were lost: done after all, not answered, partly applied


def _nothing(bench: Bench) -> None:
    """Before something is made: what is around it is there."""
    if bench.case.around:
        bench.write()
        bench.apply_well()


def _creating(bench: Bench) -> None:
    bench.write(bench.subject.member(0))


def _made(bench: Bench) -> None:
    _creating(bench)
    bench.apply_well()


def _two_made(bench: Bench) -> None:
    bench.write(bench.subject.member(0), bench.subject.member(1))
    bench.apply_well()


def _changing(bench: Bench) -> None:
    """Every field but triggers."""
    bench.write(bench.subject.member(0, other=True, triggers=False))


def _triggering(bench: Bench) -> None:
    bench.write(bench.subject.member(0, other=True))


def _changed(bench: Bench) -> None:
    _made(bench)
    _changing(bench)
    bench.apply_well()


def _leaving(bench: Bench) -> None:
    bench.write(bench.subject.member(1))


@check()
def answers_that_are_lost_while_it_is_made_or_adopted(lab: Lab) -> None:
    """Whichever answer is lost, before or after the work, once or from then on: one is made, and the plan is empty."""
    _lost(lab, _nothing, _creating)


@check(lambda subject: bool(subject.changeable))
def answers_that_are_lost_while_it_is_changed(lab: Lab) -> None:
    """Whichever answer is lost while every field is changed: two applies later all is as the document says."""
    _lost(lab, _made, _changing)
    if any(leaf.trigger for leaf in lab.subject.changeable):
        _lost(lab, _changed, _triggering, may_give_up=True)


@check(lambda subject: subject.rtype.lifecycle(subject.member().values).delete)
def answers_that_are_lost_while_it_is_deleted(lab: Lab) -> None:
    """Whichever answer is lost while it is deleted: it is gone, and that it was gone already is no error."""
    _lost(lab, _two_made, _leaving)


def _lost(lab: Lab, before: Callable[[Bench], None], step: Callable[[Bench], None], may_give_up: bool = False) -> None:
    """`may_give_up`: a trigger is not sent twice, nor can be read back."""
    whole = lab.bench()
    before(whole)
    step(whole)
    count = len(whole.changing(whole.apply_well()))
    for at in range(count):
        for done, on in ((False, False), (True, False), (True, True)):
            bench = lab.bench()
            before(bench)
            step(bench)
            _apply_without(bench, Loss(at, done, on), may_give_up)


def _apply_without(bench: Bench, loss: Loss, may_give_up: bool) -> None:
    bench.proxy.loss = loss
    ran = bench.apply()
    bench.proxy.loss = None
    assert ran.code in _BROKEN, f"{loss}: the apply ends with {ran.code}: {ran}"
    # Something is asked again or read back: one answer that is lost is nothing that anybody has to look after.
    assert ran.code == 0 or loss.on or may_give_up, f"{loss}: the apply gives up: {ran}"
    bench.account.settle()
    if ran.code != 0:
        again = bench.apply()
        assert again.code == 0, f"{loss}: the apply after it fails too: {ran} {again}"
        bench.account.settle()
    bench.assert_in_sync(f"{loss}")
    bench.assert_live(f"{loss}")


@check()
def unknown_fields_in_answers_change_nothing(lab: Lab) -> None:
    """Answers carry members that nobody knows, at every level, never the same twice: all goes as without them."""
    bench = lab.bench()
    bench.proxy.unknown = True
    for step in (_two_made, _changing):  # the second of them leaves with the second step
        step(bench)
        bench.apply_well()
        bench.assert_in_sync("with unknown fields in every answer")
        bench.assert_live("with unknown fields in every answer")
    bench.lose_state()
    bench.apply_well()
    bench.assert_in_sync("taken over, with unknown fields in every answer")


@check(lambda subject: subject.rtype.listed != "unit" and any(not leaf.trigger for leaf in subject.changeable))
def an_answer_about_another_one_is_not_believed(lab: Lab) -> None:
    """What is read right before a write is answered about another one, which says the same: nothing is written."""
    bench = lab.bench()
    bench.environ["RECONCILE_FINGERPRINT_KEY"] = "c" * 64  # a plan that is sealed is carried out as it is
    _two_made(bench)
    ids = {row["address"]: row["id"] for row in bench.state()["entries"]}
    first, second = bench.members
    leaf = next(leaf for leaf in lab.subject.changeable if not leaf.trigger)
    changed = leaf.put(first.values, leaf.of(lab.subject.member(other=True).values))
    bench.write(lab.subject.with_values(first, changed), second)
    plan = str(bench.directory / "saved.plan")
    assert bench.plan("--out", plan).code == 0, f"{leaf} is changed in the document: {bench.history[-1]}"
    before = bench.live()
    bench.proxy.astray = ids[first.address], ids[second.address]
    ran = bench.run("apply", plan, "--auto-approve")
    bench.proxy.astray = None
    assert bench.proxy.strayed, f"{first.address} is changed, and it is not read by its id before: {ran}"
    assert not bench.changing(ran), f"another one was answered about, and something is sent: {ran}"
    assert ran.code == 7, f"another one was answered about, and the apply ends with {ran.code}: {ran}"
    assert bench.live() == before, f"another one was answered about, and the server is changed: {ran}"
    bench.apply_well()
    bench.assert_live("after an answer about another one")


CHECKS = (
    answers_that_are_lost_while_it_is_made_or_adopted,
    answers_that_are_lost_while_it_is_changed,
    answers_that_are_lost_while_it_is_deleted,
    unknown_fields_in_answers_change_nothing,
    an_answer_about_another_one_is_not_believed,
)
