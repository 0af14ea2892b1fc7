"""A reference becomes a secret, or an error that names the reference and shows no value."""

import asyncio
import json
import os
import random
import traceback

import pytest

from reconcile.core.values import Secret, SecretRef
from reconcile.errors import InvalidInput
from reconcile.secrets import SecretResolver

CANARY = "hunter2-canary"


@pytest.fixture
def fleet(tmp_path):
    place = tmp_path / "repository" / "fleets" / "prod"
    (place / "secrets").mkdir(parents=True)
    return place


def opener(fleet, environ=None, outside=True):
    return SecretResolver(directory=fleet, root=fleet.parents[1] if outside else None, environ=environ or {}, key=None)


def open_ref(secrets, text):
    ref = SecretRef.parse(text)
    assert ref is not None
    secret = asyncio.run(secrets.open(ref))
    assert isinstance(secret, Secret)
    return secret.reveal()


def refusal(secrets, text):
    with pytest.raises(InvalidInput) as refused:
        open_ref(secrets, text)
    error, said = refused.value, []
    while error is not None:
        said += [*traceback.format_exception(error), repr(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    assert CANARY not in "\n".join(said)
    return str(refused.value)


@pytest.mark.parametrize(
    ("value", "secret"), [(" käse\n", " käse"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a\nb", "a\nb"), ("a\r", "a\r")]
)
def test_of_a_variable_one_final_line_break_is_dropped(fleet, value, secret):
    assert open_ref(opener(fleet, {"PSK": value}), "env:PSK") == secret


def test_a_variable_that_is_not_set_is_named(fleet):
    assert refusal(opener(fleet, {"PSK2": CANARY}), "env:PSK") == "environment variable PSK is not set"


@pytest.mark.parametrize(("value", "why"), [("", "is empty"), ("\udcff" + CANARY, "is not UTF-8")])
def test_a_variable_that_is_no_text_is_refused(fleet, value, why):
    assert why in refusal(opener(fleet, {"PSK": value}), "env:PSK")


def test_a_variable_may_hold_a_document(fleet):
    assert open_ref(opener(fleet, {"ALL": '{"a": {"b": "x"}}'}), "env:ALL#/a/b") == "x"


def test_an_unknown_scheme_names_those_that_there_are(fleet):
    assert refusal(opener(fleet), "vault:x") == (
        "vault:x does not resolve: there is no scheme 'vault'. There is env:, file:"
    )


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"psk", "psk"),
        (b"psk\n", "psk"),
        (b"psk\r\n", "psk"),
        (b"psk\n\n", "psk\n"),
        (b"psk\r", "psk\r"),
        (b" a\nb \n", " a\nb "),
        (b"\xef\xbb\xbfpsk", "psk"),
        ("Ω" * 4096, "Ω" * 4096),
    ],
)
def test_a_file_loses_one_final_line_break(fleet, content, value):
    (fleet / "psk").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert open_ref(opener(fleet), "file:psk") == value


def test_a_file_may_be_absolute_or_elsewhere_in_the_repository(fleet):
    (fleet / "secrets" / "a").write_text("one")
    (fleet.parents[1] / "shared").write_text("two")
    (fleet / "link").symlink_to(fleet.parents[1] / "shared")
    secrets = opener(fleet)
    assert open_ref(secrets, "file:secrets/a") == "one"
    assert open_ref(secrets, f"file:{fleet}/secrets/../secrets/a") == "one"
    assert open_ref(secrets, "file:../../shared") == "two"
    assert open_ref(secrets, "file:link") == "two"


def test_without_a_repository_only_the_fleets_directory_counts(fleet):
    (fleet.parents[1] / "shared").write_text(CANARY)
    assert "outside" in refusal(opener(fleet, outside=False), "file:../../shared")


@pytest.mark.parametrize("how", ["dots", "absolute", "link", "linked directory", "twin"])
def test_a_file_outside_is_refused_after_its_links_are_followed(fleet, how):
    repository = fleet.parents[1]
    outside = repository.parent / "outside"
    outside.mkdir()
    (outside / "id").write_text(CANARY)
    twin = repository.parent / (repository.name + "-2")
    twin.mkdir()
    (twin / "id").write_text(CANARY)
    (fleet / "link").symlink_to(outside / "id")
    (fleet / "folder").symlink_to(outside)
    path = {
        "dots": "../../../outside/id",
        "absolute": f"{outside}/id",
        "link": "link",
        "linked directory": "folder/id",
        "twin": f"{twin}/id",
    }[how]
    assert "lies outside the root" in refusal(opener(fleet), f"file:{path}")


def test_what_is_no_plain_small_text_file_is_refused(fleet):
    os.mkfifo(fleet / "fifo")
    (fleet / "large").write_text(CANARY * 100_000)
    (fleet / "binary").write_bytes(CANARY.encode() + b"\xff")
    (fleet / "empty").write_text("\n")
    (fleet / "loop").symlink_to("loop")
    secrets = opener(fleet)
    assert "not a plain file" in refusal(secrets, "file:secrets")
    assert "not a plain file" in refusal(secrets, "file:fifo")
    assert "larger than" in refusal(secrets, "file:large")
    assert "not UTF-8" in refusal(secrets, "file:binary")
    assert "is empty" in refusal(secrets, "file:empty")
    assert "leads nowhere" in refusal(secrets, "file:loop")
    assert "is not a path" in refusal(secrets, "file:a\0b")
    assert "does not exist" in refusal(secrets, "file:none")


def test_a_device_is_not_read(fleet):
    assert "outside" in refusal(opener(fleet), "file:/dev/zero")


JSON = json.dumps(
    {
        "oslo": CANARY,
        "n": 1,
        "yes": True,
        "no": None,
        "a/b": {"~": {"": "deep"}},
        "list": ["zero", {"x": "one"}],
        "empty": "",
        "emoji": "\U0001f511",
    }
).replace('"n": 1', '"n": 1.10')
YAML = f"""\
# sites
oslo: {CANARY}
n: 1.10
yes: true
no: ~
a/b: {{'~': {{'': deep}}}}
list:
- zero
- x: one
empty: ""
emoji: "\U0001f511"
"""


@pytest.mark.parametrize("text", [JSON, YAML], ids=["json", "yaml"])
@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/oslo", CANARY),
        ("/n", "1.10"),
        ("/yes", "true"),
        ("/a~1b/~0/", "deep"),
        ("/list/0", "zero"),
        ("/list/1/x", "one"),
        ("/emoji", "\U0001f511"),
    ],
)
def test_a_pointer_takes_one_text_out(fleet, text, pointer, value):
    (fleet / "all").write_text(text)
    assert open_ref(opener(fleet), f"file:all#{pointer}") == value


