"""
Where secrets come from and how a change of one is told: reference → `Secret`, `Secret` → fingerprint.

One file per scheme (`env`, `file`); `document` takes one value out of a file of many; `key` and `fingerprint` say
whether a secret changed without keeping it. A value is in a `Secret` from the moment it is read, and in no message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from reconcile.core.trust import TRUSTED, Trust
from reconcile.core.values import Secret, SecretRef
from reconcile.errors import InvalidInput, NotAllowed, Problem
from reconcile.secrets.document import SecretDocument, parse, value_at
from reconcile.secrets.env import Environment
from reconcile.secrets.file import Files
from reconcile.secrets.fingerprint import Print, fingerprint, keyed, matches
from reconcile.secrets.key import KEY_VARIABLE, FingerprintKey, config_dir, key_file, load_key, new_key

__all__ = [
    "KEY_VARIABLE",
    "SCHEMES",
    "FingerprintKey",
    "Print",
    "Scheme",
    "Secrets",
    "config_dir",
    "fingerprint",
    "key_file",
    "keyed",
    "load_key",
    "matches",
    "new_key",
]


class Scheme(Protocol):
    """One source of secrets."""

    async def read(self, rest: str) -> str:
        """
        The text that `rest` (of `scheme:rest`) stands for, without the pointer applied.

        Raises:
            InvalidInput: it stands for nothing; the message never holds a value.
        """


SCHEMES: Mapping[str, Callable[[Path, Path | None, Mapping[str, str]], Scheme]] = {
    "env": lambda directory, root, environ: Environment(environ),
    "file": lambda directory, root, environ: Files(directory, root),
}
"""By name: what makes the scheme from the fleet's directory, the root of its files and the environment."""


class SecretResolver:
    """
    The secrets of one command.

    Attributes:
        key: of fingerprints; None when there is none, so that nobody can tell whether a secret changed.
        schemes: by name; another source is one more entry.
    """

    def __init__(
        self,
        *,
        directory: Path,
        root: Path | None,
        environ: Mapping[str, str],
        key: FingerprintKey | None,
        trust: Trust = TRUSTED,
    ) -> None:
        """
        Args:
            directory: the fleet's, against which relative files are resolved.
            root: the directory below which files may lie (`reconcile.files`); None = the fleet's directory.
            trust: which references the document may have opened.
        """
        self.key, self.trust = key, trust
        self.schemes: dict[str, Scheme] = {name: make(directory, root, environ) for name, make in SCHEMES.items()}
        self._documents: dict[tuple[str, str], SecretDocument] = {}  # 12,000 rows may point into one file

    def __repr__(self) -> str:
        return f"<Secrets {', '.join(self.schemes)}>"

    async def open(self, ref: SecretRef, *, own: bool = False, setting: str = "") -> Secret:
        """
        The secret that `ref` stands for.

        Args:
            own: whether it is the default of the setting that it is opened for.
            setting: of the state, that it is opened for.

        Raises:
            NotAllowed: the document may not have it opened; nothing was looked up.
            InvalidInput: it stands for nothing, or for an empty text; the message holds the reference, never the value.
        """
        if (refusal := self.trust.refusal(ref, own=own, setting=setting)) is not None:
            raise NotAllowed(refusal)
        scheme = self.schemes.get(ref.scheme)
        if scheme is None:
            known = ", ".join(f"{name}:" for name in self.schemes)
            raise _unresolved(ref, f"there is no scheme {ref.scheme!r}", f"There is {known}")
        if ref.pointer is None:
            text = await scheme.read(ref.rest)
        else:
            known_as = (ref.scheme, ref.rest)
            if known_as not in self._documents:
                document = parse(await scheme.read(ref.rest))
                if isinstance(document, str):
                    raise _unresolved(ref, document)
                self._documents[known_as] = document
            found = value_at(self._documents[known_as], ref.pointer)
            if found.text is None:
                raise _unresolved(ref, found.why)
            text = found.text
        if not text:
            raise _unresolved(ref, "it is empty")
        return Secret(text)

    def print_of(
        self, value: Secret, *, lineage: str, type_path: str, unit: str, name: str
    ) -> Mapping[str, str] | None:
        """The fingerprint to record, as `Print.to_json`; None when there is no key."""
        if self.key is None:
            return None
        made = fingerprint(self.key, lineage=lineage, type_path=type_path, unit=unit, name=name, value=value)
        return made.to_json()

    def matches(self, recorded: Mapping[str, object], value: Secret) -> bool | None:
        """Whether `recorded` is of this value; None = made by another key, or there is no key: cannot tell."""
        return matches(Print.from_json(recorded), self.key, value)

    def keyed(self, purpose: str, *parts: str | Secret) -> str | None:
        """A digest of the parts that only the key can make, as `fingerprint.keyed`; None when there is no key."""
        return None if self.key is None else keyed(self.key, purpose, *parts)


def _unresolved(ref: SecretRef, why: str, hint: str | None = None) -> InvalidInput:
    return InvalidInput(Problem(f"{ref} does not resolve: {why}", hint=hint))
