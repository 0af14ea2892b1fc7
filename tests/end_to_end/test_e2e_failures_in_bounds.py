"""One thing's failure is that thing's, and what all would fail alike is not sent a thousand times."""

from __future__ import annotations

import pytest
from fleet_rig import MakeRig, Rig, sid

NO = {"status": 400, "body": {"code": 20001, "message": "no", "status": 400}}


def refuse(path: str, **more: object) -> dict[str, object]:
    return {"match": {"method": "POST", "path": path}, "effect": NO, **more}


def test_refusals_that_are_all_alike_end_their_type(rig: Rig):
    rig.configs.update({f"c{n}": "1" for n in range(100)})
    rig.devices["one"] = {"sid": sid(1), "configs": {"a": "1"}}
    rig.sim.set_faults(refuse("/v1/Configs"))
    rig.mark()
    ran = rig.apply()
    assert ran.code == 7, ran
    assert 20 <= sum(sent == "POST /v1/Configs" for sent in rig.mutations()) <= 36  # and what was in flight
    assert "20 changes of its type were refused alike (400, 20001), and none was done" in ran.out, ran
    assert rig.device(1)["configs"] == {"a": "1"}  # of another type
    assert len(ran.out.splitlines()) < 60, ran


@pytest.mark.parametrize(("limit", "option"), [(3, ()), (90, ("--max-failures", "3")), (90, ("--max-failures", "3%"))])
def test_a_budget_of_failures(rig: Rig, limit: int, option: tuple[str, ...]):
    rig.configs.update({f"c{n:03}": "1" for n in range(100)})
    rig.files["limits"] = {"failures": limit}
    rig.sim.set_faults(refuse("/v1/Configs", probability=0.5, seed=1))
    ran = rig.apply("--parallelism", "1", *option)
    assert ran.code == 7, ran
    assert "4 changes of its type failed, limits.failures is 3" in ran.out, ran
    assert "4 failed" in ran.out, ran


def test_max_failures_is_a_number_or_a_share(rig: Rig):
    rig.mark()
    ran = rig.apply("--max-failures", "few")
    assert ran.code == 3 and rig.requests() == [], ran


# -- names that swap ---------------------------------------------------------------------------------------------------


@pytest.fixture
def swap(rig: Rig) -> Rig:
    rig.devices.update(a={"sid": sid(1)}, b={"sid": sid(2)})
    rig.apply_well()
    rig.devices.update(a={"sid": sid(2)}, b={"sid": sid(1)})
    return rig


def test_what_needs_the_temporary_name_is_skipped(swap: Rig):
    swap.sim.set_faults(refuse(f"/v1/Devices/{sid(2)}"))
    swap.mark()
    ran = swap.apply()
    assert ran.code == 7 and "1 failed" in ran.out and "1 skipped" in ran.out, ran
    assert swap.mutations() == [f"POST /v1/Devices/{sid(2)}"]
    swap.sim.set_faults()
    swap.apply_well()


def test_a_temporary_name_is_ours(swap: Rig):
    swap.sim.set_faults(refuse(f"/v1/Devices/{sid(1)}"))
    ran = swap.apply()
    assert ran.code == 7, ran
    assert swap.device(2)["unique_name"].startswith("a.swap-")
    swap.sim.set_faults()
    ran = swap.run("drift", str(swap.fleet))
    assert ran.code == 0 and "No drift: nothing was changed by somebody else" in ran.out, ran
    assert "somebody else" not in swap.plan().out
    swap.apply_well()
    assert (swap.device(1)["unique_name"], swap.device(2)["unique_name"]) == ("b", "a")


@pytest.mark.parametrize("after", [2, 3, 4])
def test_a_run_that_is_killed_in_between_leaves_a_name_that_is_ours(swap: Rig, after: int):
    swap.crash(after)
    assert "somebody else made" not in swap.plan().out
    swap.apply_well()


# -- what cannot be updated --------------------------------------------------------------------------------------------


def test_configs_that_cannot_be_updated_are_made_again(make_rig: MakeRig):
    rig = make_rig(configs_update=False)
    rig.configs["host"] = "1"
    rig.devices["one"] = {"sid": sid(1), "configs": {"a": "1"}}
    rig.apply_well()
    rig.configs["host"] = rig.devices["one"]["configs"]["a"] = "2"
    ran = rig.apply()
    assert ran.code == 0 and ran.err.count("the API refuses to update configs: deleted and made again") == 2, ran
    rig.assert_in_sync()


def test_a_400_that_says_so_is_the_same(rig: Rig):
    rig.configs["host"] = "1"
    rig.apply_well()
    rig.configs["host"] = "2"
    words = {"code": 20001, "message": "Configs can't yet be updated", "status": 400}
    fault = {"match": {"method": "POST", "path": "/v1/Configs/host"}, "effect": {"status": 400, "body": words}}
    rig.sim.set_faults(fault)
    rig.apply_well()
    assert rig.world["configs"] == {"host": "2"}


def test_an_upload_that_is_answered_without_its_name_is_a_failure_of_the_create(rig: Rig):
    rig.apps["v1"] = {"bundle": rig.bundle("v1.zip")}
    rig.configs["host"] = "1"
    body = {"sid": "KA" + "a" * 32, "hash": "h", "unique_name": None}
    match = {"method": "POST", "path": "/upload/v1/Apps"}
    rig.sim.set_faults({"match": match, "effect": {"status": 201, "body": body}})
    ran = rig.apply()
    assert ran.code == 7 and f"the app KA{'a' * 32} without a name, and 'v1' was sent" in ran.out, ran
    assert rig.world["configs"] == {"host": "1"}


def test_the_name_of_an_app_is_never_updated(rig: Rig):
    rig.apps["v1"] = {"bundle": rig.bundle("v1.zip")}
    rig.apply_well()
    with rig.outside() as world:
        next(iter(world["apps"].values()))["unique_name"] = "other"
    ran = rig.apply()
    assert "NotImplementedError" not in ran.out + ran.err and "broken" not in ran.err, ran
