"""Files that a plan is about to upload."""

from __future__ import annotations

from pathlib import Path

from reconcile.core.plan import Action, Plan
from reconcile.core.values import FileRef
from reconcile.errors import InvalidInput, Problem


def files_are_there(made: Plan, directory: Path) -> None:
    """
    What is created is uploaded from a file, which a checksum or the state only stands in for until then.

    Raises:
        InvalidInput: files that are not there.
    """
    problems = [
        Problem(
            f"{part.after.path} is not there, and has to be uploaded",
            part.where or change.where,
            change.address,
            hint="Build it, or fetch it, before the plan that uploads it",
        )
        for change in made.changes
        if change.action is Action.CREATE
        for part in change.fields
        if isinstance(part.after, FileRef) and not (directory / part.after.path).is_file()
    ]
    if problems:
        raise InvalidInput(*problems)
