"""Whether a secret changed is told by a fingerprint, with a key that the state does not hold."""

import base64
import os
import pickle
from pathlib import Path

import pytest

from reconcile.core.values import Secret
from reconcile.errors import InvalidInput, StateError
from reconcile.secrets import FingerprintKey, Print, SecretResolver, config_dir, fingerprint, keyed, load_key, matches

KEY = FingerprintKey(bytes(range(32)))
WHERE = {"lineage": "l", "type_path": "microvisor.devices.secrets", "unit": "UV1", "name": "psk"}


def made(value="hunter2", key=KEY, **changed):
    return fingerprint(key, **{**WHERE, **changed}, value=Secret(value))


def test_the_same_value_matches_and_another_does_not():
    assert matches(made(), KEY, Secret("hunter2")) is True
    assert matches(made(), KEY, Secret("hunter3")) is False


def test_another_key_or_none_cannot_tell():
    assert matches(made(), FingerprintKey(bytes(32)), Secret("hunter2")) is None
    assert matches(made(), None, Secret("hunter2")) is None


@pytest.mark.parametrize("part", WHERE)
def test_equal_secrets_in_different_places_look_different(part):
    assert made(**{part: "other"}).mac != made().mac


def test_parts_do_not_run_together():
    assert made(unit="UV1", name="2psk").mac != made(unit="UV12", name="psk").mac
    assert made(name="a", value="bc").mac != made(name="ab", value="c").mac


def test_the_record_keeps_where_it_was_written_so_that_a_rename_rewrites_nothing():
    recorded = Print.from_json(made(unit="UV-old", name="old").to_json())
    assert matches(recorded, KEY, Secret("hunter2")) is True


def test_a_tampered_record_does_not_match():
    row = made().to_json()
    for part in (*WHERE, "mac"):
        assert matches(Print.from_json({**row, part: row[part] + "0"}), KEY, Secret("hunter2")) is False
    assert matches(Print.from_json({**row, "mac": "ü"}), KEY, Secret("hunter2")) is False


@pytest.mark.parametrize("row", [{}, None, [], {**made().to_json(), "mac": 1}])
def test_a_record_of_another_shape_is_an_error(row):
    with pytest.raises(StateError):
        Print.from_json(row)


def test_a_record_may_grow():
    assert Print.from_json({**made().to_json(), "later": 1}) == made()


def test_the_record_holds_neither_value_nor_key():
    text = repr(made()) + str(made().to_json()) + repr(KEY)
    assert "hunter2" not in text
    assert KEY.subkey("secret fingerprint").hex() not in text
    with pytest.raises(TypeError):
        pickle.dumps(KEY)


def test_subkeys_of_different_purposes_differ_and_are_stable():
    assert KEY.subkey("plan") == FingerprintKey(bytes(range(32))).subkey("plan")
    assert len({KEY.subkey("plan"), KEY.subkey("secret fingerprint"), KEY.subkey("")}) == 3
    assert len(KEY.subkey("plan")) == 32
    assert len(KEY.key_id) == 16


def test_the_secrets_of_a_command_make_and_compare_records(tmp_path):
    with_key = SecretResolver(directory=tmp_path, root=None, environ={}, key=KEY)
    row = with_key.print_of(Secret("a"), **WHERE)
    assert with_key.matches(row, Secret("a")) is True
    assert with_key.matches(row, Secret("b")) is False
    without = SecretResolver(directory=tmp_path, root=None, environ={}, key=None)
    assert without.print_of(Secret("a"), **WHERE) is None
    assert without.matches(row, Secret("a")) is None


def variable(text):
    return load_key({"RECONCILE_FINGERPRINT_KEY": text}, None, True)


def test_one_key_has_one_id_in_hex_and_base64():
    raw = bytes(range(200, 232))
    forms = [raw.hex(), raw.hex().upper(), f" {raw.hex()}\n", base64.b64encode(raw).decode()]
    forms += [base64.urlsafe_b64encode(raw).decode(), base64.b64encode(raw).decode().rstrip("=")]
    assert {variable(form).key_id for form in forms} == {FingerprintKey(raw).key_id}


def test_a_long_text_is_a_key():
    text = "correct horse battery staple, and more"
    assert variable(text).key_id == FingerprintKey(text.encode()).key_id


@pytest.mark.parametrize("text", ["", " ", "short", "ab" * 15, "x" * 31])
def test_a_short_key_is_refused_without_being_shown(text):
    with pytest.raises(InvalidInput) as refused:
        variable(text)
    assert text.strip() not in str(refused.value).replace("too short for", "") or not text.strip()


