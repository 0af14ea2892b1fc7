"""How hosts are reached: proxies, authorities of one's own, and the addresses of a host."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import ssl
import subprocess
import sys

import pytest
from loopback import CANARY, answer, client_of, run, serve

from reconcile.errors import InvalidInput, NotSent
from reconcile.transport import http1
from reconcile.transport.hosts import check_base
from reconcile.transport.ways import ways_of

HOST = "api.example.com"  # of `client_of`: credentials may go there
PROXY_PASSWORD = "pa55 of the proxy"
USERINFO = "me:pa55%20of%20the%20proxy@"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority of one's own, and a certificate for the host."""
    place = tmp_path_factory.mktemp("tls")

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=place, check=True, capture_output=True)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=our ca", "-days", "30",
            "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    openssl("req", *new, "-keyout", "host.key", "-out", "host.csr", "-subj", f"/CN={HOST}")
    (place / "ext").write_text(f"subjectAltName=DNS:{HOST},DNS:localhost\n")
    openssl("x509", "-req", "-in", "host.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-out", "host.pem", "-extfile", "ext")  # fmt: skip
    return place


@contextlib.asynccontextmanager
async def proxy_to(port, status=b"200 OK", asked=None):
    """A CONNECT proxy that leads every host to one port; `asked` gets the heads of its requests."""

    async def pump(reader, writer):
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()

    async def serve_one(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if asked is not None:
            asked.append(head.decode())
        writer.write(b"HTTP/1.1 " + status + b"\r\n\r\n")
        if not status.startswith(b"200"):
            writer.close()
            return
        inner, out = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, out), pump(inner, writer))

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def through_a_proxy(place, ca=True, status=b"200 OK", userinfo="", **environ):
    """The answer, or the words of the error; and what the proxy was asked."""

    async def story():
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(place / "host.pem", place / "host.key")
        asyncio.get_running_loop().set_exception_handler(lambda loop, what: None)
        asked = []
        async with (
            serve(answer({"ok": True}), answer({"ok": 2}), ssl=context) as served,
            proxy_to(served.port, status, asked) as port,
        ):
            way = ways_of(
                {"HTTPS_PROXY": f"http://{userinfo}127.0.0.1:{port}", **environ},
                (str(place / "ca.pem"),) if ca else (),
            )
            async with client_of(f"https://{HOST}/v1", transport=way) as client:
                try:
                    first = (await client.get("A")).body
                    return first, (await client.get("A")).body, asked, len(served.seen)
                except NotSent as error:
                    return str(error), None, asked, len(served.seen)

    return run(story())


def test_a_host_is_reached_through_a_proxy_on_one_connection(certificates):
    first, second, asked, seen = through_a_proxy(certificates, userinfo=USERINFO)
    assert (first, second, seen) == ({"ok": True}, {"ok": 2}, 2)
    (head,) = asked
    assert head.startswith(f"CONNECT {HOST}:443 HTTP/1.1\r\n") and f"Host: {HOST}:443\r\n" in head
    pair = base64.b64encode(f"me:{PROXY_PASSWORD}".encode()).decode()
    assert f"Proxy-Authorization: Basic {pair}\r\n" in head
    assert "\r\nAuthorization" not in head and CANARY not in head


def test_the_certificate_is_the_hosts_and_not_the_proxys(certificates):
    said, _, asked, seen = through_a_proxy(certificates, ca=False)
    assert "its certificate is not trusted" in said and "(the authorities are certifi's; --ca-file FILE adds" in said
    assert seen == 0 and len(asked) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (b"407 Who", "(HTTPS_PROXY) wants other credentials (407)"),
        (b"403 No", "(HTTPS_PROXY) refused the way there (403)"),
        (b"302 Login", "(HTTPS_PROXY) refused the way there (302)"),
        (b"nonsense", "(HTTPS_PROXY) gave no answer that HTTP has"),
    ],
)
def test_a_proxy_that_refuses_is_named_without_its_password(certificates, status, words, monkeypatch):
    monkeypatch.setattr("reconcile.transport.outage._LONGEST_S", 0.1)
    said, _, asked, seen = through_a_proxy(certificates, status=status, userinfo=USERINFO)
    assert words in said and "127.0.0.1:" in said and seen == 0 and asked
    assert "pa55" not in said and "me:" not in said


