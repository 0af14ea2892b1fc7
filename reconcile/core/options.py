"""What the command line asks of a plan: which part of the fleet, which limits are raised, what is compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from reconcile.core.address import Address
from reconcile.core.form import Form
from reconcile.core.values import Count, Flag


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks of a plan; recorded in it, so that `apply` repeats it."""

    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    allow: Mapping[str, Count] = field(default_factory=dict)
    rewrite: tuple[str, ...] = ()
    destroy: Flag = False
    refresh_only: Flag = False
    refresh: Flag = True
    overwrite_pending: Flag = False
    retry_failed: Flag = False
    untrusted: Flag = False  # nobody applies such a plan

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


_FORM = Form(Options)


def unusual(options: Options) -> dict[str, Any]:
    """The options that are not as usual, as plain JSON."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in _FORM.dump(options).items()}


def covers(pattern: str, address: Address, block: str | None) -> bool:
    """Whether a pattern of `--target` or `--exclude` means a resource: itself, what it hangs on, its block, a glob."""
    if pattern == address or (address.startswith(pattern) and address[len(pattern) : len(pattern) + 1] in (".", "[")):
        return True
    if block is not None and pattern in (block, f"{address.type_path}.{block}"):
        return True
    return "*" in pattern and (fnmatchcase(address, pattern) or fnmatchcase(address, f"{pattern}.*"))
