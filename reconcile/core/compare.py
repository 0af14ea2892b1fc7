"""
The files' side and the live side of one resource: which attributes differ, and whose change each difference is.

Three-way for every attribute (docs/architecture.md, "Three-way"): *you changed it* (desired ≠ prior), *somebody else
changed it* (observed ≠ prior), or both. Both sides are compared in the form that the marks name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconcile.core.address import Address
from reconcile.core.forms import aligned
from reconcile.core.owned import Shape, dropped_members, recorded_sets, without_dropped_sets
from reconcile.core.plan import Blocked, Cause, FieldChange
from reconcile.core.resource import Desired, Entry, View
from reconcile.core.resource_type import ResourceType
from reconcile.core.schema import Field, Kind, Mark, fields_of
from reconcile.core.sighting import Match, Resolve, Sighting
from reconcile.core.text import stored_otherwise
from reconcile.core.tree import MISSING, Path, differences, get, same
from reconcile.core.values import Attrs, FileRef, Ref, SecretRef

_NESTED = (Kind.OBJECT, Kind.MAP)
_UNCOMPARED = frozenset((Mark.LOCATOR, Mark.CREDENTIAL, Mark.TRIGGER, Mark.RECORDED))
_UNTOLD = (Match.OTHER_KEY, Match.UNRESOLVED, Match.NOT_ALLOWED)


# -- the files' side ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    The files' side, with its references resolved.

    Attributes:
        compared: attributes that can be read back, references by their names. `after`: what is sent and recorded.
        refers: by field, the live id of the resource that it names. needs: addresses of those that the files have.
    """

    compared: Attrs
    after: Attrs
    refers: Mapping[str, str]
    needs: tuple[Address, ...]


def wanted_of(rtype: ResourceType, want: Desired, resolve: Resolve) -> Wanted:
    """The files' side. Raises InvalidInput, of `resolve`: a reference that stands for nothing."""
    compared: dict[str, Any] = {}
    after: dict[str, Any] = {}
    refers: dict[str, str] = {}
    needs: list[Address] = []
    for name, spec in fields_of(rtype.Model).items():
        value = want.attrs.get(name, spec.unwritten)
        if Mark.NAME in spec.marks:
            compared[name] = after[name] = rtype.unit(want.attrs, want.address.key)[1]
        elif value is None or Mark.ASIDE in spec.marks:
            continue
        elif isinstance(value, Ref) or (spec.names and isinstance(value, list)):
            listed = value if isinstance(value, list) else [value]
            named = {ref: resolve(ref) for ref in listed if isinstance(ref, Ref)}
            for ref, found in named.items():
                if found.id is not None:
                    refers[name if value is ref else f"{name}.{found.name}"] = found.id
                if found.address is not None:
                    needs.append(found.address)
            if isinstance(value, Ref):
                compared[name], after[name] = named[value].name, Ref(value.path, named[value].name)
            else:  # in which order they are written does not matter
                after[name] = [Ref(ref.path, found.name) for ref, found in named.items()]
                compared[name] = sorted({found.name for found in named.values()})
        elif isinstance(value, FileRef | SecretRef) or not spec.marks.isdisjoint(_UNCOMPARED):
            after[name] = value
        else:
            compared[name] = after[name] = value
    return Wanted(compared, after, refers, tuple(needs))


