"""12,000 devices from a table: every plan of them is one screen."""

from __future__ import annotations

from fleet_rig import MakeRig, Rig, app_sid, sid

DEVICES = 12_000
SCREEN = 24  # lines of the smallest terminal that people still use


def large(make_rig: MakeRig, **device: object) -> Rig:
    """A fleet from a table, on an account with two apps."""
    apps = {app_sid(1): {"unique_name": "v1"}, app_sid(2): {"unique_name": "v2"}}
    named = {sid(n): {"unique_name": f"s-{n:05}", **device} if device else {} for n in range(1, DEVICES + 1)}
    rig = make_rig(apps=apps, devices=named)
    rows = "".join(f"s-{n:05},{sid(n)},{('oslo', 'bergen', 'tromsoe')[n % 3]}\n" for n in range(1, DEVICES + 1))
    (rig.fleet / "erp.csv").write_text("name,sid,site\n" + rows)
    rig.files["tables"] = {"erp": {"file": "erp.csv", "key": "name"}}
    rig.devices["sensors"] = {
        "for_each": "erp",
        "key": "{{ row.name }}",
        "sid": "{{ row.sid }}",
        "app": "v1",
        "labels": {"site": "{{ row.site }}"},
    }
    return rig


def test_the_first_plan_of_devices_as_from_the_factory_is_one_screen(make_rig: MakeRig) -> None:
    ran = large(make_rig).plan()
    assert ran.code == 0, ran
    assert "Plan: 12000 to import, 0 to add, 12000 to change, 0 to destroy." in ran.out
    assert len(ran.out.splitlines()) <= SCREEN, ran


def test_the_plan_that_retargets_all_of_them_is_one_screen(make_rig: MakeRig) -> None:
    app = {"target_sid": app_sid(1), "reported_sid": app_sid(1)}
    rig = large(make_rig, app=app)
    assert rig.apply().code == 0
    assert rig.mutations() == []  # they are as the files want them: adopted, and nothing is sent
    rig.devices["sensors"]["app"] = "v2"
    ran = rig.plan("--detailed-exitcode")
    assert ran.code == 2, ran
    assert "Plan: 0 to add, 12000 to change, 0 to destroy." in ran.out
    assert '"v1" -> "v2"' in ran.out
    assert len(ran.out.splitlines()) <= SCREEN, ran
