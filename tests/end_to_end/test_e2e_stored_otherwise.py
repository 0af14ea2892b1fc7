"""A value that an API keeps otherwise than it was sent is told as that, and nobody else is said to have written it."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from fleet_rig import Rig

NFC, NFD = "Łódź", unicodedata.normalize("NFD", "Łódź")
SHOWN = {
    " oslo ": ('" oslo "', '"oslo"'),
    NFD: ('"\\u0141o\\u0301dz\\u0301" (NFD)', '"\\u0141\\xf3d\\u017a" (NFC)'),
}


def kept(rig: Rig, value: str) -> str:
    """The API has it as it keeps values, whoever wrote it."""
    with rig.outside() as world:
        world["configs"]["site"] = value
    return value


@pytest.mark.parametrize("sent", SHOWN)
def test_what_the_answer_to_the_write_says(rig: Rig, sent: str):
    stored = unicodedata.normalize("NFC", sent).strip()
    rig.configs["site"] = sent
    answer = {"key": "site", "value": stored, "date_updated": "2026-01-01T00:00:00Z"}
    rig.sim.set_faults({"match": {"method": "POST", "path": "/v1/Configs"}, "effect": {"status": 201, "body": answer}})
    ran = rig.apply()
    assert ran.code == 7, ran
    was, now = SHOWN[sent]
    assert f"the API keeps the value {was} as {now}: write it as it is kept" in ran.out, ran
    kept(rig, stored)
    rig.sim.set_faults()
    said_as_that(rig, sent)
    # It is ours: written as it is kept it is in sync, and out of the files it is deleted.
    rig.configs["site"] = stored
    assert rig.apply().code == 0
    rig.assert_in_sync()
    del rig.configs["site"]
    rig.configs["other"] = "1"
    rig.apply_well()
    assert "site" not in rig.world["configs"]


@pytest.mark.parametrize("sent", SHOWN)
def test_what_only_the_next_reading_says(rig: Rig, sent: str):
    rig.configs["site"] = sent
    assert rig.apply().code == 0
    kept(rig, unicodedata.normalize("NFC", sent).strip())
    said_as_that(rig, sent)


def said_as_that(rig: Rig, sent: str) -> None:
    was, now = SHOWN[sent]
    ran = rig.plan("--detailed-exitcode")
    assert ran.code == 2, ran
    assert "somebody else" not in ran.out, ran
    assert "Kept by the API otherwise than it was sent" in ran.out, ran
    assert f"{now} -> {was}" in ran.out, ran
    ran = rig.run("drift", str(rig.fleet))
    assert ran.code == 0, ran


def test_another_value_is_somebody_elses(rig: Rig):
    rig.configs["site"] = "oslo"
    rig.apply_well()
    kept(rig, "bergen")
    assert "Changed by somebody else" in rig.plan().out


def test_a_name_of_the_files_that_looks_like_the_one_that_is_there(rig: Rig):
    """No "did you mean" that looks the same."""
    rig.files["tables"] = {"sites": {"file": "sites.csv", "key": "name"}}
    (rig.fleet / "sites.csv").write_text(f"name,broker\n{NFD},b1\n", encoding="utf-8")
    rig.configs["broker"] = "{{ table.sites['" + NFC + "'].broker }}"
    ran: Any = rig.run("validate", str(rig.fleet))
    assert ran.code == 3, ran
    assert "(NFD) looks the same" in ran.err and "(NFC)" in ran.err, ran
    assert "Did you mean" not in ran.err, ran
