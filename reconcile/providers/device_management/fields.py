"""
What several resources share: their names, texts and custom attributes, and the PUT that changes them.

docs/apis/device_management.md, "Texts and attributes": names up to 128 characters, descriptions up to 2,000; custom
attributes have keys that begin with a letter, keys and values up to 128 characters, and a PUT replaces the whole map.
Texts that were never set are empty.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from reconcile.provider import Attrs, BadAnswer, Edit, Mistake, Patch, flaw_in_name

NAME_LENGTH = ATTRIBUTE_LENGTH = 128
DESCRIPTION_LENGTH = 2000
ATTRIBUTES = "custom_attributes"

Description = Annotated[str, Field(max_length=DESCRIPTION_LENGTH)]
AttributeValue = Annotated[str, Field(max_length=ATTRIBUTE_LENGTH)]

_ATTRIBUTE = re.compile(r"[A-Za-z][^\x00-\x1f\x7f]*")


def name_of(attrs: Attrs, key: str) -> str:
    """The name at the API: as written, else the key."""
    written = attrs.get("name")
    return str(written) if written is not None else key


def name_problems(attrs: Attrs, key: str) -> list[Mistake]:
    """Mistakes in the name."""
    path: tuple[str, ...] = ("name",) if attrs.get("name") is not None else ()
    name = name_of(attrs, key)
    if flaw := flaw_in_name(name):
        return [(path, f"the name {flaw}", None)]
    if len(name) > NAME_LENGTH:
        return [(path, f"the name has {len(name)} characters", f"The API takes up to {NAME_LENGTH}")]
    return []


def attribute_problems(attrs: Attrs) -> list[Mistake]:
    """Mistakes in the keys of custom attributes."""
    found: list[Mistake] = []
    for key in attrs.get(ATTRIBUTES) or {}:
        if not _ATTRIBUTE.fullmatch(key) or flaw_in_name(key):
            found.append(((ATTRIBUTES, key), f"the key {key!r} has to begin with a letter", None))
        elif len(key) > ATTRIBUTE_LENGTH:
            hint = f"The API takes up to {ATTRIBUTE_LENGTH}"
            found.append(((ATTRIBUTES, key), f"the key has {len(key)} characters", hint))
    return found


def attributes_of(member: Mapping[str, Any], noun: str) -> dict[str, Any]:
    """The custom attributes of an answer. Raises BadAnswer: a PUT would replace what cannot be read."""
    found = member.get(ATTRIBUTES)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BadAnswer(f"the Device Management API answered with a {noun} whose {ATTRIBUTES} are no map")
    return dict(found)


def version_of(attrs: Attrs) -> str:
    """
    Changes whenever somebody writes it, and only then.

    The API's `etag` moves too when a device registers or joins a group, which is no reason not to write to it.
    """
    return hashlib.sha256(json.dumps(attrs, sort_keys=True).encode()).hexdigest()[:16]


def composed(edit: Edit, most: int, noun: str) -> Patch:
    """
    The body of the PUT: the fields that differ, and the whole map of custom attributes when one of them does.

    Args:
        most: how many custom attributes there can be.
    """
    paths, wanted = edit.paths, edit.wanted
    body = {path[0]: wanted[path[0]] for path in paths if path[0] != ATTRIBUTES}
    touched = {path[1] for path in paths if path[0] == ATTRIBUTES and len(path) > 1}
    if not any(path[0] == ATTRIBUTES for path in paths):
        return Patch(body)
    ours = wanted.get(ATTRIBUTES) or {}
    live = edit.seen.attrs.get(ATTRIBUTES) or {}
    whole = {key: value for key, value in live.items() if key in ours or key not in touched} | ours
    if len(whole) > most:
        others = ", ".join(sorted(set(whole) - set(ours)))
        what = f"it would have {len(whole)} custom attributes, and a {noun} takes {most}"
        hint = f"{others} are there and not in the files: take one out at the API, or write fewer"
        return Patch({}, mistakes=(((ATTRIBUTES,), what, hint),))
    return Patch({**body, ATTRIBUTES: whole})
