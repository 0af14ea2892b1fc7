"""
What an agent refuses: a PATCH that is not in its scheme (docs/apis/asset_tracker.md, "Shape"
and "Groups"). A refused PATCH is refused whole; the reason is in the words of the reference agent.
"""

from typing import Any

from reconcile.simulator.asset_tracker.floats import FLOAT_MAX, INT_MAX, INT_MIN, single
from reconcile.simulator.asset_tracker.settings import (
    LEVELS,
    MAX_UPDATE_ID,
    Block,
    Level,
    Members,
    Number,
    Rule,
    Scheme,
    Switch,
    UpdateId,
    Whole,
)


class Invalid(ValueError):
    """A PATCH that is refused; the text is the reason."""


def check(document: Any, scheme: Scheme) -> None:
    """
    Checks a PATCH as a whole.

    Raises:
        Invalid: the first reason to refuse it.
    """
    if not isinstance(document, dict):
        raise Invalid("The update is not an object")
    if "description" in document:
        raise Invalid("Field: description - read-only")
    # The reference refuses an update that lacks both; a published agent takes a `simUpdate` alone, and then drops it.
    dropped = not scheme.sim_update_beside and "simUpdate" in document
    if not dropped and "configuration" not in document and "agentConfiguration" not in document:
        raise Invalid("Field: configuration or agentConfiguration - not exist")
    if not scheme.sim_update_beside:
        # Not looked at: it is dropped, whatever it holds.
        document = {key: value for key, value in document.items() if key != "simUpdate"}
    elif "simUpdate" in document and "configuration" not in document:
        raise Invalid("Field: configuration.updateId - not exist; simUpdate is staged with it")
    _check(document, scheme.update, "")
    _check_pairs(document.get("configuration", {}))


def known(value: Any, rule: Rule) -> Any:
    """A part of a configuration without the keys that its block does not have."""
    if not isinstance(rule, Block) or not isinstance(value, dict):
        return value
    return {key: known(inner, rule.fields[key]) for key, inner in value.items() if key in rule.fields}


def _check(value: Any, rule: Rule, path: str) -> None:
    match rule:
        case Block():
            _check_block(value, rule, path)
        case Members():
            _check_members(value, rule, path)
        case Number():
            _check_number(value, rule, path)
        case Whole():
            # A larger one is none for an agent that has 32 bits.
            if isinstance(value, bool) or not isinstance(value, int) or not INT_MIN <= value <= INT_MAX:
                raise _mismatch(path)
        case Switch():
            if not isinstance(value, bool):
                raise _mismatch(path)
        case Level():
            if not isinstance(value, str):
                raise _mismatch(path)
            if value not in LEVELS:
                raise Invalid(f"Field: {path} - unknown log level")
        case UpdateId():
            if not isinstance(value, str):
                raise _mismatch(path)
            if not 1 <= len(value) <= MAX_UPDATE_ID:
                raise Invalid(f"Field: {path} - length not in range")


def _mismatch(path: str) -> Invalid:
    return Invalid(f"Field: {path} - type mismatch")


def _check_block(value: Any, block: Block, path: str) -> None:
    if not isinstance(value, dict):
        raise _mismatch(path)
    prefix = f"{path}." if path else ""
    for key in value:
        if key not in block.fields:
            raise Invalid(f"Field: {prefix}{key} - unknown key")
    for key, inner in value.items():
        _check(inner, block.fields[key], f"{prefix}{key}")
    for key in block.required:
        if key not in value:
            raise Invalid(f"Field: {prefix}{key} - not exist")
    if block.always or any(key in value for key in block.together):
        for key in block.together:
            if key not in value:
                raise Invalid(f"Field: {prefix}{key} - not exist; specified together only: {', '.join(block.together)}")


def _check_members(value: Any, members: Members, path: str) -> None:
    if not isinstance(value, dict):
        raise _mismatch(path)
    for key, inner in value.items():
        if not members.key.fullmatch(key):
            raise Invalid(f"Field: {path}.{key} - {members.name} error")
        if members.most is not None and int(key) > members.most:
            raise Invalid(f"Field: {path}.{key} - {members.name} error (more than {members.most})")
        _check(inner, members.of, f"{path}.{key}")


def _check_number(value: Any, number: Number, path: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _mismatch(path)
    if value == number.off:
        return
    # Compared as 32-bit floats, so that what a tracker prints for its least `movementAccDur`, 0.0099999998, is in
    # the range of 0.01.
    if not (-FLOAT_MAX <= value <= FLOAT_MAX and single(number.least) <= single(value) <= single(number.most)):
        raise Invalid(f"Field: {path} - value not in range")


def _check_pairs(configuration: dict[str, Any]) -> None:
    """What depends on two settings of one patch; what the tracker reports is not looked at."""
    motion = configuration.get("locationTracking", {}).get("motionMonitoring")
    if motion is not None and motion["movementAccMin"] > motion["movementAccMax"]:
        raise Invalid("Field: movementAccMin - movement acceleration range limit error: greater than movementAccMax")
    alerts = configuration.get("alerts", {})
    low = alerts.get("temperatureLow", {}).get("threshold")
    high = alerts.get("temperatureHigh", {}).get("threshold")
    if low is not None and high is not None and low >= high:
        raise Invalid("Field: temperatureLow.threshold - temperature low threshold >= high threshold")
