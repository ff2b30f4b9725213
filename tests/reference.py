"""Features, sub-scores and UPS of one instrument in ordinary Python, following docs/features.md line by line.

Nothing here shares code with `features` or `scoring`: it keeps everything it was ever told and looks through all of it
each time. None is "missing".
"""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from features.facts.market import Instrument, Observation, OpenInterest, OrderBook, Prints, Quotes, Trades
from features.missing import Missing
from features.settings import FeatureSettings

Key = tuple[str, str]
Number = float | None
Value = tuple[Number, Missing]


@dataclass
class Point:
    """A value, when it was true and in which tick it arrived."""

    tick: int
    ms: int
    value: float


@dataclass
class Log:
    """Everything one instrument has been told."""

    mids: list[Point] = field(default_factory=list)
    marks: list[Point] = field(default_factory=list)
    indices: list[Point] = field(default_factory=list)
    best: list[tuple[int, float, float]] = field(default_factory=list)
    funding: list[Point] = field(default_factory=list)
    interval_h: float = math.nan
    open_interest: list[tuple[Point, bool]] = field(default_factory=list)
    history: list[Point] = field(default_factory=list)
    day: list[tuple[int, float, float]] = field(default_factory=list)
    books: list[tuple[int, OrderBook]] = field(default_factory=list)
    book_changed_ms: int = 0
    prints: list[tuple[int, float, float, bool]] = field(default_factory=list)
    gaps: list[int] = field(default_factory=list)  #: how many prints there were when some were missed
    trades_ms: int = 0
    covered_from_ms: int = 0


