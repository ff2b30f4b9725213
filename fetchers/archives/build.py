"""Days of downloaded files as tapes: whatever is damaged costs its own instrument's day and is said."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import chain, groupby
from pathlib import Path
from typing import TypeVar

import numpy as np

from features.facts.market import Instrument, IntArray, OrderBook
from fetchers.archives import bybit, tardis, vision
from fetchers.archives.bands import bands_of_book, book_of_bands
from fetchers.archives.history import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    History,
    Interest,
    best_prices,
    books_of_depths,
    instrument_of,
    make_ticks,
)
from fetchers.archives.history_profile import Profile
from fetchers.archives.prints import Prints
from fetchers.archives.rows import ArchiveError, read_lines
from fetchers.archives.sources import ArchiveFile, bybit_files, tardis_files, vision_files
from fetchers.archives.vision import Depths, Funding, Klines, Metrics
from fetchers.tape.files import SUFFIX, TapeWriter
from fetchers.tape.records import Header

BOOKS_EVERY_MS = 1000
BANDS_EVERY_MS = 30_000
Table = TypeVar("Table", Prints, Klines, Depths, Metrics, Funding, tardis.Tickers)


@dataclass(slots=True, kw_only=True)
class Report:
    """The tape that was made, and the defects that were found."""

    ticks: int = 0
    files: list[Path] = field(default_factory=list)
    instrument_days: int = 0
    left_out: Counter[str] = field(default_factory=Counter)  #: reason -> instrument-days
    defects: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Daily volume [USDT] within which an instrument may signal."""

    least: float
    most: float


class Files:
    """Archive files below a folder, found by their names, whatever the folders are called."""

    def __init__(self, folder: Path) -> None:
        self._by_name = {path.name: path for path in sorted(folder.rglob("*")) if path.is_file()}

    def find(self, file: ArchiveFile) -> Path | None:
        """Return where the file is; unpacked ones count too."""
        name = file.path.name
        return (
            self._by_name.get(name) or self._by_name.get(f"{Path(name).stem}.csv") or self._by_name.get(Path(name).stem)
        )


