"""Fill what an instrument lacks from the same coin on another venue."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.builder import NOT_PUBLISHED, PRESENT, WARMING_UP, FeatureBuilder
from features.facts.market import IntArray
from features.phenomena.derivatives import find_lenders


def borrow(parts: FeatureBuilder) -> dict[str, Any]:
    """Put lenders' values where an instrument lacks its own; return who lends, and the data times with it.

    Only what polling cannot mend is borrowed: what a venue does not publish, and a window still filling up.
    """
    state = parts.state
    change = parts.missing["open_interest_change"]
    is_fresh = parts.age(state.open_interest_ms, parts.settings.max_oi_age_s) == PRESENT
    is_live = state.open_interest_is_live & is_fresh
    can_lend = (change == PRESENT) & is_live
    coin, venue = state.instruments.coin.number, state.instruments.venue.number
    lender = find_lenders(coin, venue, parts.values["open_interest_usdt"], can_lend)
    lacks_open_interest = (change == NOT_PUBLISHED) | (change == WARMING_UP)
    lacks_flow = ~state.instruments.publishes_trades
    lender = np.where(lacks_open_interest | lacks_flow, lender, -1)
    borrows_open_interest, borrows_flow = lacks_open_interest & (lender >= 0), lacks_flow & (lender >= 0)

    change_parts, borrower = ("open_interest_change", "price_change"), np.flatnonzero(borrows_open_interest)
    _lend(parts.missing, change_parts, borrower, lender)
    _lend(parts.values, change_parts, borrower, lender)
    flow_borrower = np.flatnonzero(borrows_flow)
    _lend(parts.missing, ("taker_sell_share", "sweep"), flow_borrower, lender)
    _lend(parts.values, ("taker_sell_share", "sweep_multiple", "sweep_age_s"), flow_borrower, lender)
    return {
        "lender": lender,
        "borrows_open_interest": borrows_open_interest,
        "borrows_flow": borrows_flow,
        "price_ms": state.price_ms.copy(),
        "book_ms": state.book_ms.copy(),
        "trades_ms": _lent(state.trades_ms, flow_borrower, lender),
        "open_interest_ms": _lent(state.open_interest_ms, borrower, lender),
        "funding_ms": state.funding_ms.copy(),
        "funding_rate": state.funding_rate.copy(),
        "funding_interval_h": state.funding_interval_h.copy(),
        "next_funding_ms": state.next_funding_ms.copy(),
        "open_interest_is_live": _lent(is_live, borrower, lender),
    }


def _lend(table: dict[str, Any], names: tuple[str, ...], borrower: IntArray, lender: IntArray) -> None:
    for name in names:
        table[name] = _lent(table[name], borrower, lender)


def _lent(values: NDArray[Any], borrower: IntArray, lender: IntArray) -> NDArray[Any]:
    lent = values.copy()
    lent[borrower] = values[lender[borrower]]
    return lent
