"""Prints of a stream against the same prints by replies; and what the state keeps of what comes between ticks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.facts.market import Observation, Prints, Trades, moved
from features.frame import FEATURES, compute_features
from features.missing import Missing
from features.state.snapshot import restore, take_snapshot
from tests.builders import NOW_MS, instrument, order_book, prints_of, quotes, trades
from tests.features.markets import Market, random_market
from tests.features.state.test_market_state import FALLING, told
from tests.features.test_frame import assert_same, bounded, check_against_reference, features_of, seeds

NUMBERS = [one.name for one in FEATURES]


def streamed(market: Market, *, pieces: int = 1) -> Market:
    """Return a market whose replies with prints are a stream's, each cut into pieces by time."""
    return replace(
        market, ticks=[replace(one, observations=_streamed(one.observations, pieces)) for one in market.ticks]
    )


def _streamed(observations: list[Observation], pieces: int) -> list[Observation]:
    replies = [one for one in observations if isinstance(one, Trades)]
    found: list[Observation] = [one for one in observations if not isinstance(one, Trades)]
    for venue in {one.venue for one in replies}:
        here = [one for one in replies if one.venue == venue]
        edges_ms = np.linspace(here[0].exchange_ms - 12_000, here[0].exchange_ms, pieces + 1)[1:-1]
        found += [prints_of(*(_piece(one, edges_ms, piece) for one in here)) for piece in range(pieces)]
    return found


def _piece(trades: Trades, edges_ms: np.ndarray, piece: int) -> Trades:
    inside = np.searchsorted(edges_ms, trades.time_ms, side="right") == piece
    return replace(trades, prints=trades.prints[:, inside], continues=trades.continues or piece > 0)


@bounded
@given(seed=seeds, damage=st.sampled_from([0.0, 0.05, 0.3]))
def test_a_stream_says_what_replies_say(seed: int, damage: float) -> None:
    """The same prints give the same features to the bit, gaps and quiet instruments included."""
    market = random_market(seed, 40, damage)
    assert_same(features_of(market), features_of(streamed(market)), NUMBERS)


@bounded
@given(seed=seeds, damage=st.sampled_from([0.0, 0.1]), pieces=st.integers(2, 9))
def test_a_stream_in_pieces_equals_the_reference(seed: int, damage: float, pieces: int) -> None:
    """Wherever a pump ends, sweeps and shares are those of the whole."""
    check_against_reference(streamed(random_market(seed, 24, damage), pieces=pieces), every=8)


def test_quiet_is_not_stale() -> None:
    """An instrument that is covered and prints nothing has fresh trades; one that is not covered has not."""
    state = told(trades(FALLING), trades(FALLING, id="X"), instruments=(instrument(), instrument(id="X")))
    later_ms = NOW_MS + 20_000
    state.append([prints_of(trades(), read_ms=later_ms)])
    missing = compute_features(state, later_ms).missing["sweep"]
    assert (missing[0] != Missing.STALE, missing[1] == Missing.STALE) == (True, True)
    assert state.print_ms.tolist() == [FALLING[-1][0]] * 2


def test_a_gap_voids_the_windows() -> None:
    """What was covered before counts no longer: the share of a minute waits until it is covered again."""
    state = told(trades(FALLING, exchange_ms=NOW_MS - 400_000))
    state.append([prints_of(trades(FALLING[:3]), read_ms=NOW_MS)])
    assert state.covered_from_ms[0] == FALLING[0][0]  # the first record of all continues nothing
    state.append([prints_of(trades(FALLING[3:], continues=False), read_ms=NOW_MS)])
    assert state.covered_from_ms[0] == FALLING[3][0]
    state.append([prints_of(trades(continues=False), read_ms=NOW_MS + 900)])
    assert state.covered_from_ms[0] == NOW_MS + 900


def test_who_is_not_watched_is_noted() -> None:
    """Its prints go nowhere, and its neighbours' to their own columns, whatever the order."""
    state = told(
        prints_of(trades(FALLING, id="A"), trades(FALLING[:2]), trades(id="B"), trades(FALLING[2:3], id="Z")),
        instruments=(instrument(id="Z"), instrument()),
    )
    assert state.index.unknown_ids == {("bybit", "A"), ("bybit", "B")}
    assert state.traded_at.sum(axis=0).tolist() == pytest.approx([980.0, 1990.0])


def test_what_was_read_in_the_future_is_a_gap() -> None:
    """A clock that was ahead holds up nothing that comes later."""
    state = told(trades(FALLING))
    state.append([prints_of(trades(), read_ms=NOW_MS + 100_000)])
    assert state.trades_ms[0] == 0
    state.append([prints_of(trades(), read_ms=NOW_MS + 5000)])
    assert state.covered_from_ms[0] == NOW_MS + 5000


def test_a_row_is_closed_when_its_tick_has_decided() -> None:
    """Prices and books between two ticks count at once, and belong to the next row."""
    state = told(quotes(), order_book())
    depth = state.bid_depth_at[state.row].copy()
    state.close_row()
    between: list[Observation] = [
        quotes(NOW_MS + 900, bid_price=49.0, ask_price=51.0),
        order_book(exchange_ms=NOW_MS + 900, bids=((99.9, 1.0),)),
    ]
    for now in (state, restore(take_snapshot(state))):
        now.append(between)
        assert (now.price[0], now.price_at[now.row, 0]) == (50.0, 100.0)
        np.testing.assert_array_equal(now.bid_depth_at[now.row], depth)
        now.advance(NOW_MS + 5000)
        assert now.price_at[now.row, 0] == 50.0
        assert now.bid_depth_at[now.row, -1, 0] == now.bid_depth[0]
        now.advance(NOW_MS + 10_000)
        assert np.isnan(now.bid_depth_at[now.row]).all()


@pytest.mark.parametrize("cut", range(7))
def test_the_newest_sweep(cut: int) -> None:
    """It ends with its last print, open or closed; a run that cannot be one is none."""
    state = told(prints_of(trades(FALLING[:cut])), instruments=(instrument(), instrument(id="X")))
    assert state.newest_sweeps_ms().tolist() == [FALLING[cut - 1][0] if cut >= 3 else 0.0, 0.0]
    state.append([prints_of(trades([(NOW_MS, 200.0, 1.0, False)]))])
    assert state.newest_sweeps_ms()[0] == (FALLING[cut - 1][0] if cut >= 3 else 0.0)


def test_prints_are_checked() -> None:
    """Time goes back from one instrument to the next, and never within one."""
    early, late = trades([(NOW_MS - 500, 1.0, 1.0, True)]), trades([(NOW_MS, 1.0, 1.0, True)], id="X")
    good = prints_of(late, trades(id="Y"), early)
    assert [None if (one := good.of(name)) is None else len(one.time_ms) for name in "XYZ"] == [1, 0, None]
    with pytest.raises(ValueError, match="oldest first"):
        replace(good, starts=np.array([0, 2, 2, 2]))
    with pytest.raises(ValueError, match="positive"):
        prints_of(trades(), block=np.array([[1.0], [0.0], [1.0], [1.0]]), starts=np.array([0, 1]))


def test_prints_move_with_the_clock() -> None:
    """All their times do."""
    before = prints_of(trades(FALLING))
    after = moved(before, 7000)
    assert isinstance(after, Prints)
    assert (after.block[0] - before.block[0]).tolist() == [7000.0] * 6
    assert after.read_ms == before.read_ms + 7000
    assert moved(before, 0) is before
