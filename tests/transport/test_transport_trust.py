"""Secrets stay in the request, and nothing in the environment changes where a request goes."""

import asyncio
import base64
import hashlib
import json
import logging
import random
import ssl
import subprocess
import sys
import traceback
import urllib.parse
from pathlib import Path

import pytest
from loopback import CANARY, answer, client_of, run, serve

from reconcile.core.values import Secret
from reconcile.errors import ApiError, BadAnswer, InvalidInput, NoAnswer, NotSent, ReconcileError
from reconcile.transport import Answer, BasicAuth, BearerAuth, Net, Upload, body, faults, http1, ways
from reconcile.transport.exchange import Outgoing
from reconcile.transport.hosts import check_base


def encodings(text):
    raw = text.encode()
    return {
        text,
        urllib.parse.quote(text, safe=""),
        urllib.parse.quote_plus(text),
        base64.b64encode(raw).decode(),
        base64.b64encode(b"AC1:" + raw).decode(),
        raw.hex(),
        json.dumps(text)[1:-1],
        repr(text)[1:-1],
        repr(raw)[2:-1],
    }


def everything_said(error):
    """An exception with all that hangs on it: message, arguments, attributes, causes and contexts."""
    said, seen = [], set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        said += [*traceback.format_exception(error), str(error), repr(error), repr(error.args), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(said)


async def closed(reader, writer):
    writer.close()


ECHO = f"{CANARY} | {urllib.parse.quote_plus(CANARY)} | AC1:{CANARY}"


@pytest.mark.parametrize(
    "reply",
    [
        answer({"sid": "x"}),
        answer({"message": ECHO, "code": CANARY, "detail": ECHO}, 400),
        answer({"type": CANARY, "fields": [{"name": CANARY, "message": ECHO}], "request_id": "r"}, 422),
        answer(raw=ECHO.encode(), status=401, type="text/plain"),
        answer(raw=("x" * 495 + CANARY).encode(), status=400, type="text/plain"),
        answer({"message": ECHO}, 503),
        answer(raw=ECHO.encode()),
        answer(raw=ECHO.encode(), type="text/html"),
        answer(raw=json.dumps({"a": CANARY})[:-1].encode()),
        answer({}, 302, location="https://evil.example/"),
        f"{ECHO}\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\n{ECHO}\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{ECHO}\r\n".encode(),
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1{ECHO}\r\n".encode(),
        closed,
    ],
)
@pytest.mark.parametrize("kind", ["form", "json", "multipart"])
def test_a_secret_is_in_no_error_log_or_repr(reply, kind, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("asyncio").setLevel(logging.DEBUG)
    secret = Secret(CANARY)
    bodies = {
        "form": {"form": {"Key": "psk", "Value": secret}},
        "json": {"json": {"endpoint_name": "pump", "deep": [{"secret_hex": secret}]}},
        "multipart": {"form": {"Value": secret}, "files": {"File": Upload("a.zip", CANARY.encode())}},
    }
    said, sent = [], []

    async def story():
        async with serve(reply) as served, client_of(served, emit=said.append) as client:
            try:
                said.append(await client.send("POST", "Secrets", **bodies[kind], idempotent=False))
            except ReconcileError as error:
                said.append(everything_said(error))
            said.append((client, client._auth, bodies[kind]))
            sent.extend(served.seen)

    run(story())
    out, err = capfd.readouterr()
    text = "\n".join([*(one if isinstance(one, str) else repr(one) for one in said), caplog.text, out, err])
    # The log of every library at DEBUG level is in `text` too.
    assert not [form for form in encodings(CANARY) if form in text]
    assert sent[0].headers["authorization"] == "Basic " + base64.b64encode(f"AC1:{CANARY}".encode()).decode()
    assert callable(reply) or any(form.encode() in sent[0].body for form in encodings(CANARY))


@pytest.mark.parametrize(
    ("fault", "ours"),
    [
        (faults.NeverSent("refused"), NotSent),
        (faults.Lost("reset"), NoAnswer),
        (faults.Malformed("no head"), BadAnswer),
    ],
)
def test_another_connector_says_by_its_faults_what_became_of_a_request(fault, ours):
    class Broken:
        connects_first = False

        async def exchange(self, request):
            assert request.method == b"POST" and (b"Host", b"127.0.0.1:1") in request.headers
            sent = b"".join(request.body).decode()
            assert any(form in sent for form in encodings(CANARY)) and CANARY not in repr(request)
            raise fault

        async def aclose(self):
            return

    async def story():
        async with client_of("http://127.0.0.1:1/v1", transport=lambda base: Broken()) as client:
            with pytest.raises(ours) as told:
                await client.send("POST", "A", form={"Value": Secret(CANARY)}, idempotent=False)
            return str(told.value), "".join(traceback.format_exception(told.value))

    for text in run(story()):
        assert CANARY not in text and str(fault) in text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), "\ud800", [Secret(CANARY + "\ud800")]])
