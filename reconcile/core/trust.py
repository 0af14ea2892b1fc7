"""
How far a document is trusted: which references it may have opened, and which units may be sent a credential.

A document is reviewed. One whose author must not have the secrets of the job is *untrusted* as well: then it opens what
whoever runs the tool allows by name, and nothing else. Pure; the words of the environment are parsed here and read in
`wiring`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from reconcile.core.values import SecretRef
from reconcile.errors import InvalidInput, Problem

UNTRUSTED = "RECONCILE_UNTRUSTED"
ALLOWED_ENV = "RECONCILE_ALLOWED_ENV"
ALLOWED_AGENTS = "RECONCILE_ALLOWED_AGENTS"
OURS = "RECONCILE_"
"""How the names of our own variables begin: no document may have one opened, but for where the state is."""
KEY = "RECONCILE_FINGERPRINT_KEY"
PIPELINE = ("GITHUB_TOKEN", "CI_JOB_TOKEN")
"""Tokens that a pipeline gives its jobs: they can change the repository, and are no device's secret."""

MANY = 10  # chosen by feel: so many names from one written reference are still read one by one
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\*?")


@dataclass(frozen=True, slots=True)
class Trust:
    """
    Attributes:
        untrusted: whether nothing may be opened but what is allowed.
        names: of `names_of`; None = nobody said which, so that a trusted document may have any variable.
        agents: the units of `--allow-agent`.
    """

    untrusted: bool = False
    names: tuple[str, ...] | None = None
    agents: frozenset[str] = frozenset()

    def refusal(self, ref: SecretRef, *, own: bool = False, setting: str = "") -> Problem | None:
        """
        Why a reference is not opened, with the way out; None when it is.

        Args:
            own: whether it is what stands there when nobody writes that setting (`env:TWILIO_AUTH_TOKEN` in
                `auth_token`). The same reference anywhere else is not.
            setting: of the state, in which it stands: `state.url`, `state.username`, `state.password`.
        """
        if (kept := withheld(ref, setting)) is not None:
            return kept
        if ref.scheme == "env":
            if own or (self.names is None and not self.untrusted):
                return None
            if any(_matches(ref.rest, name) for name in self.names or ()):
                return None
            why = "not allowed in an untrusted document" if self.untrusted else f"not among the names of {ALLOWED_ENV}"
            # No line to paste where the author may be anybody: it would stand in the log of his own pull request.
            hint = (
                f"If a review of the document finds that it needs the value: add its name to {ALLOWED_ENV}"
                if self.untrusted
                else f"If that is meant: {ALLOWED_ENV}={self._with(ref.rest)}"
            )
            return Problem(f"{ref} is {why}", hint=hint)
        if self.untrusted:
            return Problem(
                f"{ref} is not allowed in an untrusted document",
                hint=f"There a secret is env:NAME, with NAME in {ALLOWED_ENV}",
            )
        return None

    def _with(self, name: str) -> str:
        return ",".join((*(self.names or ()), name))


TRUSTED = Trust()
"""Of a document that may have whatever it names."""


def withheld(ref: SecretRef, setting: str = "") -> Problem | None:
    """
    Why a variable is opened for no document, however far that is trusted; None when it is.

    Args:
        setting: of the state, in which it stands.
    """
    name = ref.rest.upper()  # some systems do not tell them apart
    if ref.scheme != "env":
        return None
    if name.startswith(OURS) and (name == KEY or setting not in ("state.url", "state.password")):
        what = f"{ref} is not opened: variables that begin with {OURS} are reconcile's own"
        return Problem(what, hint="Give the value under another name")
    if name in PIPELINE and setting != "state.password":
        what = f"{ref} is not opened: it is the pipeline's own token"
        return Problem(what, hint="Use a token that was made for this")
    return None


def credentials(settings: BaseModel) -> Iterator[tuple[str, SecretRef, bool]]:
    """
    The references among the settings of a provider: the setting, what it says, and whether that is its default.

    A setting that takes plain text too holds a reference where its default is one.
    """
    for name, info in type(settings).model_fields.items():
        default, value = _reference(info.default), getattr(settings, name)
        if default is not None or isinstance(value, SecretRef):
            reference = SecretRef.parse(value) if isinstance(value, str) else value
            if isinstance(reference, SecretRef):
                yield info.alias or name, reference, reference == default


def _reference(default: Any) -> SecretRef | None:
    if isinstance(default, str) and default.startswith("env:"):
        return SecretRef.parse(default)
    return default if isinstance(default, SecretRef) else None


def names_of(text: str | None) -> tuple[str, ...] | None:
    """
    The names in `RECONCILE_ALLOWED_ENV`: separated by commas, blanks around them dropped, `*` only at the end of one.

    Returns:
        None when it is not set; () when it is set to nothing, which allows nothing.

    Raises:
        InvalidInput: something in it is no name.
    """
    if text is None:
        return None
    names = _listed(text)
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if wrong:
        raise InvalidInput(
            *(
                Problem(
                    f"{ALLOWED_ENV}: {name[:80]!a} is not the name of a variable",
                    hint="Write names with commas between them; `*` stands only at the end of one, as in FLEET_*",
                )
                for name in wrong
            )
        )
    return names


def agents_of(*texts: str | None) -> frozenset[str]:
    """The units in `RECONCILE_ALLOWED_AGENTS` and every `--allow-agent`, separated by commas."""
    return frozenset(id.rstrip("/") for text in texts if text for id in _listed(text))


def said(name: str, text: str | None) -> bool:
    """
    Whether a variable says yes.

    Raises:
        InvalidInput: it says neither yes nor no. Nobody is trusted by a slip of the pen.
    """
    word = (text or "").strip().lower()
    if word in ("", "0", "false"):
        return False
    if word in ("1", "true"):
        return True
    what = f"{name} is {(text or '')[:80]!a}: expected 1 or nothing"
    raise InvalidInput(Problem(what, hint="Set it to 1, or leave it unset"))


def patterns(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """
    Names of variables as `RECONCILE_ALLOWED_ENV` takes them, sorted, each once.

    Args:
        groups: the names that came of each written reference. Where a template made many, what they begin with stands
            for all of them: `FLEET_*`.
    """
    found: set[str] = set()
    wide: set[str] = set()
    for group in groups:
        names = sorted(set(group))
        begins = _begins(names[0], names[-1]) if len(names) > MANY else ""
        if begins:
            wide.add(f"{begins}*")
        else:
            found.update(names)
    return tuple(sorted({*wide, *(name for name in found if not any(_matches(name, pattern) for pattern in wide))}))


def _begins(first: str, last: str) -> str:
    """What all names between two, in their order, begin with: up to an underscore, and more than underscores."""
    at = 0
    while at < min(len(first), len(last)) and first[at] == last[at]:
        at += 1
    begins = first[: first.rfind("_", 0, at) + 1]
    return begins if begins.strip("_") else ""


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for part in (piece.strip() for piece in text.split(",")) if part))


def _matches(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