# -- both sides --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    Both sides of a resource that is live, and what follows from them.

    Attributes:
        view: the reading of what is live.
        accepted: what the API has accepted, spelled as the files spell it, references by the names of the files.
        wanted: the files' side.
        compared: `wanted.compared`, with what is left of whole maps that the files dropped.
        ours: what we wrote, where the model has whole maps.
        fields: the differences, in the order of the files.
        unreported: every leaf that the unit itself does not report as the files want it.
        untold: secrets of which nobody can tell here whether they changed.
        blocked: why the whole plan is refused, with both sides named.
    """

    view: View
    accepted: Attrs
    wanted: Wanted
    compared: Attrs
    ours: Attrs
    fields: tuple[FieldChange, ...]
    unreported: frozenset[Path]
    untold: tuple[tuple[Match, str, SecretRef], ...]
    blocked: Blocked | None


def compare(
    rtype: ResourceType, sighting: Sighting, view: View, wanted: Wanted, names: Mapping[str, Mapping[str, str]]
) -> Comparison:
    """
    Compares both sides.

    Args:
        names: by type path, the name of each live id, so that observed references are shown as the files write them.
    """
    shape, prior = fields_of(rtype.Model), sighting.prior
    accepted = accepted_attrs(shape, view, names)
    ours, compared = recorded_sets(rtype, shape, prior), wanted.compared
    if ours:
        live = [_spelled_as(shape, ours, side) for side in (accepted, view.reported) if side is not None]
        compared = without_dropped_sets(shape, ours, compared, *live)
    accepted = {
        name: spelled(shape[name], value, compared[name]) if name in compared else value
        for name, value in accepted.items()
    }
    sides = _Sides(shape, sighting, view, accepted, compared, wanted.after, rtype.defaults)
    fields = (*sides.compared_fields(), *sides.members(), *sides.uncompared_fields())
    return Comparison(
        view,
        accepted,
        wanted,
        compared,
        ours,
        fields,
        _unreported(shape, compared, view),
        tuple(sides.untold()),
        _other_bytes(rtype, shape, sighting, view, wanted.after),
    )


@dataclass(frozen=True, slots=True)
class _Sides:
    """The arguments of every difference."""

    shape: Shape
    sighting: Sighting
    view: View
    accepted: Attrs
    compared: Attrs
    after: Attrs
    defaults: Attrs

    def _change(self, path: Path, before: Any, after: Any, cause: Cause, **more: Any) -> FieldChange:
        want = self.sighting.want
        where, origin = nearest(want.fields, path), nearest(want.origins, path)
        return FieldChange(path, cause, before, after, where=where, origin=origin, **more)

    def compared_fields(self) -> Iterator[FieldChange]:
        """Differences between what the files say and what the API has accepted."""
        prior = self.sighting.prior
        for name, value in self.compared.items():
            spec = self.shape[name]
            leaves = differences(self.accepted.get(name), value, spec)
            if not leaves and name in self.view.renew and value:
                yield self._change((name,), self.accepted.get(name), value, Cause.LEASE)
            recorded = spelled(spec, prior.attrs.get(name), value) if leaves and prior is not None else None
            for path, before, after in leaves:
                known = _recorded(prior, recorded, (name, *path))
                # A member of a set that the state knows, and it does not: somebody else put it there.
                around = bool(path) and _recorded(prior, recorded, (name, *path[:-1])) is not MISSING
                cause = _cause(self.sighting, self.view, spec.at(path), (known, before, after), around)
                naming = Mark.NAME in spec.marks
                overwrites = cause is Cause.ADOPTION and self._was_set((name, *path), before)
                more = {"naming": naming, "overwrites": overwrites}
                yield self._change((name, *path), _plain(before), _plain(after), cause, prior=_plain(known), **more)

    def _was_set(self, path: Path, live: Any) -> bool:
        """Whether somebody set what is live: it is neither unset nor as from the factory."""
        if live is MISSING or live is None or live in ("", {}, []):
            return False
        default = get(self.defaults, path, MISSING)
        return default is MISSING or not _alike(self.shape[path[0]].at(path[1:]), live, default)

    def members(self) -> Iterator[FieldChange]:
        """Members that are ours, and that the files do not write any more."""
        if (prior := self.sighting.prior) is not None:
            for path, value in dropped_members(self.shape, prior.attrs, self.compared, self.accepted):
                yield self._change(path, self.accepted[path[0]][path[1]], None, Cause.YOU, prior=value)

    def uncompared_fields(self) -> Iterator[FieldChange]:
        """Differences of what cannot be read back: triggers, secrets and files, by what the state knows of them."""
        prior = self.sighting.prior
        for name, value in self.after.items():
            spec, recorded = self.shape[name], MISSING
            if prior is not None:
                recorded = prior.attrs.get(name, MISSING)
            if Mark.TRIGGER in spec.marks:
                if recorded is not MISSING and recorded != value:
                    note = f"{name}s it, once"
                    yield self._change((name,), recorded, value, Cause.YOU, prior=recorded, note=note)
            elif spec.kind is Kind.SECRET and Mark.CREDENTIAL not in spec.marks:
                if (found := self._secret(name)) is not None:
                    cause, note = found
                    yield self._change((name,), None, value, cause, sensitive=True, note=note)
            elif isinstance(value, FileRef) and Mark.IMMUTABLE not in spec.marks and _differ(recorded, value):
                yield self._change((name,), recorded, value, Cause.YOU, prior=recorded)

    def _secret(self, name: str) -> tuple[Cause, str] | None:
        """The reason why a secret is written, and what is said of it; None when it is not."""
        sighting, reference = self.sighting, self.after[name]
        match, rewritten = sighting.matches.get(name, Match.UNRESOLVED), self.view.rewritten
        if sighting.former is not None:
            return Cause.UNIT, "another unit"
        if sighting.uncertain:
            return Cause.VALUE_UNKNOWN, "value unknown: the answer to an earlier write was lost"
        if rewritten is not None and sighting.prior is not None:
            cause = Cause.BOTH if match is Match.CHANGED else Cause.SOMEBODY
            return cause, f"rotated by somebody else at {rewritten}"
        if match is Match.CHANGED:
            return Cause.YOU, f"the value behind {reference} changed"
        if match is Match.NO_RECORD:
            return Cause.VALUE_UNKNOWN, "value unknown: there is no record of it"
        return (Cause.YOU, "written again, as asked") if sighting.rewrite else None

    def untold(self) -> Iterator[tuple[Match, str, SecretRef]]:
        """Secrets that are not written, and of which nobody can tell whether they changed."""
        for name, value in self.after.items():
            if self.shape[name].kind is Kind.SECRET and Mark.CREDENTIAL not in self.shape[name].marks:
                match = self.sighting.matches.get(name, Match.UNRESOLVED)
                if match in _UNTOLD and self._secret(name) is None:
                    yield match, name, value


def _other_bytes(rtype: ResourceType, shape: Shape, sighting: Sighting, view: View, after: Attrs) -> Blocked | None:
    """Bytes that cannot be changed, and are others than those that were uploaded: here, or at the API."""
    prior, seen, address = sighting.prior, sighting.seen, sighting.want.address
    hint = f"{'An' if rtype.noun[0] in 'aeiou' else 'A'} {rtype.noun} is its bytes: upload other bytes under a new name"
    found = None
    for name, value in after.items() if prior is not None else ():
        if not isinstance(value, FileRef) or Mark.IMMUTABLE not in shape[name].marks or prior is None:
            continue
        recorded = prior.attrs.get(name)
        if _differ(recorded, value) and isinstance(recorded, FileRef):
            found = (
                f"{address} is uploaded with other bytes: its {name} has sha256 {str(value.sha256).lower()}, what"
                f" was uploaded had {str(recorded.sha256).lower()}"
            )
        if seen is not None and seen.id != prior.id and view.not_ours:
            found = f"{address} was replaced by somebody else: {view.not_ours}"
    return Blocked(found, hint, "bytes", 1) if found is not None else None


def _differ(recorded: Any, file: FileRef) -> bool:
    """True if a file has other bytes than the recorded one, as far as both are known."""
    known = recorded.sha256 if isinstance(recorded, FileRef) else None
    return bool(known and file.sha256) and str(known).lower() != str(file.sha256).lower()


def _unreported(shape: Shape, compared: Attrs, view: View) -> frozenset[Path]:
    if view.reported is None:
        return frozenset()
    return frozenset(
        (name, *path)
        for name, value in compared.items()
        for path, _, _ in differences(spelled(shape[name], view.reported.get(name), value), value, shape[name])
    )


def _spelled_as(shape: Shape, recorded: Attrs, live: Attrs) -> Attrs:
    """Live attributes, spelled as the state spells them."""
    return {name: spelled(shape[name], live.get(name), value) for name, value in recorded.items() if name in shape}


def spelled(spec: Field, live: Any, value: Any) -> Any:
    """`live`, with what equals `value` in the form of the marks spelled as in `value`."""
    return aligned(spec, live, value) if spec.kind in _NESTED or spec.formed else live


def nearest(places: Mapping[str, Any], path: Path) -> Any:
    """The value in a map by dotted path for an attribute, or else for the closest one around it."""
    for depth in range(len(path), 0, -1):
        if (found := places.get(".".join(path[:depth]))) is not None:
            return found
    return None


def accepted_attrs(shape: Shape, view: View, names: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Attributes that the API has accepted, with referred-to ids by their names where they have one."""
    accepted = dict(view.attrs)
    for name, spec in shape.items():
        value, known = accepted.get(name), names.get(spec.names or "", {})
        if spec.names and isinstance(value, str):
            accepted[name] = known.get(value, value)
        elif spec.names and isinstance(value, list):
            accepted[name] = sorted({known.get(member, member) for member in value})
    return accepted


