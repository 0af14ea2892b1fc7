"""Bad inputs 60–70: what an endpoint, a proxy or the environment may do to a run that carries credentials."""

from __future__ import annotations

import signal
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from bad_input_cases import APPLY, fleet
from bad_input_harness import TOKEN, environment, mutations, run, world, write
from hostile_api import Answer, Answers, Api, certificate, healthy, page, serving

from reconcile.simulator import running
from reconcile.simulator.serving import Running

BOMB_BYTES = 200 << 20


@pytest.fixture(scope="module")
def simulator() -> Iterator[Running]:
    with running(world=world()) as one:
        yield one


def pointed_at(url: str, body: str = "  configs: {a: b}\n") -> dict[str, str | bytes]:
    """A fleet whose API is at `url`, which stands on line 4."""
    return {
        "fleet.yaml": f"fleet: f\nproviders:\n  microvisor:\n    base_url: {url}\n    upload_url: {url}\n"
        f"microvisor:\n{body}"
    }


BASE_URLS = {  # 60: what nobody allowed gets no credentials
    "http://169.254.169.254/": "169.254.169.254",
    "https://169.254.169.254/v1": "169.254.169.254",
    "http://user:p@127.0.0.1/v1": "credentials",
    "file:///etc/passwd": "https",
    "https://rebound.example.com/v1": "rebound.example.com",  # whatever address its name has today
    "https://microvisor.twilio.com.evil.example/v1": "microvisor.twilio.com.evil.example",
    "http://microvisor.twilio.com/v1": "http",
    "https://microvisor.twilio.com@evil.example/v1": "credentials",
    "https://[::ffff:169.254.169.254]/v1": "169.254.169.254",
    "https://0.0.0.0/v1": "0.0.0.0",
    "https://2130706433/v1": "2130706433",
    "//127.0.0.1/v1": "https",
}


@pytest.mark.parametrize("url", BASE_URLS)
def test_60_a_document_cannot_send_credentials_to_a_host_that_nobody_allowed(url: str, tmp_path: Path) -> None:
    ran = run(*APPLY, cwd=write(tmp_path / "f", pointed_at(f'"{url}"')), env=environment(tmp_path))

    assert ran.code == 3, ran.said
    assert ran.has_error(("fleet.yaml line 4", BASE_URLS[url])), ran.said
    assert "user:p@" not in ran.said


def test_60_who_runs_the_tool_may_allow_a_host_but_not_plain_http(tmp_path: Path) -> None:
    home = write(tmp_path / "f", pointed_at("http://api.example.com/v1"))

    ran = run(*APPLY, "--allow-host", "api.example.com", cwd=home, env=environment(tmp_path))

    assert ran.code == 3, ran.said
    assert ran.has_error(("http", "loopback")), ran.said


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_60_loopback_is_allowed(host: str, tmp_path: Path) -> None:
    with serving() as api:
        home = write(tmp_path / "f", pointed_at(f"http://{host}:{api.port}/v1/"))

        ran = run(*APPLY, cwd=home, env=environment(tmp_path))

    assert ran.code == 0, ran.said
    assert api.mutations == ["POST /v1/Configs"]


def redirected(method: str, status: int) -> Callable[[Api], Answers]:
    def to(trap: Api) -> Answers:
        def answers(api: Api, this: str, path: str) -> Answer | None:
            return Answer("", status, {"Location": f"{trap.url}{path}"}) if this == method else None

        return answers

    return to


@pytest.mark.parametrize(
    ("method", "status", "code"), [("GET", 302, 1), ("GET", 307, 1), ("POST", 302, 7), ("POST", 307, 7)]
)
def test_61_a_redirect_is_not_followed(method: str, status: int, code: int, tmp_path: Path) -> None:
    with serving() as trap, serving(redirected(method, status)(trap)) as api:
        ran = run(*APPLY, cwd=write(tmp_path / "f", pointed_at(api.url)), env=environment(tmp_path))

    assert ran.code == code, ran.said
    assert str(status) in ran.err + ran.out
    assert trap.seen == []
    for at, line in enumerate(api.seen[:-1]):
        if line.startswith("POST"):
            assert api.seen[at + 1] == "GET /v1/Configs/a", "nothing is sent again before it was read back"


def listing(answer: Callable[[Api], Answer]) -> Answers:
    """The configs of the account are listed like this, everything else is healthy."""

    def answers(api: Api, method: str, path: str) -> Answer | None:
        return answer(api) if method == "GET" and path.startswith("/v1/Configs") else None

    return answers


