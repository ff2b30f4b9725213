"""The JSON API: what the bot knows, for reading only."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.core.performance import Filters, as_plain, ended_since, make_report
from bot.core.status import BotStatus
from bot.web.access import Access, short
from bot.web.replies import json_response, to_json
from bot.web.source import StatusSource
from scoring.records import equity_curve, thinned
from scoring.signals import ExitReason, Outcome, Side, Signal
from storage.signals import OPEN
from storage.store import StoreReader

LARGEST = 2**53  #: what JSON's readers count up to
MOST_CANDLES = 256
CANDLE_COLUMNS = ("open_ms", "open", "high", "low", "close", "volume")
LEADERS, MOST_LEADERS = 100, 5_000
KEPT_MS = 60_000  #: what is counted of the history
MOST_POINTS = 500  #: of a curve of equity
OUTCOMES = (OPEN, *(reason.value for reason in ExitReason))
_DIGITS = len(str(LARGEST))
_DAY_MS, _MOST_DAYS = 86_400_000, 36_500
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    at_ms: int
    ended: int  #: signals
    body: bytes


class Api:
    """Answers with JSON; /metrics with text."""

    def __init__(
        self, bot: StatusSource, history: StoreReader, access: Access, metrics: Callable[[BotStatus], bytes]
    ) -> None:
        self._bot = bot
        self._history = history
        self._access = access
        self._metrics = metrics
        self._counted: dict[tuple[str, str], _Counted] = {}  # by path and days
        self._counting = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Return the paths and what answers each; bot/web/openapi.py describes them."""
        return [
            web.get("/health", self.health),
            web.get("/metrics", self.metrics),
            web.get("/api/status", self.status),
            web.get("/api/markets", self.markets),
            web.get("/api/markets/{venue}/{id}", self.market),
            web.get("/api/markets/{venue}/{id}/history", self.history),
            web.get("/api/candles/{venue}/{id}", self.candles),
            web.get("/api/levels/{venue}/{id}", self.levels),
            web.get("/api/scores", self.scores),
            web.get("/api/positions", self.positions),
            web.get("/api/signals", self.signals),
            web.get("/api/signals/summary", self.summary),
            web.get("/api/signals/{id:[0-9]{1,18}}", self.signal),
            web.get("/api/near_misses", self.near_misses),
            web.get("/api/stats", self.stats),
            web.get("/api/equity", self.equity),
        ]

    async def health(self, request: web.Request) -> web.Response:
        """Whether all is well, with a status that a health check reads."""
        status = self._bot.status()
        problems = list(status.problems())
        answer: dict[str, Any] = {"status": "unwell" if problems else "ok"}
        if self._access.may_read(request):
            answer |= {
                "problems": problems,
                "funnels": status.funnels,
                "venues": {venue.venue: venue.state for venue in status.venues},
                "replies": {venue.venue: venue.replies for venue in status.venues},
                "incidents": status.incidents,
            }
        return json_response(answer, 503 if problems else 200)

    async def metrics(self, _request: web.Request) -> web.Response:
        """The figures for Prometheus."""
        return web.Response(body=self._metrics(self._bot.status()), headers={"Content-Type": _METRICS_TYPE})

    async def status(self, _request: web.Request) -> web.Response:
        """The bot and its venues."""
        status = self._bot.status()
        return json_response({"status": status, "problems": list(status.problems())})

    async def markets(self, request: web.Request) -> web.Response:
        """The leaderboard."""
        _known(request, "limit", "strategy")
        limit = _whole(request, "limit", 1, MOST_LEADERS) or LEADERS
        return json_response({"markets": self._bot.markets(limit, self._strategy(request))})

    async def market(self, request: web.Request) -> web.Response:
        """One pair."""
        _known(request, "strategy")
        venue, instrument_id = request.match_info["venue"], request.match_info["id"]
        market = self._bot.market(venue, instrument_id, self._strategy(request))
        if market is None:
            raise web.HTTPNotFound(text=f"{short(venue)} {short(instrument_id)} is not watched")
        return json_response(market)

    async def history(self, request: web.Request) -> web.Response:
        """A pair's price and open interest over time."""
        venue, instrument_id = request.match_info["venue"], request.match_info["id"]
        kept = await self._bot.history(venue, instrument_id)
        if kept is None:
            raise web.HTTPNotFound(text=f"nothing is kept of {short(venue)} {short(instrument_id)}")
        return json_response({"time_ms": kept.time_ms, "price": kept.price, "open_interest": kept.open_interest})

    async def candles(self, request: web.Request) -> web.Response:
        """A pair's closed candles."""
        _known(request, "interval", "limit", "before")
        venue, instrument_id = request.match_info["venue"], request.match_info["id"]
        interval = request.query.get("interval") or "15m"
        limit, before_ms = _whole(request, "limit", 1, MOST_CANDLES), _whole(request, "before", 0, LARGEST)
        found = self._bot.candles(venue, instrument_id, interval, limit or MOST_CANDLES, before_ms)
        if found is None:
            what = f"no candles of {short(interval)} are kept of {short(venue)} {short(instrument_id)}"
            raise web.HTTPNotFound(text=what)
        return json_response({"interval": interval, "columns": CANDLE_COLUMNS, "candles": found})

    async def levels(self, request: web.Request) -> web.Response:
        """Where a pair stands on its leg."""
        venue, instrument_id = request.match_info["venue"], request.match_info["id"]
        found = self._bot.levels(venue, instrument_id)
        if found is None:
            raise web.HTTPNotFound(text=f"no candles are kept of {short(venue)} {short(instrument_id)}")
        return json_response(found)

    async def scores(self, request: web.Request) -> web.Response:
        """How many instruments have which score."""
        _known(request, "strategy")
        return json_response(self._bot.scores(self._strategy(request)))

    async def positions(self, _request: web.Request) -> web.Response:
        """The open signals with the price now."""
        return json_response({"positions": self._bot.positions()})

    async def signals(self, request: web.Request) -> web.Response:
        """Signals and their outcomes."""
        _known(request, "symbol", "since", "until", "limit", "strategy", "side", "outcome")
        side = _one_of(request, "side", [one.value for one in Side])
        found = await self._history.signals.find(
            symbol=request.query.get("symbol") or None,
            since_ms=_whole(request, "since", 0, LARGEST),
            limit=_whole(request, "limit", 1, 1000) or 100,
            strategy=request.query.get("strategy") or None,
            side=side or None,
            until_ms=_whole(request, "until", 0, LARGEST),
            ended=_one_of(request, "outcome", OUTCOMES) or None,
        )
        return json_response({"signals": [_signal(pair) for pair in found]})

    async def summary(self, request: web.Request) -> web.Response:
        """The newest signal of each coin and strategy."""
        _known(request, "limit")
        found = await self._history.signals.newest(_whole(request, "limit", 1, 1000) or 100)
        return json_response({"signals": [_signal(pair) for pair in found]})

    async def signal(self, request: web.Request) -> web.Response:
        """One signal, and the controls that were drawn with it."""
        signal_id = int(request.match_info["id"])
        found = await self._history.signals.get(signal_id) if signal_id <= LARGEST else None
        if found is None:
            raise web.HTTPNotFound(text=f"there is no signal {signal_id}")
        controls = await self._history.controls.of_signal(signal_id)
        drawn = [{"control": control, "outcome": outcome} for control, outcome in controls]
        return json_response(_signal(found) | {"controls": drawn})

    async def near_misses(self, request: web.Request) -> web.Response:
        """Near misses, what they would have made, and how many each gate refused."""
        _known(request, "since", "limit")
        since_ms = _whole(request, "since", 0, LARGEST) or 0
        found = await self._history.near_misses.find(since_ms, _whole(request, "limit", 1, 1000) or 100)
        return json_response(
            {
                "near_misses": [{"near_miss": one, "outcome": outcome} for one, outcome in found],
                "refusals": await self._history.near_misses.refusals(since_ms),
            }
        )

    async def stats(self, request: web.Request) -> web.Response:
        """What signals have made, beside what chance made."""

        async def count(since_ms: int) -> dict[str, Any]:
            return as_plain(await make_report(self._history, Filters(since_ms=since_ms)))

        return await self._of_history(request, count)

    async def equity(self, request: web.Request) -> web.Response:
        """What alerts and controls have made together over time, in R."""

        async def count(since_ms: int) -> dict[str, Any]:
            rows, controls, left_out = await ended_since(self._history, since_ms)
            curves = {"alerts": equity_curve(rows), "controls": equity_curve(controls)}
            return {name: thinned(curve, MOST_POINTS) for name, curve in curves.items()} | {
                "ended": {name: len(curve) for name, curve in curves.items()},
                "left_out": left_out,
            }

        return await self._of_history(request, count)

    async def _of_history(
        self, request: web.Request, count: Callable[[int], Awaitable[dict[str, Any]]]
    ) -> web.Response:
        """Answer with what takes long to count: once for all who ask within a while, anew when a signal has ended."""
        _known(request, "days")
        days = _whole(request, "days", 1, _MOST_DAYS)
        key = request.path, str(days or "")
        async with self._counting:
            now_ms, ended = self._bot.now_ms(), await self._history.signals.ended()
            kept = self._counted.get(key)
            if kept is None or kept.ended != ended or not 0 <= now_ms - kept.at_ms < KEPT_MS:
                found = await count(0 if days is None else max(0, now_ms - days * _DAY_MS))
                self._counted = {old: one for old, one in self._counted.items() if now_ms - one.at_ms < KEPT_MS}
                kept = self._counted[key] = _Counted(at_ms=now_ms, ended=ended, body=to_json(found))
        return web.Response(body=kept.body, content_type="application/json")

    def _strategy(self, request: web.Request) -> str:
        return _one_of(request, "strategy", self._bot.strategies())


def _signal(pair: tuple[Signal, Outcome | None]) -> dict[str, Any]:
    signal, outcome = pair
    return {"signal": signal, "outcome": outcome}


def _known(request: web.Request, *names: str) -> None:
    """Refuse what the path knows no use for: a mistyped filter would else find too much."""
    if unknown := request.query.keys() - set(names):
        expected = " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
        raise web.HTTPBadRequest(text=f"{short(min(unknown))}: is not known here, expected {expected}")


def _one_of(request: web.Request, name: str, allowed: Collection[str]) -> str:
    text = request.query.get(name, "")
    if text and text not in allowed:
        raise web.HTTPBadRequest(text=f'{name}: was "{short(text)}", expected one of {", ".join(allowed)}')
    return text


def _whole(request: web.Request, name: str, low: int, high: int) -> int | None:
    """The query's number, None where it is not given."""
    text = request.query.get(name)
    if not text:
        return None
    # The digits are counted first: int() refuses thousands of them with an error of its own.
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS and low <= int(text) <= high):
        raise web.HTTPBadRequest(text=f'{name}: was "{short(text)}", expected a whole number from {low} to {high}')
    return int(text)
