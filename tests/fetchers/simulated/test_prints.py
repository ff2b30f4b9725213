import numpy as np
import pytest

from fetchers.simulated.named_coins import ListingKind
from fetchers.simulated.noise import keys_of
from fetchers.simulated.prints import MOST_PER_S, ordinary_tape, prints_per_s, sweep_tape
from tests.fetchers.simulated.stage import START_MS, make_market

MARKET = make_market(coins_per_venue=40)
SECONDS = np.arange(-2000, 2000, dtype=np.int64)


@pytest.mark.parametrize("usdt_per_s", [1.0, 100.0, 2_000.0])
def test_a_dull_tape_trades_its_turnover_in_order(usdt_per_s: float) -> None:
    """Numbers and times ascend, no second has more prints than numbers for it, the sum is what was asked."""
    tape = ordinary_tape(keys_of("x"), SECONDS, usdt_per_s)
    assert (np.diff(tape.number) > 0).all()
    assert (np.diff(tape.elapsed_ms) >= 0).all()
    assert (tape.elapsed_ms // 1000 == tape.number // 32).all()
    np.testing.assert_allclose(tape.usdt.sum() / len(SECONDS), usdt_per_s, rtol=0.25)
    assert tape.usdt.max() / np.median(tape.usdt) < 5


def test_print_rates_are_bounded() -> None:
    """A dead coin still prints now and then, a busy one not without end."""
    assert prints_per_s(0.001) == 0.03
    assert prints_per_s(1e9) == MOST_PER_S


def test_a_sweep_is_a_run_of_sales_between_two_small_buys() -> None:
    """Five levels down within a second, decided sides, and the size asked for."""
    tape = sweep_tape(np.array([7]), 100.0)
    assert tape.level.tolist() == [0, 0, 1, 2, 3, 4, 0]
    assert (tape.side_draw < 0).tolist() == [False, True, True, True, True, True, False]
    assert tape.elapsed_ms[0] >= 7_000
    assert tape.elapsed_ms[-1] < 8_000
    assert tape.usdt[1:-1].sum() == pytest.approx(3_000.0)


def test_prints_happen_at_the_quotes_of_their_moment() -> None:
    """A dull sale is at the best bid, a buy at the best ask, as the book of that quarter second has them."""
    rows = [row for row in MARKET.rows["mexc"] if row.kind is ListingKind.PERPETUAL]
    for row in (*rows[:8], *rows[-4:]):
        found = MARKET.last_prints("mexc", row.id, 20, START_MS + 3_500)
        for time_ms, ticks, is_sell in zip(found.time_ms, found.price_ticks, found.is_sell, strict=True):
            book = MARKET.book("mexc", row.id, 1, int(time_ms))
            assert ticks == (book.bid_ticks if is_sell else book.ask_ticks)[0]


def test_prints_between_two_times_do_not_depend_on_where_the_request_begins() -> None:
    """Overlapping requests repeat the same prints, and none is from the future."""
    whole = MARKET.prints("binance", "LUMEXUSDT", START_MS, START_MS + 60_000)
    part = MARKET.prints("binance", "LUMEXUSDT", START_MS + 20_123, START_MS + 60_000)
    np.testing.assert_array_equal(whole.number[-len(part.number) :], part.number)
    np.testing.assert_array_equal(whole.quantity[-len(part.number) :], part.quantity)
    assert len(whole.number) > len(part.number)
    for row_id in ("LUMEXUSDT", "BTCUSDT"):
        now_ms = START_MS + 30_501
        found = MARKET.last_prints("binance", row_id, 100, now_ms)
        assert len(found.number) == 100
        assert now_ms - 60_000 < found.time_ms[-1] <= now_ms
        assert (np.diff(found.number) > 0).all()
