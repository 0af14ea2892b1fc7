"""The seal of a saved plan, as seen on this machine. Pure: the plan file makes and checks it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fit(StrEnum):
    """The outcome of checking a seal."""

    FITS = "fits"
    NONE = "none"  # the file has no seal
    NO_KEY = "no key"  # it has one, and there is no key here to check it with
    ANOTHER = "another key"
    BROKEN = "broken"  # the key is the same, and the seal is of other bytes


@dataclass(frozen=True, slots=True)
class Seal:
    """
    A plan's seal, with the key of this machine.

    Attributes:
        key_id: of the key that the file names; None without a seal.
        here: of the key on this machine; None without one.
        why: of a plan that was just written without a seal, the reason that there is no key.
    """

    fit: Fit
    key_id: str | None = None
    here: str | None = None
    why: str | None = None

    @property
    def verified(self) -> bool:
        """True when the file was written by someone who has the key of this machine."""
        return self.fit is Fit.FITS
