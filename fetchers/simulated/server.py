"""The venues on loopback: sockets, compression and, for tests, faults; what is answered is the wire modules' part."""

import asyncio
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from aiohttp import web

from features.facts.venues import VENUES
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.streams.stream_faults import StreamFault
from fetchers.simulated.streams.stream_server import STREAMS, StreamServer, StreamsSeen
from fetchers.simulated.wire import Answer, Call, Wire, html_answer
from fetchers.simulated.wires import wire_module

Spoil: TypeAlias = Callable[[Wire, Call, Answer], Answer]  #: what is said in place of a good answer
Fault: TypeAlias = (
    Literal[
        "hang",
        "slow",
        "reset",
        "server_error",
        "html",
        "forbidden",
        "country",
        "empty",
        "truncated",
        "too_many",
        "banned",
    ]
    | Spoil
)

HOST = "127.0.0.1"
SLOW_S = 30.0  #: later than anybody waits

_COMPRESS_FROM_BYTES = 1400


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """The requests that one venue has received so far."""

    count: int
    refused: int  #: over its limits
    peak_shares: dict[str, float]  #: the fullest each limit's window ever was, as a share of the limit
    peak_seconds: dict[str, float]  #: the most of each limit that came within a second


class _Venue:
    """One server: a wire, its port, its faults."""

    def __init__(
        self, wire: Wire, now_ms: Callable[[], int], faults: dict[str, Fault], stream: StreamServer | None
    ) -> None:
        self.wire = wire
        self.stream = stream
        self.count = 0
        self._now_ms = now_ms
        self._faults = faults
        self._closing = asyncio.Event()
        self._address: tuple[str, int] = ("", 0)

    async def open(self, host: str, port: int) -> str:
        self._closing.clear()
        app = web.Application()
        app.router.add_get("/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self._address = self._runner.addresses[0][:2]
        return f"http://{self._address[0]}:{self._address[1]}"

    async def reopen(self) -> None:
        await self.open(*self._address)

    async def close(self) -> None:
        self._closing.set()
        if self.stream is not None:
            await self.stream.close()
        await self._runner.cleanup()

    def seen(self) -> Requests:
        quotas = self.wire.quotas
        return Requests(
            count=self.count,
            refused=sum(quota.refused for quota in quotas.values()),
            peak_shares={name: quota.peak_share for name, quota in quotas.items()},
            peak_seconds={name: quota.peak_second for name, quota in quotas.items()},
        )

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self.stream is not None and request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.stream.handle(request)
        self.count += 1
        now_ms = self._now_ms()
        fault = next((fault for path, fault in self._faults.items() if request.path.startswith(path)), None)
        if fault == "hang":
            await self._closing.wait()
        if fault == "slow":
            await asyncio.sleep(SLOW_S)
        if fault in ("hang", "reset"):
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        call = Call(path=request.path, query=request.query, now_ms=now_ms)
        answer = self.wire.answer(call)
        if fault is not None:
            answer = self._spoilt(fault, call, answer)
        return _response(answer, is_gzip_accepted="gzip" in request.headers.get("Accept-Encoding", ""))

    def _spoilt(self, fault: Fault, call: Call, answer: Answer) -> Answer:
        if callable(fault):
            return fault(self.wire, call, answer)
        if fault == "slow":
            return answer
        if fault == "server_error":
            return html_answer(502, "502 Bad Gateway")
        if fault == "html":
            return html_answer(200, "Just a moment...")
        if fault == "forbidden":
            return html_answer(403, "403 Forbidden")
        if fault == "country":
            return html_answer(
                403, "The Amazon CloudFront distribution is configured to block access from your country."
            )
        if fault == "empty":
            return Answer(body=b"")
        if fault == "truncated":
            return Answer(body=answer.body[: len(answer.body) // 2])
        return self.wire.banned(call.now_ms) if fault == "banned" else self.wire.too_many(call.now_ms)


class Servers:
    """The running servers: where they are, what they have seen, and what shall go wrong."""

    def __init__(
        self,
        market: SimulatedMarket,
        urls: dict[str, str],
        venues: dict[str, _Venue],
        faults: dict[str, dict[str, Fault]],
        stream_faults: dict[str, dict[StreamFault, str]],
    ) -> None:
        self.market = market
        self.urls = urls
        #: venue -> how the path begins -> what goes wrong there, from the next request on
        self.faults = faults
        #: venue -> what goes wrong on its stream from now on; the value names a symbol where the fault is of one
        self.stream_faults = stream_faults
        self._venues = venues

    @property
    def requests(self) -> dict[str, Requests]:
        """Each venue's requests, refusals and fullest windows."""
        return {name: venue.seen() for name, venue in self._venues.items()}

    @property
    def stream_urls(self) -> dict[str, str]:
        """Where the streams are."""
        return {name: "ws" + self.urls[name].removeprefix("http") for name in self.streams}

    @property
    def streams(self) -> dict[str, StreamServer]:
        """The streams of the venues that have one."""
        return {name: venue.stream for name, venue in self._venues.items() if venue.stream is not None}

    @property
    def streams_seen(self) -> dict[str, StreamsSeen]:
        """Each stream's connections and refusals."""
        return {name: stream.seen() for name, stream in self.streams.items()}

    async def refuse(self, venue: str) -> None:
        """Stop listening, and end the connections there are."""
        await self._venues[venue].close()

    async def accept(self, venue: str) -> None:
        """Listen again, where it was."""
        await self._venues[venue].reopen()

    async def close(self) -> None:
        """Stop them all; hanging requests are dropped."""
        await asyncio.gather(*(venue.close() for venue in self._venues.values()))


async def serve(market: SimulatedMarket, now_ms: Callable[[], int]) -> Servers:
    """Start the venues, each on a free port."""
    faults: dict[str, dict[str, Fault]] = {venue: {} for venue in VENUES}
    stream_faults: dict[str, dict[StreamFault, str]] = {venue: {} for venue in STREAMS}
    streams = {venue: StreamServer(venue, market, now_ms, stream_faults[venue]) for venue in STREAMS}
    venues = {
        venue: _Venue(wire_module(venue).WIRE(market), now_ms, faults[venue], streams.get(venue)) for venue in VENUES
    }
    urls = {name: await venue.open(HOST, 0) for name, venue in venues.items()}
    return Servers(market, urls, venues, faults, stream_faults)


def _response(answer: Answer, *, is_gzip_accepted: bool) -> web.Response:
    headers = {**answer.headers, "Content-Type": answer.content_type}
    body = answer.body
    if is_gzip_accepted and len(body) >= _COMPRESS_FROM_BYTES:
        # level 1 on the loop: a bulk reply takes a few milliseconds
        compressor = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        body = compressor.compress(body) + compressor.flush()
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, status=answer.status, headers=headers)