def test_a_value_without_an_encoding_is_an_error_that_does_not_show_it(value):
    async def story():
        async with serve(answer({})) as served, client_of(served) as client:
            with pytest.raises(InvalidInput) as invalid:
                await client.send("POST", "A", json={"v": value}, idempotent=False)
            with pytest.raises(InvalidInput, match="the value of Value is not valid Unicode") as form:
                await client.send("POST", "A", form={"Value": Secret(CANARY + "\ud800")}, idempotent=False)
            assert CANARY not in everything_said(invalid.value) + everything_said(form.value)
            return served.seen

    assert run(story()) == []


@pytest.mark.parametrize("text", ["ak_1\r\nX: y", "ak_1\n", "ak 1", "", "ak_ü", "ak_\0"])
def test_an_api_key_that_no_header_can_carry_is_refused_without_being_shown(text):
    net = Net(rng=random.Random(1))
    with pytest.raises(InvalidInput) as invalid:
        net.client(base_url="https://a.example", default_host="a.example", auth=BearerAuth(Secret(text)), name="x")
    assert not text or text not in everything_said(invalid.value)


def test_a_user_name_with_a_colon_is_refused():
    net = Net(rng=random.Random(1))
    with pytest.raises(InvalidInput, match="colon"):
        net.client(base_url="https://a.example", default_host="a.example", auth=BasicAuth("a:b", Secret("c")), name="x")


def test_line_breaks_in_values_stay_in_the_values():
    hostile = 'v\r\nX-Evil: 1\r\n\r\nGET / HTTP/1.1&Key=other"'

    async def story():
        async with serve(answer({})) as served, client_of(served) as client:
            await client.send("POST", "A", form={hostile: hostile}, idempotent=False)
            await client.get("A", params={hostile: hostile})
            files = {hostile: Upload(hostile, b"data")}
            await client.send("POST", "A", form={hostile: "v"}, files=files, idempotent=False)
            return served.seen

    form, query, parts = run(story())
    assert urllib.parse.parse_qsl(form.body.decode()) == [(hostile, hostile)]
    assert urllib.parse.parse_qsl(query.target.partition("?")[2]) == [(hostile, hostile)]
    assert "x-evil" not in form.headers
    assert b"X-Evil: 1\r\n" not in parts.body
    assert parts.body.count(b"Content-Disposition") == 2


@pytest.mark.parametrize(
    ("target", "field"), [(b"/v1/A", b"Basic a\nX-Evil: 1"), (b"/v1/A B", b"Basic YQ=="), (b"/\r\nA: 1", b"Basic YQ==")]
)
def test_a_request_that_http_cannot_carry_is_never_sent_nor_shown(target, field):
    async def story():
        async with serve(answer({})) as served:
            base = check_base(served.url, default_host="")
            connections = http1.Connections(base, None, limit=100, authorities="")
            headers = [(b"Host", b"a"), (b"Authorization", field + CANARY.encode())]
            with pytest.raises(faults.NeverSent) as refused:
                await connections.exchange(Outgoing(b"GET", target, headers, (), 0, lambda: None, 9))
            assert refused.value.lasting
            assert not [form for form in encodings(CANARY) if form in everything_said(refused.value)]
            assert "X-Evil" not in everything_said(refused.value)
            return served.seen

    assert run(story()) == []


def test_clients_of_one_api_may_have_credentials_of_their_own():
    async def story():
        async with serve(answer({})) as served, client_of(served, auth=BearerAuth(Secret("ak_1"))) as client:
            await client.get("A")
            await client.using(BasicAuth(Secret("u"), Secret("p"))).get("A")
            await client.using(None).get("A")
            return [seen.headers.get("authorization") for seen in served.seen]

    assert run(story()) == ["Bearer ak_1", "Basic dTpw", None]


