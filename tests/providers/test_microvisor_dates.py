"""Dates of the Microvisor API: two spellings of one moment are nobody's change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from reconcile.core.address import Address
from reconcile.core.resource import Entry, Status
from reconcile.providers.microvisor.configs import ConfigType
from reconcile.providers.microvisor.devices import DeviceType, read_device
from reconcile.providers.microvisor.secrets import SecretType

NOW = datetime(2026, 1, 31, 9, tzinfo=UTC)
WRITTEN = "2026-01-31T08:00:00Z"


@pytest.mark.parametrize(
    ("live", "recorded", "rotated"),
    [
        (WRITTEN, WRITTEN, None),
        ("2026-01-31T08:00:00.417Z", WRITTEN, None),
        (WRITTEN, "2026-01-31T08:00:00.417Z", None),  # an entry that was written before dates were cut
        ("2026-01-31T09:00:00+01:00", WRITTEN, None),
        ("20260131T080000Z", WRITTEN, None),
        ("2026-01-31T08:00:01Z", WRITTEN, "2026-01-31T08:00:01Z"),
        (None, WRITTEN, None),  # it does not say: that is no evidence of anybody
        (WRITTEN, None, None),
        ("soon", "soon", None),
        ("later", "soon", "later"),
    ],
)
def test_a_secret_was_rotated_only_at_another_moment(live: Any, recorded: Any, rotated: Any) -> None:
    secret = SecretType()
    seen = secret.observed({"key": "psk", "date_rotated": live}, None)
    prior = Entry(Address("microvisor.secrets.psk"), "psk", {}, facts={"date_rotated": recorded})
    assert secret.view(seen, prior, NOW).rewritten == rotated


def test_what_is_kept_of_an_answer_is_the_moment() -> None:
    config = ConfigType().observed({"key": "a", "value": "1", "date_updated": "2026-01-31T09:00:00.5+01:00"}, None)
    assert config.version == WRITTEN
    device = read_device(
        {
            "sid": "UV" + "0" * 32,
            "app": {"date_targeted": "20260131T080000Z"},
            "logging": {"enabled": True, "date_expires": "2026-01-31T08:00:00.999Z"},
        }
    )
    assert (device.facts["targeted"], device.facts["logging_ends"]) == (WRITTEN, WRITTEN)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("up-to-date", None),
        ("pending", "KA1 is not installed yet"),
        ("scheduled", "KA1 is not installed yet"),
        ("error", "could not install KA1: error 7"),
        ("paused", "whether KA1 is installed the API says 'paused', which this version does not know"),
        (None, "whether KA1 is installed the API does not say"),
    ],
)
def test_no_other_word_than_the_good_one_is_taken_for_installed(status: Any, said: Any) -> None:
    app = {"target_sid": "KA1", "reported_sid": "KA1", "update_status": status, "update_error_code": 7}
    view = DeviceType().view(read_device({"sid": "UV" + "0" * 32, "app": app}), None, NOW)
    assert view.detail == said
    assert (view.status is Status.SETTLED) is (said is None) and (view.status is Status.FAILED) is (status == "error")
