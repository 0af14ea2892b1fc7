"""A vendor's words are shown only where they cannot hold a secret, in whatever spelling."""

import asyncio
import base64
import html
import json
import random
import string
import urllib.parse

import pytest
from loopback import answer, client_of, run, serve

from reconcile.core.values import Secret
from reconcile.errors import ApiError
from reconcile.transport import BasicAuth, BearerAuth, Upload, body, decode
from reconcile.transport.exchange import Received
from reconcile.transport.words import WITHHELD, Hidden

LETTERS = string.ascii_letters + string.digits + "-_.~+/=!*'()% &<>\"\\:@#$äßé☃日\U0001f600"
UNSEEN = "\u200b\u200d\u2060\ufeff\u00ad\u202e\u034f\ufe0f\u3164\x00\x07\x1b\r\n\x85\u2028"
HARMLESS = (
    "Not found",
    "The key 'mqtt.host' is taken already; choose another",
    "device UV00000000000000000000000000000001 has no app KA0123456789abcdef0123456789abcdef",
    "connectingPeriod: must be between 60 and 604800 seconds (was 5)",
    "No such device group 0158d38771f70000000000010010038c, see https://example.com/docs/errors#20404?a=b%20c",
    'Expected ",", or "}" at line 3 &amp; column 14 \\u00e4',
    "SGVsbG8gd29ybGQsIHRoaXMgaXMgYSB0ZXN0 and 48656c6c6f20776f726c64",
    "grün/日本: ist vergeben, bitte anders wählen ☃",
)


def percent(text):
    return "".join(f"%{byte:02X}" for byte in text.encode())


def json_escapes(text):
    return "".join(
        f"\\u{unit:04x}"
        for char in text
        for unit in memoryview(char.encode("utf-16-le")).cast("H")  # as many as it has in JSON
    )


def spread(text, rng):
    return "".join(char + rng.choice(UNSEEN) * rng.randrange(2) for char in text)


def aligned(text, rng, encode):
    raw = rng.randbytes(rng.randrange(4)) + text.encode() + rng.randbytes(rng.randrange(4))
    return encode(raw).decode().rstrip(rng.choice(("", "=")))


SPELLINGS = {
    "plain": lambda text, rng: text,
    "capitals": lambda text, rng: text.swapcase() if text.swapcase().casefold() == text.casefold() else text,
    "base64": lambda text, rng: aligned(text, rng, base64.b64encode),
    "base64url": lambda text, rng: aligned(text, rng, base64.urlsafe_b64encode),
    "base64 in lines": lambda text, rng: spread(aligned(text, rng, base64.b64encode), rng),
    "base64 twice": lambda text, rng: base64.b64encode(base64.b64encode(text.encode())).decode(),
    "base64 of a header": lambda text, rng: base64.b64encode(f"AC1:{text}".encode()).decode(),
    "hex": lambda text, rng: rng.choice((text.encode().hex(), text.encode().hex().upper())),
    "hex in pairs": lambda text, rng: text.encode().hex(rng.choice(" :-")),
    "hex of C": lambda text, rng: ", ".join(f"0x{byte:02x}" for byte in text.encode()),
    "hex of Python": lambda text, rng: repr(text.encode())[2:-1],
    "all hex of Python": lambda text, rng: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "octal": lambda text, rng: "".join(f"\\{byte:03o}" for byte in text.encode()),
    "accents between": lambda text, rng: "\u0338".join(text),
    "percent": lambda text, rng: urllib.parse.quote(text, safe=rng.choice(("", "/", "!'()*~"))),
    "form": lambda text, rng: urllib.parse.quote_plus(text),
    "all percent": lambda text, rng: percent(text),
    "percent twice": lambda text, rng: urllib.parse.quote(urllib.parse.quote(text, safe=""), safe=""),
    "all percent twice": lambda text, rng: percent(percent(text)),
    "html": lambda text, rng: html.escape(text),
    "decimal entities": lambda text, rng: "".join(f"&#{ord(char)};" for char in text),
    "hex entities": lambda text, rng: "".join(f"&#x{ord(char):x};" for char in text),
    "padded entities": lambda text, rng: "".join(f"&#x{ord(char):06X}" for char in text),
    "html twice": lambda text, rng: html.escape(html.escape(text)),
    "json": lambda text, rng: json.dumps(text, ensure_ascii=rng.random() < 0.5)[1:-1],
    "json slashes": lambda text, rng: json.dumps(text)[1:-1].replace("/", "\\/"),
    "json twice": lambda text, rng: json.dumps(json.dumps(text))[2:-2],
    "all json": lambda text, rng: json_escapes(text),
    "unseen": spread,
    "percent unseen": lambda text, rng: spread(percent(text), rng),
    "blanks": lambda text, rng: "  ".join(text),
    "base64 of percent": lambda text, rng: base64.b64encode(percent(text).encode()).decode(),
    "percent of base64": lambda text, rng: urllib.parse.quote(base64.b64encode(text.encode()).decode()),
    "hex of base64": lambda text, rng: base64.b64encode(text.encode()).hex(),
    "utf-16": lambda text, rng: base64.b64encode(text.encode("utf-16-le")).decode(),
}


