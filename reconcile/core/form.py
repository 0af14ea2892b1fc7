"""
The one form on disk: how a dataclass of the core becomes plain JSON, and is checked when it comes back.

A field is one line: its name, its type, its default. What has its default is left out; a name that is missing has its
default, so that a file from before there was a field still opens; an unknown name or a value of another type is
refused. Saved plans, entries of the state and intents are written like this.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")


class Form(Generic[T]):
    """The form of one dataclass. Its checks are made when they are first needed: that takes milliseconds."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        from pydantic import ConfigDict, TypeAdapter, with_config

        config = ConfigDict(extra="forbid", hide_input_in_errors=True)
        return TypeAdapter(with_config(config)(self._kind))

    def load(self, row: Any) -> T:
        """The value of plain JSON. Raises ValueError when it is none."""
        return self._adapter.validate_python(row)

    def dump(self, value: T, *, whole: bool = False) -> dict[str, Any]:
        """
        What a JSON encoder writes; `whole`: defaults are written too.

        Raises:
            TypeError: it holds a secret. What else is not JSON the encoder tells.
        """
        from pydantic_core import PydanticSerializationError

        try:
            row: dict[str, Any] = self._adapter.dump_python(value, exclude_defaults=not whole, warnings="none")
        except PydanticSerializationError as error:
            raise TypeError(str(error)) from None
        return row
