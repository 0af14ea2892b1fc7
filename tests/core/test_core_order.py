"""Waves: names are freed before they are taken, what is referred to comes first, what leaves comes last."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconcile.core.address import Address
from reconcile.core.graph import in_waves
from reconcile.core.plan import Action, Cause, Change, FieldChange, Reason

RANKS = {"microvisor.apps": 0, "microvisor.devices": 1, "microvisor.devices.configs": 1}
DEVICES = "microvisor.devices"


def renaming(key: str, to: str) -> Change:
    field = FieldChange(("unique_name",), Cause.YOU, None, to, naming=True)
    return Change(Address.of(DEVICES, (key,)), Action.UPDATE, Reason.FIELDS_DIFFER, id=f"id-{key}", fields=(field,))


def renamings(names: dict[str, str]) -> list[Change]:
    """Devices by key, each now named as its key, and the name that each is given."""
    changes = [renaming(key, to) for key, to in names.items() if key != to]
    held = {DEVICES: {change.address.key: change for change in changes}}
    return in_waves(changes, RANKS, held)


def carried_out(names: dict[str, str]) -> dict[str, str]:
    """What the names are after the waves; fails when a name is taken while somebody has it."""
    now = {key: key for key in names}
    ordered = renamings(names)
    for change in ordered:
        if change.temporary:
            assert change.temporary not in now.values()
            now[change.address.key] = change.temporary
    for wave in sorted({change.wave for change in ordered}):
        for change in ordered:
            if change.wave == wave:
                wanted = change.name_wanted or ""
                assert wanted not in now.values(), (wanted, now)
                now[change.address.key] = wanted
    return now


def test_a_swap_takes_one_temporary_name() -> None:
    assert carried_out({"a": "b", "b": "a"}) == {"a": "b", "b": "a"}
    assert sum(bool(change.temporary) for change in renamings({"a": "b", "b": "a"})) == 1


def test_a_chain_takes_none() -> None:
    names = {"a": "b", "b": "c", "c": "d"}
    assert carried_out(names) == names
    assert not any(change.temporary for change in renamings(names))


def test_two_rings_and_a_chain_into_one() -> None:
    names = {"a": "b", "b": "c", "c": "a", "d": "e", "e": "d", "f": "z"}
    assert carried_out(names) == names


@given(st.permutations([f"k{number}" for number in range(8)]))
def test_any_permutation_of_names_can_be_carried_out(wanted: list[str]) -> None:
    names = dict(zip(sorted(wanted), wanted, strict=True))
    assert carried_out(names) == names


def leaving(path: str, *keys: str, action: Action = Action.DELETE) -> Change:
    return Change(Address.of(path, keys), action, Reason.NOT_IN_FILES, id="x")


def test_what_is_referred_to_leaves_after_what_refers_and_after_all_that_stays() -> None:
    app, device = leaving("microvisor.apps", "v1"), leaving(DEVICES, "gone", action=Action.FORGET)
    made = Change(Address.of("microvisor.apps", ("v2",)), Action.CREATE, Reason.NOT_LIVE)
    waves = {change.address: change.wave for change in in_waves([app, device, made, renaming("a", "b")], RANKS, {})}
    order = sorted(waves, key=lambda address: waves[address])
    assert [address.key for address in order] == ["v2", "a", "gone", "v1"]


def test_what_leaves_a_unit_that_stays_goes_with_its_other_settings() -> None:
    config = leaving("microvisor.devices.configs", "a", "site")
    for changes in ([config, renaming("a", "b")], [config]):
        (wave,) = {change.wave for change in in_waves(changes, RANKS, {})}
        assert wave == 0
    gone = [leaving("microvisor.devices.configs", "a", "site"), leaving(DEVICES, "a", action=Action.FORGET)]
    first, *_ = in_waves([*gone, renaming("c", "d")], RANKS, {})
    assert first.wave == 1
