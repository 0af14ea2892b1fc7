"""When a request is sent again (I15), in simulated time."""

import asyncio
import itertools
import random
import socket
from datetime import UTC, datetime

import pytest
from loopback import answer, client_of, run, serve

from reconcile.errors import AccessDenied, ApiError, Locked, NoAnswer, NotSent
from reconcile.transport import Policy
from reconcile.transport.limit import RateLimit
from reconcile.transport.retry import retry_after_s

NOW = datetime(2026, 11, 22, 1, 0, 0, tzinfo=UTC)
DATE = "Sun, 22 Nov 2026 01:00:00 GMT"
OK = answer({"ok": True})


def unavailable(status=503, **headers):
    return answer({"message": "later"}, status, **headers)


async def ask(client, idempotent):
    return await client.send("POST", "Devices", form={"Value": "x"}, idempotent=idempotent)


def times_of(*replies, idempotent=True, error=None):
    """Moments at which the request was sent, seconds after the first."""

    async def story():
        async with serve(*replies) as served, client_of(served) as client:
            if error:
                with pytest.raises(error):
                    await ask(client, idempotent)
            else:
                assert (await ask(client, idempotent)).attempts == len(served.seen)
            return [seen.at - served.seen[0].at for seen in served.seen]

    return run(story())


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5),
        (" 5 ", 5),
        ("0", 0),
        ("-1", None),
        ("1e9", None),
        ("1.5", None),
        ("٥", None),
        ("", None),
        ("soon", None),
        ("9" * 5000, float("inf")),
        ("1000000000", 1e9),
        ("Sun, 22 Nov 2026 01:00:07 GMT", 7),
        ("Sun, 22 Nov 2026 00:00:00 GMT", 0),
        ("Sunday, 22-Nov-26 01:00:07 GMT", 7),
        ("Sun Nov 22 01:00:07 2026", 7),
        ("Sun, 99 Nov 2026 01:00:00 GMT", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_servers_clock(value, seconds):
    assert retry_after_s(value, NOW) == seconds


def test_a_date_without_the_servers_clock_says_nothing():
    assert retry_after_s(DATE, None) is None


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("5", 5, 5.1),
        ("0", 0, 0.6),
        ("-1", 0, 0.6),
        ("garbage", 0, 0.6),
        ("1000000000", 60, 60.1),
        ("Sun, 22 Nov 2026 01:00:30 GMT", 30, 30.1),
        ("Sat, 21 Nov 2026 01:00:30 GMT", 0, 0.6),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_is_never_shorter_than_asked_and_capped(value, least, most, status):
    times = times_of(unavailable(status, retry_after=value, date=DATE), OK)
    assert len(times) == 2
    assert least <= times[1] <= most


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_two_server_errors_are_survived_when_doing_it_twice_is_doing_it_once(status):
    assert len(times_of(unavailable(status), unavailable(status), OK)) == 3


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_is_not_repeated_when_doing_it_twice_is_not_doing_it_once(status):
    assert len(times_of(unavailable(status), OK, idempotent=False, error=ApiError)) == 1


def test_too_many_requests_is_always_repeated():
    assert len(times_of(unavailable(429), unavailable(429), OK, idempotent=False)) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 409, 413, 422, 501])
def test_no_other_error_is_repeated(status):
    assert len(times_of(unavailable(status, retry_after="1"), OK, error=ApiError)) == 1


def test_401_says_access_denied():
    times_of(unavailable(401), error=AccessDenied)


def test_a_lost_answer_is_repeated_only_when_that_is_safe():
    assert len(times_of(None, OK)) == 2
    assert len(times_of(None, OK, idempotent=False, error=NoAnswer)) == 1


def test_an_answer_that_does_not_come_is_lost():
    async def silent(reader, writer):
        await asyncio.sleep(1000)

    times = times_of(silent, OK)
    assert 30 <= times[1] <= 31
    assert len(times_of(silent, OK, idempotent=False, error=NoAnswer)) == 1