@pytest.mark.parametrize("text", [JSON, YAML], ids=["json", "yaml"])
@pytest.mark.parametrize(
    ("pointer", "why"),
    [
        ("/bergen", "leads to nothing"),
        ("/list/2", "leads to nothing"),
        ("/list/-", "leads to nothing"),
        ("/list/00", "leads to nothing"),
        ("/list/-1", "leads to nothing"),
        ("/oslo/0", "leads to nothing"),
        ("/list", "not to one value"),
        ("/a~1b", "not to one value"),
        ("", "not to one value"),
        ("/no", "not written"),
        ("/empty", "it is empty"),
    ],
)
def test_a_pointer_to_no_text_is_an_error_that_lists_nothing(fleet, text, pointer, why):
    (fleet / "all").write_text(text)
    said = refusal(opener(fleet), f"file:all#{pointer}")
    assert said.startswith(f"file:all#{pointer} does not resolve:")
    assert why in said
    assert "oslo" not in said.replace(pointer, "")


@pytest.mark.parametrize(
    ("text", "value"),
    [("0123", "0123"), ("no", "no"), ("'null'", "null"), ("0x1F", "0x1F"), ("12:30:00", "12:30:00")],
)
def test_a_scalar_of_yaml_stays_the_text_that_is_written(fleet, text, value):
    (fleet / "all.yaml").write_text(f"a: {text}\n")
    assert open_ref(opener(fleet), "file:all.yaml#/a") == value


