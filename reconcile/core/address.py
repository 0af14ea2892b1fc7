"""
Addresses: the path of a resource in the document (docs/document.md, "Addresses").

`microvisor.devices.warehouse-7.configs.site` is provider, section, key, and for a child section and key again. A key
that is not `[A-Za-z0-9_-]+` is quoted: `microvisor.configs["mqtt.host"]`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from reconcile.errors import InvalidInput, Problem

PLAIN = re.compile(r"[A-Za-z0-9_-]+")
# Most addresses are of this form, and telling so is ten times cheaper than taking them apart.
_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)+")
_STEP = re.compile(r'\.?(?:([A-Za-z0-9_-]+)|\[("(?:[^"\\]|\\.)*")\])')


def quote(key: str) -> str:
    """A key as it stands in an address: `.site`, or `["mqtt.host"]`."""
    return f".{key}" if PLAIN.fullmatch(key) else f"[{json.dumps(key, ensure_ascii=False)}]"


class Address(str):
    """
    A resource's address in its canonical spelling; equal strings are the same resource.

    It is its own JSON form and its own key in the state. Make one with `of` or `parse`, never by formatting a string.
    """

    __slots__ = ()

    @classmethod
    def of(cls, path: str, keys: Iterable[str]) -> Address:
        """
        The address of a resource.

        Args:
            path: of the type, such as `microvisor.devices.configs`.
            keys: one for each section of the path after the provider, such as `("warehouse-7", "site")`.
        """
        provider, *sections = path.split(".")
        return cls(provider + "".join(f".{section}{quote(key)}" for section, key in zip(sections, keys, strict=True)))

    @classmethod
    def parse(cls, text: str) -> Address:
        """
        An address as a user types it; quoting that is not needed is accepted.

        Raises:
            InvalidInput: it is not an address.
        """
        steps = cls._steps(text)
        if len(steps) < 3 or len(steps) % 2 == 0:
            raise InvalidInput(
                Problem(
                    f"{text!r} is not an address",
                    hint="An address is the path in the document: microvisor.devices.warehouse-7.configs.site",
                )
            )
        return cls.of(".".join([steps[0], *steps[1::2]]), steps[2::2])

    @classmethod
    def canonical(cls, text: str) -> Address:
        """An address in its one spelling. Raises ValueError when it is none, or in another spelling."""
        try:
            if _PLAIN_ADDRESS.fullmatch(text) or cls.parse(text) == text:
                return cls(text)
        except InvalidInput:
            pass
        raise ValueError("not an address")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """The form on disk (`core.form`)."""
        from pydantic_core import core_schema

        text = core_schema.str_schema(strict=True)
        return core_schema.no_info_after_validator_function(
            cls.canonical, text, serialization=core_schema.to_string_ser_schema()
        )

    def child(self, section: str, key: str) -> Address:
        """The address of a child: `.configs.site` under this one."""
        return Address(f"{self}.{section}{quote(key)}")

    @staticmethod
    def _steps(text: str) -> list[str]:
        steps, at = [], 0
        while at < len(text):
            found = _STEP.match(text, at)
            if found is None:
                return []
            try:
                steps.append(found[1] if found[1] is not None else json.loads(found[2]))
            except ValueError:
                return []
            at = found.end()
        return steps

    def _parts(self) -> list[str]:
        # Nearly all keys are plain, and addresses are taken apart for every resource: 0.2 µs instead of 5.
        return self._steps(self) if "[" in self else self.split(".")

    @property
    def type_path(self) -> str:
        """The path of its resource type: `microvisor.devices.configs`."""
        steps = self._parts()
        return ".".join([steps[0], *steps[1::2]])

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys, outermost first: `("warehouse-7", "site")`."""
        return tuple(self._parts()[2::2])

    @property
    def key(self) -> str:
        """The last key: `site`."""
        return self._parts()[-1]

    @property
    def parent(self) -> Address | None:
        """The resource that it hangs on, or None."""
        steps = self._parts()
        if len(steps) <= 3:
            return None
        return Address.of(".".join([steps[0], *steps[1:-2:2]]), steps[2:-2:2])

    @property
    def root(self) -> Address:
        """The outermost resource of its family: itself when it has no parent. Shards are cut by it."""
        steps = self._parts()
        return Address.of(f"{steps[0]}.{steps[1]}", steps[2:3])

    @property
    def name(self) -> str:
        """The key path after the section, as the plan's JSON names it: `warehouse-7.configs.site`."""
        steps = self._parts()
        return "".join(quote(step) if at % 2 == 0 else f".{step}" for at, step in enumerate(steps[2:])).removeprefix(
            "."
        )

    @property
    def provider(self) -> str:
        """The first step: `microvisor`."""
        return self.partition(".")[0]