def test_62_a_next_page_on_another_host_is_not_asked_for(tmp_path: Path) -> None:
    with serving() as trap:
        away = listing(lambda api: Answer(page("configs", next_page_url=f"{trap.url}/Configs?PageToken=x")))
        with serving(away) as api:
            ran = run(*APPLY, cwd=write(tmp_path / "f", pointed_at(api.url)), env=environment(tmp_path))

    assert ran.code == 1, ran.said
    assert "next page" in ran.err + ran.out, ran.said
    assert trap.seen == []
    assert api.mutations == []


def test_62_a_page_that_names_itself_as_the_next_one_ends(tmp_path: Path) -> None:
    itself = listing(lambda api: Answer(page("configs", next_page_url=f"{api.url}/Configs?PageSize=1000")))
    with serving(itself) as api:
        ran = run(*APPLY, cwd=write(tmp_path / "f", pointed_at(api.url)), env=environment(tmp_path))

    assert ran.code == 1, ran.said
    assert api.mutations == []
    assert len(api.seen) < 10


def bomb() -> bytes:
    """200 MB of blanks, as 200 kB of gzip."""
    deflate = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    blanks = b" " * (1 << 20)
    return b"".join(deflate.compress(blanks) for _ in range(BOMB_BYTES >> 20)) + deflate.flush()


