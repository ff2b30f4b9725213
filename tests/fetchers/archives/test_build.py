"""Days of files as tapes."""

from pathlib import Path

import numpy as np

from features.facts.market import OpenInterest, OrderBook, Quotes, Trades
from fetchers.archives.build import Builder, Files, Range, klines_of
from fetchers.archives.history_profile import Profile
from fetchers.tape.files import read_tape
from fetchers.tape.records import Header, TapeTick
from tests.fetchers.archives.made import DAY, DAY_MS, SYMBOLS, bybit_contents, put_files, vision_contents
from tests.fetchers.archives.test_history import prints


def build(folder: Path, out: Path, symbols: tuple[str, ...], profile: Profile) -> Builder:
    """Build the day."""
    builder = Builder(Files(folder), profile, Range(least=1e6, most=1e8), out, "SGNL test")
    assert list(builder.build(symbols, [DAY], "binance")) == [DAY]
    return builder


def test_vision(tmp_path: Path) -> None:
    """An hour a file, none without a print; the header names what is missing and rough; a lost file costs its part."""
    contents = vision_contents()
    put_files(tmp_path / "renamed" / "folders", contents)
    builder = build(tmp_path, tmp_path / "out", SYMBOLS, Profile(source="vision", every_s=300))
    report = builder.report
    assert (report.ticks, len(report.files), report.instrument_days) == (12, 1, 3)
    assert report.defects["instrument-day without metrics"] == 1
    header, *ticks = read_tape(report.files[0])
    assert isinstance(header, Header)
    assert (header.source, header.profile) == ("vision", "vision-every_s=300")
    assert "wall" in header.missing
    assert "funding" in header.approximate
    first, second = (tick for tick in ticks[:2] if isinstance(tick, TapeTick))
    assert first.watched is not None
    assert [one.id for one in first.watched.instruments] == list(SYMBOLS)
    assert [one.is_eligible for one in first.watched.instruments] == [False, True, True]
    assert [one.publishes_open_interest for one in first.watched.instruments] == [True, True, False]
    assert first.watched.instruments[0].tick_size == 0.1
    (quotes,) = second.quotes
    assert isinstance(quotes, Quotes)
    assert quotes.bid_price is not None
    assert quotes.ask_price is not None
    assert (quotes.bid_price < quotes.ask_price).all()
    assert quotes.volume_usdt_24h is not None
    assert quotes.volume_usdt_24h.tolist() == [1440 * 4000.0] * 3
    kinds = {type(seen) for tick in ticks for portion in tick.portions for seen in portion}  # type: ignore[union-attr]
    assert kinds == {Trades, OrderBook, OpenInterest}


def test_a_damaged_file_costs_its_own_day(tmp_path: Path) -> None:
    """One line names it; the others are built, into the same bytes as without it."""
    contents = vision_contents()
    (bad,) = (file for file in contents if file.kind == "aggTrades" and file.symbol == "WIFUSDT")
    contents[bad] = contents[bad][:-100]
    put_files(tmp_path / "some", contents)
    builder = build(tmp_path / "some", tmp_path / "out", SYMBOLS, Profile(source="vision", every_s=300))
    assert builder.report.left_out == {"a damaged file": 1}
    assert "WIFUSDT-aggTrades-2026-07-01.zip: cut or damaged" in builder.report.lines[0]
    put_files(tmp_path / "less", {file: content for file, content in contents.items() if file.symbol != "WIFUSDT"})
    less = build(tmp_path / "less", tmp_path / "other" / "out", SYMBOLS, Profile(source="vision", every_s=300))
    assert less.report.left_out == {"no prints": 1}
    assert [path.read_bytes() for path in builder.report.files] == [path.read_bytes() for path in less.report.files]


def test_bybit(tmp_path: Path) -> None:
    """The venue's own best prices, books of 200 levels, no open interest."""
    put_files(tmp_path, bybit_contents())
    builder = build(tmp_path, tmp_path / "out", ("BTCUSDT", "WIFUSDT"), Profile(source="bybit", every_s=300))
    ticks = [tick for tick in read_tape(builder.report.files[0]) if isinstance(tick, TapeTick)]
    (quotes,) = ticks[1].quotes
    assert isinstance(quotes, Quotes)
    assert quotes.bid_price is not None
    assert np.allclose(quotes.bid_price, [59_999.9, 1.2499])
    books = [seen for seen in ticks[1].portions[0] if isinstance(seen, OrderBook)]
    assert [book.bids.shape for book in books] == [(2, 200)] * 2
    assert books[0].received_ms <= ticks[1].seen_ms
    assert not any(isinstance(seen, OpenInterest) for tick in ticks for seen in tick.portions[0])


def test_candles_of_prints() -> None:
    """Open, high, low, close and volume of each minute that has prints."""
    made = klines_of(prints((0, 1.0, True), (10, 3.0, True), (59_999, 2.0, False), (180_000, 5.0, True)))
    assert made.open_ms.tolist() == [DAY_MS, DAY_MS + 180_000]
    assert made.ohlc.T.tolist() == [[1.0, 3.0, 1.0, 2.0], [5.0] * 4]
    assert made.volume_base.tolist() == [3.0, 1.0]
    assert made.volume_usdt.tolist() == [6.0, 5.0]
