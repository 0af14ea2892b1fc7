"""
What an author says of one resource type (`Case`), and of the server that it is managed at (`Account`).

Everything is in the words of the document: the account translates. Nothing here runs anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from reconcile.core.resource_type import Provider

HARD_KEYS = (
    "two words",
    "grün/日本",
    "a%2Fb",
    "50%",
    "a?b=c&d",
    "a#b",
    "a+b",
    'say "it"',
    "a.b.c",
    "back\\slash",
    "a;b,c:d@e",
    "~(a)*'$!",
)
"""Keys and names that mean something else in a URL, a form or an address, unless they are encoded."""

Path = tuple[str, ...]


class Account:
    """
    The server side of one run, as somebody else reaches it: not through reconcile.

    One is made for every run, with nothing in it but the units that cannot be created.

    Attributes:
        url: of the API, `http://127.0.0.1:<port>`, without a path that the settings add.
        secrets: values that must not be shown anywhere, beside those of the case: credentials.
    """

    url: str
    secrets: Sequence[str] = ()

    def settings(self, url: str) -> Mapping[str, Any]:
        """`providers.<name>` of the document with which the API is found at `url` (a proxy before it)."""
        return {"base_url": url}

    def environ(self, url: str) -> Mapping[str, str]:
        """What the environment of a command holds: credentials, and whatever else sends the provider to `url`."""
        return {}

    def live(self) -> Iterable[tuple[str, Mapping[str, Any]]]:
        """
        Every resource of the type that the server holds: its id (`Unit.id`) and its fields.

        The fields are those of the document, as the server holds them: secrets as their values, references to other
        resources as the names that the document gives them, a file as the path that the document gives it. Nothing
        else, in particular no dates: what nobody changes must read the same twice.
        """
        raise NotImplementedError

    def change(self, id: str, path: Path, value: Any) -> None:
        """Somebody else changes one field: `value` is a value of the document, of a secret the secret itself."""
        raise NotImplementedError

    def remove(self, id: str) -> None:
        """Somebody else deletes it."""
        raise NotImplementedError

    def add(self, name: str) -> str:
        """
        Somebody else makes one that no document knows; in a listing it comes before those of the case.

        Returns:
            Its id. Needed where a case says `page_size`.
        """
        raise NotImplementedError

    def settle(self) -> None:
        """Time passes until the server and its devices have done everything that they accepted."""


@dataclass(frozen=True, slots=True)
class Unit:
    """
    One resource of a case.

    Attributes:
        key: in the document.
        id: by which `Account.live` names it; "" = its name at the API.
        fields: what its entry says beside the case's: what finds it.
    """

    key: str
    id: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


def by_key(number: int, key: str) -> Unit:
    """The unit of a type that is found by its key alone."""
    return Unit(key)


@dataclass(frozen=True, kw_only=True)
class Case:
    """
    One resource type under test.

    Attributes:
        type: its path: `signage.signs`.
        account: makes the server side of one run, a context manager.
        entry: an entry of the document with every field set; a text where the type has a scalar form.
        other: the same with another value in every field. Fields are changed one after the other, from `entry` to
            `other`, so that every mixture on that way has to be valid.
        unit: the n-th resource (0-based) under a key, for what is not found by its key.
        key: of the first resource; others get a number.
        around: the rest of the document, by section: what the type refers to, and its parent.
        place: the way to the entries in the document, for a type that hangs on another one.
        environ: what `env:` references in it stand for: the secrets of the case.
        files: what stands beside the document, by path.
        left_out: fields that no entry of the case can set, by their dotted path, and why.
        page_size: the query parameter that says how many members a page may have; None where nothing is paged.
        hard_keys: keys that need encoding; those that the type refuses are left out.
        data: members of answers, beside the maps of the model, whose keys are data: nothing unknown is put there.
        reads: methods that change nothing.
        provider: used in place of an installed one.
    """

    type: str
    account: Callable[[], AbstractContextManager[Account]]
    entry: Mapping[str, Any] | str
    other: Mapping[str, Any] | str
    unit: Callable[[int, str], Unit] = by_key
    key: str = "one"
    around: Mapping[str, Any] = field(default_factory=dict)
    place: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    page_size: str | None = None
    hard_keys: Sequence[str] = HARD_KEYS
    data: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset({"GET", "HEAD"})
    provider: Provider | None = None
