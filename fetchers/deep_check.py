"""Every call that the bot makes of a venue, made once and held against what is expected of it: `check --deep`.

About 25 calls a venue over some ten seconds. What is written of a venue ages: this
says where it differs today. docs/venues.md has what is asked and why.
"""

import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, TypeAlias, TypeVar

import numpy as np

from features.facts.market import Candles, Instrument, OpenInterest, OrderBook, Quotes, Trades
from fetchers.base import ProbedVenue
from fetchers.errors import FetchError, UnknownSymbol
from fetchers.listed_ids import CLOSED
from fetchers.listing import ClockOffset, Listing
from fetchers.parsing.build_records import MINUTE_MS
from fetchers.parsing.market_lists import UNREADABLE
from fetchers.parsing.payload import member, objects
from fetchers.transport.client import HTTP_OK, Reply
from fetchers.universe import UniverseSettings, build_universe
from fetchers.venues import binance, bybit, lbank, mexc

PAUSE_S = 0.4  #: between two calls: 25 take ten seconds
OLDEST_S = 15.0  #: prices beyond it are stale to the bot
CLOCK_OUT_MS = 60_000.0
CANDLES_MIN = 30  #: how many minutes of candles are asked for
MOST_MISSING = 0.2  #: share of the pairs watched that may lack a value
NOBODYS = "SGNLNOSUCH"  #: a coin that no venue has
EXCERPT = 200  #: characters of a refusal, or of a reply that is no JSON
REFUSALS = (403, 418, 429, 451)
AGAIN = "prints again"
HOUR_S = 3600.0
DAY_TICKERS_A_HOUR = 60

#: what bulk replies have to bring, by venue beside what all bring
COLUMNS = ("mark_price", "index_price", "funding_rate", "funding_interval_h", "volume_usdt_24h", "volume_base_24h")
PRICES = ("bid_price", "ask_price")
COLUMNS_BY_VENUE = {
    binance.NAME: PRICES,
    bybit.NAME: (*PRICES, "open_interest_base"),
    mexc.NAME: (*PRICES, "open_interest_base"),
}

