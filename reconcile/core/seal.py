"""How the seal of a saved plan stands on this machine. Pure: making and checking one is the plan file's business."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fit(StrEnum):
    """What was found out about a seal."""

    FITS = "fits"
    NONE = "none"  # the file has no seal
    NO_KEY = "no key"  # it has one, and there is no key here to check it with
    ANOTHER = "another key"
    BROKEN = "broken"  # the key is the same, and the seal is of other bytes


@dataclass(frozen=True, slots=True)
class Seal:
    """
    What is known of a plan's seal.

    Attributes:
        key_id: of the key that the file names; None without a seal.
        here: of the key on this machine; None without one.
        why: of a plan that was just written without a seal, why there is no key.
    """

    fit: Fit
    key_id: str | None = None
    here: str | None = None
    why: str | None = None

    @property
    def verified(self) -> bool:
        """Whether the file holds what was written by somebody who has the key that is here."""
        return self.fit is Fit.FITS
