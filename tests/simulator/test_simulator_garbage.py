"""What no decent client sends: the simulator answers 4xx or hangs up, says nothing on standard error, and goes on."""

import base64
import socket
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated_fleet import ACCOUNT, APPS, DEVICES, TOKEN, bundle

from reconcile.simulator.serving import Running

BASIC = b"Authorization: Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()) + b"\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


def _send(sim: Running, request: bytes, wait_s: float = 5) -> bytes:
    """The first bytes that come back for these bytes; none if none come in time."""
    where = urlsplit(sim.url)
    with socket.create_connection((where.hostname, where.port), timeout=wait_s) as connection:
        connection.sendall(request)
        try:
            return connection.recv(65536)
        except TimeoutError:
            return b""


def _request(method: str, target: bytes, body: bytes = b"", headers: bytes = b"") -> bytes:
    head = method.encode() + b" " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + BASIC + headers
    return head + b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/v1/Configs/%zz", 404),
        (b"/v1/Configs/%", 404),
        (b"/v1/Configs/%ff", 400),
        (b"/v1/Configs/\xff", 400),
        (b"/v1/Configs/%00", 404),
        (b"/v1/Configs/gr\xc3\xbcn", 404),
        (b"/v1/Devices?PageToken=%ff&PageSize=%zz", 400),
        (b"/v1/Devices?" + b"a=b&" * 1500, 200),
        (b"//v1//Devices", 404),
        (b"/v1/Devices/", 200),
        (b"http://localhost/v1/Devices", 200),
        (b"http://[/v1/Devices", 404),
        (b"/v1/Devices#part", 404),
        (b"/v1/../v1/Devices", 404),
        (b"*", 404),
        (b"/" + b"x" * 7000, 404),
    ],
)
def test_odd_targets(sim: Running, target: bytes, status: int, caplog: pytest.LogCaptureFixture) -> None:
    first = _send(sim, _request("GET", target)).split(b"\r\n")[0]
    # The parser of HTTP may refuse a target before the simulator sees it.
    assert int(first.split()[1]) in (status, 400), first
    assert not caplog.records


@pytest.mark.parametrize(
    "body",
    [
        b"Key=%ff&Value=x",
        b"Key=\xff&Value=x",
        b"&".join([b"Key=k"] * 5000),
        b"=&=&&&",
        b"Key",
        b"\x00",
        b"Key=k;Value=v",
    ],
)
def test_odd_forms(sim: Running, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert b" 400 " in _send(sim, _request("POST", b"/v1/Configs", body, FORM)).split(b"\r\n")[0]
    assert not caplog.records


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (b"multipart/form-data", b"--x\r\n\r\n"),
        (b"multipart/form-data; boundary=x", b""),
        (b"multipart/form-data; boundary=x", b"--x"),
        (b"multipart/form-data; boundary=x", b"--x\r\n\r\n"),
        (b"multipart/form-data; boundary=x", b"--x\r\nno header\r\n\r\nbody\r\n--x--"),
        (b'multipart/form-data; boundary="x', b"--x\r\nContent-Disposition: form-data\r\n\r\nbody\r\n--x--"),
        (b"multipart/form-data; boundary*=utf-9''x", b"--x--"),
        (b"multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="File"\r\n\r\nPK\r\n--x--'),
        (b"multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="File"\r\n\r\n\r\n--x--'),
        (b"multipart/form-data; boundary=" + b"x" * 300, b"--x--"),
        (b"multipart/form-data; boundary=\xff", b"--\xff--"),
        (b"multipart/form-data; boundary=x", b"\r\n" * 5000 + b"--x" * 5000),
    ],
)
def test_odd_uploads(sim: Running, content_type: bytes, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    answer = _send(sim, _request("POST", b"/upload/v1/Apps", body, b"Content-Type: " + content_type + b"\r\n"))
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert not caplog.records


@given(st.binary(max_size=200))
@settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_a_damaged_bundle_is_taken_or_refused(client: httpx.Client, noise: bytes) -> None:
    content = bytearray(bundle(app=b"code" * 50, data=b"x"))
    for n, byte in enumerate(noise):
        content[-1 - (n * 7) % len(content)] ^= byte
    assert client.post("/upload/v1/Apps", files={"File": ("b", bytes(content))}).status_code in (201, 400)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"nonsense\r\n\r\n",
        b"GET /v1/Devices HTTP/9.9\r\n\r\n",
        b"GET /v1/Devices HTTP/1.1\r\nHost: a\r\nHost\r\n\r\n",
        b"GET /v1/Devices HTTP/1.0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"POST /v1/Configs HTTP/1.1\r\nHost: a\r\n" + BASIC + FORM + b"Content-Length: 100\r\n\r\nKey=k",
        b"POST /v1/Configs HTTP/1.1\r\nHost: a\r\n" + BASIC + FORM + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1/Configs HTTP/1.1\r\nHost: a\r\n" + BASIC + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"PUT /_sim/state HTTP/1.1\r\nHost: a\r\nContent-Encoding: deflate\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /v1/Configs HTTP/1.1\r\nHost: a\r\n" + BASIC + b"Content-Length: 9999999999\r\n\r\n",
        b"GET /v1/Devices HTTP/1.1\r\nHost: a\r\nAuthorization: Basic \xff\xfe\r\n\r\n",
        b'GET /v1/Devices HTTP/1.1\r\nHost: "<a>"\r\n' + BASIC + b"\r\n",
    ],
)
def test_what_is_hardly_http(
    sim: Running, client: httpx.Client, raw: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = _send(sim, raw, wait_s=0.2)
    assert not answer or answer.split()[1] in (b"200", b"400", b"401", b"413", b"415"), answer
    assert client.get("/v1/Devices").status_code == 200
    assert not caplog.records
    assert capfd.readouterr().err == ""


def test_a_body_that_waits_to_be_asked_for_is_asked_for(sim: Running) -> None:
    where = urlsplit(sim.url)
    body = b"Key=k&Value=v"
    head = _request("POST", b"/v1/Configs", body, FORM + b"Expect: 100-continue\r\n")[: -len(body)]
    with socket.create_connection((where.hostname, where.port), timeout=5) as connection:
        connection.sendall(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 201 ")


@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD"]),
    path=st.lists(
        st.sampled_from(["v1", "upload", "Apps", "Devices", "Configs", "Secrets", "Manifest", APPS[0], DEVICES[1], ""])
        | st.text(max_size=3),
        max_size=6,
    ),
    body=st.binary(max_size=30),
)
@settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_any_path_gets_an_answer(client: httpx.Client, method: str, path: list[str], body: bytes) -> None:
    content = body if method in ("POST", "PUT") else None
    target = "/" + "/".join(path).replace("?", "").replace("#", "")
    try:
        answer = client.request(method, target, content=content)
    except (httpx.InvalidURL, UnicodeError):
        return
    assert answer.status_code < 500
    if answer.content:
        answer.json()
