"""Errors that make a resource unreadable and stop nothing else: it is named in the plan and left alone."""

from reconcile.errors import ApiError, BadAnswer, NoAnswer, NotAllowed, NotSent

UNANSWERED = (ApiError, NoAnswer, NotSent, BadAnswer, NotAllowed)
