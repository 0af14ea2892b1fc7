"""What a reading says of a unit that has not done, or could not do, what the API accepted."""

from __future__ import annotations

from datetime import datetime

from reconcile.core.address import Address
from reconcile.core.plan import Unsettled
from reconcile.core.resource import Status, View


def unsettled(address: Address, view: View, now: datetime) -> Unsettled | None:
    """
    None when the unit is settled.

    Args:
        now: the server's clock at that reading.
    """
    if view.status is Status.SETTLED:
        return None
    since, age_s = None, None
    if view.since is not None:
        since, age_s = view.since.isoformat(), max(0, int((now - view.since).total_seconds()))
    return Unsettled(address, view.status, view.detail or "", since, age_s, dict(view.holds))
