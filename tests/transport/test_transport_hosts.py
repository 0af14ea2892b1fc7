"""Where credentials may go, and that no id leaves its place in a path."""

import pytest
from loopback import answer, client_of, run, serve

from reconcile.errors import InvalidInput
from reconcile.transport import allow_list, hosts


def base(url, *allowed):
    return hosts.check_base(url, default_host="api.example.com", allowed=allow_list(*allowed))


@pytest.mark.parametrize(
    ("url", "host", "used"),
    [
        ("https://api.example.com/v1/", "api.example.com", "https://api.example.com/v1"),
        ("https://API.example.com:443", "api.example.com", "https://api.example.com"),
        ("https://api.example.com:8443/v1", "api.example.com:8443", "https://api.example.com:8443/v1"),
        ("http://127.0.0.1:8080/v1//", "loopback", "http://127.0.0.1:8080/v1"),
        ("http://127.9.9.9/", "loopback", "http://127.9.9.9"),
        ("https://[::1]:1/x", "loopback", "https://[::1]:1/x"),
        ("http://localhost:80", "loopback", "http://localhost"),
    ],
)
def test_the_vendors_host_and_loopback_need_no_permission(url, host, used):
    assert (base(url).host, base(url).url) == (host, used)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/",
        "http://api.example.com/v1",
        "https://user:hunter2@api.example.com/",
        "https://api.example.com@evil.example/",
        "file:///etc/passwd",
        "ftp://api.example.com",
        "api.example.com/v1",
        "https://",
        "https:///v1",
        "https://api.example.com/v1?x=1",
        "https://api.example.com/v1#x",
        "https://api.example.com/v1/../x",
        "https://api.example.com/v1/%2e%2e/x",
        "https://api.example.com//v1",
        "https://api.example.com:0",
        "https://api.example.com:99999",
        "https://api.example.com\\@evil.example/",
        "https://api.example.com/\r\nHost: evil",
        "https://api.ex\tample.com/",
        "https://api.exämple.com/",
        "https://evil.example/v1",
        "https://api.example.com.evil.example/",
        "https://api.example.com./",
        "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0/",
        "https://0x7f.1/",
        "http://localhost.evil.example/",
        "http://127.0.0.1.evil.example/",
        "https://[::1",
        "http://[::1]evil.com",
        "http://[::1]evil.com:80/",
        "http://[::1]:80evil.com/",
        "http://[::1%evil.com]",
        "http://[::1%25evil.com]:80",
        "http://[fe80::1%lo]/",
        "http://[[::1]]/",
        "http://::1/",
        "",
    ],
)
def test_every_other_base_url_is_refused_without_its_credentials_being_shown(url):
    with pytest.raises(InvalidInput) as refused:
        base(url)
    assert "hunter2" not in str(refused.value)
    assert str(refused.value).isprintable()


def test_a_refused_host_names_the_way_out():
    with pytest.raises(InvalidInput, match=r"--allow-host evil\.example, or RECONCILE_ALLOWED_HOSTS=evil\.example"):
        base("https://evil.example/v1")


@pytest.mark.parametrize(
    "allowed", ["eu.example.com", "EU.example.com", "a.b, eu.example.com:444\nx", "eu.example.com:444"]
)
def test_an_allowed_host_may_be_used(allowed):
    assert base("https://eu.example.com:444/", allowed).host == "eu.example.com:444"


@pytest.mark.parametrize("allowed", ["example.com", "eu.example.com:443", "x.eu.example.com"])
def test_an_allowed_host_allows_no_other_one(allowed):
    with pytest.raises(InvalidInput):
        base("https://eu.example.com:444/", allowed)


def test_an_allowed_host_still_needs_https():
    with pytest.raises(InvalidInput, match="loopback only"):
        base("http://eu.example.com/", "eu.example.com")


@pytest.mark.parametrize("text", ["https://eu.example.com", "a/b", "*", "*.example.com", "a:b", "[::1", "-a"])
def test_what_is_not_a_host_cannot_be_allowed(text):
    with pytest.raises(InvalidInput, match="is not a host"):
        allow_list(text)


@pytest.mark.parametrize("name", ["::1%evil.com", "::1%lo", "::1%25lo", "127.0.0.1%lo"])
def test_loopback_has_no_zone(name):
    assert not hosts.is_loopback(name)
    with pytest.raises(InvalidInput, match="is not a host"):
        allow_list(f"[{name}]")


def test_nothing_allowed_is_an_empty_list():
    assert allow_list(None, "", " , ") == frozenset()


@pytest.mark.parametrize(
    ("segment", "sent"),
    [
        ("../../Accounts", "..%2F..%2FAccounts"),
        ("a?b=c", "a%3Fb%3Dc"),
        ("a#f", "a%23f"),
        ("..%2f", "..%252f"),
        ("%00", "%2500"),
        ("\0", "%00"),
        ("a\r\nX: 1", "a%0D%0AX%3A%201"),
        ("mqtt.host", "mqtt.host"),
        ("...", "..."),
        ("a b/ü;=+&", "a%20b%2F%C3%BC%3B%3D%2B%26"),
        ("//evil.example", "%2F%2Fevil.example"),
    ],
)
def test_a_segment_stays_one_segment_on_the_wire(segment, sent):
    async def story():
        async with serve(answer({})) as served, client_of(served) as client:
            await client.get("Devices", segment, "Configs", params={"q": "ä&b", "n": 2})
            return served.seen[0].target

    assert run(story()) == f"/v1/Devices/{sent}/Configs?q=%C3%A4%26b&n=2"


@pytest.mark.parametrize("segment", ["", ".", "..", "\ud800"])
def test_a_segment_that_is_no_name_is_refused_and_nothing_is_sent(segment):
    async def story():
        async with serve(answer({})) as served, client_of(served) as client:
            with pytest.raises(InvalidInput):
                await client.get("Devices", segment)
            return served.seen

    assert run(story()) == []


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://api.example.com/v1/A?Page=2&T=x%2Fy", "/v1/A?Page=2&T=x%2Fy"),
        ("https://api.example.com:443/v1", "/v1"),
        ("https://API.EXAMPLE.com/v1/A#f", "/v1/A"),
        ("http://api.example.com/v1/A", None),
        ("https://api.example.com:444/v1/A", None),
        ("https://evil.example/v1/A", None),
        ("https://api.example.com@evil.example/v1/A", None),
        ("https://u:p@api.example.com/v1/A", None),
        ("https://api.example.com/v2/A", None),
        ("https://api.example.com/v11", None),
        ("https://api.example.com/v1/../v2", None),
        ("https://api.example.com/v1/%2e%2e/v2", None),
        ("https://api.example.com/v1\\..\\v2", None),
        ("https://api.example.com/v1/A\r\nX: 1", None),
        ("//evil.example/v1/A", None),
        ("/v1/A", None),
        ("https://[", None),
    ],
)
def test_a_next_page_is_followed_only_below_the_base_url(url, target):
    assert hosts.same_place(base("https://api.example.com/v1"), url) == target


@pytest.mark.parametrize("params", [{"q": "\ud800"}, {"\udfff": "q"}])
def test_a_parameter_that_is_not_unicode_is_refused_and_nothing_is_sent(params):
    async def story():
        async with serve(answer({})) as served, client_of(served) as client:
            with pytest.raises(InvalidInput, match="a parameter of /v1/Devices is not valid Unicode"):
                await client.get("Devices", params=params)
            return served.seen

    assert run(story()) == []