BAD_ANSWERS: dict[str, Callable[[Api], Answer]] = {
    "63: 200 MB of gzip": lambda api: Answer(bomb(), headers={"Content-Encoding": "gzip"}),
    "63: gzip that is none": lambda api: Answer(b"\x1f\x8bnonsense", headers={"Content-Encoding": "gzip"}),
    "64: a page of HTML": lambda api: Answer("<html>Log in to the Wi-Fi</html>", type="text/html"),
    "64: HTML that says it is JSON": lambda api: Answer("<html>Log in to the Wi-Fi</html>"),
    "64: JSON that ends too early": lambda api: Answer('{"configs": [{"key": "a"'),
    "64: NaN in JSON": lambda api: Answer('{"configs": [], "meta": {"page": NaN}}'),
    "64: JSON of another shape": lambda api: Answer({"configs": {"a": "b"}, "meta": {}}),
    "64: members of another shape": lambda api: Answer(page("configs", "a", 7, None)),
    "64: nothing at all": lambda api: Answer(""),
    "64: 100,000 lists in each other": lambda api: Answer('{"configs": ' + "[" * 100_000),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_an_answer_that_no_such_api_gives_is_an_error_and_nothing_is_sent(name: str, tmp_path: Path) -> None:
    with serving(listing(BAD_ANSWERS[name])) as api:
        files = pointed_at(api.url, "  configs: {a: b}\n")
        ran = run("apply", "--auto-approve", cwd=write(tmp_path / "f", files), env=environment(tmp_path))

    assert ran.code == 1, ran.said
    assert "/Configs" in ran.err + ran.out, ran.said
    assert api.mutations == []


def test_64_fields_that_nobody_knows_are_ignored(tmp_path: Path) -> None:
    more = listing(lambda api: Answer(page("configs", {"key": "a", "value": "b", "colour": None}, extra=[1, {}])))
    with serving(more) as api:
        ran = run(
            "plan", "--detailed-exitcode", cwd=write(tmp_path / "f", pointed_at(api.url)), env=environment(tmp_path)
        )

    assert ran.code in (0, 2), ran.said
    assert "1 to import, 0 to add, 0 to change" in ran.out, ran.said


def test_64_of_a_key_that_stands_twice_in_json_the_last_one_counts(tmp_path: Path) -> None:
    twice = listing(
        lambda api: Answer('{"configs": [{"key": 7}], "configs": [{"key": "a", "value": "b"}], "meta": {}}')
    )
    with serving(twice) as api:
        ran = run("plan", cwd=write(tmp_path / "f", pointed_at(api.url)), env=environment(tmp_path))

    assert ran.code == 0, ran.said
    assert "1 to import, 0 to add, 0 to change" in ran.out, ran.said


def test_66_an_answer_that_breaks_off_is_asked_for_again(tmp_path: Path) -> None:
    def once(api: Api, method: str, path: str) -> Answer | None:
        first = len([line for line in api.seen if "/Configs" in line]) == 1
        return Answer(page("configs", {"key": "z" * 5000}), cut=True) if first else None

    with serving(once) as api:
        ran = run(*APPLY, cwd=write(tmp_path / "f", pointed_at(api.url)), env=environment(tmp_path))

    assert ran.code == 0, ran.said
    assert api.mutations == ["POST /v1/Configs"]


@pytest.mark.parametrize("after", ["0", "-1", "1e9", "soon", "", "Thu, 01 Jan 1970 00:00:00 GMT", "9" * 400 + "x"])
def test_65_a_429_is_waited_for_whatever_its_retry_after(after: str, simulator: Running, tmp_path: Path) -> None:
    simulator.put(world())
    simulator.set_faults(
        {"match": {"path": "/v1/Configs*"}, "times": 1, "effect": {"status": 429, "headers": {"Retry-After": after}}}
    )
    already = len(simulator.requests())

    ran = run(*APPLY, cwd=write(tmp_path / "f", fleet("  configs: {a: b}\n")), env=environment(tmp_path, simulator.url))

    assert ran.code == 0, ran.said
    assert simulator.world["microvisor"]["configs"] == {"a": "b"}
    assert [one["status"] for one in simulator.requests()[already:]].count(429) == 1


@pytest.mark.parametrize("after", ["1000000000", "Thu, 31 Dec 2099 00:00:00 GMT"])
def test_65_a_429_that_asks_for_ages_is_not_hammered_and_can_be_interrupted(
    after: str, simulator: Running, tmp_path: Path
) -> None:
    simulator.put(world())
    simulator.set_faults({"effect": {"status": 429, "headers": {"Retry-After": after}}})
    already = len(simulator.requests())
    home = write(tmp_path / "f", fleet("  configs: {a: b}\n"))

    def asked() -> bool:
        return len(simulator.requests()) > already

    ran = run("plan", cwd=home, env=environment(tmp_path, simulator.url), interrupt=(signal.SIGINT, asked))
    simulator.set_faults()

    assert ran.code == 130, ran.said
    assert len(simulator.requests()) - already <= 3


LOST = {
    "the answer is lost": {"drop": "after"},
    "the connection breaks before the work": {"drop": "before"},
    "the answer comes after the timeout": {"delay_s": 1.5},
}


@pytest.mark.parametrize("effect", LOST)
def test_66_a_lost_answer_is_read_back_and_never_sent_twice(effect: str, simulator: Running, tmp_path: Path) -> None:
    simulator.put(world())
    simulator.set_faults({"match": {"method": "POST", "path": "/v1/Configs"}, "times": 1, "effect": LOST[effect]})
    already = len(simulator.requests())
    files = fleet("  configs: {a: b}\n")
    files["fleet.yaml"] = f"{files['fleet.yaml']!s}providers: {{microvisor: {{timeout_s: 1}}}}\n"
    home, env = write(tmp_path / "f", files), environment(tmp_path, simulator.url)

    first = run(*APPLY, cwd=home, env=env)
    second = run(*APPLY, cwd=home, env=env)
    empty = run("plan", "--detailed-exitcode", cwd=home, env=env)

    assert first.code in (0, 7), first.said
    assert (second.code, empty.code) == (0, 0), second.said + empty.said
    assert simulator.world["microvisor"]["configs"] == {"a": "b"}
    done = [one for one in simulator.requests()[already:] if one["method"] == "POST" and one["status"] in (200, 201)]
    assert len(done) <= 1


def test_66_a_run_that_was_killed_while_it_wrote_is_taken_up_by_the_next(simulator: Running, tmp_path: Path) -> None:
    simulator.put(world())
    simulator.set_faults({"match": {"method": "POST"}, "times": 1, "effect": {"delay_s": 30}})
    home, env = write(tmp_path / "f", fleet("  configs: {a: b}\n")), environment(tmp_path, simulator.url)

    def writing() -> bool:
        # The intent of the operation is on disk before its request leaves.
        return any(b"microvisor.configs.a" in file.read_bytes() for file in home.glob("state/*.db*"))

    killed = run(*APPLY, cwd=home, env=env, interrupt=(signal.SIGKILL, writing))
    simulator.set_faults()
    next_one = run(*APPLY, cwd=home, env=env)
    empty = run("plan", "--detailed-exitcode", cwd=home, env=env)

    assert killed.code == -signal.SIGKILL
    assert (next_one.code, empty.code) == (0, 0), next_one.said + empty.said
    assert simulator.world["microvisor"]["configs"] == {"a": "b"}


@pytest.mark.parametrize("flaw", ["signs itself", "expired", "for another host"])
def test_67_70_a_certificate_that_nobody_vouches_for_ends_it_whatever_the_environment_says(
    flaw: str, tmp_path: Path
) -> None:
    host = "DNS:elsewhere.example" if flaw == "for another host" else "IP:127.0.0.1"
    tls = certificate(tmp_path, "served", host=host, expired=flaw == "expired")
    trusting = {
        "SSL_CERT_DIR": str(tmp_path),
        "REQUESTS_CA_BUNDLE": str(tmp_path / "served.pem"),
        "CURL_CA_BUNDLE": str(tmp_path / "served.pem"),
        "PYTHONHTTPSVERIFY": "0",
        "SSLKEYLOGFILE": str(tmp_path / "keys.log"),
    }
    if flaw != "signs itself":  # who names it there vouches for it
        trusting["SSL_CERT_FILE"] = str(tmp_path / "served.pem")
    with serving(tls=tls) as api:
        home = write(tmp_path / "f", pointed_at(api.url))
        ran = run(*APPLY, cwd=home, env=environment(tmp_path, **trusting))

    assert ran.code == 1, ran.said
    assert "certificate is not trusted" in ran.said
    assert api.seen == []
    keys = tmp_path / "keys.log"
    assert not keys.exists() or all(line.startswith("#") for line in keys.read_text().splitlines())


def test_68_a_write_that_was_answered_with_the_new_value_and_not_done_is_found_by_the_next_plan(
    simulator: Running, tmp_path: Path
) -> None:
    simulator.put(world(configs={"a": "old"}))
    pretended = {"key": "a", "value": "new", "date_updated": "2026-01-01T00:00:00Z"}
    simulator.set_faults({"match": {"method": "POST"}, "effect": {"status": 200, "body": pretended}})
    home, env = write(tmp_path / "f", fleet("  configs: {a: new}\n")), environment(tmp_path, simulator.url)

    run(*APPLY, cwd=home, env=env)
    simulator.set_faults()
    drifted = run("drift", cwd=home, env=env)
    planned = run("plan", "--detailed-exitcode", cwd=home, env=env)

    assert (drifted.code, planned.code) == (2, 2), drifted.said + planned.said
    assert '"old"' in drifted.out


def test_68_a_write_that_was_answered_with_200_and_not_done_is_not_called_done(
    simulator: Running, tmp_path: Path
) -> None:
    simulator.put(world(configs={"a": "old"}))
    unchanged = {"key": "a", "value": "old", "date_updated": "2026-01-01T00:00:00Z"}
    simulator.set_faults({"match": {"method": "POST"}, "effect": {"status": 200, "body": unchanged}})
    home, env = write(tmp_path / "f", fleet("  configs: {a: new}\n")), environment(tmp_path, simulator.url)

    applied = run(*APPLY, cwd=home, env=env)
    simulator.set_faults()
    after = run("plan", "--detailed-exitcode", cwd=home, env=env)

    assert applied.code == 7, applied.said
    assert "microvisor.configs.a" in applied.out + applied.err
    assert after.code == 2, after.said


@pytest.mark.parametrize("status", [401, 403])
def test_69_a_denial_in_the_middle_stops_everything(status: int, simulator: Running, tmp_path: Path) -> None:
    simulator.put(world())
    body = {"code": 20003, "message": "Authenticate", "more_info": "", "status": status}
    simulator.set_faults({"match": {"method": "POST"}, "effect": {"status": status, "body": body}})
    already = len(simulator.requests())
    home = write(tmp_path / "f", fleet("".join(["  configs:\n", *(f"    c{at}: x\n" for at in range(30))])))

    ran = run(*APPLY, "--parallelism", "1", cwd=home, env=environment(tmp_path, simulator.url))
    simulator.set_faults()

    assert ran.code == 4, ran.said
    assert len(mutations(simulator.requests()[already:])) == 1
    assert "20003" in ran.out + ran.err
    assert simulator.world["microvisor"]["configs"] == {}


@pytest.mark.parametrize("status", [401, 403])
def test_69_a_denial_at_once_is_told_and_nothing_is_sent(status: int, simulator: Running, tmp_path: Path) -> None:
    simulator.put(world())
    simulator.set_faults({"match": {"path": "/v1/*"}, "effect": {"status": status}})
    already = len(simulator.requests())
    home = write(tmp_path / "f", fleet("  configs: {a: b}\n"))

    ran = run(*APPLY, cwd=home, env=environment(tmp_path, simulator.url))
    simulator.set_faults()

    assert ran.code == 4, ran.said
    assert mutations(simulator.requests()[already:]) == []


def test_70_neither_a_proxy_nor_a_netrc_of_the_environment_gets_the_credentials(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("default login evil password evil\n")
    (tmp_path / ".netrc").chmod(0o600)
    with ExitStack() as stack:
        trap, api = stack.enter_context(serving(healthy)), stack.enter_context(serving())
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
        env = environment(tmp_path, **dict.fromkeys(names, trap.origin), NETRC=str(tmp_path / ".netrc"))
        ran = run(*APPLY, "-vv", cwd=write(tmp_path / "f", pointed_at(api.url)), env=env)

    assert ran.code == 0, ran.said
    assert trap.seen == []
    assert "POST /v1/Configs" in api.seen
    assert TOKEN not in ran.said
