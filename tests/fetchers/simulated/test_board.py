import numpy as np
import pytest

from fetchers.simulated.board import Board
from fetchers.simulated.coins import build_catalogue
from fetchers.simulated.recordings import load_recordings
from fetchers.simulated.setups import Setup
from tests.fetchers.simulated.stage import SETTINGS, make_scenario

SCENARIO = make_scenario()
RECORDED = load_recordings()
CATALOGUE = build_catalogue(seed=1, coins_per_venue=0, planted=SCENARIO.planted, recordings=RECORDED)
PLACE = {coin.name: i for i, coin in enumerate(CATALOGUE.coins)}


def _board(venue: str) -> Board:
    return Board(
        CATALOGUE.rows[venue],
        CATALOGUE.coins,
        seed=1,
        setups={PLACE[planted.coin]: Setup(planted, SETTINGS) for planted in SCENARIO.planted},
        recordings={PLACE[name]: recording for name, recording in RECORDED.items()},
    )


def test_a_setup_shows_its_book_and_its_flow_where_it_was_planted() -> None:
    """The borrower has the book, the lender the flow, and both know the coin's funding."""
    lbank, bybit = _board("lbank"), _board("bybit")
    at, lender = lbank.place["TAVROUSDT"], bybit.place["TAVROUSDT"]
    assert at in lbank.book_setups
    assert at not in lbank.flow_setups
    assert lender in bybit.flow_setups
    assert lender not in bybit.book_setups
    assert at in lbank.setups
    assert lender in bybit.setups


def test_recordings_are_played_on_perpetuals_only() -> None:
    """The delivery and USDC rows of Bitcoin follow its price with an invented book."""
    board = _board("binance")
    assert board.place["BTCUSDT"] in board.recordings
    assert not {board.place["BTCUSDC"], board.place["BTCUSDT_261225"]} & board.recordings.keys()


def test_arrays_are_in_base_coin_and_usdt() -> None:
    """Contracts and multipliers are out: a venue's open interest is worth what the row says, its unit one contract."""
    board = _board("mexc")
    pepe = board.place["PEPE_USDT"]
    assert board.unit[pepe] == pytest.approx(1e7)
    np.testing.assert_allclose(
        board.open_interest * board.nominal_price, [row.open_interest_usdt for row in board.rows]
    )
    thousand = _board("bybit")
    assert thousand.nominal_price[thousand.place["SHIB1000USDT"]] == pytest.approx(1000 * 1.6e-5)
