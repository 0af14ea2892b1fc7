"""A saved plan is not trusted: it is sealed, and what nobody vouches for is planned again, shown and asked about."""

from __future__ import annotations

import hashlib
import hmac
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from fleet_rig import Rig, sid

from reconcile.secrets import FingerprintKey

OURS, THEIRS = "ab" * 32, "cd" * 32
OUR_ID, THEIR_ID = (FingerprintKey(bytes.fromhex(key)).key_id for key in (OURS, THEIRS))


@pytest.fixture
def fleet(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A fleet with a secret, in the working directory, with the key at hand and one config to change."""
    monkeypatch.chdir(rig.directory)
    rig.environ |= {"PSK": "psk-of-the-tests", "RECONCILE_FINGERPRINT_KEY": OURS}
    rig.files |= {"limits": {"delete": 0, "forget": 0}, "variables": {"pin": {"default": "1234"}}}
    rig.configs.update(host="1", pin="{{ var.pin }}")
    rig.devices["one"] = {"sid": sid(1), "secrets": {"psk": "env:PSK"}}
    rig.apply_well()
    rig.configs["host"] = "2"
    return rig


def without_key(rig: Rig) -> None:
    """On another machine, of somebody who has the files and the state."""
    rig.environ.pop("RECONCILE_FINGERPRINT_KEY", None)


def rewritten(file: Path, edit: Any, key: str | None = None) -> None:
    """The plan as somebody would leave it who knows the format, and has `key` or no key."""
    lines = [json.loads(line) for line in file.read_bytes().splitlines()[1:]]
    edit(lines[0]["bindings"])
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    header: dict[str, Any] = {"reconcile_plan": 1, "sha256": hashlib.sha256(body).hexdigest()}
    header |= {"seal": None, "key_id": None}
    if key is not None:
        ours = FingerprintKey(bytes.fromhex(key))
        text = json.dumps(["reconcile plan", 1, ours.key_id, header["sha256"]])
        header["seal"] = hmac.new(ours.subkey("seal"), text.encode(), hashlib.sha256).hexdigest()
        header["key_id"] = ours.key_id
    header["check"] = hashlib.sha256(json.dumps(header).encode()).hexdigest()[:16]
    file.write_bytes(json.dumps(header).encode() + b"\n" + body)


def bindings(file: Path) -> Any:
    return json.loads(file.read_bytes().splitlines()[1])["bindings"]


def unvouched(rig: Rig, *options: str, edit: Any = lambda row: None) -> Path:
    """A plan without a seal, on a machine without the key."""
    without_key(rig)
    file = rig.saved(*options)
    rewritten(file, edit)
    return file


def refused(rig: Rig, file: Path, *options: str, code: int = 5) -> str:
    rig.mark()
    before = rig.serial()
    ran = rig.apply_file(file, *options)
    assert ran.code == code, ran
    assert rig.mutations() == [] and rig.serial() == before
    return " ".join(ran.err.split())


# ------------------------------------------------------------------ where the key is


def test_a_plan_of_somebody_without_the_key_is_refused_where_the_key_is(fleet: Rig) -> None:
    """The forger plans to destroy everything, with limits that allow it, and nobody is asked for a sealed plan."""
    without_key(fleet)
    file = fleet.saved("--destroy", "--allow", "delete=99", "--allow", "forget=99")
    fleet.environ["RECONCILE_FINGERPRINT_KEY"] = OURS
    fleet.mark()
    ran = fleet.run("apply", str(file))
    assert ran.code == 5, ran
    assert fleet.requests() == []
    assert "none" in ran.err and OUR_ID in ran.err and "RECONCILE_FINGERPRINT_KEY" in ran.err, ran


def test_a_plan_with_another_key_or_without_its_seal_is_refused(fleet: Rig) -> None:
    file = fleet.saved()
    fleet.environ["RECONCILE_FINGERPRINT_KEY"] = THEIRS
    err = refused(fleet, file)
    assert OUR_ID in err and THEIR_ID in err and "RECONCILE_FINGERPRINT_KEY" in err
    rewritten(file, lambda row: None)
    assert "none" in refused(fleet, file)
    rewritten(file, lambda row: None, THEIRS)
    fleet.environ["RECONCILE_FINGERPRINT_KEY"] = OURS
    assert THEIR_ID in refused(fleet, file)


def test_nothing_in_a_plan_is_believed_before_its_seal(fleet: Rig) -> None:
    """Neither the fleet that it names nor what it is said to allow."""
    file = fleet.saved()
    rewritten(file, lambda row: row.update(path="/nowhere", options={"destroy": True}))
    assert "not sealed" in refused(fleet, file, "--target", "x")


def test_a_plan_that_was_made_before_there_were_keyed_digests_is_applied(fleet: Rig) -> None:
    file = fleet.saved("--var", "pin=77")
    bare = hashlib.sha256(json.dumps({"pin": "77"}, sort_keys=True).encode()).hexdigest()

    def earlier(row: Any) -> None:
        del row["secrets"], row["given"]
        row["variables"] = bare

    rewritten(file, earlier, OURS)
    assert "variables" in refused(fleet, file)
    assert fleet.apply_file(file, "--var", "pin=77").code == 0


# ------------------------------------------------------------------ where no key is


def test_without_a_key_what_is_planned_now_is_shown_and_asked_about(fleet: Rig) -> None:
    allow = ("--allow", "unknown-secrets=1")  # without the key nobody can compare it
    file = unvouched(fleet, *allow)
    fleet.mark()
    ran = fleet.run("apply", str(file), *allow)
    assert ran.code == 1, ran
    assert "no terminal" in ran.err and "--auto-approve" in ran.err
    assert 'value = "1" -> "2"' in ran.out
    assert fleet.mutations() == []
    ran = fleet.apply_file(file, *allow)
    assert ran.code == 0, ran
    assert "There is no key here to verify" in ran.err and 'value = "1" -> "2"' in ran.out
    assert fleet.mutations() == ["POST /v1/Configs/host"]
    assert "applied already" in refused(fleet, file, *allow)


def test_without_a_key_another_plan_than_would_be_made_now_is_refused(fleet: Rig) -> None:
    file = unvouched(fleet)
    with fleet.outside() as world:
        world["configs"]["host"] = "theirs"
    assert "would be planned now" in refused(fleet, file)


def test_without_a_key_the_first_apply_of_a_fleet_asks_before_there_is_a_state(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(rig.directory)
    rig.configs["host"] = "1"
    file = rig.saved()
    rig.lose_key()
    ran = rig.run("apply", str(file))
    assert ran.code == 1, ran
    assert not rig.state.exists()
    assert rig.apply_file(file).code == 0
    assert "applied already" in refused(rig, file)
    rig.assert_in_sync()


def test_without_a_key_what_was_allowed_is_said_again(fleet: Rig) -> None:
    """All that is missing is named at once, and the command that is shown is the one that works."""
    options = ("--destroy", "--allow", "delete=99", "--rewrite", "microvisor.devices.one", "--retry-failed")
    file = unvouched(fleet, *options, "--overwrite-pending", "--var", "pin=1234")
    err = refused(fleet, file, "--retry-failed", "--var", "pin=1234")
    for missing in ("--destroy", "--allow delete=99", "--rewrite microvisor.devices.one", "--overwrite-pending"):
        assert missing in err.split("If that is meant")[0]
    assert "--retry-failed" not in err.split("If that is meant")[0]
    assert "would be planned now" not in err
    _, *command = shlex.split(err.partition("If that is meant: ")[2])
    assert command[:2] == ["apply", str(file)]
    ran = fleet.run(*command)
    assert ran.code == 0, ran
    assert fleet.world["configs"] == {}


@pytest.mark.parametrize("key", [True, False])
@pytest.mark.parametrize(
    "more",
    [
        ("--destroy",),
        ("--allow", "delete=100"),
        ("--rewrite", "microvisor.devices.one"),
        ("--retry-failed",),
        ("--overwrite-pending",),
        ("--exclude", "microvisor.devices.one"),
        ("--no-refresh",),
    ],
)
def test_what_the_plan_does_not_hold_is_planned_again(fleet: Rig, key: bool, more: tuple[str, ...]) -> None:
    file = fleet.saved("--allow", "delete=99")
    if not key:
        without_key(fleet)
    err = refused(fleet, file, "--allow", "delete=99", *more, code=3)
    _, *command = shlex.split(err.partition("Plan again with it: ")[2])
    assert command[0] == "plan" and " ".join(more) in " ".join(command)
    fleet.environ["RECONCILE_FINGERPRINT_KEY"] = OURS
    assert fleet.run(*command).code == 0
    assert fleet.apply_file(file, *more).code == 0


@pytest.mark.parametrize("link", [True, False])
def test_without_a_key_a_fleet_outside_of_this_repository_is_refused(
    fleet: Rig, monkeypatch: pytest.MonkeyPatch, link: bool
) -> None:
    """The artefact brings a fleet of its own, which would be loaded with this job's secrets."""
    checkout, evil = fleet.directory / "checkout", fleet.directory / "artefact"
    for directory in (checkout / ".git", checkout / "deep", evil):
        directory.mkdir(parents=True)
    document = {"fleet": "tests", "microvisor": {"configs": {"a": "evil"}, "secrets": {"stolen": "env:PSK"}}}
    (evil / "fleet.yaml").write_text(json.dumps(document))
    (checkout / "link").symlink_to(evil)
    (checkout / "deep" / "fleet.yaml").write_text(json.dumps(document))
    monkeypatch.chdir(checkout / "deep")
    path = "../link" if link else "../../artefact"
    file = fleet.directory / "evil.plan"
    without_key(fleet)
    assert fleet.run("plan", path, "--out", str(file)).code == 0
    fleet.lose_key()
    err = refused(fleet, file)
    assert f"the plan is for {path}, which is outside {checkout}" in err
    # Below the repository it is a fleet that somebody has reviewed, wherever in it this is run.
    fleet.find_key()
    assert fleet.run("plan", "../deep", "--out", str(file)).code == 0
    fleet.lose_key()
    ran = fleet.apply_file(file)
    assert ran.code == 0, ran


# ------------------------------------------------------------------ sealing


def test_every_saved_plan_is_sealed_and_a_key_is_made_for_it(rig: Rig) -> None:
    rig.configs["host"] = "1"
    file = rig.saved()
    made = rig.run("key", "show-id").out.split()
    assert made[1] == str(rig.directory / "config" / "reconcile" / "fingerprint.key")
    assert json.loads(file.read_bytes().splitlines()[0])["key_id"] == made[0]
    assert rig.apply_file(file).code == 0


@pytest.mark.parametrize("place", ["HOME", "XDG_CONFIG_HOME"])
def test_where_no_key_can_be_made_the_plan_says_so_first(rig: Rig, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(rig.directory)
    rig.environ |= {"XDG_CONFIG_HOME": "", place: "/dev/null"}
    rig.configs["host"] = "1"
    file = rig.directory / "saved.plan"
    ran = rig.plan("--out", str(file))
    assert ran.code == 0, ran
    assert ran.out.startswith("Not sealed: the fingerprint key /dev/null/"), ran
    assert rig.plan("--out", str(file), "--format", "json").json["reconcile"]["seal"] == {
        "verified": False,
        "key_id": None,
    }
    assert bindings(file)["variables"] == "" and bindings(file)["secrets"] == {}
    assert rig.run("show", str(file)).out.startswith("Not verified: the file has no seal")
    assert rig.run("apply", str(file)).code == 1
    assert rig.apply_file(file).code == 0


def test_where_the_state_has_another_key_the_plan_is_not_sealed(fleet: Rig) -> None:
    without_key(fleet)
    file = fleet.directory / "saved.plan"
    ran = fleet.plan("--out", str(file))
    assert ran.out.startswith(f"Not sealed: the state holds fingerprints by the key {OUR_ID}"), ran
    assert not (fleet.directory / "config").exists()
    assert json.loads(file.read_bytes().splitlines()[0])["seal"] is None


# ------------------------------------------------------------------ show


def test_show_says_first_whether_the_seal_was_verified(fleet: Rig) -> None:
    file = fleet.saved()

    def shown(file: Path) -> tuple[str, Any]:
        texts = [fleet.run("show", str(file)), fleet.run("show", str(file), "microvisor.configs.host")]
        assert all(ran.code == 0 for ran in texts), texts
        first, again = (ran.out.splitlines()[0] for ran in texts)
        assert first == again
        assert "microvisor.configs.host" in texts[0].out
        whole = fleet.run("show", str(file), "--format", "json").json["reconcile"]["seal"]
        part = fleet.run("show", str(file), "microvisor.configs.host", "--format", "json").json["reconcile"]["seal"]
        assert whole == part
        return first, whole

    assert shown(file) == (
        f"Seal verified: made with the key {OUR_ID}, which is here.",
        {"verified": True, "key_id": OUR_ID},
    )
    fleet.environ["RECONCILE_FINGERPRINT_KEY"] = THEIRS
    first, seal = shown(file)
    assert first.startswith("NOT VERIFIED:") and OUR_ID in first and THEIR_ID in first
    assert seal == {"verified": False, "key_id": OUR_ID}
    without_key(fleet)
    first, seal = shown(file)
    assert first == f"Not verified: sealed with the key {OUR_ID}, and no key is here."
    assert seal == {"verified": False, "key_id": OUR_ID}
    rewritten(file, lambda row: None)
    assert shown(file) == (
        "Not verified: the file has no seal, and no key is here.",
        {"verified": False, "key_id": None},
    )
    fleet.environ["RECONCILE_FINGERPRINT_KEY"] = OURS
    first, seal = shown(file)
    assert first.startswith("NOT VERIFIED: the file has no seal") and OUR_ID in first
    rewritten(file, lambda row: None, OURS)
    whole = file.read_bytes()
    seal_of_it = json.loads(whole.splitlines()[0])["seal"]
    rewritten(file, lambda row: row.update(path="\x1b[2Jother"), OURS)
    forged = file.read_bytes()
    forged = forged.replace(json.loads(forged.splitlines()[0])["seal"].encode(), seal_of_it.encode())
    header = json.loads(forged.splitlines()[0])
    del header["check"]
    check = hashlib.sha256(json.dumps(header).encode()).hexdigest()[:16]
    line = json.dumps({**header, "check": check}).encode()
    file.write_bytes(line + forged[forged.index(b"\n") :])
    first, seal = shown(file)
    assert first.startswith("NOT VERIFIED: changed after it was made")
    assert "\x1b" not in fleet.run("show", str(file)).out


# ------------------------------------------------------------------ values that the plan is bound to


def test_another_value_of_a_secret_than_the_planned_one_is_refused(fleet: Rig) -> None:
    fleet.environ |= {"PSK": "planned-canary", "OTHER": "other-canary"}
    fleet.secrets["other"] = "env:OTHER"
    file = fleet.saved()
    bound = bindings(file)["secrets"]
    assert sorted(bound) == ["env:OTHER", "env:PSK"] and len(set(bound.values())) == 2
    assert b"canary" not in file.read_bytes()
    fleet.environ["PSK"] = "swapped-canary"
    err = refused(fleet, file)
    assert "env:PSK" in err and "env:OTHER" not in err and "canary" not in err
    fleet.environ["PSK"] = "planned-canary"
    assert fleet.apply_file(file).code == 0
    assert fleet.device(1)["secrets"]["psk"] == "planned-canary"


def test_a_secret_that_was_swapped_before_the_first_apply_leaves_no_state(rig: Rig) -> None:
    rig.environ["PSK"] = "planned"
    rig.secrets["psk"] = "env:PSK"
    file = rig.saved()
    rig.environ["PSK"] = "swapped"
    assert "env:PSK" in refused(rig, file)
    assert not rig.state.exists()


def test_a_secret_that_was_not_here_at_the_plan_may_have_any_value(rig: Rig) -> None:
    rig.secrets["psk"] = "env:PSK"
    file = rig.saved()
    assert bindings(file)["secrets"] == {}
    rig.environ["PSK"] = "anything"
    assert rig.apply_file(file).code == 0
    assert rig.world["secrets"] == {"psk": "anything"}


def test_a_variable_cannot_be_tried_out_from_a_plan(fleet: Rig) -> None:
    bare = hashlib.sha256(json.dumps({"pin": "4711"}, sort_keys=True).encode()).hexdigest()
    file = fleet.saved("--var", "pin=4711")
    sealed = bindings(file)["variables"]
    assert sealed.startswith("hmac-sha256:") and bare not in file.read_text()
    assert bare not in fleet.plan("--var", "pin=4711", "--format", "json").out
    assert "variables" in refused(fleet, file, "--var", "pin=4712")
    without_key(fleet)
    allow = ("--allow", "unknown-secrets=1")
    file = fleet.saved("--var", "pin=4711", *allow)
    assert bindings(file)["variables"] == ""
    assert bare not in fleet.plan("--var", "pin=4711", "--format", "json").out
    # Other values make another plan, and that is seen.
    assert "would be planned now" in refused(fleet, file, "--var", "pin=4712", *allow)
    assert fleet.apply_file(file, "--var", "pin=4711", *allow).code == 0