class Reference:
    """The market as a list of what happened."""

    def __init__(self, instruments: list[Instrument], settings: FeatureSettings) -> None:
        self.instruments = instruments
        self.settings = settings
        self.ticks: list[int] = []
        self.logs: dict[Key, Log] = {i.key: Log() for i in instruments}

    def advance(self, now_ms: int) -> None:
        """Begin a tick."""
        self.ticks.append(now_ms)

    def append(self, observations: list[Observation]) -> None:
        """Note what arrived in it."""
        for observation in observations:
            if isinstance(observation, Quotes):
                for position, identity in enumerate(observation.ids):
                    if (observation.venue, identity) in self.logs:
                        self._note_quotes(self.logs[observation.venue, identity], observation, position)
                continue
            if isinstance(observation, Prints):
                self.append([found for one in observation.symbols if (found := observation.of(one)) is not None])
                continue
            log = self.logs.get((observation.venue, observation.id))
            if log is None:
                continue
            match observation:
                case OpenInterest():
                    self._note_open_interest(log, observation)
                case OrderBook():
                    self._note_book(log, observation)
                case Trades():
                    self._note_trades(log, observation)

    def _note_quotes(self, log: Log, quotes: Quotes, i: int) -> None:
        tick, ms = len(self.ticks) - 1, int(quotes.exchange_ms[i])

        def given(name: str) -> Number:
            values = getattr(quotes, name)
            return None if values is None or math.isnan(values[i]) else float(values[i])

        bid, ask, mark = given("bid_price"), given("ask_price"), given("mark_price")
        if bid and ask and bid > 0 and ask > 0:
            if bid <= ask and _is_newer(log.mids, ms):
                log.mids.append(Point(tick, ms, (bid + ask) / 2))
            if not log.best or ms >= log.best[-1][0]:
                log.best.append((ms, bid, ask))
        if mark is not None and _is_newer(log.marks, ms):
            log.marks.append(Point(tick, ms, mark))
        index = given("index_price")
        if index is not None and index > 0 and _is_newer(log.indices, ms):
            log.indices.append(Point(tick, ms, index))
        if interval_h := given("funding_interval_h"):
            log.interval_h = interval_h
        rate = given("funding_rate")
        if rate is not None and _is_newer(log.funding, ms):
            log.funding.append(Point(tick, ms, rate * 8 / log.interval_h))
        amount = given("open_interest_base")
        if amount is not None and (not log.open_interest or ms >= log.open_interest[-1][0].ms):
            log.open_interest.append((Point(tick, ms, amount), True))
        base, usdt = given("volume_base_24h"), given("volume_usdt_24h")
        if base is not None and usdt is not None and (not log.day or ms >= log.day[-1][0]):
            log.day.append((ms, base, usdt))

    def _note_open_interest(self, log: Log, given: OpenInterest) -> None:
        point = Point(len(self.ticks) - 1, given.exchange_ms, given.open_interest_base)
        if not log.open_interest or point.ms >= log.open_interest[-1][0].ms:
            log.open_interest.append((point, given.is_live))
        if not given.is_live:
            log.history.append(point)

    def _note_book(self, log: Log, book: OrderBook) -> None:
        if log.books and book.exchange_ms <= log.books[-1][1].exchange_ms:
            return
        if not log.books or _levels(book) != _levels(log.books[-1][1]):
            log.book_changed_ms = book.exchange_ms
        log.books.append((len(self.ticks) - 1, book))
        if len(book.bid_price) and len(book.ask_price) and (not log.best or book.exchange_ms >= log.best[-1][0]):
            log.best.append((book.exchange_ms, float(book.bid_price[0]), float(book.ask_price[0])))

    def _note_trades(self, log: Log, trades: Trades) -> None:
        if not trades.continues or not log.trades_ms:
            log.gaps.append(len(log.prints))
            log.covered_from_ms = int(trades.time_ms[0]) if len(trades.time_ms) else trades.exchange_ms
        log.trades_ms = max(log.trades_ms, trades.exchange_ms)
        for t, p, q, s in zip(trades.time_ms, trades.price, trades.quantity, trades.is_taker_sell, strict=True):
            log.prints.append((int(t), float(p), float(q), bool(s)))

    # ---- what was known when -------------------------------------------------------------------------------------

    def prices(self, log: Log) -> list[Point]:
        """P is the mid, on a venue without bulk quotes the mark price; never a mixture."""
        return log.mids or log.marks

    def known_at(self, points: list[Point], tick: int, max_age_s: float) -> Number:
        """Return the newest value that had arrived by a tick and was fresh in it."""
        arrived = [point for point in points if point.tick <= tick]
        if arrived and self.ticks[tick] - arrived[-1].ms <= max_age_s * 1000:
            return arrived[-1].value
        return None

    def price_at(self, log: Log, tick: int) -> Number:
        """Return P as known at a tick."""
        return self.known_at(self.prices(log), tick, self.settings.max_data_age_s)

    def price_as_of(self, log: Log, ms: float) -> Number:
        """Return P at the newest tick not after `ms` and not long before."""
        tolerance_ms = max(self.settings.max_data_age_s, 1.5 * self.settings.refresh_interval_s) * 1000
        ticks = [k for k, tick_ms in enumerate(self.ticks) if ms - tolerance_ms <= tick_ms <= ms]
        return self.price_at(log, ticks[-1]) if ticks else None

    def open_interest_at(self, log: Log, tick: int) -> Number:
        """Return open interest as known at a tick, by then or later from a history."""
        max_age_s = self.settings.max_oi_age_s
        known = self.known_at([point for point, _ in log.open_interest], tick, max_age_s)
        if known is not None:
            return known
        for point in log.history:
            if point.ms <= self.ticks[tick] <= point.ms + max_age_s * 1000:
                return point.value
        return None

    # ---- features ------------------------------------------------------------------------------------------------

    def features(self, key: Key, now_ms: int) -> dict[str, Value]:
        """Return every feature of an instrument with why it is missing."""
        own = self._own(key, now_ms)
        instrument = next(i for i in self.instruments if i.key == key)
        lender = self._lender(instrument, now_ms)
        if lender is not None:
            lent = self._own(lender, now_ms)
            if own["open_interest_change"][1] in (Missing.NOT_PUBLISHED, Missing.WARMING_UP):
                own |= {name: lent[name] for name in ("open_interest_change", "price_change")}
            if not instrument.publishes_trades:
                own |= {name: lent[name] for name in ("taker_sell_share", "sweep_multiple", "sweep_age_s")}
        flow_of = lender if lender is not None and not instrument.publishes_trades else key
        own |= {"wall_ratio": self._wall(instrument, own, self._usual_second(self.logs[flow_of], now_ms))}
        return own | {"btc_return": self._btc_return(now_ms)}

    def _lender(self, borrower: Instrument, now_ms: int) -> Key | None:
        best, best_usdt = None, -1.0
        for other in self.instruments:
            if other.coin != borrower.coin or other.venue == borrower.venue:
                continue
            own, log = self._own(other.key, now_ms), self.logs[other.key]
            usdt, is_live = own["open_interest_usdt"][0], bool(log.open_interest) and log.open_interest[-1][1]
            if own["open_interest_change"][1] == Missing.PRESENT and is_live and usdt is not None and usdt > best_usdt:
                best, best_usdt = other.key, usdt
        return best

    def _own(self, key: Key, now_ms: int) -> dict[str, Value]:
        log = self.logs[key]
        instrument = next(i for i in self.instruments if i.key == key)
        return {
            **self._price(log, now_ms),
            **self._momentum(log, now_ms),
            **self._book(log, now_ms),
            **self._flow(instrument, log, now_ms),
            **self._derivatives(instrument, log, now_ms),
        }

    def _now(self, log: Log, now_ms: int) -> Value:
        points = self.prices(log)
        reason = _age(points[-1].ms if points else 0, now_ms, self.settings.max_data_age_s)
        return (None, reason) if reason else (points[-1].value, reason)

    def _price(self, log: Log, now_ms: int) -> dict[str, Value]:
        price, reason = self._now(log, now_ms)
        spread: Value = (None, _age(log.best[-1][0] if log.best else 0, now_ms, self.settings.max_data_age_s))
        if not spread[1]:
            _, bid, ask = log.best[-1]
            mid = (bid + ask) / 2
            spread = (None, Missing.CROSSED) if bid >= ask else ((ask - bid) / mid * 1e4, Missing.PRESENT)
        day: Value = (None, reason or _age(log.day[-1][0] if log.day else 0, now_ms, self.settings.max_day_age_s))
        if price is not None and not day[1]:
            _, base, usdt = log.day[-1]
            day = (price / (usdt / base) - 1, Missing.PRESENT) if base > 0 and usdt > 0 else (None, Missing.THIN)
        why = reason or _age(log.indices[-1].ms if log.indices else 0, now_ms, self.settings.max_data_age_s)
        basis: Value = (None, why)
        if price is not None and not why:
            basis = (price / log.indices[-1].value - 1, Missing.PRESENT)
        return {"price": (price, reason), "index_basis": basis, "spread_bps": spread, "vwap_distance": day}

    def _momentum(self, log: Log, now_ms: int) -> dict[str, Value]:
        window_s = self.settings.momentum_window_s
        price, reason = self._now(log, now_ms)
        names = ("momentum_return", "momentum_return_3", "volatility", "volatility_minute", "momentum_z")
        if price is None:
            return dict.fromkeys(names, (None, reason))
        lags = [price] + [self.price_as_of(log, now_ms - k * window_s * 1000) for k in range(1, 16)]
        known = [(k, p) for k, p in enumerate(lags) if p is not None]
        elapsed = known[-1][0] - known[0][0]
        if elapsed < 10 or lags[1] is None or lags[3] is None:
            return dict.fromkeys(names, (None, Missing.WARMING_UP))
        squares = [math.log(newer / older) ** 2 for (_, newer), (_, older) in pairwise(known)]
        sigma = max(math.sqrt(sum(squares) / elapsed), 0.0005)
        r1, r3 = price / lags[1] - 1, price / lags[3] - 1
        z = 0.6 * r1 / sigma + 0.4 * r3 / (sigma * math.sqrt(3))
        values = (r1, r3, sigma, sigma * math.sqrt(60 / window_s), z)
        return {name: (value, Missing.PRESENT) for name, value in zip(names, values, strict=True)}

    def _btc_return(self, now_ms: int) -> Value:
        best: tuple[int, float] | None = None
        reasons = []
        for instrument in self.instruments:
            if instrument.coin != "BTC":
                continue
            log = self.logs[instrument.key]
            price, reason = self._now(log, now_ms)
            then = self.price_as_of(log, now_ms - self.settings.btc_window_s * 1000)
            reasons.append(reason)
            if price is not None and then is not None:
                fresh_ms = self.prices(log)[-1].ms
                if best is None or fresh_ms > best[0]:
                    best = (fresh_ms, price / then - 1)
        if best is not None:
            return best[1], Missing.PRESENT
        if Missing.PRESENT in reasons:
            return None, Missing.WARMING_UP
        return None, max(reasons, default=Missing.NOT_SEEN)

    def _book(self, log: Log, now_ms: int) -> dict[str, Value]:
        s = self.settings
        names = ("bid_depth_usdt", "ask_depth_usdt", "sellable_usdt", "buyable_usdt", "microprice_tilt_bps")
        book = log.books[-1][1] if log.books else None
        reason = _age(book.exchange_ms if book else 0, now_ms, s.max_data_age_s)
        measured = _measure(book, s.book_band_percent) if book else None
        if not reason and isinstance(measured, Missing):
            reason = measured
        if not reason and book and book.exchange_ms - log.book_changed_ms >= s.book_frozen_s * 1000:
            points = self.prices(log)
            moved = [p.ms for i, p in enumerate(points) if i == 0 or p.value != points[i - 1].value]
            if max([*moved, *(t for t, _, _, _ in log.prints)], default=0) > log.book_changed_ms:
                reason = Missing.FROZEN
        if reason or not isinstance(measured, Measured) or book is None:
            return dict.fromkeys((*names, "ask_share", "bid_exhaustion", "book"), (None, reason))
        usual = {band: self._usual_depth(log, band) for band in measured.depth}
        both = [band for band, depth in usual.items() if depth is not None]
        band = max(both or measured.depth)
        bid_depth, ask_depth = measured.depth[band]
        shown = (bid_depth, ask_depth, measured.sellable, measured.buyable, measured.tilt_bps)
        exhaustion: Value = (None, Missing.WARMING_UP)
        if (depth := usual[band]) is not None:
            exhaustion = (1 - bid_depth / depth, Missing.PRESENT)
        return {
            **{name: (value, Missing.PRESENT) for name, value in zip(names, shown, strict=True)},
            "ask_share": (ask_depth / (ask_depth + bid_depth), Missing.PRESENT),
            "bid_exhaustion": exhaustion,
            "book": (0.0, Missing.PRESENT),
        }

    def _wall(self, instrument: Instrument, own: dict[str, Value], usual_second: Number) -> Value:
        log, band_percent = self.logs[instrument.key], self.settings.book_band_percent
        if reason := own.pop("book")[1]:
            return None, reason
        book = log.books[-1][1]
        measured = _measure(book, band_percent)
        if not isinstance(measured, Measured) or measured.wall is None:
            return None, Missing.THIN
        before = self._book_before(log)
        if before is None or book.exchange_ms - before.exchange_ms > self.settings.max_data_age_s * 1000:
            return None, Missing.WARMING_UP
        earlier = _measure(before, band_percent)
        if not isinstance(earlier, Measured) or earlier.wall is None:
            return None, Missing.THIN
        if reason := own["sweep_multiple"][1]:
            return None, reason
        assert usual_second is not None
        is_same = abs(measured.wall.price - earlier.wall.price) <= 2 * instrument.tick_size * (1 + 1e-9)
        if not is_same or measured.wall.usdt < 10 * usual_second:
            return 0.0, Missing.PRESENT
        return min(measured.wall.ratio, earlier.wall.ratio), Missing.PRESENT

    def _book_before(self, log: Log) -> OrderBook | None:
        # Of the books since: the one before where it is a fifth of the data's age older, else one that was once before.
        apart_ms = self.settings.max_data_age_s * 1000 / 5
        chosen: OrderBook | None = None
        waiting: OrderBook | None = None
        for (_, last), (_, new) in pairwise(log.books):
            if new.exchange_ms - last.exchange_ms >= apart_ms:
                chosen = waiting = last
            elif waiting is None:
                waiting = last
            elif new.exchange_ms - waiting.exchange_ms >= apart_ms:
                chosen, waiting = waiting, last
        return chosen

    def _usual_depth(self, log: Log, band: float) -> Number:
        window_ms, now_ms = self.settings.book_window_s * 1000, self.ticks[log.books[-1][0]]
        sample: list[tuple[int, float]] = []
        for tick, tick_ms in enumerate(self.ticks):
            if not now_ms - window_ms <= tick_ms <= now_ms - window_ms / 60:
                continue
            arrived = [book for at, book in log.books if at == tick]
            measured = _measure(arrived[-1], self.settings.book_band_percent) if arrived else None
            if isinstance(measured, Measured) and band in measured.depth:
                sample.append((tick_ms, measured.depth[band][0]))
        if len(sample) < 3 or sample[-1][0] - sample[0][0] < window_ms / 15:
            return None
        return median(d for _, d in sample)

    def _flow(self, instrument: Instrument, log: Log, now_ms: int) -> dict[str, Value]:
        s = self.settings
        reason = Missing.NOT_PUBLISHED
        if instrument.publishes_trades:
            reason = _age(log.trades_ms, now_ms, s.max_data_age_s)
        if reason:
            return dict.fromkeys(("taker_sell_share", "sweep_multiple", "sweep_age_s"), (None, reason))
        return {"taker_sell_share": self._taker_sell_share(log, now_ms), **self._sweep(log, now_ms)}

    def _taker_sell_share(self, log: Log, now_ms: int) -> Value:
        first_s = now_ms // 1000 - math.ceil(self.settings.flow_window_s) + 1
        if log.covered_from_ms > first_s * 1000:
            return None, Missing.INCOMPLETE
        inside = [(p * q, sell) for t, p, q, sell in log.prints if first_s <= t // 1000 <= now_ms // 1000]
        total = sum(usdt for usdt, _ in inside)
        if not total:
            return None, Missing.THIN
        return sum(usdt for usdt, sell in inside if sell) / total, Missing.PRESENT

    def _sweep(self, log: Log, now_ms: int) -> dict[str, Value]:
        s = self.settings
        first_s = now_ms // 1000 - math.ceil(s.sweep_baseline_s) + 1
        usual = self._usual_second(log, now_ms)
        if usual is None:
            is_covered = log.covered_from_ms <= first_s * 1000
            why = Missing.THIN if is_covered else Missing.WARMING_UP
            return {"sweep_multiple": (None, why), "sweep_age_s": (None, why)}
        best: tuple[float, float, Number] = (0.0, 0.0, None)
        for run in self._runs(log):
            usdt = sum(p * q for _, p, q in run)
            age_s = max(now_ms - run[-1][0], 0) / 1000
            if len({p for _, p, _ in run}) < 3 or run[-1][1] >= run[0][1]:
                continue
            if usdt < s.min_sweep_usdt or usdt / usual < 5:
                continue
            value = _clip01(usdt / usual / 10) * _clip01(1 - age_s / s.sweep_ttl_s)
            if value > best[0]:
                best = (value, usdt / usual, age_s)
        return {"sweep_multiple": (best[1], Missing.PRESENT), "sweep_age_s": (best[2], Missing.PRESENT)}

    def _usual_second(self, log: Log, now_ms: int) -> Number:
        first_s = now_ms // 1000 - math.ceil(self.settings.sweep_baseline_s) + 1
        seconds: dict[int, float] = {}
        for t, p, q, _ in log.prints:
            if first_s <= t // 1000 <= now_ms // 1000:
                seconds[t // 1000] = seconds.get(t // 1000, 0.0) + p * q
        return median(seconds.values()) if len(seconds) >= 10 else None

    def _runs(self, log: Log) -> list[list[tuple[int, float, float]]]:
        runs: list[list[tuple[int, float, float]]] = []
        is_running = False
        for i, (t, p, q, sell) in enumerate(log.prints):
            if i in log.gaps or not sell:
                is_running = False
            if not sell:
                continue
            if is_running and t - runs[-1][0][0] <= 1000:
                runs[-1].append((t, p, q))
            else:
                runs.append([(t, p, q)])
            is_running = True
        return runs

    def _derivatives(self, instrument: Instrument, log: Log, now_ms: int) -> dict[str, Value]:
        s = self.settings
        window_ms = s.oi_window_s * 1000
        price, price_reason = self._now(log, now_ms)
        reason = Missing.NOT_PUBLISHED
        if instrument.publishes_open_interest:
            reason = _age(log.open_interest[-1][0].ms if log.open_interest else 0, now_ms, s.max_oi_age_s)
        amount = None if reason else log.open_interest[-1][0].value
        usdt = None if amount is None or price is None else amount * price
        why = reason or price_reason
        oi_change: Value = (None, why)
        price_change: Value = (None, why)
        if amount is not None and price is not None:
            oi_change = price_change = (None, Missing.WARMING_UP)
            for tick, tick_ms in enumerate(self.ticks):
                if not now_ms - window_ms <= tick_ms <= now_ms - window_ms * (2 / 3):
                    continue
                base, base_price = self.open_interest_at(log, tick), self.price_at(log, tick)
                if base is None or base_price is None:
                    continue
                oi_change = price_change = (None, Missing.THIN)
                if base > 0:
                    oi_change = (amount / base - 1, Missing.PRESENT)
                    price_change = (price / base_price - 1, Missing.PRESENT)
                break
        funding = self._funding(log, now_ms)
        return {
            "open_interest_base": (amount, reason),
            "open_interest_usdt": (usdt, why),
            "open_interest_change": oi_change,
            "price_change": price_change,
            **funding,
        }

    def _funding(self, log: Log, now_ms: int) -> dict[str, Value]:
        reason = _age(log.funding[-1].ms if log.funding else 0, now_ms, self.settings.max_funding_age_s)
        f8 = log.funding[-1].value if log.funding else math.nan
        if not reason and math.isnan(f8):
            reason = Missing.NOT_SEEN
        if reason:
            return dict.fromkeys(("funding_rate_8h", "funding_impulse"), (None, reason))
        window = [
            self.known_at(log.funding, tick, self.settings.max_funding_age_s)
            for tick, tick_ms in enumerate(self.ticks)
            if now_ms - self.settings.oi_window_s * 1000 <= tick_ms <= now_ms
        ]
        known = [value for value in window if value is not None and not math.isnan(value)]
        impulse = f8 - (sum(known) / len(known) if known else 0.0)
        return {"funding_rate_8h": (f8, Missing.PRESENT), "funding_impulse": (impulse, Missing.PRESENT)}


@dataclass
class Wall:
    """The largest ask level."""

    ratio: float
    price: float
    usdt: float


@dataclass
class Measured:
    """One book by itself."""

    depth: dict[float, tuple[float, float]]  #: bid and ask depth by band
    sellable: float
    buyable: float
    tilt_bps: float
    wall: Wall | None


def _measure(book: OrderBook, band_percent: float) -> Measured | Missing:
    bids = list(zip(book.bid_price.tolist(), book.bid_quantity.tolist(), strict=True))
    asks = list(zip(book.ask_price.tolist(), book.ask_quantity.tolist(), strict=True))
    if not bids or not asks:
        return Missing.EMPTY
    best_bid, best_ask = bids[0][0], asks[0][0]
    if best_bid >= best_ask:
        return Missing.CROSSED
    mid = (best_bid + best_ask) / 2
    reach = _reach(book, bids, asks)
    if reach * (1 + 1e-9) < 0.001:
        return Missing.SHALLOW
    depth = {}
    for band in (0.001, 0.0025, 0.005, 0.01):
        if band > band_percent / 100 * (1 + 1e-9) or reach * (1 + 1e-9) < band:
            continue
        if any(abs(side[0][0] - mid) / mid >= band * (1 - 1e-9) for side in (bids, asks)):
            continue
        bid_depth, ask_depth = (
            sum(p * q * max(1 - abs(p - mid) / mid / band, 0) for p, q in side) for side in (bids, asks)
        )
        depth[band] = bid_depth, ask_depth
    if not depth:
        return Missing.EMPTY
    walls = [(p * q, p) for p, q in asks if abs(p - mid) / mid <= max(depth) * (1 + 1e-9)]
    largest = max(usdt for usdt, _ in walls)
    price = next(p for usdt, p in walls if usdt == largest)
    micro = (best_bid * asks[0][1] + best_ask * bids[0][1]) / (bids[0][1] + asks[0][1])
    return Measured(
        depth=depth,
        sellable=sum(p * q for p, q in bids if p >= best_bid * 0.999 * (1 - 1e-9)),
        buyable=sum(p * q for p, q in asks if p <= best_ask * 1.001 * (1 + 1e-9)),
        tilt_bps=(micro / mid - 1) * 1e4,
        wall=Wall(largest / median(usdt for usdt, _ in walls), price, largest) if len(walls) >= 5 else None,
    )


def _reach(book: OrderBook, bids: list[tuple[float, float]], asks: list[tuple[float, float]]) -> float:
    mid = (bids[0][0] + asks[0][0]) / 2
    full = [side for side in (bids, asks) if len(side) >= book.levels_asked]
    return min((abs(side[-1][0] - mid) / mid for side in full), default=math.inf)


def _levels(book: OrderBook) -> list[list[float]]:
    return [side.tolist() for side in (book.bid_price, book.bid_quantity, book.ask_price, book.ask_quantity)]


def _is_newer(points: list[Point], ms: int) -> bool:
    return not points or ms >= points[-1].ms


def _age(ms: int, now_ms: int, max_age_s: float) -> Missing:
    if now_ms - ms <= max_age_s * 1000:
        return Missing.PRESENT
    return Missing.STALE if ms else Missing.NOT_SEEN


def _clip01(x: float) -> float:
    return min(max(x, 0.0), 1.0)


# ---- sub-scores and UPS ----------------------------------------------------------------------------------------------

WEIGHTS = {
    "oi_divergence": 20,
    "liquidity_pressure": 20,
    "orderflow_imbalance": 15,
    "sweep": 15,
    "btc_microtrend": 10,
    "short_momentum": 10,
    "funding": 10,
}


def sub_scores(features: dict[str, Value], sweep_ttl_s: float) -> dict[str, float]:
    """Return the seven sub-scores, 0 to 100; a missing part adds nothing."""
    known = {name: value for name, (value, _) in features.items() if value is not None}
    scores = dict.fromkeys(WEIGHTS, 0.0)
    if "open_interest_change" in known and "price_change" in known:
        rising, falling = known["open_interest_change"] / 0.02, -known["price_change"] / 0.01
        scores["oi_divergence"] = 100 * math.sqrt(_clip01(rising) * _clip01(falling))
    if "wall_ratio" in known:
        scores["liquidity_pressure"] += 0.5 * 100 * _clip01((known["wall_ratio"] - 3) / 9)
    if "bid_exhaustion" in known:
        scores["liquidity_pressure"] += 0.5 * 100 * _clip01(known["bid_exhaustion"] / 0.5)
    if "ask_share" in known:
        scores["orderflow_imbalance"] += 0.7 * 100 * _clip01((known["ask_share"] - 0.5) / 0.25)
    if "taker_sell_share" in known:
        scores["orderflow_imbalance"] += 0.3 * 100 * _clip01((known["taker_sell_share"] - 0.5) / 0.3)
    if known.get("sweep_multiple") and "sweep_age_s" in known:
        alive = _clip01(1 - known["sweep_age_s"] / sweep_ttl_s)
        scores["sweep"] = 100 * _clip01(known["sweep_multiple"] / 10) * alive
    if "btc_return" in known:
        scores["btc_microtrend"] = 100 * _clip01((0.003 - known["btc_return"]) / 0.003)
    if "momentum_z" in known:
        scores["short_momentum"] += 0.7 * 100 * _clip01(-known["momentum_z"] / 2)
    if "vwap_distance" in known:
        scores["short_momentum"] += 0.3 * 100 * _clip01(known["vwap_distance"] / 0.05)
    if "funding_rate_8h" in known:
        scores["funding"] = 100 * _clip01(known["funding_rate_8h"] / 0.001)
    return scores


def ups(scores: dict[str, float]) -> float:
    """Return the sum of weight * sub-score / 100."""
    return sum(WEIGHTS[name] * score / 100 for name, score in scores.items())
