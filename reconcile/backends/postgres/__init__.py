"""
The state in PostgreSQL, shared by a team and its pipelines: many fleets in one database, in the schema `reconcile`.

Needs the extra `reconcile[postgres]`; without it nothing of this is imported but the error that says so.
"""

from __future__ import annotations

from reconcile.core.home import Opening, Place
from reconcile.core.ports import Store
from reconcile.errors import InvalidInput, Problem


def postgres(place: Place, opening: Opening) -> Store:
    """As `core.home.Backend`."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise InvalidInput(
            Problem(
                "a state in PostgreSQL needs psycopg, which is not installed",
                place.where,
                address=place.setting,
                hint="pip install 'reconcile[postgres]'",
            )
        ) from None
    from reconcile.backends.postgres.address import address_of
    from reconcile.backends.postgres.store import PostgresStore

    return PostgresStore(address_of(place, opening.allowed, opening.environ), opening)
