"""Names that mean something in a URL, and values that nobody may read."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, quote_plus

from reconcile.conformance.bench import Bench, Lab
from reconcile.conformance.checks.check import check
from reconcile.conformance.subject import Example, Subject
from reconcile.core.resource_type import naming_of


def _named(subject: Subject) -> bool:
    """Whether a key of the document ever reaches the server."""
    return bool(subject.case.hard_keys) and (subject.creates or naming_of(subject.rtype.Model) is not None)


@check(_named)
def names_that_need_encoding_arrive_whole(lab: Lab) -> None:
    """Blanks, slashes, percent signs, letters of other scripts: made, read, changed and deleted under that name."""
    bench = lab.bench()
    keys = list(_allowed(lab.subject))
    assert keys, "the type refuses every hard key: give the case others, or say `hard_keys=()`"
    members = [lab.subject.member(number, key) for number, key in enumerate(keys)]
    bench.write(*members)
    bench.apply_well()
    bench.assert_live("with names that need encoding")
    bench.assert_in_sync("with names that need encoding")
    if lab.subject.changeable:
        bench.write(*(lab.subject.member(number, key, other=True) for number, key in enumerate(keys)))
        bench.apply_well()
        bench.assert_live("changed, with names that need encoding")
        bench.assert_in_sync("changed, with names that need encoding")
    last = bench.members[-1]
    bench.write(last)
    bench.apply("--allow", f"delete={len(keys)}", "--allow", f"forget={len(keys)}")
    bench.account.settle()
    bench.assert_in_sync("when all but one have left")
    if lab.subject.creates:
        bench.assert_live("when all but one have left")


def _allowed(subject: Subject) -> Iterator[str]:
    for key in subject.case.hard_keys:
        member = subject.member(0, key)
        if not subject.rtype.check(member.values, key):
            yield key


@check()
def no_secret_is_shown_or_kept(lab: Lab) -> None:
    """No value of a secret is in any output, the saved plan or the state, not even where the server repeats it."""
    bench = lab.bench()
    values = {*lab.case.environ.values(), *bench.account.secrets}
    secrets = sorted({form for value in values for form in (value, quote(value, ""), quote_plus(value))})
    plan = str(bench.directory / "saved.plan")
    members = [lab.subject.member(), lab.subject.member(other=True)]
    for member in members:
        bench.write(member)
        bench.plan("-vv", "--out", plan)
        bench.plan("--format", "json")
        bench.run("show", plan)
        bench.proxy.refuses = True
        bench.apply("-vv")
        bench.proxy.refuses = False
        bench.apply("-vv")
        bench.account.settle()
        _assert_kept_nowhere(bench, secrets)
    _change_all(bench, members[-1])
    for command in (("drift",), ("plan", "-vv"), ("validate",), ("state", "list")):
        bench.run(*command, str(bench.fleet))
    _assert_kept_nowhere(bench, secrets)
    for ran in bench.history:
        for secret in secrets:
            assert secret not in ran.out, f"a secret is on the standard output of `{ran.arguments[0]}`"
            assert secret not in ran.err, f"a secret is on the standard error of `{ran.arguments[0]}`"


def _assert_kept_nowhere(bench: Bench, secrets: list[str]) -> None:
    for command in (("show",), ("state", "pull")):
        bench.run(*command, str(bench.fleet))
    own = {bench.fleet / name for name in bench.case.files}
    for file in sorted(bench.directory.rglob("*")):
        content = file.read_bytes() if file.is_file() and file not in own else b""
        for secret in secrets:
            assert secret.encode() not in content, f"a secret is in {file.relative_to(bench.directory)}"


def _change_all(bench: Bench, member: Example) -> None:
    """Somebody else changes everything back to the first values."""
    for leaf in bench.subject.watched:
        bench.account.change(member.id, leaf.path, bench.subject.held(leaf, leaf.of(bench.subject.entry)))


CHECKS = (names_that_need_encoding_arrive_whole, no_secret_is_shown_or_kept)
