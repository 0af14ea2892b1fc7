"""What is done to a resource, in a word, for progress."""

from __future__ import annotations

from collections.abc import Mapping

from reconcile.core.plan import Action, Change

VERBS: Mapping[Action, str] = {
    Action.CREATE: "Creating",
    Action.UPDATE: "Updating",
    Action.REPLACE: "Replacing",
    Action.DELETE: "Deleting",
    Action.ADOPT: "Adopting",
    Action.FORGET: "Forgetting",
    Action.NOOP: "Recording",
}


def verb_of(change: Change) -> str:
    """What is done to a resource, for progress."""
    return "Renewing" if change.action is Action.NOOP and change.fields else VERBS[change.action]
