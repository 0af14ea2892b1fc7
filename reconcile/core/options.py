"""What the command line asks of a plan: which part of the fleet, which limits are raised, what is compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconcile.core.form import Form
from reconcile.core.values import Count, Flag


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks of a plan; recorded in it, so that `apply` repeats it."""

    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    allow: Mapping[str, Count] = field(default_factory=dict)
    rewrite: tuple[str, ...] = ()
    destroy: Flag = False
    refresh_only: Flag = False
    refresh: Flag = True
    overwrite_pending: Flag = False
    retry_failed: Flag = False
    untrusted: Flag = False  # nobody applies such a plan
    offline: Flag = False  # nor such a one
    against: str | None = None
    show_unchanged: Flag = False
    show_unmanaged: Flag = False


_FORM = Form(Options)


def unusual(options: Options) -> dict[str, Any]:
    """The options that are not as usual, as plain JSON."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in _FORM.dump(options).items()}
