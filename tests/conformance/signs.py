"""The example of `examples/custom-provider` as a healthy type to plant defects in: its provider, its server, a case."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from reconcile.conformance import Account, Case

EXAMPLE = Path(__file__).parents[2] / "examples" / "custom-provider"


def _loaded(name: str) -> Any:
    """A module of the example, which is not installed here."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


signage, server = _loaded("signage"), _loaded("signs_server")

PINS = {"OLD_PIN": "the-old-pin-0815", "NEW_PIN": "the-new-pin-4711"}
ENTRY = {"text": "Open till 8", "brightness": 80, "pin": "env:OLD_PIN"}
OTHER = {"text": "Geöffnet bis 9", "brightness": 20, "pin": "env:NEW_PIN"}


class SignAccount(Account):
    """The signs of one run; a subclass begins with some, or with a server of other habits."""

    Server: ClassVar[Any] = server.Signs
    secrets = (server.TOKEN,)

    def __init__(self, signs: Any) -> None:
        self.signs, self.url = signs, signs.url

    @classmethod
    @contextlib.contextmanager
    def served(cls) -> Iterator[SignAccount]:
        with server.serving(cls.Server()) as signs:
            yield cls(signs)

    def environ(self, url: str) -> Mapping[str, str]:
        return {"SIGNAGE_TOKEN": server.TOKEN}

    def live(self) -> Iterable[tuple[str, Mapping[str, Any]]]:
        return [(sign["name"], dict(sign)) for sign in self.signs.signs]

    def change(self, id: str, path: tuple[str, ...], value: Any) -> None:
        self.signs.named(id)[path[0]] = value

    def remove(self, id: str) -> None:
        self.signs.signs.remove(self.signs.named(id))

    def add(self, name: str) -> str:
        self.signs.signs.append({"name": name, "text": "somebody else's", "brightness": 1, "pin": None})
        return name


def case_of(rtype: Any, account: type[SignAccount] = SignAccount, **more: Any) -> Case:
    """The case of signs, over a provider with this type."""

    class Planted(signage.Signage):  # type: ignore[misc,name-defined]
        types = (rtype(),)

    given: dict[str, Any] = {"entry": ENTRY, "other": OTHER, "environ": PINS, "page_size": "limit", **more}
    return Case(type="signage.signs", account=account.served, provider=Planted(), **given)
