"""Units that several fleets claim: each would give it a name and settings of its own, and undo the other's. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconcile.core.address import Address
from reconcile.core.ports import Document
from reconcile.core.resource import Alias
from reconcile.core.resource_type import Provider
from reconcile.errors import Position


@dataclass(frozen=True, slots=True)
class Claim:
    """A root of a fleet, and the place that names its unit."""

    fleet: Document
    address: Address
    where: Position | None

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where is not None else ""
        return f"{self.address} of {self.fleet.fleet}{place}"


class Claims:
    """What fleets claim, told one fleet after the other. Units are told apart by their ids alone."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._providers = providers
        self._first: dict[tuple[str, str], list[Claim]] = {}

    def of(self, fleet: Document) -> Iterator[str]:
        """Notes what a fleet claims; yields a sentence for every unit that an earlier one claims too."""
        for name in fleet.providers():
            for kind in self._providers[name].types if name in self._providers else ():
                for handle in fleet.roots(kind.path) if kind.path.count(".") == 1 else ():
                    want = fleet.at(handle)
                    unit = kind.unit(want.attrs, want.address.key)[0]
                    if unit is None or isinstance(unit, Alias):
                        continue
                    claim = Claim(fleet, want.address, want.where)
                    others = self._first.setdefault((kind.path, unit), [])
                    if other := next((one for one in others if _may_be_one_account(name, one.fleet, fleet)), None):
                        yield f"the {kind.noun} {unit} is in two fleets: it is {other}, and {claim}"
                    others.append(claim)


def _may_be_one_account(provider: str, one: Document, other: Document) -> bool:
    """False where both documents say which account or host is meant, and not the same."""
    sides = [dict(fleet.settings.get(provider) or ()) for fleet in (one, other)]
    texts = [{name: value for name, value in side.items() if _is_said(value)} for side in sides]
    return all(texts[1].get(name, value) == value for name, value in texts[0].items())


def _is_said(value: object) -> bool:
    """Whether a setting stands in the document itself; what a reference stands for may be anything."""
    return isinstance(value, str) and not value.startswith(("env:", "file:"))
