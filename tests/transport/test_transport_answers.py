"""What an answer is, and what is none."""

import asyncio
import gzip
import hashlib
import json
import tracemalloc
from datetime import UTC, datetime

import pytest
from loopback import answer, client_of, run, serve

from reconcile.errors import AccessDenied, ApiError, BadAnswer, Conflict, NoAnswer, NotFound
from reconcile.transport import Answer, decode, in_turns
from reconcile.transport.faults import Malformed
from reconcile.transport.listing import by_content


def ask(*replies, method="GET", **settings):
    async def story():
        async with serve(*replies) as served, client_of(served, **settings) as client:
            if method == "GET":
                return await client.get("Devices", "UV1")
            return await client.send(method, "Devices", "UV1", form={"Value": "x"}, idempotent=False)

    return run(story())


def test_an_answer_has_the_servers_time_its_id_and_its_headers():
    reply = answer({"a": [1, 2.5, None]}, date="Sun, 22 Nov 2026 01:02:03 GMT", X_Request_ID="r-1", x_a="1")
    got = ask(reply)
    assert (got.status, got.body, got.request_id, got.attempts) == (200, {"a": [1, 2.5, None]}, "r-1", 1)
    assert got.now == datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)
    assert got.headers["x-a"] == "1"


def test_unknown_fields_and_duplicate_keys_are_accepted():
    assert ask(answer(raw=b'{"new": {"deep": 1}, "a": 1, "a": 2}')).body == {"new": {"deep": 1}, "a": 2}


def test_a_date_that_is_none_is_no_date():
    assert ask(answer({}, date="yesterday")).now is None


def test_204_has_no_body():
    assert ask(answer(status=204), method="DELETE").body is None


def test_a_change_may_be_answered_with_nothing_and_a_read_may_not():
    assert ask(answer(status=202), method="POST").body is None
    with pytest.raises(BadAnswer, match="empty"):
        ask(answer(status=200))


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (answer(raw=b"<html>login</html>", type="text/html; charset=utf-8"), "text/html instead of JSON"),
        (answer(raw=b"<html>login</html>"), "not JSON"),
        (answer(raw=b'{"a": 1', type=None), "not all of it"),
        (answer(raw=b'{"lat": NaN}'), "NaN"),
        (answer(raw=b'{"lat": -Infinity}'), "-Infinity"),
        (answer(raw=b'{"lat": 1e999}'), "without bounds"),
        (answer(raw=b"1" * 5000), "without bounds"),
        (answer(raw=b"[" * 100_000), "too deep"),
        (answer(raw=b'{"a": "\xff"}'), "not UTF-8"),
        (answer(raw=b"{}", content_encoding="br"), "not asked for"),
        (answer(raw=b"{}", content_encoding="gzip"), "damaged gzip"),
        (answer(raw=gzip.compress(b'{"a": 1}')[:-9], content_encoding="gzip"), "truncated gzip"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}", "not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{}", "more than"),
        (b"HTTP/1.1 200 OK\r\n folded\r\n\r\n{}", "not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n12\r\n", "chunk"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", "headers without an end"),
    ],
)
def test_an_answer_of_no_such_api_is_named_with_method_and_path(reply, why):
    with pytest.raises(BadAnswer, match=r"GET /v1/Devices/UV1") as bad:
        ask(reply)
    assert why in str(bad.value)


def test_gzip_and_chunks_are_read():
    packed = gzip.compress(b'{"a":') + gzip.compress(b" 1}")
    assert ask(answer(raw=packed, content_encoding="gzip")).body == {"a": 1}
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked = head + b'5;x=y\r\n{"a":\r\n3\r\n 1}\r\n0\r\nTrailer: x\r\n\r\n'
    assert ask(chunked).body == {"a": 1}


