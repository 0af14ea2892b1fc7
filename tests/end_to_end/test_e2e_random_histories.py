"""
Any history of edits, drift, faults, crashes and lost states: two applies after the faults stop, the plan is empty.

The machine keeps its own idea of what is foreign (units and keys that no file ever named) and checks that nobody
touched it. A crash is the cancellation of the whole run at a random request, as a killed process would leave it.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from fleet_rig import Rig, app_sid, sid, world_of
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reconcile.simulator import running

UNITS = range(1, 5)
KEYS = ("a", "b", "c")
NAMES = ("red", "blue", "green")
APPS = ("v1", "v2")
VALUES = st.sampled_from(["1", "2", "3"])
FOREIGN_UNIT, FOREIGN_APP = sid(9), app_sid(9)


class History(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        directory = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        world = world_of(
            apps={FOREIGN_APP: {"unique_name": "foreign"}},
            configs={"foreign": "1"},
            secrets={"foreign": "1"},
            devices={
                **{sid(n): {"configs": {"foreign": str(n)}, "secrets": {"foreign": str(n)}} for n in UNITS},
                FOREIGN_UNIT: {"unique_name": "foreign", "configs": {"x": "1"}, "app": {"target_sid": FOREIGN_APP}},
            },
        )
        self.rig = Rig(directory, self.stack.enter_context(running(world=world)))
        self.rig.environ.update(PSK="psk 1", PW="pw 1")
        self.rig.files["limits"] = dict.fromkeys(("delete", "forget", "replace", "change"), "100%")
        self.rig.configs["always"] = "1"  # so that the files are never empty
        self.rig.apps.update({name: {"bundle": self.rig.bundle(f"{name}.zip")} for name in APPS})
        self.faulty = False

    def teardown(self) -> None:
        try:
            self.heal_and_converge()
        finally:
            self.stack.close()

    # -- the files ----------------------------------------------------------------------------------------------------

    @initialize(units=st.permutations(list(UNITS)))
    def begin(self, units: list[int]) -> None:
        for key, unit in zip(KEYS[:2], units, strict=False):
            self.rig.devices[key] = {"sid": sid(unit), "configs": {"x": "1"}, "secrets": {"psk": "env:PSK"}}

    @rule(key=st.sampled_from(KEYS), unit=st.sampled_from(UNITS))
    def name_a_unit(self, key: str, unit: int) -> None:
        """A new entry, another unit under a key, or a unit that moves to another key."""
        for other in [other for other, entry in self.rig.devices.items() if entry["sid"] == sid(unit)]:
            self.rig.devices[key] = self.rig.devices.pop(other)
        self.rig.devices.setdefault(key, {"configs": {"x": "1"}, "secrets": {"psk": "env:PSK"}})["sid"] = sid(unit)

    @rule(one=st.sampled_from(KEYS), other=st.sampled_from(KEYS))
    def swap_keys(self, one: str, other: str) -> None:
        devices = self.rig.devices
        if one in devices and other in devices:
            devices[one], devices[other] = devices[other], devices[one]

    @rule(key=st.sampled_from(KEYS))
    def remove_a_device(self, key: str) -> None:
        self.rig.devices.pop(key, None)

    @rule(key=st.sampled_from(KEYS), name=st.sampled_from(NAMES))
    def rename(self, key: str, name: str) -> None:
        """Names may go round: who has the name already takes this one's."""
        devices = self.rig.devices
        if key not in devices:
            return
        for entry in devices.values():
            if entry.get("unique_name") == name:
                if "unique_name" in devices[key]:
                    entry["unique_name"] = devices[key]["unique_name"]
                else:
                    del entry["unique_name"]
        devices[key]["unique_name"] = name

    @rule(
        key=st.sampled_from(KEYS),
        configs=st.dictionaries(st.sampled_from(["x", "y", "z/ü"]), VALUES),
        secrets=st.sets(st.sampled_from(["psk", "pin"])),
        app=st.sampled_from([None, *APPS, "foreign"]),
        logging=st.sampled_from([None, True, False]),
        on_removal=st.sampled_from([None, "forget", "clear"]),
    )
    def rewrite_a_device(
        self,
        key: str,
        configs: dict[str, str],
        secrets: set[str],
        app: str | None,
        logging: bool | None,
        on_removal: str | None,
    ) -> None:
        if key not in self.rig.devices:
            return
        entry = self.rig.devices[key]
        entry.update(configs=configs, secrets=dict.fromkeys(sorted(secrets), "env:PSK"))
        for name, value in (("app", app), ("logging", logging), ("on_removal", on_removal)):
            if value is None:
                entry.pop(name, None)
            else:
                entry[name] = value

    @rule(configs=st.dictionaries(st.sampled_from(["p", "q"]), VALUES), secret=st.booleans())
    def rewrite_the_account(self, configs: dict[str, str], secret: bool) -> None:
        self.rig.files["microvisor"]["configs"] = {"always": "1", **configs}
        self.rig.files["microvisor"]["secrets"] = {"pw": "env:PW"} if secret else {}

    @rule(which=st.sampled_from(["PSK", "PW"]), value=VALUES)
    def change_a_secret(self, which: str, value: str) -> None:
        self.rig.environ[which] = f"{which} {value}"

    # -- somebody else ------------------------------------------------------------------------------------------------

    @rule(unit=st.sampled_from(UNITS), what=st.sampled_from(["config", "secret", "gone", "name", "app", "logging"]))
    def drift(self, unit: int, what: str) -> None:
        with self.rig.outside() as world:
            device: dict[str, Any] = world["devices"][sid(unit)]
            if what == "config":
                device["configs"]["x"] = "theirs"
            elif what == "secret":
                device["secrets"]["psk"] = "theirs"
                world["dates"]["devices"].setdefault(sid(unit), {}).setdefault("secrets", {})["psk"] = (
                    "2020-01-01T00:00:00Z"
                )
            elif what == "gone":
                device["configs"] = {"foreign": str(unit)}
                device["secrets"] = {"foreign": str(unit)}
            elif what == "name":
                device["unique_name"] = f"theirs {unit}"
            elif what == "app":
                device["app"] = None
            else:
                device["logging"] = {"enabled": not device["logging"]["enabled"]}

    @rule(hours=st.sampled_from([0.05, 3.0, 20.0, 30.0]))
    def time_passes(self, hours: float) -> None:
        self.rig.sim.advance(hours * 3600)

    # -- what goes wrong ----------------------------------------------------------------------------------------------

    @rule(
        effect=st.sampled_from([{"drop": "before"}, {"drop": "after"}, {"status": 500}, {"status": 429}]),
        method=st.sampled_from(["POST", "DELETE", "*"]),
        skip=st.integers(0, 12),
        times=st.sampled_from([1, 3, 30]),
    )
    def fault(self, effect: dict[str, Any], method: str, skip: int, times: int) -> None:
        match = {"method": method}
        self.rig.sim.set_faults(
            {"match": match, "times": skip, "effect": {"delay_s": 0}},
            {"match": match, "times": times, "effect": effect},
        )
        self.faulty = True

    @precondition(lambda self: self.rig.state.exists())
    @rule()
    def lose_the_state(self) -> None:
        self.rig.lose_state()

    def free_names(self) -> None:
        """A unit that neither files nor state know keeps its name from others until somebody renames it, as is said."""
        wanted = {entry.get("unique_name", key) for key, entry in self.rig.devices.items()}
        known = {entry["sid"] for entry in self.rig.devices.values()}
        known |= {entry["id"] for entry in self.rig.entries().values()}
        with self.rig.outside() as world:
            for unit, device in world["devices"].items():
                if unit not in known and device["unique_name"] in wanted:
                    device["unique_name"] = None

    @rule()
    def apply(self) -> None:
        self.free_names()
        ran = self.rig.apply()
        assert ran.code in ((0, 1, 7) if self.faulty else (0,)), ran

    @rule(after=st.integers(1, 40))
    def crash(self, after: int) -> None:
        """The run ends at its n-th request, before or after it was sent, and nothing is tidied up."""
        self.rig.crash(after)

    @rule()
    def heal_and_converge(self) -> None:
        """The faults stop; at most two applies make the plan empty."""
        self.rig.sim.set_faults()
        self.faulty = False
        self.free_names()
        ran = self.rig.apply()
        assert ran.code == 0, ran
        self.rig.apply()
        self.rig.assert_in_sync()
        self.as_written()

    def as_written(self) -> None:
        world = self.rig.world
        names = {app: row["unique_name"] for app, row in world["apps"].items()}
        assert sorted(names.values()) == sorted([*APPS, "foreign"])
        for key, entry in self.rig.devices.items():
            device = world["devices"][entry["sid"]]
            assert device["unique_name"] == entry.get("unique_name", key)
            assert device["configs"].items() >= entry["configs"].items()
            secrets = dict.fromkeys(entry["secrets"], self.rig.environ["PSK"])
            assert device["secrets"].items() >= secrets.items()
            if "app" in entry:
                assert names[device["app"]["target_sid"]] == entry["app"]
            if "logging" in entry:
                assert device["logging"]["enabled"] is entry["logging"]
        assert world["configs"] == {"foreign": "1", **self.rig.files["microvisor"]["configs"]}
        secret = {"pw": self.rig.environ["PW"]} if self.rig.files["microvisor"].get("secrets") else {}
        assert world["secrets"] == {"foreign": "1", **secret}

    @invariant()
    def nothing_foreign_is_changed(self) -> None:
        world = self.rig.world
        foreign = world["devices"][FOREIGN_UNIT]
        assert (foreign["unique_name"], foreign["configs"]) == ("foreign", {"x": "1"})
        assert world["apps"][FOREIGN_APP]["unique_name"] == "foreign"
        assert (world["configs"]["foreign"], world["secrets"]["foreign"]) == ("1", "1")
        for unit in UNITS:
            device = world["devices"][sid(unit)]
            assert (device["configs"]["foreign"], device["secrets"]["foreign"]) == (str(unit), str(unit))


History.TestCase.settings = settings(
    max_examples=16,
    phases=[Phase.generate],  # shrinking a failure would take minutes
    derandomize=True,
    stateful_step_count=14,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
TestHistory = History.TestCase
