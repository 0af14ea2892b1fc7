"""References to secrets, by form: `scheme:rest[#/json/pointer]`. Nothing is resolved here, no literal is shown."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path

from reconcile.config.report import did_you_mean
from reconcile.core.values import SecretRef
from reconcile.errors import Flaw
from reconcile.yaml import Map, Node, Scalar, Seq

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LIKE = re.compile(r"[a-z_]+:\S+")


def looks_like_reference(text: str, schemes: Sequence[str]) -> bool:
    """Whether a text reads like `env:NAME` or `file:path`."""
    if ":" not in text or not _LIKE.fullmatch(text):
        return False
    scheme, _, rest = text.partition(":")
    return scheme in schemes and not rest.startswith("//")


@lru_cache(maxsize=4096)
def secret_reference(text: str, schemes: tuple[str, ...], base: Path, directory: Path) -> SecretRef:
    """
    The reference that a text is, a file's path made relative to the fleet's directory.

    Args:
        base: the directory of the file in which it stands.

    Raises:
        Flaw: it is none. The text is never in it: it may be the secret itself.
    """
    found = SecretRef.parse(text)
    if found is None or found.scheme not in schemes:
        near = did_you_mean(text.partition(":")[0], schemes, cutoff=0.6) if ":" in text[:12] else None
        raise Flaw(
            "a secret is a reference, not a value" if near is None else "this is not a reference to a secret",
            hint=near or f"Write {_ways(schemes)}. The value is not shown; if it stands in a committed file, rotate it",
            kind="secret",
        )
    if found.scheme == "env" and not _VARIABLE.fullmatch(found.rest):
        raise Flaw(
            "env: is followed by the name of a variable, [A-Za-z0-9_]", hint=f"Write {_ways(schemes)}", kind="env"
        )
    if found.scheme != "file":
        return found
    if "\0" in found.rest:
        raise Flaw("file: is followed by a path", hint=f"Write {_ways(schemes)}", kind="file")
    if found.rest.startswith("/"):
        raise Flaw("the path of a secret is relative to the file it stands in, not absolute", kind="absolute")
    return SecretRef("file", posixpath.normpath(f"{_between(base, directory)}/{found.rest}"), found.pointer)


def literal_files(node: Node | None) -> Iterator[tuple[str, int]]:
    """
    The path of every `file:` reference that is written out below a node, and its place: also where no row uses it, a
    profile is not chosen or a table cannot be read. A pointer may be a template, and is left out.
    """
    left = [node]
    while left:
        one = left.pop()
        if type(one) is Map:
            left += one.members.values()
        elif type(one) is Seq:
            left += one.members
        elif type(one) is Scalar and one.text.startswith("file:"):
            rest = one.text[5:].partition("#")[0]
            if rest and "{{" not in rest:
                yield rest, one.at


@cache
def _between(base: Path, directory: Path) -> str:
    return Path(os.path.relpath(base, directory)).as_posix()


_FORMS = {"env": "env:NAME", "file": "file:path#/pointer"}


def _ways(schemes: Sequence[str]) -> str:
    return " or ".join(_FORMS.get(scheme, f"{scheme}:…") for scheme in schemes)
