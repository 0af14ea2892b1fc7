"""`env:NAME`: a secret in an environment variable, as pipelines give it. The environment is passed in."""

from __future__ import annotations

from collections.abc import Mapping

from reconcile.errors import InvalidInput, Problem


def without_line_end(text: str) -> str:
    """`text` without one final line break, which a file has by custom and a variable by `$(…)` of another tool."""
    return text[:-1].removesuffix("\r") if text.endswith("\n") else text


class Environment:
    """The scheme `env`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    async def read(self, rest: str) -> str:
        """The variable's text, without one final line break; InvalidInput when it is not set, empty, or not UTF-8."""
        text = self._environ.get(rest)
        if text is None:
            raise InvalidInput(f"environment variable {rest} is not set")
        text = without_line_end(text)
        if not text:
            raise InvalidInput(Problem(f"environment variable {rest} is empty", hint="A secret has a value"))
        if any("\ud800" <= char <= "\udfff" for char in text):  # how Python keeps bytes that are not UTF-8
            raise InvalidInput(f"environment variable {rest} is not UTF-8 text")
        return text