def a_secret(rng, least=8, most=40):
    if rng.random() < 0.2:
        return rng.randbytes(16).hex()
    return "".join(rng.choice(LETTERS) for _ in range(rng.randrange(least, most)))


def a_text(rng, longest=60):
    return "".join(rng.choice(string.ascii_letters + "  ,.:'\"") for _ in range(rng.randrange(longest)))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_eight_characters_in_a_row_are_shown_in_any_spelling(spelling):
    rng = random.Random(spelling)
    spell = SPELLINGS[spelling]
    for _ in range(60):
        secret = a_secret(rng)
        hidden = Hidden([secret, a_secret(rng)])
        at = rng.randrange(len(secret) - 7)
        part = secret[at : at + rng.randrange(8, 13)]
        if spelling in ("blanks", "accents between") and sum(map(str.isalnum, part)) < 8:
            continue
        between = (rng.choice(("", " ", "'", ": ")), rng.choice(("", " ", "'", ", ")))
        if "utf-16" in spelling and not part.isascii():
            continue
        words = a_text(rng) + between[0] + spell(part, rng) + between[1] + a_text(rng)
        assert hidden.holds(words), (secret, words)


@pytest.mark.parametrize("spelling", [name for name in SPELLINGS if name not in ("blanks", "accents between")])
def test_all_of_a_short_secret_is_not_shown_in_any_spelling(spelling):
    rng = random.Random(spelling)
    for _ in range(30):
        secret = "".join(rng.choice(string.ascii_letters + string.digits + "-+/&") for _ in range(rng.randrange(1, 8)))
        words = f"{a_text(rng, 20)} {SPELLINGS[spelling](secret, rng)} {a_text(rng, 20)}"
        assert Hidden([secret]).holds(words), (secret, words)


def test_words_that_hold_nothing_are_shown():
    rng = random.Random(5)
    for _ in range(100):
        hidden = Hidden([a_secret(rng) for _ in range(3)], [a_secret(rng, 1, 8)])
        for words in HARMLESS:
            assert not hidden.holds(words), (words, hidden.long)
    seven = Hidden(["correct-horse-battery"])
    assert not seven.holds("corrects, horses and batteries: correct")
    assert seven.holds("it was correct-horse")


def test_what_an_api_makes_of_a_key_in_hex_is_not_shown():
    key = random.Random(3).randbytes(32)
    for secret in (key.hex(), "0x" + key.hex().upper()):
        hidden = Hidden([secret])
        assert hidden.holds(f"bad key {base64.b64encode(key).decode()}")
        assert hidden.holds(f"bad key {key.hex(':')}")
        assert hidden.holds("bad key " + "".join(f"\\x{byte:02x}" for byte in key))


def test_it_costs_what_the_words_are_long_and_no_more():
    hidden = Hidden([a_secret(random.Random(1)) * 100])
    for words in (
        "%25" * 166,
        "&amp;" * 100,
        "\\\\" * 250,
        base64.b64encode(bytes(370)).decode(),
        "4" * 500,
        "+%" * 250,
    ):
        assert not hidden.holds(words)


SECRET, HEADER = "hunter2/hunter2-Käse", base64.b64encode(b"AC1:pa55word-of-header").decode()


def refused(reply, auth=None, wordy=False, **sent):
    """The error that a POST is answered with."""

    async def story():
        made = {"auth": auth or BasicAuth("AC1", Secret("pa55word-of-header"))}
        async with serve(reply) as served, client_of(served, **made) as client:
            client._net.wordy = wordy
            with pytest.raises(ApiError) as failed:
                await client.send("POST", "A", **sent, idempotent=False)
            return failed.value

    return run(story())


PLAIN, SENSITIVE = {"json": {"Value": "plain words"}}, {"json": {"name": "pump-0001", "deep": [{"k": Secret(SECRET)}]}}


@pytest.mark.parametrize(
    ("status", "sent", "quiet", "wordy"),
    [
        (400, PLAIN, "say, say", "say, say"),
        (404, PLAIN, "say, say", "say, say"),
        (503, PLAIN, "say, say", "say, say"),
        (401, PLAIN, WITHHELD, "say, say"),
        (403, PLAIN, WITHHELD, "say, say"),
        (400, SENSITIVE, WITHHELD, "say, say"),
        (409, SENSITIVE, WITHHELD, "say, say"),
        (503, SENSITIVE, WITHHELD, "say, say"),
        (400, {"form": {"Value": Secret(SECRET)}}, WITHHELD, "say, say"),
        (400, {"form": {"Value": Secret(SECRET)}, "files": {"F": Upload("a.zip", b"bytes")}}, WITHHELD, "say, say"),
        (400, {"form": {"Value": "v"}, "files": {"F": Upload("a.zip", b"bytes")}}, "say, say", "say, say"),
    ],
)
def test_words_are_withheld_where_a_secret_was_sent_and_where_credentials_were_refused(status, sent, quiet, wordy):
    for reply in (answer({"message": "say, say"}, status), answer(raw=b"say, say", status=status, type="text/plain")):
        assert refused(reply, **sent).message == quiet
        assert refused(reply, **sent, wordy=True).message == wordy