@pytest.mark.parametrize(
    "text",
    [
        f"{{{CANARY}: [",
        f"a: {CANARY}\na: {CANARY}",
        json.dumps({"a": CANARY})[:-1] + f', "a": "{CANARY}"}}',
        f"a: &x {CANARY}\nb: *x",
        f"a: !!binary {CANARY}",
        f"? [{CANARY}, b]\n: c",
        f"a: {CANARY}\n---\nb: c",
        "[" * 30_000,
        "- " * 30_000,
        '{"a":' * 30_000,
        f"\t{CANARY}: x",
        f"a: '{CANARY}",
        "#",
    ],
)
def test_a_damaged_document_is_an_error_that_shows_nothing_of_it(fleet, text):
    (fleet / "all").write_text(text)
    assert "file:all#/a does not resolve" in refusal(opener(fleet), "file:all#/a")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"a: {CANARY}\nb:\n  c: 1\n  c: 2", "a name stands twice in the same map"),
        (f"a: &x {CANARY}", "it has anchors or aliases, which are not read"),
        (f"a: *{CANARY}", "it has anchors or aliases, which are not read"),
        (f"a: !{CANARY} b", "it has tags, which are not read"),
        (f"? [{CANARY}]\n: b", "it has a name that is not text"),
        (f"{{{{ {CANARY} }}}}: b", "it has a name that is not text"),
        (f"a: {CANARY}\n---\nb: c", "it is not one JSON or YAML document"),
        ("#", "it is not one JSON or YAML document"),
        ("- " * 70 + CANARY, "it is nested too deep"),
        (f"a: b\n{CANARY}: '", "it is neither JSON nor YAML (line 2)"),
    ],
)
def test_what_is_wrong_with_a_document_is_told_by_its_kind(fleet, text, why):
    (fleet / "all").write_text(text)
    said = refusal(opener(fleet), "file:all#/a")
    assert why in said and CANARY not in said


@pytest.mark.parametrize("name", ["{{ row.x }}", "<<", "null", "*", "{% if %}"])
def test_a_name_in_a_file_of_secrets_may_be_what_no_key_of_a_document_is(fleet, name):
    written = f"'{name}'" if name[0] in "{*" else name
    (fleet / "all.yaml").write_text(f"{written}: {CANARY}\n")
    assert open_ref(opener(fleet), f"file:all.yaml#/{name}") == CANARY


def test_a_value_of_yaml_may_be_any_string(fleet):
    (fleet / "all.yaml").write_text(f'a: "{CANARY}\\0"\n')
    assert open_ref(opener(fleet), "file:all.yaml#/a") == f"{CANARY}\0"


def test_a_file_of_thousands_is_parsed_once(fleet, monkeypatch):
    (fleet / "all.json").write_text(json.dumps({f"s{n}": f"v{n}" for n in range(12_000)}))
    secrets = opener(fleet)
    from reconcile import secrets as package

    parsed = []
    monkeypatch.setattr(package, "parse", lambda text: parsed.append(1) or package.document.parse(text))

    async def story():
        numbers = random.Random(1).sample(range(12_000), 3_000)
        return [(await secrets.open(SecretRef("file", "all.json", f"/s{n}"))).reveal() == f"v{n}" for n in numbers]

    assert all(asyncio.run(story()))
    assert len(parsed) == 1


def test_nothing_prints_a_secret(fleet):
    secrets = opener(fleet, {"PSK": CANARY, "ALL": JSON})
    open_ref(secrets, "env:ALL#/oslo")
    assert CANARY not in repr(secrets) + repr(secrets._documents)
