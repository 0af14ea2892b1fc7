"""
One API as a provider sees it: requests below one base URL, with credentials, repeated where that is safe.

Errors are `reconcile.errors`' own, raised without the exception that caused them, so that no traceback holds a body, a
header or a URL. A `BadAnswer` or `NoAnswer` to a request that changes something leaves open whether it was done.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from reconcile.errors import ApiError, BadAnswer, InvalidInput, NoAnswer, NotSent, Problem
from reconcile.transport import body, decode, hosts, pieces, retry
from reconcile.transport.exchange import (
    Answer,
    Auth,
    Form,
    Params,
    Piece,
    Received,
    RequestDone,
    RequestRepeated,
    Terms,
    Upload,
)
from reconcile.transport.faults import Lost, Malformed, NeverSent
from reconcile.transport.limit import RateLimit
from reconcile.transport.listing import Ids, Listing, by_content
from reconcile.transport.outage import Outage
from reconcile.transport.traffic import Traffic

if TYPE_CHECKING:
    from reconcile.transport.wire import Wire

_date = lru_cache(maxsize=64)(retry.http_date)  # thousands of answers carry the same second

T = TypeVar("T")
Next = Callable[[Answer], "str | Mapping[str, str | int] | None"]


class Client:
    """
    Requests to one API. Made by `Net.client`.

    Attributes:
        base_url: as it is used, without a trailing slash.
        host: for bindings: `loopback`, or the host (with its port when it is not 443).
        named: whether whoever runs the tool allowed this host by its name.
        name: of the client in events.
        timeout_s: for connecting, and again for a whole answer, of one attempt.
        refuses: whether a body is the vendor's error object. One that comes with a 2xx is an ApiError all the same.
    """

    refuses: Callable[[Any], bool] | None = None

    def __init__(
        self, traffic: Traffic, wire: Wire, base: hosts.Base, *, auth: Auth | None, name: str, terms: Terms
    ) -> None:
        self.base_url, self.host, self.named = base.url, base.host, False
        self.name, self.timeout_s, self._any_type = name, terms.timeout_s, terms.any_type
        self._net, self._wire, self._base = traffic, wire, base
        self._auth, self._limit = auth, RateLimit(terms.max_concurrency, terms.requests_per_s)
        self._policy = traffic.policy
        self._budget, self._outage = retry.RetryBudget(traffic.policy), Outage(traffic.policy)
        if auth is not None:
            body.authorization(auth)  # credentials that no header can carry are an error before the first request

    def __repr__(self) -> str:
        return f"<Client {self.name} {self.base_url}>"

    def using(self, auth: Auth | None) -> Client:
        """The same API, connections, limit, budget and outage, with other credentials."""
        client = copy.copy(self)
        client._auth = auth
        if auth is not None:
            body.authorization(auth)
        return client

    @property
    def concurrency(self) -> int:
        """How many requests may be under way now; at most `max_concurrency`."""
        return int(self._limit.allowed)

    async def get(self, *segments: str, params: Params | None = None, slash: bool = False) -> Answer:
        """
        Reads `base_url/segment/segment…`.

        Args:
            segments: of the path, each percent-encoded as one; never empty, `.` or `..`.
            slash: whether the path ends in one.

        Raises:
            ApiError (AccessDenied, NotFound, Conflict), NotSent, NoAnswer, BadAnswer; InvalidInput for a segment.
        """
        return await self._call("GET", hosts.target(self._base, segments, params, slash), idempotent=True)

    async def send(
        self,
        method: str,
        *segments: str,
        form: Form | None = None,
        json: Any = None,
        files: Mapping[str, Upload] | Piece | None = None,
        slash: bool = False,
        idempotent: bool,
    ) -> Answer:
        """
        Changes something.

        Args:
            form: `application/x-www-form-urlencoded`, or beside `files` the plain parts of a multipart body.
            json: a JSON value, in which a leaf may be a Secret.
            files: parts that are streamed, or a piece of a file as the whole body.
            idempotent: doing it twice is doing it once, so that a lost answer may be answered by sending it again.
                When it is False, what is lost is a `NoAnswer`.

        Raises:
            As `get`; InvalidInput too for a value without an encoding or a file that cannot be read.
        """
        return await self._call(
            method.upper(),
            hosts.target(self._base, segments, None, slash),
            idempotent=idempotent,
            form=form,
            json=json,
            files=files,
        )

    async def pages(
        self,
        *segments: str,
        params: Params | None = None,
        slash: bool = False,
        next: Next,
        ids: Ids = by_content,
        total: Callable[[Answer], int | None] | None = None,
    ) -> AsyncIterator[Answer]:
        """
        The pages of a listing, one after the other. It ends, whatever the API says.

        Args:
            next: from a page what asks for the next one: its absolute URL, or parameters that replace those of the
                first request by name; None after the last.
            ids: from a page what its members are called; asked after the page was used. Where a member that is read
                twice may look different, the content does not tell.
            total: from a page how many members the listing has, or None.

        Raises:
            As `get`; BadAnswer too when a URL leads away from `base_url`, or back to a page that was read; when two
            pages in a row bring no new id, or ten have no members; and when there are more than `total` allows.
        """
        path = hosts.target(self._base, segments, None, slash)
        target = hosts.target(self._base, segments, params, slash)
        seen: set[str] = set()
        listing = Listing()
        while True:
            seen.add(target)
            answer = await self._call("GET", target, idempotent=True)
            yield answer
            following = next(answer)
            if following is None or following == "":
                return
            if isinstance(following, str):
                below = hosts.same_place(self._base, following)
                if below is None:
                    self._bad("GET", path, "names a next page that is not below the base URL; it was not asked")
                target = below
            else:
                try:
                    target = hosts.target(self._base, segments, {**(params or {}), **following}, slash)
                except InvalidInput:  # the marker is the API's
                    self._bad("GET", path, "names a next page that no URL can")
            if target in seen:
                self._bad("GET", path, "names a next page that was read already")
            if why := listing.endless(ids(answer), total(answer) if total else None):
                self._bad("GET", path, why)

    async def _call(
        self,
        method: str,
        target: str,
        *,
        idempotent: bool,
        form: Form | None = None,
        json: Any = None,
        files: Mapping[str, Upload] | Piece | None = None,
    ) -> Answer:
        loop = asyncio.get_running_loop()
        path = target.partition("?")[0]
        self._budget.earn()
        attempt, asked, give_up_at = 0, 0, float("inf")
        while True:
            entered = await self._limit.enter()
            give_up_at = min(give_up_at, loop.time() + self._policy.deadline_s)
            overloaded, good, free, alone = True, False, False, False
            after_s: float | None = None
            failed: ApiError | NotSent | NoAnswer
            try:
                alone = await self._outage.turn(give_up_at)
                attempt += 1
                # Encoded anew each time: between attempts no revealed secret is kept.
                outbound = body.encode(form=form, json_value=json, files=files, rng=self._net.rng)
                received = await self._attempt(method, target, outbound, attempt)
                status, headers = received.status, received.headers
                at, alone = loop.time(), False
                now = _date(headers.get("date"))
                overloaded, good = status in (429, 503), status < 400
                value = await self._decoded(method, path, received) if 200 <= status < 300 else None
                refused = value is not None and self.refuses is not None and self.refuses(value)
                if 200 <= status < 300 and not refused:
                    return Answer(status, value, now, at, decode.request_id(headers), headers, attempt)
                if 300 <= status < 400:
                    self._bad(method, path, f"is a redirect ({status}), which would take the credentials elsewhere")
                hidden, sensitive = body.carried(self._auth, form, json)
                hush = (sensitive or status in (401, 403)) and not self._net.wordy
                failed = decode.api_error(method, path, self._plain(received), hidden, hush=hush)
                why = str(status)
                again = status == retry.TOO_MANY or (idempotent and status in retry.UNCERTAIN)
                free = status == retry.TOO_MANY
                after_s = retry.retry_after_s(headers.get("retry-after"), now) if again else None
            except NeverSent as fault:
                overloaded = False
                failed = NotSent(Problem(f"{method} {path} was not sent: {self._base.authority}: {fault}"))
                if not fault.lasting and self._outage.refused(str(fault), alone) and loop.time() < give_up_at:
                    continue  # when it is its turn again
                raise failed from None
            except Lost as fault:
                overloaded, again, why = fault.slow, idempotent, str(fault)
                failed = NoAnswer(Problem(f"{method} {path} got no answer: {fault}"))
            except BaseException:
                overloaded = False
                raise
            finally:
                self._outage.left(alone)
                self._limit.leave(entered, overloaded=overloaded, good=good)
            asked += 1
            wait_s = self._policy.wait_s(asked, after_s, self._net.rng)
            if free and again:
                self._limit.pause(min(after_s or 0.0, self._policy.after_cap_s))
            if (
                not again
                or asked >= self._policy.attempts
                or loop.time() + wait_s > give_up_at
                or not (free or self._budget.spend())
            ):
                raise failed from None
            self._net.repeats(RequestRepeated(self._base.authority, why, wait_s, attempt + 1))
            await asyncio.sleep(wait_s)

    async def _attempt(self, method: str, target: str, outbound: body.Body, attempt: int) -> Received:
        """One attempt, counted and reported; raises NeverSent, Lost, BadAnswer, and what the lease check raises."""
        loop = asyncio.get_running_loop()
        path = target.partition("?")[0]
        begun = loop.time()
        status, outcome = None, "not sent"
        self._net.begin()
        try:
            authorization = body.authorization(self._auth) if self._auth else None
            sending = partial(self._sending, method, attempt), self.timeout_s
            received = await self._wire.exchange(self._wire.request(method, target, outbound, authorization, sending))
            status, outcome = received.status, "answered"
            self._outage.reached()
            return received
        except Lost:
            outcome = "no answer"
            self._outage.reached()
            raise
        except Malformed as fault:
            outcome = "bad answer"
            self._outage.reached()
            self._unexpected(method, path, f": {fault}")
        finally:
            self._net.end(RequestDone(self.name, method, path, status, outcome, loop.time() - begun, attempt))

    def _sending(self, method: str, attempt: int) -> None:
        """Right before the first byte: whether it may leave; and there is a connection for it to leave by."""
        self._net.check(method, attempt)
        if self._wire.connector.connects_first:
            self._outage.reached()

    async def _decoded(self, method: str, path: str, received: Received) -> Any:
        status, headers = received.status, received.headers
        try:
            plain = await _slowly(pieces.inflating(received.body, headers.get("content-encoding", "").strip().lower()))
            if not plain and method == "GET" and status != 204:
                raise Malformed("empty body")
            return await _slowly(decode.reading(plain, "" if self._any_type else headers.get("content-type", "")))
        except Malformed as fault:
            self._unexpected(method, path, f" ({status}): {fault}")

    @staticmethod
    def _plain(received: Received) -> Received:
        """An error with its body decoded, as far as it can be: the status says enough without it."""
        try:
            encoding = received.headers.get("content-encoding", "").strip().lower()
            return replace(received, body=decode.inflate(received.body, encoding, 1024 * 1024))
        except Malformed:
            return replace(received, body=b"")

    @staticmethod
    def _unexpected(method: str, path: str, why: str) -> NoReturn:
        raise BadAnswer(Problem(f"unexpected response to {method} {path}{why}")) from None

    @staticmethod
    def _bad(method: str, path: str, why: str) -> NoReturn:
        raise BadAnswer(Problem(f"the answer to {method} {path} {why}")) from None


async def _slowly(work: pieces.Work[T]) -> T:
    """The result of work in pieces, between which the loop does what else there is."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: T = done.value
            return result
        await asyncio.sleep(0)