@pytest.mark.parametrize(
    "echo",
    [
        SECRET,
        SECRET[2:11],
        SECRET.encode().hex(),
        "pa55word-of-header",
        "pa55word",
        HEADER,
        f"Basic {HEADER}",
        HEADER[-10:],
        "n: PUMP-0001",
        json.dumps(SECRET),
    ],
)
def test_what_holds_a_secret_is_withheld_with_v_too(echo):
    for said in ({"message": f"x {echo} y"}, {"detail": echo}, {"fields": [{"name": "n", "message": echo}]}):
        failed = refused(answer({"code": 20404, "message": "-", **said}, 400), **SENSITIVE, wordy=True)
        assert (failed.code, failed.message) == ("20404", WITHHELD)
    assert (
        refused(answer(raw=f"x {echo}".encode(), status=400, type="text/plain"), **SENSITIVE, wordy=True).message
        == WITHHELD
    )
    for code in ({"code": echo}, {"type": echo}, {"request_id": echo}):
        failed = refused(answer(code, 400), **SENSITIVE, wordy=True)
        assert echo not in str(failed)
        assert failed.code is None


@pytest.mark.parametrize("wordy", [False, True])
@pytest.mark.parametrize(("status", "sent"), [(401, PLAIN), (403, SENSITIVE), (400, SENSITIVE), (400, PLAIN)])
def test_codes_are_always_shown(status, sent, wordy):
    def ask(value, **headers):
        return refused(answer(value, status, **headers), **sent, wordy=wordy)

    assert ask({"code": 20003}).code == ask({"code": "20003"}).code == "20003"
    assert ask({"type": "validation_error", "code": 400}).code == "validation_error"
    assert ask({"code": "INVALID_TOKEN"}).code == "INVALID_TOKEN"
    assert ask({"message": "KEY_TAKEN"}).message == "KEY_TAKEN"
    failed = ask({"code": 1, "message": "NO_KEY", "detail": "some words"}, X_Request_ID="RQ0123456789abcdef")
    assert failed.request_id == "RQ0123456789abcdef"
    assert failed.message == (
        "NO_KEY; some words" if wordy or (status, sent) == (400, PLAIN) else f"NO_KEY; {WITHHELD}"
    )


def test_account_ids_and_user_names_and_values_of_a_body_without_secrets_are_no_secrets():
    words = "AC1-of-somebody: the value mqtt.example.com of pump-0001 is taken"
    auth = BasicAuth("AC1-of-somebody", Secret("pa55word"))
    sent = {"json": {"name": "pump-0001", "value": "mqtt.example.com"}}
    assert refused(answer({"message": words}, 400), auth=auth, **sent).message == words
    assert refused(answer({"message": words}, 400), auth=BearerAuth(Secret("ak_1234567")), **sent).message == words


def test_a_short_value_beside_a_secret_does_not_blank_the_words_out():
    sent = {"json": {"key": "psk", "n": 5, "value": Secret(SECRET)}}
    assert refused(answer({"message": "psk 5"}, 400), **sent, wordy=True).message == "psk 5"


def test_a_short_password_is_withheld_and_a_code_that_only_holds_it_is_shown():
    auth = BearerAuth(Secret("404"))
    failed = refused(answer({"code": 20404, "message": "see 404"}, 400), auth=auth)
    assert (failed.code, failed.message) == ("20404", WITHHELD)
    assert refused(answer({"code": 404, "message": "-"}, 400), auth=auth).code is None


def test_the_type_of_a_body_that_is_no_json_is_not_repeated():
    async def story():
        async with (
            serve(answer(raw=b"x", type=f"text/{SECRET.partition('/')[0]}")) as served,
            client_of(served) as client,
        ):
            return await asyncio.gather(client.get("A"), return_exceptions=True)

    (bad,) = run(story())
    assert "another type instead of JSON" in str(bad)
    assert "hunter2" not in str(bad)


def test_all_leaves_of_a_body_with_a_secret_are_hidden():
    hidden, sensitive = body.carried(
        None, {"a": [{"b": Secret("long-enough")}, "beside-it", 1234567890, True, None]}, None
    )
    assert sensitive
    assert hidden.long == {"long-enough", "beside-it", "1234567890"}
    assert decode.api_error("GET", "/", Received(400, {}, b'{"message": "no 1234567890"}'), hidden).message == WITHHELD