def _cause(
    sighting: Sighting, view: View, spec: Field | None, sides: tuple[Any, Any, Any], in_known_map: bool
) -> Cause:
    """`sides`: what was recorded, what is accepted, what the files want."""
    recorded, before, after = sides
    if sighting.former is not None:
        return Cause.UNIT
    if sighting.prior is None:
        return Cause.ADOPTION
    if recorded is MISSING and view.lost is not None and after is MISSING:
        return Cause.LOST
    if recorded is MISSING:
        return Cause.SOMEBODY if after is MISSING and in_known_map else Cause.YOU
    yours, theirs = not _alike(spec, recorded, after), not _alike(spec, recorded, before)
    if theirs and stored_otherwise(recorded, before):
        return Cause.YOU if yours else Cause.STORED
    if theirs and view.lost is not None:
        return Cause.YOU if yours else Cause.LOST
    return Cause.BOTH if yours and theirs else Cause.YOU if yours else Cause.SOMEBODY


def _alike(spec: Field | None, one: Any, other: Any) -> bool:
    return same(one if spec is None else aligned(spec, one, other), other)


def _recorded(prior: Entry | None, value: Any, path: Path) -> Any:
    """The value that was last applied at a path; `value` is what was recorded of the attribute as a whole."""
    if prior is None or path[0] not in prior.attrs:
        return MISSING
    value = get(value, path[1:], MISSING)
    if isinstance(value, list) and any(isinstance(member, Ref) for member in value):
        return sorted(member.name for member in value)  # as both sides are compared: their order says nothing
    return value.name if isinstance(value, Ref) else value


def _plain(value: Any) -> Any:
    return None if value is MISSING else value
