"""
What a document may say about asset trackers, as `validate` tells it (docs/apis/asset_tracker.md, "Settings and
ranges").
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from config_fleets import said
from tracker_documents import (
    BLE,
    EVERYTHING,
    GEOFENCE,
    HEAD,
    LOW,
    MOTION,
    RANGES,
    SEED_EXAMPLE,
    accepted,
    merged,
    nested,
    one,
    refused,
    warnings,
    written,
)

from reconcile.config.report import ALIKE, MOST, Report, Showing
from reconcile.core.schema import Kind, Mark, Same, fields_of
from reconcile.errors import InvalidInput
from reconcile.providers.asset_tracker.beacons import normal
from reconcile.providers.asset_tracker.configuration import Tracker

MAC, UUID = "0c2a69046a49", "0112233445566778899aabbccddeeff0"


# What validates


def test_the_example_of_the_seed_validates_after_the_edits_that_the_messages_name(tmp_path: Path) -> None:
    tracker = json.loads(SEED_EXAMPLE)
    pasted = HEAD + "      " + SEED_EXAMPLE.replace("{", '{\n"agent": "A",', 1).replace("\n", "\n      ") + "\n"

    found = refused(tmp_path, pasted)

    assert [problem.what for problem in found] == [
        "description cannot be set in a document",
        "updateId cannot be set in a document",
    ]
    for problem in found:
        assert problem.hint is not None and problem.hint.startswith("Leave it out")
        assert problem.where is not None and problem.address is not None
        *outer, last = problem.address.partition(" (")[2].rstrip(")").split(".")
        inner = tracker
        for step in outer:
            inner = inner[step]
        del inner[last]
    assert accepted(tmp_path, written(**tracker)) == {"agent": "A-1_b", **tracker}


@pytest.mark.parametrize("place", ["configuration", "top level"])
def test_a_document_that_sets_every_field_validates(tmp_path: Path, place: str) -> None:
    tracker = json.loads(json.dumps(EVERYTHING))
    if place == "configuration":
        tracker["configuration"]["simUpdate"] = tracker.pop("simUpdate")

    assert accepted(tmp_path, written(**tracker)) == {"agent": "A-1_b", **tracker}


def test_the_document_that_sets_every_field_does() -> None:
    def paths(fields: Any, value: Any) -> list[str]:
        """Fields that `value` does not have."""
        lacking = []
        for name, spec in fields.items():
            if Mark.COMPUTED in spec.marks or {Mark.LOCATOR, Mark.CREDENTIAL} & spec.marks:
                continue
            if name not in value:
                lacking.append(name)
            elif spec.kind is Kind.OBJECT:
                lacking += [f"{name}.{inner}" for inner in paths(spec.fields, value[name])]
        return lacking

    # docs/apis/asset_tracker.md, "Settings and ranges"; and the other place of simUpdate.
    extra = ["configuration_extra", "agentConfiguration_extra"]
    assert sorted(paths(fields_of(Tracker), EVERYTHING)) == sorted(["configuration.simUpdate", *extra])


def test_settings_that_the_model_does_not_know_are_passed_through(tmp_path: Path) -> None:
    extra = {"mine": {"mode": 3}, "alerts": {"fuelLow": {"enabled": True}}}
    assert accepted(tmp_path, written(configuration_extra=extra)) == {"agent": "A-1_b", "configuration_extra": extra}


@pytest.mark.parametrize(
    ("extra", "words", "hint"),
    [
        ({"configuration_extra": {"connectingPeriod": 5}}, "connectingPeriod is no setting of", "connectingPeriod"),
        (
            {"configuration_extra": {"alerts": {"batteryLow": {"threshold": 500}}}},
            "threshold is no setting of its own",
            "Write it as configuration.alerts.batteryLow.threshold",
        ),
        ({"agentConfiguration_extra": {"debug": {"logLevel": "LOUD"}}}, "logLevel is no", "agentConfiguration.debug"),
        ({"configuration_extra": {"updateId": "x"}}, "updateId is no setting of its own", "updateId"),
    ],
)
def test_what_the_model_knows_is_not_passed_through(tmp_path: Path, extra: Any, words: str, hint: str) -> None:
    found = one(tmp_path, **extra)
    assert words in found.what and hint in str(found.hint), found


def test_a_key_that_the_model_does_not_know_has_a_way_out(tmp_path: Path) -> None:
    found = one(tmp_path, {"myCompany": {"mode": 3}})
    assert "configuration_extra" in str(found.hint), found


@pytest.mark.parametrize("name,low,high", RANGES)
def test_both_bounds_are_in_the_range_and_beyond_is_refused(tmp_path: Path, name: str, low: float, high: float) -> None:
    for value in (low, high):
        warnings(tmp_path, written(nested(name, value)))
    step = 1 if name.endswith("after") else 0.0009765625
    for value, words in ((low - step, f"at least {low}"), (high + step, f"at most {high}")):
        found = one(tmp_path, nested(name, value))
        assert str(value) in found.what and words in found.what
        assert str(found.where).startswith("fleet.yaml:6:")
        assert found.address == f"asset_tracker.trackers.t (configuration.{name})"


@pytest.mark.parametrize("lat,lng", [(90, 180), (-90, -180)])
def test_a_point_may_be_at_the_end_of_the_world(tmp_path: Path, lat: float, lng: float) -> None:
    point = {"lat": lat, "lng": lng}
    accepted(tmp_path, written(nested(GEOFENCE, point), nested(f"{BLE}.generic.{MAC}", point)))


@pytest.mark.parametrize("field,value", [("lat", 90.0001), ("lat", -90.0001), ("lng", 180.0001), ("lng", -180.5)])
@pytest.mark.parametrize("where", [GEOFENCE, f"{BLE}.generic.{MAC}", f"{BLE}.iBeacon.{UUID}.1.2"])
def test_a_point_beyond_is_refused(tmp_path: Path, field: str, value: float, where: str) -> None:
    found = one(tmp_path, nested(where, {"lat": 1, "lng": 1, field: value}))
    assert f"{where}.{field} {value} has to be at" in found.what and str(found.where).startswith("fleet.yaml:6:")


def test_a_distance_of_motion_is_0_or_at_least_a_tenth(tmp_path: Path) -> None:
    accepted(tmp_path, written(nested(f"{MOTION}.motionDistance", 0.1)))
    found = one(tmp_path, nested(f"{MOTION}.motionDistance", 0.05))
    assert "motionDistance 0.05: has to be 0 (off) or at least 0.1" in found.what


def test_whole_numbers_stay_whole_and_fractions_stay_as_written(tmp_path: Path) -> None:
    settings = accepted(tmp_path, written({"connectingPeriod": 60, "readingPeriod": 60.5}))["configuration"]
    assert settings == {"connectingPeriod": 60, "readingPeriod": 60.5} and type(settings["connectingPeriod"]) is int


# What is no setting


@pytest.mark.parametrize("where", [GEOFENCE, f"{BLE}.generic.{MAC}", f"{BLE}.iBeacon.{UUID}.1.2"])
def test_lon_is_taken_for_lng(tmp_path: Path, where: str) -> None:
    found = one(tmp_path, nested(where, {"lat": 51.5, "lon": 0.003}))
    assert found.what == '"lon" is not a key here' and found.hint == 'Did you mean "lng"?'
    assert str(found.where).startswith("fleet.yaml:6:")


def test_lon_out_of_a_table_is_taken_for_lng(tmp_path: Path) -> None:
    body = f"asset_tracker: {{trackers: {{t: {{agent: A, configuration: {nested(GEOFENCE, '@')}}}}}}}\n"
    body = body.replace("'@'", "\"{{ {'lat': 1, 'lon': 2} }}\"").replace("'locationTracking'", "locationTracking")
    (found,) = refused(tmp_path, body.replace("'geofence'", "geofence"))
    assert found.what == '"lon" is not a key here' and found.hint == 'Did you mean "lng"?'


@pytest.mark.parametrize(
    "field,value",
    [("description", {"trackerId": "1"}), ("description", "my truck"), ("configuration", {"updateId": "61"})],
)
def test_what_is_not_the_users_to_set_is_to_be_left_out(tmp_path: Path, field: str, value: Any) -> None:
    found = one(tmp_path, **{field: value})
    assert "cannot be set in a document" in found.what and found.hint == "Leave it out"
    assert str(found.where).startswith("fleet.yaml:6:")


def test_an_update_id_that_an_expression_yields_is_to_be_left_out(tmp_path: Path) -> None:
    (found,) = refused(tmp_path, HEAD + "      agent: A\n      configuration: \"{{ {'updateId': '61'} }}\"\n")
    assert found.what == "updateId cannot be set in a document" and found.hint == "Leave it out"


@pytest.mark.parametrize("word", [".nan", ".inf", "-.inf", '"51"', "true", "no", "1e999", "0123"])
@pytest.mark.parametrize("name", ["connectingPeriod", f"{GEOFENCE}.radius", "locationTracking.repossessionMode.after"])
def test_what_is_not_written_as_a_number_is_none(tmp_path: Path, name: str, word: str) -> None:
    (found,) = refused(tmp_path, written(nested(name, "@")).replace('"@"', word))
    assert "number" in found.what and word.strip('"') in found.what and str(found.where).startswith("fleet.yaml:6:")


@pytest.mark.parametrize("value", [1667598736.5, 1667598736000])
def test_a_date_is_in_whole_seconds_that_a_tracker_can_hold(tmp_path: Path, value: float) -> None:
    assert str(value) in one(tmp_path, nested("locationTracking.repossessionMode.after", value)).what


@pytest.mark.parametrize("word", ['"true"', "1", "on"])
def test_a_switch_is_true_or_false(tmp_path: Path, word: str) -> None:
    (found,) = refused(tmp_path, written(nested("locationTracking.alwaysOn", "@")).replace('"@"', word))
    assert "is not true or false" in found.what


def test_a_level_of_logging_is_one_of_three(tmp_path: Path) -> None:
    found = one(tmp_path, nested("debug.logLevel", "debug"))
    assert '"debug" is not one of ERROR, INFO, DEBUG' in found.what and found.hint == 'Did you mean "DEBUG"?'


# The unit and its credentials


@pytest.mark.parametrize(
    "url", ["https://agent.electricimp.com/LPoC4xOL8ESr_/cfg", "http://127.0.0.1:8080/a/cfg", "https://[::1]/cfg"]
)
def test_a_unit_may_be_named_by_its_url(tmp_path: Path, url: str) -> None:
    accepted(tmp_path, written(unit=f"url: '{url}'"))


@pytest.mark.parametrize(
    "unit,line,words",
    [
        ("labels: {a: b}", 5, "neither agent nor url"),
        ("agent: ''", 5, "is not the id of an agent"),
        ("agent: a/b", 5, "'a/b' is not the id of an agent"),
        ("agent: ../cfg", 5, "is not the id of an agent"),
        ("agent: á", 5, "is not the id of an agent"),
        ("agent: https://agent.electricimp.com/LPoC/cfg", 5, "agent is a URL"),
        ("url: agent.electricimp.com/a/cfg", 5, "is neither https nor http"),
        ("url: file:///a/cfg", 5, "is neither https nor http"),
        ("url: https:///cfg", 5, "names no host"),
        ("url: https://host:99999/cfg", 5, "is none"),
        ("url: https://host/a b/cfg", 5, "spaces"),
        ("url: https://host/a/cfg?x=1", 5, "a query or a fragment"),
        ("url: 'https://host/a/cfg#x'", 5, "a query or a fragment"),
        ("url: https://host/a", 5, "does not end in /cfg"),
    ],
)
def test_what_names_no_unit_is_refused(tmp_path: Path, unit: str, line: int, words: str) -> None:
    (found,) = refused(tmp_path, written(unit=unit))
    assert words in found.what and str(found.where).startswith(f"fleet.yaml:{line}:")


def test_an_agent_and_a_url_are_one_too_many(tmp_path: Path) -> None:
    found = one(tmp_path, url="https://host/a/cfg")
    assert "agent and url" in found.what and str(found.where) == "fleet.yaml:6:12"


def test_credentials_in_a_url_are_refused_and_shown_nowhere(tmp_path: Path) -> None:
    for name in ("url", "agent"):
        twice = f"https://me:hunter2-correct-horse@{name}/cfg"  # `problems` looks for it
        found = refused(
            tmp_path, f"asset_tracker:\n  trackers: {{t: {{{name}: '{twice}'}}, u: {{{name}: '{twice}'}}}}\n"
        )
        assert {"url": "holds credentials", "agent": "is a URL"}[name] in said(found)
        assert "one unit" in said(found)


def test_user_name_and_password_come_together_and_are_references(tmp_path: Path) -> None:
    accepted(tmp_path, written(username="env:U", password="env:P"))
    found = one(tmp_path, username="env:U")
    assert found.what == "username without password" and str(found.where) == "fleet.yaml:6:17"
    assert one(tmp_path, password="env:P").what == "password without username"
    literal = one(tmp_path, username="env:U", password="hunter2-correct-horse")
    assert "reference" in said([literal]) and str(literal.where) == "fleet.yaml:7:17"


# What depends on each other

POINT = {"lat": 1, "lng": 2}


@pytest.mark.parametrize(
    "settings,at,words",
    [
        (nested(f"{GEOFENCE}.lat", 59.91), f"{GEOFENCE}.lat", "lat without lng"),
        (nested(f"{GEOFENCE}.lng", 10.75), f"{GEOFENCE}.lng", "lng without lat"),
        (nested(f"{BLE}.generic.{MAC}.lat", 1), f"{BLE}.generic.{MAC}.lng", "lng is missing"),
        (nested(f"{BLE}.iBeacon.{UUID}.1.2.lng", 1), f"{BLE}.iBeacon.{UUID}.1.2.lat", "lat is missing"),
        (nested(MOTION, {"movementAccMin": 0.4, "movementAccMax": 0.3}), f"{MOTION}.movementAccMin", "0.4 is above"),
        (
            nested("alerts", {"temperatureLow": {"threshold": 25}, "temperatureHigh": {"threshold": 25}}),
            f"{LOW}.threshold",
            "25 is not below temperatureHigh.threshold 25",
        ),
        (nested(f"{BLE}.generic.0C:2A:69:04:6A:4", POINT), f"{BLE}.generic.0C:2A:69:04:6A:4", "is not a MAC address"),
        (nested(f"{BLE}.iBeacon.0112", {"1": {"2": POINT}}), f"{BLE}.iBeacon.0112", "is not a UUID"),
        (nested(f"{BLE}.iBeacon.{UUID}", {}), f"{BLE}.iBeacon.{UUID}", "a UUID without a major"),
        (nested(f"{BLE}.iBeacon.{UUID}.1", {}), f"{BLE}.iBeacon.{UUID}.1", "a major without a minor"),
        (nested(f"{BLE}.iBeacon.{UUID}.65536.1", POINT), f"{BLE}.iBeacon.{UUID}.65536", "'65536' is not a major"),
        (nested(f"{BLE}.iBeacon.{UUID}.1.-1", POINT), f"{BLE}.iBeacon.{UUID}.1.-1", "'-1' is not a minor"),
        (nested(f"{BLE}.iBeacon.{UUID}.1", {"7": POINT, "07": POINT}), f"{BLE}.iBeacon.{UUID}.1.07", "'07' is not a"),
        (nested(f"{BLE}.iBeacon.{UUID}.0x1.1", POINT), f"{BLE}.iBeacon.{UUID}.0x1", "'0x1' is not a major"),
        (nested(f"{BLE}.generic", {MAC: POINT, "0C-2A-69-04-6A-49": POINT}), "", f"is the same beacon as {MAC}"),
        (
            nested(f"{BLE}.iBeacon", {UUID: {"1": {"2": POINT}}, UUID.upper(): {"1": {"3": POINT}}}),
            f"{BLE}.iBeacon.{UUID.upper()}",
            f"is the same beacon as {UUID}",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, settings: Any, at: str, words: str) -> None:
    found = one(tmp_path, settings)
    assert words in found.what and str(found.where).startswith("fleet.yaml:6:")
    assert at in (found.address or "")


@pytest.mark.parametrize(
    "settings",
    [
        nested(f"{GEOFENCE}.enabled", False),
        nested(f"{GEOFENCE}.radius", 500),
        nested(f"{MOTION}.movementAccMin", 4),
        nested(f"{MOTION}.movementAccMax", 0.1),
        nested(MOTION, {"movementAccMin": 0.3, "movementAccMax": 0.3}),
        nested(f"{LOW}.threshold", 90),
        nested(BLE, {"generic": {}, "iBeacon": {}}),
        nested(BLE, {"generic": {"0C:2A:69:04:6A:49": POINT}, "iBeacon": {UUID: {"0": {"65535": POINT}}}}),
        {"locationTracking": {}, "alerts": {}},
    ],
)
def test_half_of_a_group_may_be_the_trackers(tmp_path: Path, settings: Any) -> None:
    accepted(tmp_path, written(settings))


def test_the_sim_is_spoken_of_in_one_place(tmp_path: Path) -> None:
    found = one(tmp_path, nested("simUpdate.enabled", True), simUpdate={"duration": 30})
    assert "simUpdate stands in configuration and beside it" in found.what and str(found.where)[:12] == "fleet.yaml:6"


@pytest.mark.parametrize(
    "key", ["0c2a69046a49", "0C2A69046A49", "0C:2A:69:04:6A:49", "0c-2a-69-04-6a-49", "0c2a.6904.6a49"]
)
def test_a_mac_has_many_spellings_and_one_form(key: str) -> None:
    assert normal("mac", key) == MAC


@pytest.mark.parametrize(
    "key", ["", "0c2a69046a4", "0c2a69046a490", "0c:2a-69:04:6a:49", "0c2a69046a4g", " 0c2a69046a49", "０c2a69046a49"]
)
def test_what_is_no_mac_has_no_form(key: str) -> None:
    with pytest.raises(ValueError, match="is not a mac"):
        normal("mac", key)


def test_a_uuid_has_dashes_or_not() -> None:
    assert normal("uuid", "01122334-4556-6778-899A-ABBCCDDEEFF0") == normal("uuid", UUID.upper()) == UUID
    for wrong in ("0112-233445566778899aabbccddeeff0", UUID[1:], MAC, "{" + UUID + "}"):
        with pytest.raises(ValueError, match="is not a uuid"):
            normal("uuid", wrong)


# Warnings

SHOCK = [nested("alerts.shockDetected.threshold", 4.5), nested(f"{MOTION}.movementAccMin", 0.1)]


def test_a_high_shock_with_a_low_movement_is_warned_of(tmp_path: Path) -> None:
    (found,) = warnings(tmp_path, written(*SHOCK))
    assert found.startswith("fleet.yaml:6:") and "asset_tracker.trackers.t" in found
    assert "shock threshold above 4 g" in found and "Set movementAccMin above 0.1" in found


def test_a_shock_of_4_or_a_movement_above_a_tenth_is_fine(tmp_path: Path) -> None:
    accepted(tmp_path, written(nested("alerts.shockDetected.threshold", 4), SHOCK[1]))
    accepted(tmp_path, written(SHOCK[0], nested(f"{MOTION}.movementAccMin", 0.11)))
    accepted(tmp_path, written(SHOCK[0]))


def test_a_date_before_the_earliest_is_warned_of(tmp_path: Path) -> None:
    name = "locationTracking.repossessionMode.after"
    accepted(tmp_path, written(nested(name, 1585666384)))
    (found,) = warnings(tmp_path, written(nested(name, 1585666383)))
    assert found.startswith("fleet.yaml:6:") and "1585666383 is before 1585666384" in found


def test_a_warning_of_many_rows_is_one_with_their_number(tmp_path: Path) -> None:
    rows = "agent,g\n" + "".join(f"a{n},{5 + n / 1000}\n" for n in range(1000))
    settings = json.dumps(merged(*SHOCK)).replace("4.5", '"{{ row.g }}"')
    body = "asset_tracker:\n  trackers:\n    b:\n      for_each: rows.csv\n      key: '{{ row.agent }}'\n"
    body += f"      agent: '{{{{ row.agent }}}}'\n      configuration: {settings}\n"
    (found,) = warnings(tmp_path, body, {"rows.csv": rows})
    assert found.startswith("fleet.yaml:8:") and "asset_tracker.trackers.b" in found
    assert found.endswith("(from rows.csv row 1 (line 2), and 999 more rows)")


def test_a_warning_of_many_entries_is_told_ten_times_and_counted(tmp_path: Path) -> None:
    settings = json.dumps(merged(*SHOCK))
    body = "".join(f"    t{n}: {{agent: a{n}, configuration: {settings}}}\n" for n in range(100))
    found = warnings(tmp_path, f"asset_tracker:\n  trackers:\n{body}")
    assert len(found) == 10 and found[-1].endswith("(and 90 more like it)")


def test_more_mistakes_and_warnings_than_are_shown_are_counted() -> None:
    report = Report()
    for at in range(MOST):
        report.add(f"mistake {at}")
        report.warn(f"warning {at}")
    for at in range(2 * ALIKE):
        report.add("one more", address=str(at), shown=Showing(alike="one kind"))
        report.warn(f"one more {at}", alike="one kind")

    assert report.warnings[-1] == f"and {2 * ALIKE} more warnings" and len(report.warnings) == MOST + 1
    with pytest.raises(InvalidInput) as wrong:
        report.raise_if_any()
    assert wrong.value.problems[-1].what == f"and {2 * ALIKE} more problems"


# What the engine reads off the model


def test_numbers_are_compared_in_single_precision_and_dates_exactly() -> None:
    def numbers(fields: Any) -> list[Any]:
        below = [inner for spec in fields for inner in numbers([*spec.fields.values(), *filter(None, [spec.member])])]
        return [spec for spec in fields if spec.kind in (Kind.NUMBER, Kind.INTEGER)] + below

    found = numbers(fields_of(Tracker).values())
    assert len(found) == len(RANGES) + 3 * 2 + 1  # of the table of settings, three points, the other simUpdate
    assert {spec.name for spec in found if Same("float32") not in spec.marks} == {"after"}


def test_sets_of_beacons_are_one_whole_each() -> None:
    ble = fields_of(Tracker)["configuration"].fields["locationTracking"].fields["bleDevices"]
    assert {Mark.WHOLE, Same("mac")} <= ble.fields["generic"].marks
    assert {Mark.WHOLE, Same("uuid")} <= ble.fields["iBeacon"].marks


def test_every_setting_says_what_it_is() -> None:
    def silent(fields: Any) -> list[str]:
        return [
            name
            for spec in fields
            for name in [*([] if spec.description else [spec.name]), *silent(spec.fields.values())]
        ]

    assert silent(fields_of(Tracker).values()) == []