def test_a_network_that_is_told_nothing_takes_nothing_from_the_environment(monkeypatch, tmp_path):
    async def story():
        async with serve(answer({"proxy": True})) as proxy, serve(answer({"ok": True})) as served:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            (tmp_path / "netrc").write_text("machine 127.0.0.1 login evil password evil\n")
            monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
            monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
            async with client_of(served, auth=None) as client:
                assert (await client.get("A")).body == {"ok": True}
            assert "authorization" not in served.seen[0].headers
            return proxy.seen

    assert run(story()) == []
    context = ways.tls_context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.keylog_filename is None
    assert context.cert_store_stats()["x509_ca"] > 50


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A certificate authority, and what it signed: good, for another host, expired; and one that signed itself."""
    place = tmp_path_factory.mktemp("tls")

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=place, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
            "-out", "ca.pem", "-subj", "/CN=test ca", "-days", "30",
            "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    (place / "index.txt").write_text("")
    for name, host, start, end in (
        ("good", "127.0.0.1", "20200101000000Z", "20990101000000Z"),
        ("other", "127.0.0.2", "20200101000000Z", "20990101000000Z"),
        ("expired", "127.0.0.1", "20200101000000Z", "20210101000000Z"),
    ):
        (place / f"{name}.cnf").write_text(
            f"[ca]\ndefault_ca=c\n[c]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\n"
            f"policy=p\nunique_subject=no\nx509_extensions=e\n[p]\nCN=supplied\n"
            f"[e]\nsubjectAltName=IP:{host}\nauthorityKeyIdentifier=keyid\n"
        )
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
                "-out", f"{name}.csr", "-subj", f"/CN={host}")  # fmt: skip
        openssl("ca", "-batch", "-config", f"{name}.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-in",
                f"{name}.csr", "-out", f"{name}.pem", "-startdate", start, "-enddate", end, "-notext")  # fmt: skip
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "self.key",
            "-out", "self.pem", "-subj", "/CN=127.0.0.1", "-days", "30",
            "-addext", "subjectAltName=IP:127.0.0.1")  # fmt: skip
    return place


def over_tls(place, name, trust, environ=None):
    given = (str(place / "ca.pem"),) if trust else ()
    way = ways.ways_of(environ or {}, given)

    async def story():
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(place / f"{name}.pem", place / f"{name}.key")
        done = []
        async with serve(answer({"ok": True}), ssl=context) as served:
            asyncio.get_running_loop().set_exception_handler(lambda loop, what: None)
            async with client_of(served.url.replace("http:", "https:"), emit=done.append, transport=way) as client:
                try:
                    return (await client.get("A")).body, [seen.target for seen in served.seen], len(done)
                except NotSent as error:
                    return str(error), served.seen, len(done)

    return run(story())


def test_a_certificate_of_a_trusted_authority_for_that_host_is_accepted(certificates):
    assert over_tls(certificates, "good", True) == ({"ok": True}, ["/v1/A"], 1)


@pytest.mark.parametrize(
    ("name", "trust", "words"),
    [
        ("good", False, "unable to get local issuer certificate"),
        ("self", True, "self-signed certificate"),
        ("expired", True, "certificate has expired"),
        ("other", True, "IP address mismatch"),
    ],
)
def test_a_certificate_that_is_not_trusted_ends_it_at_once_with_nothing_sent(certificates, name, trust, words):
    said, seen, attempts = over_tls(certificates, name, trust)
    assert "its certificate is not trusted" in said
    assert words.replace("-", " ") in said.replace("-", " ")
    assert (seen, attempts) == ([], 1)


def test_an_upload_is_streamed_with_its_length_and_opened_again_for_every_attempt(tmp_path):
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(random.Random(1).randbytes(300_000))

    async def story():
        refused = answer({}, 429)
        async with serve(refused, answer({"sid": "KA1"}, 201)) as served, client_of(served) as client:
            files = {"File": Upload("b.zip", str(bundle), sha256=sha256(bundle))}
            await client.send("POST", "Apps", form={"UniqueName": "b"}, files=files, idempotent=False)
            return served.seen

    for seen in run(story()):
        assert int(seen.headers["content-length"]) == len(seen.body)
        boundary = seen.headers["content-type"].partition("boundary=")[2].encode()
        parts = seen.body.split(b"--" + boundary)
        assert parts[1] == b'\r\nContent-Disposition: form-data; name="UniqueName"\r\n\r\nb\r\n'
        assert parts[2].partition(b"\r\n\r\n")[2] == bundle.read_bytes() + b"\r\n"
        assert parts[3] == b"--\r\n"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_path_without_the_checksum_that_was_planned_is_not_uploaded(tmp_path):
    with pytest.raises(InvalidInput, match="the plan holds no checksum"):
        Upload("b.zip", tmp_path / "bundle.zip")
    Upload("b.zip", b"the bytes themselves cannot change")


@pytest.mark.parametrize("size", [10, 300_000])
def test_a_file_that_changes_between_two_attempts_is_not_sent_whole_the_second_time(tmp_path, size):
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(random.Random(1).randbytes(size))
    files = {"File": Upload("b.zip", bundle, sha256=sha256(bundle))}
    received = []

    async def too_many(reader, writer):
        received.append(await reader.readexactly(size))
        bundle.write_bytes(random.Random(2).randbytes(size))
        writer.write(answer({}, 429, connection="close"))
        await writer.drain()
        await asyncio.sleep(1)

    async def take(reader, writer):
        received.append(await reader.read())

    async def story():
        async with serve(too_many, take) as served, client_of(served) as client:
            with pytest.raises(InvalidInput, match=r"is not the file that was planned.*plan again"):
                await client.send("POST", "Apps", files=files, idempotent=False)
            await asyncio.sleep(1)

    run(story())
    assert len(received[0]) == size
    assert sum(map(len, received[1:])) < size


@pytest.mark.parametrize("size", [10, 300_000])
def test_a_file_that_is_not_the_planned_one_is_never_sent_whole(tmp_path, size):
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(bytes(size))

    async def story():
        received = []

        async def take(reader, writer):
            received.append(len(await reader.read()))

        async with serve(take) as served, client_of(served) as client:
            files = {"File": Upload("b.zip", bundle, sha256="0" * 64)}
            with pytest.raises(InvalidInput, match="is not the file that was planned"):
                await client.send("POST", "Apps", files=files, idempotent=True)
            await asyncio.sleep(1)
        return received

    assert sum(run(story())) < size


@pytest.mark.parametrize("size", [0, 5, 100_000, 400_000])
def test_a_file_that_changes_after_its_length_was_announced_is_never_sent_whole(tmp_path, size):
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(bytes(200_000))
    outbound = body.encode(files={"File": Upload("b.zip", bundle, sha256=sha256(bundle))}, rng=random.Random(1))
    bundle.write_bytes(bytes(size))
    sent = 0
    with pytest.raises(InvalidInput, match="was changed while it was uploaded"):
        for chunk in outbound.chunks():
            sent += len(chunk)
    assert sent < outbound.length


@pytest.mark.parametrize(
    "make", [lambda path: None, lambda path: path.mkdir(), lambda path: __import__("os").mkfifo(path)]
)
def test_what_is_no_file_is_not_uploaded(tmp_path, make):
    make(tmp_path / "bundle.zip")

    async def story():
        async with serve(answer({})) as served, client_of(served) as client:
            with pytest.raises(InvalidInput, match=r"bundle\.zip"):
                files = {"File": Upload("b.zip", tmp_path / "bundle.zip", sha256="0" * 64)}
                await client.send("POST", "Apps", files=files, idempotent=True)
            return served.seen

    assert run(story()) == []


def test_importing_the_transport_imports_no_http_library():
    code = "import sys, reconcile.transport; sys.exit(not {'h11', 'httpx', 'certifi'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0


def test_an_answer_does_not_print_its_body():
    assert "psk" not in repr(Answer(200, {"psk": 1}, None, 0.0, None, {"psk": "psk"}))


def test_errors_of_a_refusal_name_what_support_asks_for():
    async def story():
        async with serve(answer({"message": "no"}, 400, X_Request_ID="r\x1b9")) as served, client_of(served) as client:
            with pytest.raises(ApiError) as failed:
                await client.get("A")
            return failed.value.request_id

    assert run(story()) == "r\\x1b9"


def test_a_bad_answer_holds_nothing_of_the_body():
    async def story():
        async with serve(answer(raw=b'{"value": "' + CANARY.encode())) as served, client_of(served) as client:
            with pytest.raises(BadAnswer) as bad:
                await client.get("A")
            return everything_said(bad.value)

    assert "s3cr3t" not in run(story())
