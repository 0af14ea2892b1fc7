"""
One value out of a file of many: a JSON or YAML document and a JSON pointer (RFC 6901). Pure.

Scalars stay the text that is written: `0123`, `no` and `1.10` are passwords like any other. Nothing that goes wrong
here says what is in the file, not even the names in it, and no exception of a parser survives (they hold the text).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


class NoSecret:
    """A value that is not written: JSON's null, YAML's `~` or blank."""


@dataclass(frozen=True, slots=True)
class SecretDocument:
    """A parsed file: maps with text keys, lists, text, Nothing."""

    value: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Located:
    """What a pointer leads to: `text`, or None and why."""

    text: str | None = field(repr=False)
    why: str = ""


def parse(text: str) -> SecretDocument | str:
    """The document that `text` is, as JSON or else as YAML; or what is wrong with it."""
    return _json(text) or _yaml(text)


def value_at(document: SecretDocument, pointer: str) -> Located:
    """
    The text at `pointer`. Numbers and booleans are given as they are written.

    Args:
        pointer: "" for the whole document, else `/name/0/…`, `~1` standing for a slash and `~0` for a tilde.
    """
    value = document.value
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and _is_index(name) and int(name) < len(value):
            value = value[int(name)]
        else:
            return Located(None, "the pointer leads to nothing")
    if isinstance(value, str):
        return Located(value)
    if isinstance(value, NoSecret):
        return Located(None, "the pointer leads to a value that is not written (null)")
    return Located(None, "the pointer leads to a map or a list, not to one value")


def _is_index(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) < 10 and (name == "0" or name[0] != "0")


class _Twice(Exception):
    """A name stands twice in one map: which of the two is the secret?"""


def _json(text: str) -> SecretDocument | str | None:
    try:
        value = json.loads(text, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_unique)
        return SecretDocument(_texts(value))
    except _Twice:
        return "a name stands twice in the same map"
    except RecursionError:
        return "it is nested too deep"
    except ValueError:
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _Twice
    return members


def _texts(value: Any) -> Any:
    match value:
        case dict():
            return {name: _texts(member) for name, member in value.items()}
        case list():
            return [_texts(member) for member in value]
        case None:
            return NoSecret()
        case bool():
            return "true" if value else "false"
    return value


def _yaml(text: str) -> SecretDocument | str:
    from reconcile.yaml import parse as composed  # only a file that is not JSON pays for it
    from reconcile.yaml.syntax import Unsupported

    tree = composed(text, ours=False)
    if tree.mistakes:
        line, column, flaw = tree.mistakes[0]
        if isinstance(flaw.kind, Unsupported):
            return flaw.kind.value
        return "it is neither JSON nor YAML" + (f" (line {line})" if column else "")
    return SecretDocument(_told(tree.root)) if tree.root is not None else Unsupported.DOCUMENTS.value


def _told(node: Any) -> Any:
    from reconcile.yaml import Map, Scalar

    if isinstance(node, Scalar):
        return NoSecret() if node.null else node.text
    if isinstance(node, Map):
        return {name: _told(member) for name, member in node.members.items()}
    return [_told(member) for member in node.members]