def test_no_key_is_made_unless_asked(tmp_path):
    assert load_key({}, tmp_path / "reconcile", False) is None
    assert not (tmp_path / "reconcile").exists()


def test_a_made_key_is_private_and_found_again(tmp_path):
    place = tmp_path / "a" / "reconcile"
    key = load_key({}, place, True)
    assert [path.name for path in place.iterdir()] == ["fingerprint.key"]
    assert (place / "fingerprint.key").stat().st_mode & 0o777 == 0o600
    assert (place.stat().st_mode & 0o777) == 0o700
    assert load_key({}, place, False).key_id == load_key({}, place, True).key_id == key.key_id


def test_keys_of_two_users_differ(tmp_path):
    assert load_key({}, tmp_path / "a", True).key_id != load_key({}, tmp_path / "b", True).key_id


def test_a_key_that_somebody_made_in_the_same_moment_stays(tmp_path, monkeypatch):
    link = os.link

    def race(source, target):
        target.write_text("ab" * 32)
        target.chmod(0o600)
        link(source, target)

    monkeypatch.setattr(os, "link", race)
    assert load_key({}, tmp_path, True).key_id == FingerprintKey(b"\xab" * 32).key_id
    assert [path.name for path in tmp_path.iterdir()] == ["fingerprint.key"]


def test_a_file_system_without_links_will_do(tmp_path, monkeypatch):
    def refused(source, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    assert load_key({}, tmp_path, True).key_id == load_key({}, tmp_path, False).key_id


@pytest.mark.parametrize("how", ["readable", "empty", "short", "large", "link", "dangling", "directory", "fifo"])
@pytest.mark.parametrize("create", [True, False])
def test_a_key_file_that_cannot_be_trusted_is_an_error_and_stays(tmp_path, how, create):
    path = tmp_path / "fingerprint.key"
    content = {"empty": "", "short": "abcd\n", "large": "ab" * 5000}.get(how, "ab" * 32)
    if how in ("readable", "empty", "short", "large"):
        path.write_text(content)
        path.chmod(0o640 if how == "readable" else 0o600)
    elif how == "link":
        (tmp_path / "elsewhere").write_text(content)
        (tmp_path / "elsewhere").chmod(0o600)
        path.symlink_to(tmp_path / "elsewhere")
    elif how == "dangling":
        path.symlink_to(tmp_path / "nowhere")
    elif how == "directory":
        path.mkdir()
    else:
        os.mkfifo(path, 0o600)
    with pytest.raises(StateError, match=r"fingerprint\.key") as refused:
        load_key({}, tmp_path, create)
    assert refused.value.problems[0].hint
    assert "abab" not in str(refused.value)
    assert not (tmp_path / "nowhere").exists()


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be"):
        load_key({}, tmp_path / "file" / "reconcile", True)


def test_the_configuration_directory_is_xdgs(tmp_path):
    assert config_dir({}, tmp_path) == tmp_path / ".config" / "reconcile"
    assert config_dir({"XDG_CONFIG_HOME": "/x"}, tmp_path).as_posix() == "/x/reconcile"
    assert config_dir({"XDG_CONFIG_HOME": "relative"}, tmp_path) == tmp_path / ".config" / "reconcile"
    assert config_dir({"XDG_CONFIG_HOME": "/x"}, None) == Path("/x/reconcile")
    assert config_dir({}, None) is None


def test_a_user_without_a_home_has_no_key_and_gets_none() -> None:
    assert load_key({}, None, False) is None
    with pytest.raises(StateError, match="no home directory"):
        load_key({}, None, True)


def test_where_no_directory_can_be_there_is_no_key_and_none_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/dev/null")):
        assert load_key({}, place, False) is None
        with pytest.raises(StateError, match="cannot be made"):
            load_key({}, place, True)


def test_a_keyed_digest_is_of_one_purpose_and_of_each_part() -> None:
    def digest(purpose: str, *parts: str | Secret) -> str:
        return keyed(FingerprintKey(b"k" * 32), purpose, *parts)

    assert digest("a", "env:X", Secret("v")) == digest("a", "env:X", "v")
    assert len({digest("a", "xy", "z"), digest("a", "x", "yz"), digest("b", "xy", "z"), digest("a", "xyz")}) == 4
    assert keyed(FingerprintKey(b"o" * 32), "a", "xyz") != digest("a", "xyz")