def test_an_answer_that_ends_with_its_connection_is_read():
    assert ask(b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n[1]").body == [1]


def test_interim_answers_are_passed_over():
    assert ask(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer([1])).body == [1]


def test_a_header_that_goes_on_in_the_next_line_is_read():
    folded = b"HTTP/1.1 200 OK\r\nX: a\r\n\t b\r\nContent-Length: 3\r\n\r\n[1]"
    got = ask(folded)
    assert (got.body, got.headers["x"]) == ([1], "a b")


@pytest.mark.parametrize("more", [b"\r\n", b"x", answer(["the answer to nothing"])])
def test_what_comes_after_an_answer_is_never_taken_for_the_next(more):
    async def story():
        async with serve(answer([1]) + more, answer([2])) as served, client_of(served) as client:
            return [(await client.get("A")).body for _ in range(2)]

    assert run(story()) == [[1], [2]]


def test_a_gzip_bomb_is_not_inflated():
    bomb = gzip.compress(bytes(200 * 1024 * 1024), 9)
    assert len(bomb) < 1024 * 1024
    tracemalloc.start()
    with pytest.raises(BadAnswer, match="more than"):
        ask(answer(raw=bomb, content_encoding="gzip"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * decode.LIMIT


def test_many_small_gzip_members_count_together():
    with pytest.raises(Malformed, match="more than 100 bytes"):
        decode.inflate(gzip.compress(bytes(60)) * 3, "gzip", 100)


def test_a_body_without_end_is_cut_off(monkeypatch):
    from reconcile.transport import ways

    monkeypatch.setattr(ways, "LIMIT", 100_000)

    async def endless(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"[" * 10_000)
            await writer.drain()

    with pytest.raises(BadAnswer, match="more than 100000 bytes"):
        ask(endless)


@pytest.mark.parametrize("status", [301, 302, 304, 307, 308])
def test_a_redirect_is_not_followed(status):
    async def story():
        async with serve(answer({})) as other:
            reply = answer({}, status, location=f"http://127.0.0.1:{other.port}/v1/x")
            async with serve(reply) as served, client_of(served) as client:
                for method in ("GET", "POST"):
                    with pytest.raises(BadAnswer, match="would take the credentials elsewhere"):
                        await client.send(method, "Devices", form={"Value": "x"}, idempotent=True)
            return other.seen, len(served.seen)

    assert run(story()) == ([], 2)


TWILIO = {"code": 20404, "message": "Not found", "detail": "No such device", "more_info": "u", "status": 404}
PELION = {
    "object": "error",
    "code": 400,
    "type": "validation_error",
    "message": "Bad",
    "fields": [{"name": "name", "message": "too long"}, 7],
    "request_id": "r-body",
}


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (
            answer(TWILIO, 404, Twilio_Request_Id="RQ1"),
            NotFound,
            "GET /v1/Devices/UV1 answered 404, 20404: Not found; No such device, request id RQ1",
        ),
        (
            answer(PELION, 400),
            ApiError,
            "GET /v1/Devices/UV1 answered 400, validation_error: Bad; name: too long, request id r-body",
        ),
        (answer({"message": "Unauthorized"}, 401), AccessDenied, "GET /v1/Devices/UV1 answered 401, (words withheld)"),
        (answer({"code": 20003}, 403), AccessDenied, "GET /v1/Devices/UV1 answered 403, 20003:"),
        (answer({"code": 20409}, 409), Conflict, "GET /v1/Devices/UV1 answered 409, 20409:"),
        (
            answer(raw=b"bad \x1b[2Jperiod\r\n", status=400, type="text/plain"),
            ApiError,
            "GET /v1/Devices/UV1 answered 400, bad \\x1b[2Jperiod",
        ),
        (answer(raw=b"<html>", status=404, type="text/html"), NotFound, "GET /v1/Devices/UV1 answered 404"),
        (answer(raw=b'{"a"', status=418), ApiError, 'GET /v1/Devices/UV1 answered 418, {"a"'),
        (answer([1], 405), ApiError, "GET /v1/Devices/UV1 answered 405"),
        (answer(None, 404, content_encoding="gzip"), NotFound, "GET /v1/Devices/UV1 answered 404"),
        (answer(raw=b"x", status=404, content_encoding="gzip"), NotFound, "GET /v1/Devices/UV1 answered 404"),
    ],
)
def test_an_error_says_what_the_vendor_says(reply, error, words):
    with pytest.raises(ApiError) as failed:
        ask(reply)
    assert type(failed.value) is error
    assert str(failed.value) == words


def test_a_long_reason_is_cut():
    with pytest.raises(ApiError) as failed:
        ask(answer(raw=b"x" * 100_000, status=400, type="text/plain"))
    assert failed.value.message == "x" * 500


def test_pages_follow_absolute_urls_on_the_same_host():
    async def story():
        async with serve(answer({})) as served, client_of(served) as client:
            served.replies = [
                answer({"next": f"{served.url}/Devices?Page=1&PageToken=a%2Fb"}),
                answer({"next": f"http://localhost:{served.port}/v1/Devices?Page=2"}),
                answer({"next": None}),
            ]
            pages = client.pages("Devices", params={"PageSize": 2}, next=lambda page: page.body["next"])
            assert len([page async for page in pages]) == 3
            return [seen.target for seen in served.seen]

    assert run(story()) == ["/v1/Devices?PageSize=2", "/v1/Devices?Page=1&PageToken=a%2Fb", "/v1/Devices?Page=2"]


def test_pages_may_be_asked_for_by_parameters():
    async def story():
        bodies = [{"has_more": True, "last": "a"}, {"has_more": True, "last": "b"}, {"has_more": False}]
        async with serve(*map(answer, bodies)) as served, client_of(served) as client:
            pages = client.pages(
                "devices",
                params={"limit": 2},
                next=lambda page: {"after": page.body["last"]} if page.body["has_more"] else None,
            )
            assert [page.body async for page in pages] == bodies
            return [seen.target for seen in served.seen]

    assert run(story()) == ["/v1/devices?limit=2", "/v1/devices?limit=2&after=a", "/v1/devices?limit=2&after=b"]


def test_a_page_link_to_another_host_is_not_asked():
    async def story():
        async with serve(answer({})) as other, serve(answer({"n": f"{other.url}/Devices"})) as served:
            async with client_of(served) as client:
                with pytest.raises(BadAnswer, match="not below the base URL"):
                    async for _ in client.pages("Devices", next=lambda page: page.body["n"]):
                        pass
            return other.seen

    assert run(story()) == []


@pytest.mark.parametrize("loop", [["/Devices"], ["/Devices?P=1", "/Devices?P=2", "/Devices?P=1"]])
def test_a_page_that_was_read_is_not_read_again(loop):
    async def story():
        async with serve(answer({})) as served, client_of(served) as client:
            served.replies = [answer({"n": served.url + link}) for link in loop]
            with pytest.raises(BadAnswer, match="read already"):
                async for _ in client.pages("Devices", next=lambda page: page.body["n"]):
                    pass
            return len(served.seen)

    assert run(story()) == len(loop)


def read_all(*bodies, **settings):
    """The pages of a listing that were yielded, and the error that ended it, if any; the last body again and again."""

    async def story():
        async with serve(answer({})) as served, client_of(served) as client:
            served.replies = [answer(body) for body in bodies]
            turn, pages = [0], []

            def following(page):
                turn[0] += 1
                return {"token": f"t{turn[0]}"} if page.body.get("more", True) else None

            try:
                async for page in client.pages("Devices", next=following, **settings):
                    pages.append(page.body)
            except BadAnswer as bad:
                return len(pages), str(bad)
            return len(pages), None

    return run(story())


def names(page):
    return [one["sid"] for one in page.body["devices"]]


A, B, EMPTY = ({"devices": [{"sid": sid, "n": 1} for sid in sids]} for sids in ("ab", "cd", ""))
LAST = {**EMPTY, "more": False}


@pytest.mark.parametrize("ids", [{"ids": names}, {}])
@pytest.mark.parametrize(
    ("bodies", "pages"),
    [
        ([A], 3),
        ([A, B], 4),
        ([A, B, A], 4),
        ([EMPTY], 10),
        ([A, *[EMPTY] * 9, B, EMPTY], 21),
        ([A, EMPTY, A, EMPTY], 12),
        ([A, EMPTY, A, EMPTY, A], 5),
    ],
)
def test_a_listing_that_brings_nothing_new_ends_as_a_bad_answer(bodies, pages, ids):
    read, why = read_all(*bodies, **ids)
    assert read == pages
    assert "the answer to GET /v1/Devices names another page after" in why
    assert "in a row that brought nothing new" in why


@pytest.mark.parametrize(
    "bodies", [[A, A, B, B, LAST], [*[EMPTY] * 9, A, *[EMPTY] * 9, B, LAST], [A, A, {**A, "more": False}]]
)
def test_a_listing_whose_pages_moved_or_are_empty_for_a_while_is_read_to_its_end(bodies):
    assert read_all(*bodies, ids=names) == (len(bodies), None)


def test_a_listing_that_has_more_than_its_total_ends_as_a_bad_answer():
    pages = [{"devices": [{"sid": f"{n}-{m}"} for m in range(4)], "total": 8} for n in range(9)]
    read, why = read_all(*pages, ids=names, total=lambda page: page.body["total"])
    assert (read, "names another page after 20 members of 8" in why) == (5, True)
    grown = [{**page, "total": 4 * n} for n, page in enumerate(pages)]
    assert read_all(*grown, {**LAST, "total": 3}, ids=names, total=lambda page: page.body["total"]) == (10, None)


def test_the_members_of_any_listing_are_told_apart_by_what_they_say():
    bare = [{"sid": "a"}], [{"sid": "b"}]
    assert by_content(Answer(200, bare[0], None, 0.0, None, {})) != by_content(
        Answer(200, bare[1], None, 0.0, None, {})
    )
    assert by_content(Answer(200, {"next": "x", "signs": bare[0]}, None, 0.0, None, {})) == ["{'sid': 'a'}"]
    for odd in (None, 3, "text", {"a": 1}):
        assert by_content(Answer(200, odd, None, 0.0, None, {})) == []


def test_a_page_marker_that_no_url_can_hold_is_a_bad_answer():
    async def story():
        async with serve(answer(raw=b'{"last": "\\ud800"}')) as served, client_of(served) as client:
            with pytest.raises(BadAnswer, match="GET /v1/Devices names a next page that no URL can"):
                async for _ in client.pages("Devices", next=lambda page: {"after": page.body["last"]}):
                    pass
            return len(served.seen)

    assert run(story()) == 1


def test_a_large_page_is_worked_on_in_turns():
    async def story():
        return [list(part) async for part in in_turns(range(2500))], [list(part) async for part in in_turns([])]

    parts, none = run(story())
    assert [len(part) for part in parts] == [1000, 1000, 500]
    assert [one for part in parts for one in part] == list(range(2500))
    assert none == [[]]


def test_an_early_answer_to_an_upload_is_read(tmp_path):
    from reconcile.transport import Upload

    big = tmp_path / "bundle.zip"
    big.write_bytes(bytes(8 * 1024 * 1024))
    planned = hashlib.sha256(bytes(8 * 1024 * 1024)).hexdigest()

    async def too_large(reader, writer):
        writer.write(answer({"code": 413, "message": "too large"}, 413))
        await writer.drain()
        await asyncio.sleep(1)

    async def story():
        async with serve(too_large) as served, client_of(served) as client:
            with pytest.raises(ApiError, match="413: too large"):
                await client.send(
                    "POST", "Apps", files={"File": Upload("b.zip", big, sha256=planned)}, idempotent=False
                )

    run(story())


def test_half_an_answer_is_no_answer():
    for reply in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\n{",
        None,
    ):

        async def half(reader, writer, reply=reply):
            writer.write(reply or b"")

        with pytest.raises(NoAnswer, match="POST /v1/Devices/UV1 got no answer"):
            ask(half, method="POST")


def test_json_of_the_server_is_not_trusted_to_be_printable():
    assert ask(answer(raw=json.dumps({"name": "\x1b[2J\ud800"}).encode())).body == {"name": "\x1b[2J\ud800"}
