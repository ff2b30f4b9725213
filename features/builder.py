"""The parts of a feature frame: what each needs of the state, and the first reason for which it is missing."""

import math
from typing import Any

import numpy as np

from features.facts.market import FUTURE_MS, BoolArray, FloatArray, IntArray
from features.missing import Codes, Missing
from features.phenomena.derivatives import funding_impulse, oldest_known
from features.phenomena.order_book import BANDS, REACH_TOLERANCE, WALL_SECONDS, WALL_TICKS, ask_share, bid_exhaustion
from features.phenomena.price import (
    VOLATILITY_LAGS,
    WARM_SHARE,
    momentum_z,
    simple_return,
    spread_bps,
    volatility,
    vwap_distance,
)
from features.phenomena.trade_flow import (
    BASELINE_SECONDS,
    SWEEP_MULTIPLE,
    Sweeps,
    best_sweep,
    taker_sell_share,
    usual_second,
    usual_second_is_at_most,
)
from features.state.market_state import MarketState
from features.state.prints import open_runs
from features.state.ring import read_rings, stretches

PRESENT, NOT_PUBLISHED, NOT_SEEN, STALE, WARMING_UP = (
    np.int8(reason)
    for reason in (Missing.PRESENT, Missing.NOT_PUBLISHED, Missing.NOT_SEEN, Missing.STALE, Missing.WARMING_UP)
)