@pytest.mark.parametrize(
    ("environ", "name", "proxied"),
    [
        ({"HTTPS_PROXY": "http://p:1"}, HOST, True),
        ({"https_proxy": "p:1"}, HOST, True),
        ({"https_proxy": "p:1", "HTTPS_PROXY": "http://q:2"}, HOST, True),
        ({"HTTPS_PROXY": " "}, HOST, False),
        ({"HTTP_PROXY": "http://p:1"}, HOST, False),
        ({"HTTPS_PROXY": "http://p:1"}, "localhost", False),
        ({"HTTPS_PROXY": "http://p:1"}, "127.0.0.7", False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, HOST, False),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "other.example, example.com"}, HOST, False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".example.com"}, HOST, False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*.EXAMPLE.com"}, HOST, False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "ample.com"}, HOST, True),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": f"{HOST}:443"}, HOST, False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": f"{HOST}:8443"}, HOST, True),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, "10.1.2.3", False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, "11.1.2.3", True),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.1.2.3"}, "10.1.2.3", False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "fd00::/8"}, "[fd00::1]", False),
    ],
)
def test_which_hosts_go_through_the_proxy(environ, name, proxied):
    base = check_base(f"https://{name}", default_host=name.strip("[]"))
    made = ways_of(environ)(base)
    assert isinstance(made, http1.Connections)
    assert (made._proxy is not None) is proxied
    if made._proxy is not None:
        assert (made._proxy.name, made._proxy.port) == ("p", 1)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://p:1", "HTTPS_PROXY names an https proxy"),
        ("socks5://p:1", "HTTPS_PROXY names a socks5 proxy"),
        ("http://", "is not the URL of a proxy"),
        ("http://p:x", "is not the URL of a proxy"),
        ("http://p:1/path", "is not the URL of a proxy"),
        (f"http://me:{CANARY}@", "is not the URL of a proxy"),
        (f"http://me:{CANARY}@p q:1", "is not the URL of a proxy"),
    ],
)
def test_a_proxy_that_is_none_is_refused_without_its_value(url, words):
    with pytest.raises(InvalidInput, match=words) as refused:
        ways_of({"HTTPS_PROXY": url})
    assert CANARY not in str(refused.value) + str(refused.value.problems)
    assert "http://user:password@host:port" in str(refused.value.problems[0].hint)


def test_authorities_of_ones_own_are_added_or_take_the_place(certificates):
    ours, count = str(certificates / "ca.pem"), lambda way: len(_context(way).get_ca_certs())
    usual = count(ways_of({}))
    assert usual > 50
    assert count(ways_of({}, (ours,))) == usual + 1
    assert count(ways_of({"SSL_CERT_FILE": ours})) == 1
    for way in (ways_of({}, (ours,)), ways_of({"SSL_CERT_FILE": ours})):
        assert _context(way).verify_mode is ssl.CERT_REQUIRED and _context(way).check_hostname


def _context(way):
    return way(check_base(f"https://{HOST}", default_host=HOST))._tls


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read: No such file"), (b"", "holds no certificate"), (b"\xff", "holds no")]
)
def test_a_file_of_authorities_that_cannot_be_used_is_named(tmp_path, content, words):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidInput, match=f"--ca-file {file} {words}"):
        ways_of({}, (str(file),))
    with pytest.raises(InvalidInput, match=f"SSL_CERT_FILE {file} {words}"):
        _context(ways_of({"SSL_CERT_FILE": str(file)}))


def test_an_address_that_does_not_answer_costs_a_fraction_of_the_time(monkeypatch):
    """The first address takes nothing: its backlog is full. The second one is the server's."""
    with contextlib.ExitStack() as stack:
        dead = stack.enter_context(socket.create_server(("127.0.0.2", 0), backlog=0))
        at = dead.getsockname()
        for _ in range(8):  # whoever comes next is not even refused
            full = stack.enter_context(socket.socket())
            full.setblocking(False)
            full.connect_ex(at)

        async def story():
            async with serve(answer({"ok": True})) as served:
                loop = asyncio.get_running_loop()

                async def addresses(host, port, **more):
                    kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
                    return [(*kind, at), (*kind, ("127.0.0.1", served.port))]

                monkeypatch.setattr(loop, "getaddrinfo", addresses)
                async with client_of(f"http://localhost:{served.port}/v1", timeout_s=5) as client:
                    return (await client.get("A")).body, len(served.seen)

        assert run(story()) == ({"ok": True}, 1)


def test_the_program_goes_through_a_proxy_to_a_host_of_a_private_authority(certificates, tmp_path):
    (tmp_path / "fleet.yaml").write_text(
        f"fleet: f\nproviders: {{microvisor: {{base_url: 'https://{HOST}/v1', upload_url: 'https://{HOST}/u'}}}}\n"
        "microvisor: {configs: {a: x}}\n"
    )

    async def story(*options, userinfo=USERINFO):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificates / "host.pem", certificates / "host.key")
        empty = answer({"configs": [], "meta": {"key": "configs", "next_page_url": None}})
        async with serve(*[empty] * 9, ssl=context) as served, proxy_to(served.port) as port:
            environ = {name: value for name, value in os.environ.items() if not name.startswith("RECONCILE")}
            environ |= {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": CANARY, "NO_PROXY": ""}
            environ |= {"HTTPS_PROXY": f"http://{userinfo}127.0.0.1:{port}"}
            ran = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "reconcile", "plan", str(tmp_path), "--allow-host", HOST, "-vv", *options,
                env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            said, _ = await ran.communicate()
            return ran.returncode, said.decode(), len(served.seen)

    code, said, seen = run(story("--ca-file", str(certificates / "ca.pem")))
    assert code == 0 and "microvisor.configs.a" in said and seen > 0, said
    assert "pa55" not in said and CANARY not in said
    code, said, seen = run(story())
    assert code == 1 and "--ca-file FILE adds others" in said and seen == 0, said
    code, said, seen = run(story("--ca-file", str(tmp_path / "none.pem")))
    assert code == 3 and "none.pem cannot be read" in said and seen == 0, said
