"""One venue's HTTP: a place in its budget, one session with bounded sockets, a deadline, and only FetchErrors out.

Bodies are parsed where they arrive: orjson keeps the interpreter's lock, so a thread would block the loop as long.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import aiohttp
import orjson
from aiohttp_socks import ProxyError

from features.backoff import backoff
from fetchers.errors import BadPayload, RateLimited, Unreachable
from fetchers.transport.budget import RateBudget
from fetchers.transport.refusals import explain
from fetchers.transport.route import ANY_ROUTE, Route
from fetchers.transport.session import open_session

HTTP_OK, HTTP_TOO_MANY_REQUESTS, HTTP_SERVER_ERROR = 200, 429, 500
SOCKETS = 20  #: for single instruments
SOCKETS_APART = 6  #: for bulk calls, clock and lists, which no hanging poll may hold up
KEEPALIVE_S = 8.0  #: over the time between two ticks
_PAGE = 4000  #: characters of a refusal's page that are looked through
_EXCERPT = 80  #: characters of a bad body that an error shows
_DEFAULT_HOLD_MS = 60_000
REFUSED_BY_EDGE, LONGEST_EDGE_HOLD_MS = (403, 451), 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply; `json` is None where the body is no JSON, as in a ban that comes as HTML."""

    path: str
    pools: tuple[str, ...]  #: the call drew on these, for a RateLimited that means only them
    status: int
    headers: Mapping[str, str]  #: any case
    body: bytes = field(repr=False)
    json: Any = field(repr=False)
    sent_ms: int
    received_ms: int