Result = TypeVar("Result")
Verdict: TypeAlias = tuple[bool, str]  #: whether it is as expected, and what came
Record: TypeAlias = OrderBook | Trades | OpenInterest | Candles | tuple[OpenInterest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one call, or a few together, should have given and gave."""

    step: str
    is_ok: bool
    expected: str
    came: str


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
        self.findings: list[Finding] = []
        self.venue = venue
        self._settings = settings
        self._refresh_interval_s = refresh_interval_s
        self._now_ms = now_ms
        self._sleep = sleep
        self._save = save
        self._step_name = ""
        self._replies: list[Reply] = []  # of the step under way
        self._bytes: Counter[str] = Counter()  # by step
        self._is_refused = False  # a venue that wants to be left alone is

    async def run(self) -> list[Finding]:
        """Ask for everything, and return what was found in the order of asking."""
        venue = self.venue
        venue.observe(self._see)
        listings = await self.step("list", "rows, each symbol once, all readable", venue.load_markets, self._list) or ()
        await self.step("clock", f"within {CLOCK_OUT_MS / 1000:.0f} s of ours", venue.measure_clock, _clock)
        quotes: list[Quotes] = []
        for name in ("quotes", "quotes again"):  # the second time without what comes once a minute
            news = await self.step(name, "", venue.fetch_quotes, _in_silence)
            quotes += news or []
        universe = build_universe({venue.name: listings}, {venue.name: quotes}, self._settings).instruments
        watched = [one for one in universe if one.is_eligible]
        if not self._is_refused:
            expected = f"all columns, for {1 - MOST_MISSING:.0%} of the pairs in the band, {OLDEST_S:.0f} s old at most"
            is_ok, came = _quotes(venue.name, quotes, {one.id for one in watched})
            self.found("quotes", expected, is_ok=is_ok, came=came)
        await self._instruments(listings, watched)
        if (probe := PROBES.get(venue.name)) is not None:
            await probe(self, watched)
        if watched and not self._is_refused:
            came = self._traffic(len(universe))
            self.found("traffic", "bytes measured here, times what the budget allows", is_ok=True, came=came)
        return self.findings

    async def step(
        self,
        name: str,
        expected: str,
        call: Callable[[], Awaitable[Result]],
        judge: Callable[[Result], Verdict],
        *,
        may_be_unknown: bool = False,
    ) -> Result | None:
        """Make a call and note what came of it; None where it failed, or where the venue refuses all."""
        if self._is_refused:
            return None
        self._step_name, self._replies = name, []
        result = None
        try:
            result = await call()
            is_ok, came = (True, "") if result is None else judge(result)
        except UnknownSymbol as error:
            is_ok, came = may_be_unknown, f"unknown symbol: {error}"
        except FetchError as error:
            is_ok, came = False, f"{type(error).__name__}: {error}"
        for reply in self._replies:  # the parts of a call too, whose failures the bot lives with
            if reply.json is None or reply.status in REFUSALS:
                page = reply.body[:EXCERPT].decode(errors="replace")
                is_ok, came = False, f"{came}; {reply.path} said HTTP {reply.status}, {page!r}"
        budget, now_ms = self.venue.budget, self._now_ms()
        self._is_refused = all(budget.held_until_ms({pool: 1.0}) > now_ms for pool in budget.used_share())
        if self._is_refused:
            is_ok, came = False, f"{came}; the rest is not asked"
        if not is_ok or came:  # what a venue does not publish is no news
            self.found(name, expected, is_ok=is_ok, came=came)
        await self._sleep(PAUSE_S)
        return result

    def found(self, step: str, expected: str, *, is_ok: bool, came: str) -> None:
        """Note what came of a call, or of several together."""
        self.findings.append(Finding(step=step, is_ok=is_ok, expected=expected, came=came))

    def _see(self, reply: Reply) -> None:
        self._replies.append(reply)
        self._bytes[self._step_name] += _size(reply)
        self._save(self._step_name, reply)

    def _list(self, listings: tuple[Listing, ...]) -> Verdict:
        repeated = sum(count - 1 for count in Counter(one.instrument.id for one in listings).values())
        reasons = Counter(one.dropped for one in listings if one.dropped)
        unreadable = reasons[UNREADABLE]
        dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        not_crypto = sum(one.is_crypto is False for one in listings)
        pages = sum(reply.status == HTTP_OK for reply in self._replies)
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
            again: Callable[[], Awaitable[Trades | None]] = partial(self.venue.fetch_trades, key)
            await self.step(AGAIN, "prints", again, _in_silence)
        if leaving is not None:
            await self._unknown(f"leaving {leaving.id}", leaving.id, is_certain=False)
        if quietest is not None:
            nobodys = NOBODYS + ("_USDT" if "_" in quietest.id else "USDT")
            await self._unknown(f"nonsense {nobodys}", nobodys, is_certain=True)

    async def _everything(self, what: str, key: str) -> None:
        venue, since_ms = self.venue, self._now_ms() - CANDLES_MIN * MINUTE_MS
        calls: tuple[tuple[str, str, Callable[[], Awaitable[Any]], Callable[[Any], Verdict]], ...] = (
            ("book", "two sides, sorted, not crossed", lambda: venue.fetch_order_book(key), _book),
            ("prints", "prints, or none of a quiet pair", lambda: venue.fetch_trades(key), _prints),
            ("open interest", "an amount", lambda: venue.fetch_open_interest(key), _open_interest),
            ("candles", f"about {CANDLES_MIN} minutes", lambda: venue.fetch_candles(key, since_ms), _candles),
            ("mark candles", f"about {CANDLES_MIN}", lambda: venue.fetch_mark_candles(key, since_ms), _candles),
        )
        if venue.has_whole_history:
            calls += (("open interest history", "points", lambda: venue.fetch_open_interest_history(key), _history),)
        for name, expected, call, judge in calls:
            await self.step(f"{name} of {what}", expected, call, judge)

    async def _unknown(self, what: str, key: str, *, is_certain: bool) -> None:
        venue, since_ms = self.venue, self._now_ms() - CANDLES_MIN * MINUTE_MS
        calls: tuple[tuple[str, Callable[[], Awaitable[Any]]], ...] = (
            ("book", lambda: venue.fetch_order_book(key)),
            ("prints", lambda: venue.fetch_trades(key)),
            ("candles", lambda: venue.fetch_candles(key, since_ms)),
        )
        expected = "unknown symbol" if is_certain else "unknown symbol, or an answer"
        for name, call in calls:
            await self.step(
                f"{name} of {what}",
                expected,
                call,
                lambda record: (not is_certain, f"an answer: {_seen(record)}"),
                may_be_unknown=True,
            )

    def _traffic(self, watched: int) -> str:
        rounds = HOUR_S / self._refresh_interval_s
        usual, first = self._bytes["quotes again"], self._bytes["quotes"]
        bulk = rounds * usual + DAY_TICKERS_A_HOUR * max(0, first - usual)
        polled = [
            size
            for name, size in self._bytes.items()
            if name == AGAIN or name.startswith(("book of quietest", "open interest of quietest"))
        ]
        available = self.venue.budget.available(self._now_ms(), round(1000 * HOUR_S))
        cost, quotes_cost = self.venue.candidate_cost, self.venue.quotes_cost
        polls = min((available[pool] - rounds * quotes_cost.get(pool, 0.0)) / cost[pool] for pool in cost)
        polls = max(0.0, min(polls, rounds * watched))
        hourly = bulk + polls * sum(polled)
        return (
            f"at most {hourly / 1e6:,.0f} MB an hour: {bulk / 1e6:,.0f} of bulk replies every "
            f"{self._refresh_interval_s:g} s, and up to {polls:,.0f} polls of {sum(polled) / 1e3:.1f} kB"
        )


def _size(reply: Reply) -> int:
    """Return the bytes of a reply on the wire; where it does not say, a packed body as long as packed anew."""
    head = sum(len(name) + len(value) + 4 for name, value in reply.headers.items())
    length = reply.headers.get("Content-Length", "")
    if length.isdecimal():
        return head + int(length)
    return head + len(zlib.compress(reply.body) if "Content-Encoding" in reply.headers else reply.body)


def _oddness(instrument_id: str) -> int:
    """Return 0 for an id with a letter beyond ASCII, 1 for one that begins with a digit, 2 for any other."""
    return 0 if not instrument_id.isascii() else 1 if instrument_id[0].isdigit() else 2


def _age_s(record: OrderBook | OpenInterest) -> float:
    return (record.received_ms - record.exchange_ms) / 1000


def _in_silence(_: object) -> Verdict:
    """Pass what is good without a line of its own: it is judged with others."""
    return True, ""


def _clock(clock: ClockOffset) -> Verdict:
    came = f"{clock.offset_ms:+.0f} ms, round trip {clock.round_trip_ms:.0f} ms"
    return abs(clock.offset_ms) <= CLOCK_OUT_MS, came


def _quotes(venue: str, quotes: list[Quotes], watched: set[str]) -> Verdict:
    missing: dict[str, float] = {}
    ages_s = []
    for name in (*COLUMNS, *COLUMNS_BY_VENUE.get(venue, ())):
        replies = [reply for reply in quotes if getattr(reply, name) is not None]
        has = {
            key
            for reply in replies
            for key, value in zip(reply.ids, getattr(reply, name).tolist(), strict=True)
            if np.isfinite(value)
        }
        missing[name] = len(watched - has) / len(watched) if watched else 1.0
        if replies:
            ages_s.append((replies[-1].received_ms - int(replies[-1].exchange_ms.max(initial=0))) / 1000)
    lacking = ", ".join(f"{name} {share:.1%}" for name, share in missing.items() if share)
    bad_rows = sum(reply.bad_rows for reply in quotes)
    oldest_s = max(ages_s, default=float("inf"))
    came = (
        f"{len(watched)} pairs in the band; missing: {lacking or 'nothing'}; {bad_rows} rows without a price; "
        f"{oldest_s:.1f} s old"
    )
    return max(missing.values()) <= MOST_MISSING and oldest_s <= OLDEST_S, came


def _book(book: OrderBook) -> Verdict:
    bids, asks = len(book.bid_price), len(book.ask_price)
    came = f"{bids} bids and {asks} asks of {book.levels_asked} asked for, {_age_s(book):.1f} s old"
    if not (bids and asks):
        return False, came
    is_crossed = book.bid_price[0] >= book.ask_price[0]
    return not is_crossed, came + (", crossed" if is_crossed else "")


def _prints(trades: Trades) -> Verdict:
    return True, _seen(trades)


def _open_interest(record: OpenInterest) -> Verdict:
    return True, f"{record.open_interest_base:,.6g}, {_age_s(record):.1f} s old"


def _candles(candles: Candles) -> Verdict:
    count = len(candles.open_ms)
    return count > 0, f"{count} candles"


def _history(points: tuple[OpenInterest, ...]) -> Verdict:
    return len(points) > 0, f"{len(points)} points"


def _seen(record: Record | None) -> str:
    match record:
        case None:
            return "nothing"
        case OrderBook():
            return _book(record)[1]
        case Trades():
            return f"{len(record.time_ms)} prints"
        case Candles():
            return _candles(record)[1]
    return str(record)


async def _probe_weights(check: DeepCheck, watched: list[Instrument]) -> None:
    """Compare what Binance counts for a call with what we count."""
    if not watched:
        return
    key = watched[0].id
    calls: tuple[tuple[str, Mapping[str, str | int], int], ...] = (
        (binance.CLOCK, {}, 1),
        (binance.DEPTH, {"symbol": key, "limit": binance.BOOK_LEVELS}, 2),
        (binance.TRADES, {"symbol": key, "limit": binance.FEW_PRINTS}, 5),
        (binance.OPEN_INTEREST, {"symbol": key}, 1),
    )
    used: list[int] = []

    for path, params, weight in calls:
        ask = partial(check.venue.ask, path, params, cost={binance.WEIGHT: weight})
        reply = await check.step(f"weight of {path}", "a reply", ask, _in_silence)
        header = reply.headers.get("X-MBX-USED-WEIGHT-1M", "") if reply is not None else ""
        if not header.isdecimal():
            check.found("weights", "a count in every reply", is_ok=False, came=f"none in that of {path}")
            return
        used.append(int(header))
    counted = [after - before for before, after in pairwise(used)]
    ours = [weight for _, _, weight in calls[1:]]
    if min(counted) < 0:
        check.found(
            "weights", f"{ours} for depth, trades, openInterest", is_ok=True, came="the minute turned; no count"
        )
        return
    is_ok = all(theirs <= weight for theirs, weight in zip(counted, ours, strict=True))
    hint = "" if is_ok else ": a weight that we do not know, or another program on this address"
    check.found("weights", f"{ours} for depth, trades, openInterest", is_ok=is_ok, came=f"{counted}{hint}")


async def _probe_cursor(check: DeepCheck, _: list[Instrument]) -> None:
    """Follow the cursor of a page of one row, of both lists, to the next."""
    for status in ({"status": "PreLaunch"}, {}):
        pages: list[list[Any]] = []
        cursor = ""
        for _page in range(2):
            params: dict[str, str | int] = {"category": "linear", "limit": 1, **status}
            if cursor:
                params["cursor"] = cursor

            async def ask(params: Mapping[str, str | int] = params) -> tuple[list[Any], str]:
                return bybit.parse_market_page((await check.venue.ask(bybit.MARKETS, params, cost=bybit.ONE)).json)

            page = await check.step("cursor", "a page", ask, _in_silence)
            if page is None:
                return
            pages.append(page[0])
            cursor = page[1]
            if not cursor:
                break
        symbols = [row.get("symbol") for rows in pages for row in rows if isinstance(row, dict)]
        what = "of what is to be launched" if status else "of what trades"
        check.found(
            f"cursor {what}",
            "another pair on the second page, or no second page",
            is_ok=len(set(symbols)) == len(symbols),
            came=f"{len(pages)} pages: {', '.join(map(str, symbols)) or 'empty'}",
        )


async def _probe_levels(check: DeepCheck, watched: list[Instrument]) -> None:
    """Find out whether LBank gives 25 levels at most: then a side of 25 is cut short and not whole."""
    depths = (25, 50, 200)
    capped = 0
    came = []
    quietest = sorted(watched, key=lambda one: one.volume_usdt_24h)[:3]
    for instrument in quietest:
        counts = []
        for depth in depths:

            async def ask(key: str = instrument.id, depth: int = depth) -> int:
                reply = await check.venue.ask(lbank.DEPTH, {"symbol": key, "depth": depth}, cost=lbank.ONE)
                call = f"lbank marketOrder {key}"
                book = member(reply.json, "data", dict, call)
                return max(len(member(book, side, list, call)) for side in ("bids", "asks"))

            name = f"{depth} levels of {instrument.id}"
            count = await check.step(name, "a book", ask, _in_silence)
            if count is None:
                return
            counts.append(count)
        capped += set(counts) == {depths[0]}
        came.append(f"{instrument.id} {counts}")
    if came:
        check.found(
            f"levels at {depths}",
            "more where more are asked for",
            is_ok=capped < len(came),
            came=", ".join(came)
            + ("; never more than 25, so a side of 25 is cut short" if capped == len(came) else ""),
        )


async def _probe_flags(check: DeepCheck, _: list[Instrument]) -> None:
    """Count what MEXC's flags say, for the rules by which coins are told from the rest rest on them."""

    async def ask() -> list[dict[str, Any]]:
        reply = await check.venue.ask(mexc.LISTS[0], {}, cost={mexc.DETAIL: 1.0})
        return objects(member(reply.json, "data", list, "mexc detail"), "mexc detail")

    rows = await check.step("flags", "", ask, _in_silence)
    if not rows:
        return
    plated = sum(row.get("type") == 1 and "tradfi" in str(row.get("conceptPlate")).casefold() for row in rows)
    closed = sum(row.get("apiAllowed") is False for row in rows)
    others = sum(row.get("type") not in (1, 2) for row in rows)
    check.found(
        "flags",
        "type 1 or 2 throughout, fewer than half closed to the API",
        is_ok=not others and 2 * closed < len(rows),
        came=f"{plated} of type 1 on a tradfi plate, {others} of other types, {closed} of {len(rows)} API-closed",
    )


PROBES: Mapping[str, Callable[[DeepCheck, list[Instrument]], Awaitable[None]]] = {
    binance.NAME: _probe_weights,
    bybit.NAME: _probe_cursor,
    mexc.NAME: _probe_flags,
    lbank.NAME: _probe_levels,
}
