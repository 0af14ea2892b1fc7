"""
What every resource type has to do, one function a behaviour: it raises AssertionError where the type does not.

Each gets a `Lab` and makes its own fleets. They are kept in the order in which one would look at a new type.
"""

from reconcile.conformance.checks import answers, life, names, outside
from reconcile.conformance.checks.check import Check

CHECKS: tuple[Check, ...] = tuple(
    function.check for module in (life, outside, answers, names) for function in module.CHECKS
)

__all__ = ["CHECKS", "Check"]
