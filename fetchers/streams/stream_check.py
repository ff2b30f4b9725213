"""A venue's streams listened to for a while: `check --streams`.

What is written of the streams in docs/streams.md was not seen live by whoever wrote it: this says what comes today.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from features.facts.market import Quotes
from fetchers.base import ProbedVenue
from fetchers.errors import FetchError
from fetchers.streams.channel import State
from fetchers.streams.stream_report import ChannelReport, StreamReport
from fetchers.streams.venue_stream import PUMP_MS, VenueStream
from fetchers.universe import UniverseSettings, build_universe

QUOTES_MS = 5_000  #: between two bulk replies, whose volumes say which symbols trade
LEAST_COVERED = 0.95  #: share of what is wanted, for a channel to be well
NAMED = 8  #: silent symbols that are named


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFinding:
    """One line: a connection, or the prints of all."""

    is_ok: bool
    text: str


class StreamCheck:
    """One venue: its eligible instruments by REST, then their trades by stream."""

    def __init__(
        self,
        venue: ProbedVenue,
        stream: VenueStream,
        settings: UniverseSettings,
        *,
        now_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._venue = venue
        self._stream = stream
        self._settings = settings
        self._now_ms = now_ms
        self._sleep = sleep
        self._quotes_ms = 0

    async def run(self, seconds: float) -> list[StreamFinding]:
        """Listen for so long and return a line of each connection, and one of the prints.

        Raises
        ------
        FetchError
            The venue's market list, its quotes or its clock could not be had.
        """
        venue = self._venue
        await venue.open()
        try:
            listings, quotes = await venue.load_markets(), await venue.fetch_quotes()
            self._stream.clock_offset_ms = (await venue.measure_clock()).offset_ms
            universe = build_universe({venue.name: listings}, {venue.name: quotes}, self._settings).instruments
            sizes = {one.id: one.contract_size for one in universe if one.is_eligible}
            await self._stream.start()
            try:
                began_ms = self._quotes_ms = self._now_ms()
                self._stream.want(sizes, began_ms)
                while (now_ms := self._now_ms()) < began_ms + 1000 * seconds:
                    await self._stream.pump(now_ms)
                    await self._volumes(now_ms)
                    await self._sleep(max(0, now_ms + PUMP_MS - self._now_ms()) / 1000)
                return findings(self._stream.report(now_ms), seconds)
            finally:
                await self._stream.close()
        finally:
            await venue.close()

    async def _volumes(self, now_ms: int) -> None:
        if now_ms - self._quotes_ms < QUOTES_MS:
            return
        self._quotes_ms = now_ms
        try:
            quotes = await self._venue.fetch_quotes()
        except FetchError:
            return  # the streams are looked at here, and the next reply says the same
        see_volumes(self._stream, quotes, now_ms)


def see_volumes(stream: VenueStream, quotes: list[Quotes], now_ms: int) -> None:
    """Show a stream the 24 h volumes of bulk replies, by which silent symbols are found."""
    for one in quotes:
        if one.volume_base_24h is not None:
            for symbol, volume in zip(one.ids, one.volume_base_24h.tolist(), strict=True):
                stream.volume_seen(symbol, volume, now_ms)


def findings(report: StreamReport, seconds: float) -> list[StreamFinding]:
    """Return the lines of what was heard in so many seconds."""
    prints = (
        f"{report.prints:,} prints, {report.prints / seconds:,.0f} a second, {report.bytes_read / 1e3 / seconds:,.0f} "
        f"kB a second inflated; {report.gaps} gaps, {report.repeated} repeated, {report.late} too old, "
        f"{report.unreadable} unreadable, {report.refused_messages} messages refused"
    )
    if not report.is_paused_between_readings:
        prints += "; the sockets cannot be paused, which costs more of the processor"
    is_well = bool(report.prints) and not report.unreadable
    return [*map(_of_channel, report.channels), StreamFinding(is_ok=is_well, text=prints)]


def _of_channel(one: ChannelReport) -> StreamFinding:
    text = (
        f"{one.name}: {one.state}, {one.covered} of {one.wanted} covered, {one.heard} heard, {one.refused} refused, "
        f"{one.messages_per_s:,.1f} messages/s, lag {one.lag_p50_ms:,.0f} ms, {one.lag_p95_ms:,.0f} ms in 95 %, "
        f"{one.resyncs} asked again, {one.losses} losses"
    )
    if one.unheard:
        more = f" and {len(one.unheard) - NAMED} more" if len(one.unheard) > NAMED else ""
        text += f"; accepted and not heard: {', '.join(one.unheard[:NAMED])}{more}"
    if one.losses:
        code = "" if one.close_code is None else f", code {one.close_code}"
        text += f"; last loss: {one.error}{code}"
    is_ok = one.state is State.LIVE and one.covered >= LEAST_COVERED * one.wanted
    return StreamFinding(is_ok=is_ok, text=text)
