"""Which variables the references of a document name, and which of them it may not have opened. Nothing is looked up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconcile.core.trust import Trust, patterns, withheld
from reconcile.core.values import SecretRef
from reconcile.errors import Flaw


class Opened:
    """The references to secrets that one load came upon."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._names: dict[str, int] = {}  # and where each was met first

    def note(self, ref: SecretRef, at: int, own: bool = False, setting: str = "") -> Flaw | None:
        """
        Takes a reference down.

        Args:
            at: the place where it is written, which may stand for many rows.
            own: whether it is the default of the setting that it stands in: then it needs nobody's leave.
            setting: of the state, in which it stands.

        Returns:
            What is wrong with it. In an untrusted document that is no mistake of it: what needs it is not read.
        """
        if ref.scheme == "env" and not own:
            self._names.setdefault(ref.rest, at)
        untrusted = self._trust.untrusted
        refusal = withheld(ref, setting) if untrusted else self._trust.refusal(ref, own=own, setting=setting)
        return None if refusal is None else Flaw(refusal.what, hint=refusal.hint, kind="not allowed")

    @property
    def names(self) -> tuple[str, ...]:
        """As `RECONCILE_ALLOWED_ENV` takes them; defaults in their own settings are not among them."""
        written: dict[int, list[str]] = {}
        for name, at in self._names.items():
            written.setdefault(at, []).append(name)
        return patterns(written.values())


def references(value: Any) -> Iterator[SecretRef]:
    """Every reference to a secret in an attribute."""
    if isinstance(value, SecretRef):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)
