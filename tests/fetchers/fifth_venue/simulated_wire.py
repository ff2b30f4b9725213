"""Okto's side of the wire: goes to fetchers/simulated/wires/okto.py of a copy of the code."""

from typing import Any

from fetchers.simulated.coins import ListingRules
from fetchers.simulated.limits import Quota
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.named_coins import ListingKind
from fetchers.simulated.scenario import SetupPlan
from fetchers.simulated.wire import Answer, Call, json_answer

VENUE = "okto"
LISTING = ListingRules(rank=5, id_suffix="-PERP")
SETUPS = (SetupPlan(coin="PRUVO", at=0.6, fate="take_profit"),)
_MOST = 100


class OktoWire:
    """Answers as Okto would, with one limit for everything."""

    def __init__(self, market: SimulatedMarket) -> None:
        self.quotas = {"requests": Quota(100, 5_000)}
        self._market = market
        self._rows = market.rows[VENUE]

    def answer(self, call: Call) -> Answer:
        """Reply to a GET."""
        if not self.quotas["requests"].spend(1, call.now_ms):
            return self.too_many(call.now_ms)
        _, what, *rest = call.path.split("/")
        handlers = {"time": self._time, "list": self._list, "quotes": self._quotes}
        if what in handlers:
            return json_answer(handlers[what](call))
        if what not in ("book", "prints") or self._market.place(VENUE, rest[0]) is None:
            return json_answer({"error": "unknown"}, status=404)
        return json_answer((self._book if what == "book" else self._prints)(call, rest[0]))

    def too_many(self, _: int) -> Answer:
        """Reply 429."""
        return json_answer({"error": "too many"}, status=429)

    banned = too_many

    def _time(self, call: Call) -> Any:
        return {"at": call.now_ms}

    def _list(self, _: Call) -> Any:
        rows = self._rows
        return {
            "rows": [
                {"symbol": r.id, "base": r.base, "tick": r.tick, "open": r.kind is ListingKind.PERPETUAL} for r in rows
            ]
        }

    def _quotes(self, call: Call) -> Any:
        seen = self._market.snapshot(VENUE, call.now_ms)
        columns = {
            "bid": seen.bid_price,
            "ask": seen.ask_price,
            "mark": seen.mark_price,
            "index": seen.index_price,
            "funding": seen.funding_rate,
            "base": seen.volume_24h,
            "usdt": seen.turnover_24h,
        }
        cells = zip(*(column.tolist() for column in columns.values()), strict=True)
        rows = [
            {"symbol": row.id, "hours": row.funding_interval_h, **dict(zip(columns, values, strict=True))}
            for row, values in zip(self._rows, cells, strict=True)
        ]
        return {"at": seen.time_ms, "rows": rows}

    def _book(self, call: Call, symbol: str) -> Any:
        book = self._market.book(VENUE, symbol, _MOST, call.now_ms)
        tick = self._tick(symbol)
        bids, asks = (
            [list(level) for level in zip((ticks * tick).tolist(), quantity.tolist(), strict=True)]
            for ticks, quantity in ((book.bid_ticks, book.bid_quantity), (book.ask_ticks, book.ask_quantity))
        )
        return {"at": book.time_ms, "n": book.sequence, "bids": bids, "asks": asks}

    def _prints(self, call: Call, symbol: str) -> Any:
        found = self._market.last_prints(VENUE, symbol, _MOST, call.now_ms)
        columns = (found.number, found.time_ms, found.price_ticks * self._tick(symbol), found.quantity, found.is_sell)
        cells = zip(*(column.tolist() for column in columns), strict=True)
        return {"rows": [dict(zip(("id", "at", "p", "q", "sold"), values, strict=True)) for values in cells]}

    def _tick(self, symbol: str) -> float:
        place = self._market.place(VENUE, symbol)
        assert place is not None
        return self._rows[place].tick


WIRE = OktoWire
