import numpy as np
import pytest

from features.facts.venues import VENUES
from fetchers.simulated.books import Book
from fetchers.simulated.named_coins import ListingKind
from tests.fetchers.simulated.stage import START_MS, make_market

MARKET = make_market(coins_per_venue=60)
NOW_MS = START_MS + 5_137


def _books(venue: str) -> list[tuple[str, Book]]:
    return [
        (row.id, MARKET.book(venue, row.id, 50, NOW_MS))
        for row in MARKET.rows[venue]
        if row.kind is not ListingKind.SUSPENDED
    ]


@pytest.mark.parametrize("venue", VENUES)
def test_books_are_sorted_uncrossed_and_agree_with_the_bulk_quotes(venue: str) -> None:
    """Best first, bid below ask, quantities in the venue's steps, the best level as in the bulk reply."""
    snapshot = MARKET.snapshot(venue, NOW_MS)
    for row_id, book in _books(venue):
        row = MARKET.rows[venue][place := MARKET.place(venue, row_id) or 0]
        assert (np.diff(book.bid_ticks) < 0).all()
        assert (np.diff(book.ask_ticks) > 0).all()
        assert 0 < book.bid_ticks[0] < book.ask_ticks[0]
        steps = np.concatenate((book.bid_quantity, book.ask_quantity)) / (row.step * row.contract_size)
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
        assert steps.min() >= 1
        np.testing.assert_allclose(book.bid_ticks[0] * row.tick, snapshot.bid_price[place])
        np.testing.assert_allclose(book.ask_ticks[0] * row.tick, snapshot.ask_price[place])
        if len(book.bid_ticks) == 50:
            np.testing.assert_allclose(book.bid_quantity[0], snapshot.bid_quantity[place], rtol=0.02)


def test_a_dull_book_has_no_wall_and_two_like_sides() -> None:
    """Its largest ask is below three times the median, its ask share near a half."""
    rows = {row.id: row for row in MARKET.rows["bybit"]}
    recorded = {"BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "SUIUSDT", "TONUSDT", "BTCPERP", "BTCUSDT-25DEC26"}
    for row_id, book in _books("bybit"):
        if row_id in recorded or rows[row_id].open_interest_usdt < 1e5:
            continue
        asks = book.ask_quantity * book.ask_ticks
        assert asks.max() / np.median(asks) < 3
        assert 0.35 < asks.sum() / (asks.sum() + (book.bid_quantity * book.bid_ticks).sum()) < 0.65


def test_a_book_is_as_deep_as_asked() -> None:
    """Five levels are the first five of fifty, and more than there are gives what there is."""
    five, fifty, all_of_it = (MARKET.book("binance", "LUMEXUSDT", count, NOW_MS) for count in (5, 50, 1000))
    np.testing.assert_array_equal(five.bid_quantity, fifty.bid_quantity[:5])
    assert len(fifty.ask_ticks) == 50
    assert len(all_of_it.ask_ticks) == 200


def test_a_book_changes_every_few_seconds() -> None:
    """It is never frozen for long where it is not meant to be; a part of it stays, as in real ones."""
    books = [MARKET.book("binance", "LUMEXUSDT", 200, START_MS + 1000 * at) for at in (0, 5)]
    before, after = (dict(zip(one.ask_ticks.tolist(), one.ask_quantity.tolist(), strict=True)) for one in books)
    share = sum(after.get(ticks) == quantity for ticks, quantity in before.items()) / len(before)
    assert 0.3 < share < 0.7
    assert books[1].sequence > books[0].sequence