def test_an_answer_that_drips_is_lost_in_time():
    async def drip(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(100):
            writer.write(b" ")
            await asyncio.sleep(10)

    times_of(drip, idempotent=False, error=NoAnswer)


def test_a_reset_in_the_middle_of_the_answer_is_lost():
    async def reset(reader, writer):
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"a": 1}')
        await writer.drain()
        await asyncio.sleep(1)
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    assert len(times_of(reset, OK)) == 2
    assert len(times_of(reset, OK, idempotent=False, error=NoAnswer)) == 1


def test_a_kept_connection_that_the_server_closed_is_not_used_again():
    async def story():
        async with serve(OK) as served, client_of(served) as client:
            served.replies = [answer({}, connection="close"), OK]
            await ask(client, False)
            await ask(client, False)
            return len(served.seen)

    assert run(story()) == 2


def test_a_kept_connection_that_closes_on_reuse_is_no_answer():
    """The request may have been read before the server closed: the engine reads back."""

    async def story():
        async with serve(OK, None, OK) as served, client_of(served) as client:
            await ask(client, False)
            with pytest.raises(NoAnswer):
                await ask(client, False)
            await client.get("Devices")
            return len(served.seen)

    assert run(story()) == 3


def nobody():
    """A port of loopback where nothing listens, and its URL."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1], f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


def test_an_api_that_was_never_there_is_given_up_after_half_a_minute():
    async def story():
        loop, attempts = asyncio.get_running_loop(), []
        async with client_of(nobody()[1], emit=attempts.append, auth=None) as client:
            begun = loop.time()
            with pytest.raises(NotSent, match=r"POST /v1/Devices was not sent: 127.0.0.1:\d+: connection refused"):
                await ask(client, False)
            assert 25 <= loop.time() - begun <= 31
            assert [(done.outcome, done.status) for done in attempts] == [("not sent", None)] * len(attempts)
            assert [done.attempt for done in attempts] == list(range(1, len(attempts) + 1))
            # Whoever comes now does not wait as long again.
            begun = loop.time()
            for answered in await asyncio.gather(*(ask(client, False) for _ in range(50)), return_exceptions=True):
                assert isinstance(answered, NotSent)
            assert loop.time() - begun < 10
        return len(attempts)

    assert run(story()) < 20


def test_an_api_that_is_gone_is_given_up_by_the_deadline_and_asked_one_at_a_time():
    async def story():
        loop, times = asyncio.get_running_loop(), []
        async with serve(OK) as served, client_of(served, emit=lambda done: times.append(loop.time())) as client:
            await ask(client, False)
            client._wire.connector._port = nobody()[0]
            await client._wire.aclose()
            times.clear()
            begun = loop.time()
            failed = await asyncio.gather(*(ask(client, False) for _ in range(40)), return_exceptions=True)
            assert all(isinstance(error, NotSent) for error in failed)
            assert 115 <= loop.time() - begun <= 135
        waits = [after - before for before, after in itertools.pairwise(times[16:])]
        return len(times), max(waits)

    attempts, longest = run(story())
    assert 16 < attempts < 16 + 60
    assert 4 <= longest <= 6


@pytest.mark.parametrize(("outage_s", "times"), [(1, 1), (2, 3), (8, 1), (60, 1)])
def test_an_outage_is_waited_out_by_all_and_costs_no_budget(outage_s, times):
    async def story():
        loop = asyncio.get_running_loop()
        async with serve(OK) as served, client_of(served, max_concurrency=16) as client:
            budget = client._budget._spent
            connections = client._wire.connector
            port = connections._port
            for _ in range(times):
                await ask(client, False)
                await client._wire.aclose()
                connections._port = nobody()[0]
                back = loop.call_later(outage_s, setattr, connections, "_port", port)
                begun = loop.time()
                answers = await asyncio.gather(*(ask(client, False) for _ in range(60)))
                assert len(answers) == 60
                assert outage_s <= loop.time() - begun <= outage_s + 6
                back.cancel()
            assert client._budget._spent == budget
            return len(served.seen)

    assert run(story()) == times * 61


def test_an_answer_that_is_slow_after_an_outage_keeps_nobody_waiting():
    async def slow(reader, writer):
        await asyncio.sleep(20)
        writer.write(OK)

    async def story():
        loop = asyncio.get_running_loop()
        async with serve(slow) as served, client_of(served) as client:
            client._outage.refused("connection refused", False)
            await asyncio.gather(*(ask(client, False) for _ in range(8)))
            return loop.time()

    assert run(story()) < 25


def test_a_request_gives_up_by_its_own_deadline_where_others_get_through():
    async def story():
        loop = asyncio.get_running_loop()
        url = nobody()[1]
        async with client_of(url) as client:
            asked = asyncio.ensure_future(ask(client, False))
            while not asked.done():
                client._outage.reached()
                await asyncio.sleep(2)
            with pytest.raises(NotSent):
                await asked
            return loop.time()

    assert 110 <= run(story()) <= 130


def test_a_cancelled_or_forbidden_first_attempt_after_an_outage_leaves_the_turn_to_the_next():
    async def story():
        held = []

        def check(method, attempt):
            if held:
                raise Locked("the lease is over")

        async with serve(OK) as served, client_of(served, check=check) as client:
            outage = client._outage
            assert outage.refused("connection refused", False)
            first = asyncio.ensure_future(ask(client, False))
            others = [asyncio.ensure_future(ask(client, False)) for _ in range(3)]
            await asyncio.sleep(0.2)
            assert not served.seen
            first.cancel()
            held.append(True)
            with pytest.raises(Locked):
                await others[0]
            held.clear()
            await asyncio.gather(*others[1:], return_exceptions=True)
            return (await ask(client, False)).body

    assert run(story()) == {"ok": True}


def test_refused_at_first_is_survived_even_when_doing_it_twice_is_not_doing_it_once():
    async def story():
        async with serve(OK) as served:
            pass
        async with client_of(served) as client:
            asked = asyncio.ensure_future(ask(client, False))
            await asyncio.sleep(0.01)
            server = await asyncio.start_server(served._connection, "127.0.0.1", served.port)
            assert (await asked).attempts > 1
            server.close()

    run(story())


def test_a_storm_of_503_costs_a_tenth_more_requests():
    async def story():
        async with serve(unavailable()) as served, client_of(served) as client:
            results = await asyncio.gather(*(client.get("Devices", str(n)) for n in range(400)), return_exceptions=True)
            assert all(type(result) is ApiError and result.status == 503 for result in results)
            return len(served.seen)

    assert 400 < run(story()) <= 1.1 * 400 + 10 + 1


def test_a_storm_of_429_is_waited_out():
    async def story():
        async with serve(*[unavailable(429, retry_after="2")] * 60, OK) as served, client_of(served) as client:
            await asyncio.gather(*(client.get("Devices", str(n)) for n in range(100)))
            return len(served.seen), client.concurrency

    assert run(story())[0] == 160


def test_no_attempt_begins_after_the_deadline():
    times = times_of(unavailable(429, retry_after="50"), error=ApiError)
    assert len(times) == 3
    assert times[-1] <= 120


def test_the_wait_grows_has_full_jitter_and_a_cap():
    policy, rng = Policy(), random.Random(1)
    for attempt, most in ((1, 0.5), (2, 1), (4, 4), (12, 20)):
        waits = [policy.wait_s(attempt, None, rng) for _ in range(500)]
        assert 0 <= min(waits) < most * 0.1
        assert most * 0.9 < max(waits) <= most


def test_the_same_seed_gives_the_same_waits():
    assert times_of(unavailable(), unavailable(), OK) == times_of(unavailable(), unavailable(), OK)


def test_the_lease_is_checked_before_every_attempt_and_nothing_is_sent_after_it():
    async def story():
        left = [1, 1]

        def check(method, attempt):
            if not left:
                raise Locked("the lease is over")
            left.pop()

        async with serve(unavailable()) as served, client_of(served, check=check) as client:
            with pytest.raises(Locked):
                await ask(client, True)
            return len(served.seen)

    assert run(story()) == 2


def test_a_lease_that_ends_while_connecting_ends_the_request():
    async def story():
        lease = []

        def check(method, attempt):
            if not lease:
                raise Locked("the lease is over")

        async with serve(OK) as served, client_of(served, check=check) as client:
            lease.append("held")
            connections = client._wire.connector
            connect = connections._connect

            async def slow(timeout_s):
                lease.clear()
                return await connect(timeout_s)

            connections._connect = slow
            with pytest.raises(Locked):
                await ask(client, True)
            await asyncio.sleep(1)
            return served.seen

    assert run(story()) == []


def test_no_more_requests_are_under_way_than_allowed():
    async def story():
        async with serve(OK) as served, client_of(served, max_concurrency=3) as client:
            await asyncio.gather(*(client.get("Devices", str(n)) for n in range(40)))
            return served.most_under_way

    assert run(story()) <= 3


def test_requests_per_second_are_kept():
    async def story():
        async with serve(OK) as served, client_of(served, requests_per_s=10) as client:
            await asyncio.gather(*(client.get("Devices", str(n)) for n in range(30)))
            return served.seen[-1].at - served.seen[0].at

    assert 2.8 <= run(story()) <= 3.1


def test_concurrency_halves_once_for_one_burst_and_grows_again():
    async def story():
        limit = RateLimit(16)
        places = [await limit.enter() for _ in range(16)]
        for place in places:
            limit.leave(place, overloaded=True, good=False)
        assert limit.allowed == 8
        for _ in range(10):
            limit.leave(await limit.enter(), overloaded=True, good=False)
        assert limit.allowed == 1
        for _ in range(400):
            limit.leave(await limit.enter(), overloaded=False, good=True)
        assert limit.allowed == 16

    run(story())


def test_a_cancelled_wait_gives_its_place_on():
    async def story():
        limit = RateLimit(1)
        first = await limit.enter()
        waiting = [asyncio.ensure_future(limit.enter()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        limit.leave(first, overloaded=False, good=True)
        waiting[1].cancel()  # it was given the place in the same moment
        assert await asyncio.wait_for(waiting[2], 1) == 0

    run(story())


def test_a_cancelled_request_leaves_nothing_behind():
    async def silent(reader, writer):
        await asyncio.sleep(1000)

    async def story():
        async with serve(silent, OK) as served, client_of(served, max_concurrency=1) as client:
            asked = asyncio.ensure_future(client.get("Devices"))
            await asyncio.sleep(1)
            assert len(served.seen) == 1
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            return (await client.get("Devices")).body

    assert run(story()) == {"ok": True}


def test_attempts_are_counted_and_the_time_on_the_wire_is_summed():
    async def slow(reader, writer):
        await asyncio.sleep(2)
        writer.write(OK)

    async def story():
        done = []
        async with serve(slow) as served, client_of(served, emit=done.append) as client:
            await asyncio.gather(client.get("A", params={"token": "t"}), client.get("B"))
            await asyncio.sleep(100)
            await client.get("A")
            net = client._net
            assert sorted((one.client, one.method, one.path, one.status, one.attempt) for one in done) == [
                ("test", "GET", "/v1/A", 200, 1),
                ("test", "GET", "/v1/A", 200, 1),
                ("test", "GET", "/v1/B", 200, 1),
            ]
            assert net.requests == 3
            return net.http_s

    assert 4 <= run(story()) < 4.5
