"""Every call that the bot makes of a venue, made once and compared with what is expected of it: `check --deep`.

About 25 calls a venue over some ten seconds. What is written of a venue ages: this says where it differs today.
docs/venues.md has what is asked and why.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from features.facts.market import Instrument, Quotes, Trades
from fetchers.base import ProbedVenue
from fetchers.deep_check.probes import PROBES
from fetchers.deep_check.steps import Finding, Steps, Verdict
from fetchers.deep_check.verdicts import (
    CLOCK_OUT_MS,
    MOST_MISSING,
    OLDEST_S,
    check_book,
    check_candles,
    check_clock,
    check_history,
    check_open_interest,
    check_prints,
    check_quotes,
    describe,
    pass_silently,
)
from fetchers.listed_ids import CLOSED
from fetchers.listing import Listing
from fetchers.parsing.build_records import MINUTE_MS
from fetchers.parsing.market_lists import UNREADABLE
from fetchers.transport.client import HTTP_OK, Reply
from fetchers.universe import UniverseSettings, build_universe

CANDLES_MIN = 30  #: how many minutes of candles are asked for
NOBODYS = "SGNLNOSUCH"  #: a coin that no venue has
AGAIN = "prints again"
HOUR_S = 3600.0
DAY_TICKERS_A_HOUR = 60


class DeepCheck:
    """One venue, asked once for everything; `save` is given each reply as it came, with the step's name."""

    def __init__(
        self,
        venue: ProbedVenue,
        settings: UniverseSettings,
        *,
        refresh_interval_s: float,
        now_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
        save: Callable[[str, Reply], None],
    ) -> None:
        self._steps = Steps(venue, now_ms=now_ms, sleep=sleep, save=save)
        self._settings = settings
        self._refresh_interval_s = refresh_interval_s

    @property
    def findings(self) -> list[Finding]:
        """The findings so far."""
        return self._steps.findings

    async def run(self) -> list[Finding]:
        """Ask for everything, and return what was found in the order of asking."""
        steps, venue = self._steps, self._steps.venue
        listings = (
            await steps.step("list", "rows, each symbol once, all readable", venue.load_markets, self._list) or ()
        )
        await steps.step("clock", f"within {CLOCK_OUT_MS / 1000:.0f} s of ours", venue.measure_clock, check_clock)
        quotes: list[Quotes] = []
        for name in ("quotes", "quotes again"):  # the second time without what comes once a minute
            news = await steps.step(name, "", venue.fetch_quotes, pass_silently)
            quotes += news or []
        universe = build_universe({venue.name: listings}, {venue.name: quotes}, self._settings).instruments
        watched = [one for one in universe if one.is_eligible]
        if not steps.is_refused:
            expected = f"all columns, for {1 - MOST_MISSING:.0%} of the pairs in the band, {OLDEST_S:.0f} s old at most"
            is_ok, came = check_quotes(quotes, venue.bulk_columns, {one.id for one in watched})
            steps.found("quotes", expected, is_ok=is_ok, came=came)
        await self._instruments(listings, watched)
        if (probe := PROBES.get(venue.name)) is not None:
            await probe(steps, watched)
        if watched and not steps.is_refused:
            came = self._traffic(len(universe))
            steps.found("traffic", "bytes measured here, times what the budget allows", is_ok=True, came=came)
        return steps.findings

    def _list(self, listings: tuple[Listing, ...]) -> Verdict:
        repeated = sum(count - 1 for count in Counter(one.instrument.id for one in listings).values())
        reasons = Counter(one.dropped for one in listings if one.dropped)
        unreadable = reasons[UNREADABLE]
        dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        not_crypto = sum(one.is_crypto is False for one in listings)
        pages = sum(reply.status == HTTP_OK for reply in self._steps.replies)
        came = (
            f"{len(listings)} rows in {pages} replies, {repeated} repeated, {not_crypto} not crypto; "
            f"dropped: {dropped or 'none'}"
        )
        return bool(listings) and not repeated and not unreadable, came

    async def _instruments(self, listings: Iterable[Listing], watched: list[Instrument]) -> None:
        quietest = min(watched, key=lambda one: one.volume_usdt_24h, default=None)
        odd = min((one for one in watched if _oddness(one.id) < 2), key=lambda one: _oddness(one.id), default=None)
        leaving = next((one.instrument for one in listings if one.dropped in CLOSED), None)
        for what, instrument in (("quietest", quietest), ("odd name", odd)):
            if instrument is not None:
                await self._everything(f"{what} {instrument.id}", instrument.id)
        if quietest is not None:  # a second look asks for fewer: what nearly all looks take
            key = quietest.id
            again: Callable[[], Awaitable[Trades | None]] = partial(self._steps.venue.fetch_trades, key)
            await self._steps.step(AGAIN, "prints", again, pass_silently)
        if leaving is not None:
            await self._unknown(f"leaving {leaving.id}", leaving.id, is_certain=False)
        if quietest is not None:
            nobodys = NOBODYS + ("_USDT" if "_" in quietest.id else "USDT")
            await self._unknown(f"nonsense {nobodys}", nobodys, is_certain=True)

    async def _everything(self, what: str, key: str) -> None:
        venue, since_ms = self._steps.venue, self._steps.now_ms() - CANDLES_MIN * MINUTE_MS
        calls: tuple[tuple[str, str, Callable[[], Awaitable[Any]], Callable[[Any], Verdict]], ...] = (
            ("book", "two sides, sorted, not crossed", lambda: venue.fetch_order_book(key), check_book),
            ("prints", "prints, or none of a quiet pair", lambda: venue.fetch_trades(key), check_prints),
            ("open interest", "an amount", lambda: venue.fetch_open_interest(key), check_open_interest),
            ("candles", f"about {CANDLES_MIN} minutes", lambda: venue.fetch_candles(key, since_ms), check_candles),
            ("mark candles", f"about {CANDLES_MIN}", lambda: venue.fetch_mark_candles(key, since_ms), check_candles),
        )
        if venue.has_whole_history:
            history = partial(venue.fetch_open_interest_history, key)
            calls += (("open interest history", "points", history, check_history),)
        for name, expected, call, check in calls:
            await self._steps.step(f"{name} of {what}", expected, call, check)

    async def _unknown(self, what: str, key: str, *, is_certain: bool) -> None:
        venue, since_ms = self._steps.venue, self._steps.now_ms() - CANDLES_MIN * MINUTE_MS
        calls: tuple[tuple[str, Callable[[], Awaitable[Any]]], ...] = (
            ("book", lambda: venue.fetch_order_book(key)),
            ("prints", lambda: venue.fetch_trades(key)),
            ("candles", lambda: venue.fetch_candles(key, since_ms)),
        )
        expected = "unknown symbol" if is_certain else "unknown symbol, or an answer"
        for name, call in calls:
            await self._steps.step(
                f"{name} of {what}",
                expected,
                call,
                lambda record: (not is_certain, f"an answer: {describe(record)}"),
                may_be_unknown=True,
            )

    def _traffic(self, watched: int) -> str:
        rounds = HOUR_S / self._refresh_interval_s
        usual, first = self._steps.bytes["quotes again"], self._steps.bytes["quotes"]
        bulk = rounds * usual + DAY_TICKERS_A_HOUR * max(0, first - usual)
        polled = [
            size
            for name, size in self._steps.bytes.items()
            if name == AGAIN or name.startswith(("book of quietest", "open interest of quietest"))
        ]
        available = self._steps.venue.budget.available(self._steps.now_ms(), round(1000 * HOUR_S))
        cost, kept_for_quotes = self._steps.venue.candidate_cost, self._steps.venue.kept_for_quotes
        polls = min((available[pool] - rounds * kept_for_quotes.get(pool, 0.0)) / cost[pool] for pool in cost)
        polls = max(0.0, min(polls, rounds * watched))
        hourly = bulk + polls * sum(polled)
        return (
            f"at most {hourly / 1e6:,.0f} MB an hour: {bulk / 1e6:,.0f} of bulk replies every "
            f"{self._refresh_interval_s:g} s, and up to {polls:,.0f} polls of {sum(polled) / 1e3:.1f} kB"
        )


def _oddness(instrument_id: str) -> int:
    """Return 0 for an id with a letter beyond ASCII, 1 for one that begins with a digit, 2 for any other."""
    return 0 if not instrument_id.isascii() else 1 if instrument_id[0].isdigit() else 2