class VenueClient:
    """GETs JSON from one venue.

    `raise_for_reply` is the venue's own: it raises RateLimited, UnknownSymbol or BadPayload for what that venue means
    by a reply, and may correct the budget from its headers. What it lets pass must still be a 200 with JSON.
    `kept_free` is what other calls leave in each pool for the bulk calls, which do not wait.
    """

    def __init__(
        self,
        *,
        venue: str,
        base_url: str,
        budget: RateBudget,
        now_ms: Callable[[], int],
        raise_for_reply: Callable[[Reply], None],
        route: Route = ANY_ROUTE,
        kept_free: Mapping[str, float] = MappingProxyType({}),
        deadline_s: float = 10.0,
    ) -> None:
        self._venue = venue
        self._base_url = base_url.rstrip("/")
        self._budget = budget
        self._now_ms = now_ms
        self._raise_for_reply = raise_for_reply
        self._route = route
        self._kept_free = kept_free
        self.deadline_s = deadline_s  #: of one request, from its sending
        self.observe: Callable[[Reply], None] = lambda _: None  #: is shown every reply, before it is checked
        self._queues: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # by pool, first come first served
        self._sessions: dict[bool, aiohttp.ClientSession] = {}  # by whether they are for calls apart
        self._refusals: dict[str | None, str] = {}  # by the pool that is held, None for all
        self._edge_refusals = self._edge_until_ms = 0  # in a row, and when the last one's hold ends

    async def open(self) -> None:
        """Create the sessions; nothing is sent yet."""
        # aiohttp 3.14 fails the next request on a kept connection that idled longer than its read timeout after a large
        # compressed reply (aiohttp #12953): no read timeout, only a deadline for the whole request.
        self._sessions = {
            is_apart: open_session(self._base_url, self._route, sockets=sockets, keepalive_s=KEEPALIVE_S)
            for is_apart, sockets in ((False, SOCKETS), (True, SOCKETS_APART))
        }

    async def close(self) -> None:
        """Close the sessions and their sockets."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    async def get(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        cost: Mapping[str, float],
        is_bulk: bool = False,
        is_apart: bool = False,
        deadline_s: float | None = None,
        endpoint: str = "",
    ) -> Reply:
        """Wait for a place in the budget, send, and return a good reply; a call draws on one pool.

        `endpoint` is the path less the instrument, for a path that names one. Bulk calls, and others that are to be
        apart, have sockets that no poll can take.

        Raises
        ------
        Unreachable, RateLimited, BadPayload, UnknownSymbol
            RateLimited also without sending, where a hold lasts longer than the deadline; a bulk call, beside which
            others may bring the prices of the tick, waits for no hold at all.
        """
        if is_bulk:
            await self._take(cost, {}, endpoint or path, longest_hold_s=0.0)
        else:
            (pool,) = cost
            async with self._queues[pool]:
                await self._take(cost, self._kept_free, endpoint or path, longest_hold_s=self.deadline_s)
        try:
            session = self._sessions.get(is_bulk or is_apart)
            reply = await self._send(session, path, params, tuple(cost), deadline_s or self.deadline_s)
        finally:
            self._budget.done(cost, self._now_ms())
        self.observe(reply)
        try:
            self._raise_for_reply(reply)
            self._check(reply)
        except RateLimited as error:
            words = f"{error}{explain(self._venue, reply.status, reply.body)}"
            refusal = RateLimited(words, until_ms=self._held_until_ms(reply, error.until_ms), pool=error.pool)
            self._refusals[error.pool] = str(refusal)
            self._budget.hold(error.pool, refusal.until_ms)
            raise refusal from error
        self._edge_refusals = 0
        return reply

    def _held_until_ms(self, reply: Reply, until_ms: int) -> int:
        """Return until when to stay away; an edge that refuses again when its hold is over is left alone longer."""
        if reply.status not in REFUSED_BY_EDGE:
            return until_ms
        if reply.sent_ms >= self._edge_until_ms:  # else it was on its way when the last refusal came
            self._edge_refusals += 1
        first_ms = until_ms - reply.received_ms
        hold_ms = backoff(self._edge_refusals - 1, first=first_ms, longest=LONGEST_EDGE_HOLD_MS)
        self._edge_until_ms = max(until_ms, reply.received_ms + round(hold_ms))
        return self._edge_until_ms

    async def _take(
        self, cost: Mapping[str, float], kept_free: Mapping[str, float], endpoint: str, *, longest_hold_s: float
    ) -> None:
        while (wait_s := self._budget.take(cost, self._now_ms(), kept_free=kept_free, endpoint=endpoint)) > 0:
            until_ms = self._budget.held_until_ms(cost)
            if until_ms - self._now_ms() > 1000 * longest_hold_s:
                # its pool only: whether all of the venue is on hold was said by the reply that began it
                (pool,) = cost
                began_with = self._refusals.get(pool) or self._refusals.get(None, "it asked to be left alone")
                raise RateLimited(f"not sent, on hold: {began_with}", until_ms=until_ms, pool=pool)
            await asyncio.sleep(wait_s)

    async def _send(
        self,
        session: aiohttp.ClientSession | None,
        path: str,
        params: Mapping[str, str | int] | None,
        pools: tuple[str, ...],
        deadline_s: float,
    ) -> Reply:
        if session is None:
            raise Unreachable(f"{self._venue} {path}: the session is closed")
        sent_ms = self._now_ms()
        try:
            async with (
                asyncio.timeout(deadline_s),
                session.get(self._base_url + path, params=params, allow_redirects=False) as response,
            ):
                body = await response.read()
        except TimeoutError as error:
            raise Unreachable(f"{self._venue} {path}: no answer within {deadline_s:g} s") from error
        except (aiohttp.ClientError, ProxyError, OSError) as error:
            raise Unreachable(f"{self._venue} {path}: {type(error).__name__}: {error}") from error
        return Reply(
            path=path,
            pools=pools,
            status=response.status,
            headers=response.headers,
            body=body,
            json=_parse(body),
            sent_ms=sent_ms,
            received_ms=self._now_ms(),
        )

    def _check(self, reply: Reply) -> None:
        if reply.status == HTTP_OK and reply.json is not None:
            return
        what = f"{self._venue} {reply.path}: HTTP {reply.status}, {_excerpt(reply.body)}"
        if reply.status == HTTP_TOO_MANY_REQUESTS:
            raise RateLimited(what, until_ms=reply.received_ms + _DEFAULT_HOLD_MS)
        if reply.status >= HTTP_SERVER_ERROR:
            raise Unreachable(what)
        raise BadPayload(f"{what} where JSON was expected")


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def words(reply: Reply, field: str) -> str:
    """Return what a refusal says: the message of its JSON, else the beginning of the page."""
    text = reply.json.get(field) if isinstance(reply.json, dict) else None
    return str(text) if text else " ".join(re.sub(r"<[^>]*>", " ", reply.body[:_PAGE].decode(errors="replace")).split())


def _excerpt(body: bytes) -> str:
    if not body:
        return "an empty body"
    return repr(body[:_EXCERPT].decode(errors="replace"))
