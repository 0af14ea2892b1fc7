"""What the command line asks of a plan: which part of the fleet, which limits are raised, what is compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from reconcile.core.address import Address


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks of a plan; recorded in it, so that `apply` repeats it."""

    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    allow: Mapping[str, int] = field(default_factory=dict)
    rewrite: tuple[str, ...] = ()
    destroy: bool = False
    refresh_only: bool = False
    refresh: bool = True
    overwrite_pending: bool = False
    retry_failed: bool = False
    untrusted: bool = False  # nobody applies such a plan

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, defaults left out."""
        return {
            name: list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
            for name in self.__slots__
            if (value := getattr(self, name)) != getattr(Options(), name)
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Options:
        """The inverse of `to_json`. Raises ValueError when `row` is not one of its answers."""
        known: dict[str, Any] = {}
        usual = cls()
        for name, value in row.items():
            known[name] = tuple(value) if isinstance(value, list) else value
            if name not in cls.__slots__ or not _like(getattr(usual, name), known[name]):
                raise ValueError(f"the option {name} is not known, or of another type")
        return cls(**known)

    def touches(self, root: Address, block: str | None = None) -> bool:
        """Whether anything of a root's family may be selected, so that the family must be read."""
        within = any(
            target.startswith(root) or ("*" in target and fnmatchcase(root, ".".join(target.split(".")[:3])))
            for target in self.targets
        )
        return within or self.selects(root, block)

    def selects(self, address: Address, block: str | None = None) -> bool:
        """Whether `--target` and `--exclude` leave it in. Children go with their parent, rows with their block."""
        if self.targets and not any(covers(target, address, block) for target in self.targets):
            return False
        return not any(covers(exclude, address, block) for exclude in self.excludes)


def _like(usual: Any, value: Any) -> bool:
    """Whether a value is of an option's type, told by the value that it usually has."""
    match usual:
        case tuple():
            return isinstance(value, tuple) and all(isinstance(member, str) for member in value)
        case Mapping():
            return isinstance(value, Mapping) and all(
                type(number) is int and 0 <= number < 10**12 for number in value.values()
            )
    return type(value) is type(usual)


def covers(pattern: str, address: Address, block: str | None) -> bool:
    """Whether a pattern of `--target` or `--exclude` means a resource: itself, what it hangs on, its block, a glob."""
    if pattern == address or (address.startswith(pattern) and address[len(pattern) : len(pattern) + 1] in (".", "[")):
        return True
    if block is not None and pattern in (block, f"{address.type_path}.{block}"):
        return True
    return "*" in pattern and (fnmatchcase(address, pattern) or fnmatchcase(address, f"{pattern}.*"))