class Builder:
    """Makes the tapes of one source, day by day."""

    def __init__(self, files: Files, profile: Profile, volume: Range, out: Path, software: str) -> None:
        self._files = files
        self._profile = profile
        self._volume = volume
        self._out = out
        self._software = software
        self._part = 0
        self._session = ""
        self.report = Report()

    def build(self, symbols: Sequence[str], days: Sequence[date], venue: str) -> Iterator[date]:
        """Write the tapes of each day, and yield it when it is done."""
        self._session = f"{self._profile.name} {symbols_hash(symbols)} {days[0]}"
        for day in days:
            histories = [one for symbol in symbols if (one := self._history(symbol, day, venue)) is not None]
            self.report.instrument_days += len(histories)
            if histories:
                self._write(histories, _ms(day))
            yield day

    def _history(self, symbol: str, day: date, venue: str) -> History | None:
        try:
            if self._profile.source == "vision":
                return self._vision(symbol, day)
            return self._bybit(symbol, day) if self._profile.source == "bybit" else self._tardis(symbol, day, venue)
        except ArchiveError as error:
            self.report.left_out["a damaged file"] += 1
            self.report.lines.append(f"{symbol} {day}: {error}")
            return None

    def _vision(self, symbol: str, day: date) -> History | None:
        by_kind = {kind: list(files) for kind, files in groupby(vision_files([symbol], [day]), lambda one: one.kind)}
        prints = self._note(vision.parse_agg_trades(self._lines(by_kind["aggTrades"]), name=f"{symbol} aggTrades"))
        if not len(prints):
            self.report.left_out["no prints"] += 1
            return None
        klines = self._note(vision.parse_klines(self._lines(by_kind["klines"])))
        before = klines.open_ms < _ms(day)
        volume = float(klines.volume_usdt[before].sum()) if before.any() else float("nan")
        is_live = bool(klines.trades[before].sum() > 0)
        depths = self._note(vision.parse_book_depth(self._lines(by_kind["bookDepth"])))
        metrics = self._note(vision.parse_metrics(self._lines(by_kind["metrics"])))
        funding = self._note(vision.parse_funding(self._lines(by_kind["fundingRate"])))
        for what, there in (
            ("bookDepth", len(depths.time_ms)),
            ("metrics", len(metrics.label_ms)),
            ("klines", is_live),
        ):
            if not there:
                self.report.defects[f"instrument-day without {what}"] += 1
        instrument = instrument_of(
            "binance", symbol, prints.price, is_eligible=is_live and self._volume.least <= volume <= self._volume.most
        )
        return History(
            instrument=replace(instrument, volume_usdt_24h=volume, publishes_open_interest=len(metrics.label_ms) > 0),
            prints=prints,
            books=books_of_depths(instrument, depths, prints, self._profile),
            interest=Interest(
                time_ms=metrics.state_ms(vision.measure_label(metrics, prints)), base=metrics.open_interest_base
            ),
            klines=klines,
            funding=funding,
            has_exact_books=False,
        )

    def _bybit(self, symbol: str, day: date) -> History | None:
        trading, orderbook = bybit_files([symbol], [day])
        prints = self._note(bybit.parse_trades(self._lines([trading]), symbol, _ms(day)))
        if not len(prints):
            self.report.left_out["no prints"] += 1
            return None
        books = bybit.replay_books(self._lines([orderbook]), _ms(day), BOOKS_EVERY_MS, self.report.defects)
        instrument = instrument_of("bybit", symbol, prints.price, is_eligible=True)
        return History(
            instrument=replace(instrument, publishes_open_interest=False),
            prints=prints,
            books=self._cut_down(instrument, books, prints)
            if self._profile.bands_only
            else _order_books(instrument.key, books),
            interest=Interest(time_ms=np.empty(0, np.int64), base=np.empty(0)),
            klines=klines_of(prints),
            funding=_no_funding(),
            has_exact_books=not self._profile.bands_only,
        )

    def _cut_down(self, instrument: Instrument, books: Iterator[bybit.Book], prints: Prints) -> Iterator[OrderBook]:
        """Yield what Binance Vision would have of the books: bands every 30 s, best prices of the prints."""
        next_ms = 0
        for book in books:
            if book.time_ms < next_ms:
                continue
            next_ms = book.time_ms + BANDS_EVERY_MS
            at_ms = np.array([book.time_ms + 1000])
            bid, ask, _ = best_prices(prints, at_ms, instrument.tick_size, self._profile)
            notional = bands_of_book(book.bids, book.asks)
            seen_ms = book.time_ms + 1000 + self._profile.book_lag_ms
            made = book_of_bands(
                *instrument.key,
                notional,
                (float(bid[0]), float(ask[0])),
                exchange_ms=book.time_ms + 1000,
                seen_ms=seen_ms,
            )
            if made is not None:
                yield made

    def _tardis(self, symbol: str, day: date, venue: str) -> History | None:
        books, trades, tickers = tardis_files(venue, [symbol], [day])
        prints = self._note(tardis.parse_trades(self._lines([trades])))
        if not len(prints):
            self.report.left_out["no prints"] += 1
            return None
        ticker = self._note(tardis.parse_tickers(self._lines([tickers])))
        instrument = instrument_of(venue, symbol, prints.price, is_eligible=True)
        interest = ticker.figures["open_interest"]
        every = _once_every(ticker.seen_ms, 5000)
        rate = ticker.figures["funding_rate"][every]
        return History(
            instrument=replace(instrument, publishes_open_interest=bool((~np.isnan(interest)).any())),
            prints=prints,
            books=_order_books(
                instrument.key, tardis.replay_books(self._lines([books]), BOOKS_EVERY_MS, self.report.defects)
            ),
            interest=Interest(time_ms=ticker.seen_ms[every], base=interest[every]),
            klines=klines_of(prints),
            funding=Funding(time_ms=ticker.seen_ms[every], interval_h=np.full(len(rate), 8.0), rate=rate),
            has_exact_books=True,
        )

    def _lines(self, files: Sequence[ArchiveFile]) -> Iterator[str]:
        found = [path for file in files if (path := self._files.find(file)) is not None]
        # a header in the middle is an unreadable row: only the first file may keep its own
        yield from chain.from_iterable(
            read_lines(path) if number == 0 else _without_header(read_lines(path)) for number, path in enumerate(found)
        )

    def _note(self, table: Table) -> Table:
        self.report.defects.update(table.defects)
        return table

    def _write(self, histories: Sequence[History], day_ms: int) -> None:
        self._out.mkdir(parents=True, exist_ok=True)
        ticks = make_ticks(histories, day_ms, day_ms + DAY_MS, self._profile)
        for hour_ms, of_hour in groupby(ticks, lambda tick: tick.started_ms // HOUR_MS * HOUR_MS):
            moment = datetime.fromtimestamp(hour_ms / 1000, UTC)
            path = self._out / f"{self._part:06}-{moment:%Y%m%dT%H%M%SZ}{SUFFIX}"
            part = path.with_suffix(".part")
            with part.open("wb") as file, TapeWriter(file, self._header(hour_ms)) as writer:
                for tick in of_hour:
                    writer.write(tick)
                    self.report.ticks += 1
            part.replace(path)
            self.report.files.append(path)
            self._part += 1

    def _header(self, hour_ms: int) -> Header:
        return Header(
            source=self._profile.source,
            profile=self._profile.name,
            started_ms=hour_ms,
            session=self._session,
            part=self._part,
            missing=self._profile.missing,
            approximate=self._profile.approximate,
            settings=self._profile.settings,
            software=self._software,
        )


def symbols_hash(symbols: Sequence[str]) -> str:
    """Return a short name of a list of symbols."""
    return hashlib.sha256(" ".join(symbols).encode()).hexdigest()[:8]


def klines_of(prints: Prints) -> Klines:
    """Return candles of a minute of prints; a minute without any has none."""
    minute = prints.time_ms // MINUTE_MS
    opens, first, counts = np.unique(minute, return_index=True, return_counts=True)
    last = first + counts - 1
    low, high = (np.asarray(which.reduceat(prints.price, first)) for which in (np.minimum, np.maximum))
    worth = prints.price * prints.quantity
    return Klines(
        open_ms=opens * MINUTE_MS,
        ohlc=np.array([prints.price[first], high, low, prints.price[last]]),
        volume_base=np.add.reduceat(prints.quantity, first),
        volume_usdt=np.add.reduceat(worth, first),
        trades=counts.astype(np.int64),
    )


def _order_books(key: tuple[str, str], books: Iterator[bybit.Book]) -> Iterator[OrderBook]:
    for book in books:
        yield OrderBook(
            venue=key[0],
            id=key[1],
            bids=book.bids,
            asks=book.asks,
            levels_asked=max(book.bids.shape[1], book.asks.shape[1]),
            exchange_ms=book.time_ms,
            received_ms=book.sent_ms,
        )


def _no_funding() -> Funding:
    return Funding(time_ms=np.empty(0, np.int64), interval_h=np.empty(0), rate=np.empty(0))


def _once_every(time_ms: IntArray, every_ms: int) -> IntArray:
    # the last row of each stretch
    stretch = time_ms // every_ms
    return np.flatnonzero(np.append(np.diff(stretch) != 0, [True] * bool(len(time_ms))))


def _without_header(lines: Iterator[str]) -> Iterator[str]:
    first = next(lines, "")
    if first[:1].isdigit():
        yield first
    yield from lines


def _ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