class FeatureBuilder:
    """The frame in the making: each part's values, NaN wherever its code says so."""

    def __init__(self, state: MarketState, now_ms: int) -> None:
        self.state, self.settings, self.now_ms = state, state.settings, now_ms
        self.values: dict[str, Any] = {}  # of FloatArray
        self.missing: dict[str, Codes] = {}
        self._tapes: IntArray = np.zeros(0, np.int64)  # the columns whose flow is known, ascending
        self._traded: FloatArray = np.zeros((0, 0))  # what traded in each second of the baseline on each of them

    def _add(self, part: str, *codes: Codes, **values: FloatArray) -> None:
        # The first code that is not PRESENT, which is 0, is the reason.
        reason = codes[0]
        for code in codes[1:]:
            reason = reason + code * (reason == PRESENT)
        self.missing[part] = reason
        is_present = reason == PRESENT
        self.values |= {name: np.where(is_present, array, np.nan) for name, array in values.items()}

    def age(self, time_ms: IntArray, max_age_s: float) -> Codes:
        """Return why data of these times cannot be used: never seen, too old or from the future."""
        oldest_ms = self.now_ms - math.floor(1000 * max_age_s)
        is_outside = (time_ms < oldest_ms) | (time_ms > self.now_ms + FUTURE_MS)
        return np.where(time_ms == 0, NOT_SEEN, STALE) * is_outside

    def add_price(self) -> None:
        """Add price, spread and VWAP distance."""
        state, settings = self.state, self.settings
        self._add("price", self.age(state.price_ms, settings.max_data_age_s), price=state.price)
        has_mark = self.age(state.mark_ms, settings.max_data_age_s) == PRESENT
        self.values["mark_price"] = np.where(has_mark, state.mark_price, np.nan)
        self._add(
            "index",
            self.missing["price"],
            self.age(state.index_ms, settings.max_data_age_s),
            index_basis=state.price / state.index_price - 1,
        )
        self._add(
            "spread",
            self.age(state.best_ms, settings.max_data_age_s),
            _code(state.best_bid >= state.best_ask, Missing.CROSSED),
            best_bid=state.best_bid,
            best_ask=state.best_ask,
            spread_bps=spread_bps(state.best_bid, state.best_ask),
        )
        distance = vwap_distance(self.values["price"], state.volume_usdt, state.volume_base)
        self._add(
            "vwap_distance",
            self.missing["price"],
            self.age(state.volume_ms, settings.max_day_age_s),
            _code(np.isnan(distance), Missing.THIN),
            vwap_distance=distance,
        )

    def add_momentum(self) -> None:
        """Add returns, volatility and z."""
        window_s = self.settings.momentum_window_s
        times_ms = self.now_ms - 1000 * window_s * np.arange(VOLATILITY_LAGS + 1)
        prices = self.state.prices_as_of(times_ms)
        prices[0] = self.values["price"]
        sigma = volatility(prices)
        return_1, return_3 = simple_return(prices[0], prices[1]), simple_return(prices[0], prices[3])
        z = momentum_z(return_1, return_3, sigma)
        self._add(
            "momentum",
            self.missing["price"],
            _code(np.isnan(z), Missing.WARMING_UP),
            momentum_return=return_1,
            momentum_return_3=return_3,
            volatility=sigma,
            volatility_minute=sigma * math.sqrt(60 / window_s),
            momentum_z=z,
        )

    def add_btc(self) -> tuple[float, str]:
        """Add the return of the freshest Bitcoin price of which we also know where it was; return it and its venue."""
        state, column = self.state, self.state.btc_columns
        (then,) = state.prices_as_of(np.array([self.now_ms - self.settings.btc_window_s * 1000]))[:, column]
        returns = simple_return(self.values["price"][column], then)
        if np.isfinite(returns).any():
            best = np.where(np.isfinite(returns), state.price_ms[column], -1).argmax()
            self.missing["btc_return"] = np.full(len(state.instruments), PRESENT)
            return float(returns[best]), state.instruments[column[best]].venue
        codes = self.missing["price"][column]
        reason = WARMING_UP if (codes == PRESENT).any() else codes.max(initial=NOT_SEEN)
        self.missing["btc_return"] = np.full(len(state.instruments), reason)
        return math.nan, ""

    def add_book(self) -> None:
        """Add depth, imbalance and exhaustion."""
        state, settings = self.state, self.settings
        unchanged_ms = state.book_ms - state.book_changed_ms
        has_moved = np.maximum(state.price_moved_ms, state.print_ms) > state.book_changed_ms
        is_shallow = state.book_reach * (1 + REACH_TOLERANCE) < BANDS[0]
        self._add(
            "book",
            self.age(state.book_ms, settings.max_data_age_s),
            _code(state.book_is_crossed, Missing.CROSSED),
            _code(is_shallow, Missing.SHALLOW),
            _code(np.isnan(state.bid_depth), Missing.EMPTY),
            _code((unchanged_ms >= settings.book_frozen_s * 1000) & has_moved, Missing.FROZEN),
            bid_depth_usdt=state.bid_depth,
            ask_depth_usdt=state.ask_depth,
            sellable_usdt=state.sellable,
            buyable_usdt=state.buyable,
            microprice_tilt_bps=state.microprice_tilt_bps,
        )
        book = self.missing["book"]
        self._add("ask_share", book, ask_share=ask_share(state.bid_depth, state.ask_depth))
        exhaustion = bid_exhaustion(state.bid_depth, state.usual_bid_depth)
        self._add("exhaustion", book, _code(np.isnan(exhaustion), Missing.WARMING_UP), bid_exhaustion=exhaustion)

    def add_wall(self, lender: IntArray, borrows_flow: BoolArray) -> None:
        """Add the wall, which counts only where it lasts and is large beside what trades; borrowing comes before it."""
        state = self.state
        apart_ms = state.book_ms - state.previous_book_ms
        is_recent = apart_ms <= self.settings.max_data_age_s * 1000
        self._add(
            "wall",
            self.missing["book"],
            _code(np.isnan(state.wall_ratio), Missing.THIN),
            _code(~is_recent, Missing.WARMING_UP),
            _code(np.isnan(state.previous_wall_ratio), Missing.THIN),
            self.missing["sweep"],  # what is usual on the tape is known or not for both
            wall_ratio=np.minimum(state.wall_ratio, state.previous_wall_ratio),
        )
        is_present, lasts = self.missing["wall"] == PRESENT, self._has_lasting_wall()
        column = np.flatnonzero(is_present & lasts)
        counts = np.zeros(len(lasts), dtype=bool)
        tape = np.where(borrows_flow, lender, np.arange(len(lasts)))[column]
        traded = self._traded[np.searchsorted(self._tapes, tape)]  # the sweep is known, and so is the tape
        counts[column] = usual_second_is_at_most(traded, state.wall_notional[column] / WALL_SECONDS)
        self.values["wall_ratio"][is_present & ~counts] = 0.0

    def _has_lasting_wall(self) -> BoolArray:
        # Whether the last book and one some seconds older show the largest ask level at the same price.
        state = self.state
        apart = np.abs(state.wall_price - state.previous_wall_price)
        return np.asarray(apart <= WALL_TICKS * state.instruments.tick_size * (1 + REACH_TOLERANCE))

    def add_flow(self) -> None:
        """Add the taker-sell share and the best sweep."""
        state, settings = self.state, self.settings
        age = self.age(state.trades_ms, settings.max_data_age_s)
        flow = np.where(state.instruments.publishes_trades, age, NOT_PUBLISHED)
        column = np.flatnonzero(flow == PRESENT)
        share, multiple, age_s = (np.full(len(flow), np.nan) for _ in range(3))

        window = state.second_rows(self.now_ms // 1000, math.ceil(settings.flow_window_s))
        sold, total = (
            sum(array.T[column, rows].sum(axis=1) for rows in stretches(window))
            for array in (state.taker_sold_at, state.traded_at)
        )
        share[column] = taker_sell_share(sold, total)
        self._add(
            "taker_sell_share",
            flow,
            _code(~self._is_covered(settings.flow_window_s), Missing.INCOMPLETE),
            _code(np.isnan(share), Missing.THIN),
            taker_sell_share=share,
        )
        baseline = state.second_rows(self.now_ms // 1000, math.ceil(settings.sweep_baseline_s))
        self._tapes, self._traded = column, read_rings(state.traded_at, column, baseline, 0.0)
        multiple[column], age_s[column] = self._sweeps(column, self._traded)
        is_thin = np.isnan(multiple)
        is_covered = self._is_covered(settings.sweep_baseline_s)
        self._add(
            "sweep",
            flow,
            _code(is_thin & ~is_covered, Missing.WARMING_UP),
            _code(is_thin, Missing.THIN),
            sweep_multiple=multiple,
            sweep_age_s=age_s,
        )

    def _sweeps(self, column: IntArray, traded: FloatArray) -> Sweeps:
        # A run still open counts too. The usual second matters only where there is a run to compare with it.
        state, settings = self.state, self.settings
        unfinished = open_runs(state, column)
        open_notional = np.where(unfinished.can_be_sweeps(settings.min_sweep_usdt), unfinished.notional, 0.0)
        end_ms = np.concatenate([state.run_end_ms[:, column], unfinished.end_ms[None]])
        notional = np.concatenate([state.run_notional[:, column], open_notional[None]])
        age_ms = self.now_ms - end_ms
        alive = np.where((age_ms >= -FUTURE_MS) & (age_ms < settings.sweep_ttl_s * 1000), notional, 0.0)

        seconds = (traded > 0).sum(axis=1, dtype=np.int32)
        best = Sweeps(np.where(seconds >= BASELINE_SECONDS, 0.0, np.nan), np.full(len(column), np.nan))
        # No sweep where most seconds trade more than the median may be for the largest run: no median needed there.
        largest = alive.max(axis=0)
        living = np.flatnonzero((seconds >= BASELINE_SECONDS) & (largest > 0))
        above = (traded[living] > largest[living, None] / SWEEP_MULTIPLE).sum(axis=1, dtype=np.int32)
        judged = living[above <= seconds[living] // 2]
        usual = usual_second(traded[judged])
        best.multiple[judged], best.age_s[judged] = best_sweep(
            end_ms[:, judged], alive[:, judged], usual, self.now_ms, settings.sweep_ttl_s
        )
        return best

    def _is_covered(self, seconds: float) -> BoolArray:
        # No print has been missed since the first of the last epoch seconds began.
        return self.state.covered_from_ms <= (self.now_ms // 1000 - math.ceil(seconds) + 1) * 1000

    def add_derivatives(self) -> None:
        """Add open interest, its change and funding."""
        state, settings, now_ms = self.state, self.settings, self.now_ms
        window_ms = settings.oi_window_s * 1000
        age = self.age(state.open_interest_ms, settings.max_oi_age_s)
        code = np.where(state.instruments.publishes_open_interest, age, NOT_PUBLISHED)
        amount, price = np.where(code == PRESENT, state.open_interest, np.nan), self.values["price"]
        self.values |= {"open_interest_base": amount, "open_interest_usdt": amount * price}

        rows = state.rows(now_ms - window_ms, now_ms - window_ms * WARM_SHARE)
        base = oldest_known(state.open_interest_at, state.price_at, rows, np.isfinite(amount * price))
        codes = (
            code,
            self.missing["price"],
            _code(np.isnan(base.price), Missing.WARMING_UP),
            _code(base.open_interest <= 0, Missing.THIN),
        )
        base_amount = np.where(base.open_interest > 0, base.open_interest, np.nan)
        self._add(
            "open_interest_change",
            *codes,
            open_interest_change=simple_return(amount, base_amount),
            price_change=simple_return(price, base.price),
        )
        self.missing["price_change"] = self.missing["open_interest_change"]

        history = [state.funding_8h_at[rows] for rows in stretches(state.rows(now_ms - window_ms, now_ms))]
        self._add(
            "funding",
            self.age(state.funding_ms, settings.max_funding_age_s),
            _code(np.isnan(state.funding_8h), Missing.NOT_SEEN),
            funding_rate_8h=state.funding_8h,
            funding_impulse=funding_impulse(state.funding_8h, history),
        )


def _code(mask: BoolArray, reason: Missing) -> Codes:
    return mask * np.int8(reason)
