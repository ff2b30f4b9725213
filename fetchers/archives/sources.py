"""Where the archives have which file, by venue, symbol and day."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import PurePosixPath

VISION = "https://data.binance.vision"
BYBIT_TRADES = "https://public.bybit.com"
BYBIT_BOOKS = "https://quote-saver.bycsi.com"
TARDIS = "https://datasets.tardis.dev"
VISION_DAILY = ("klines", "aggTrades", "bookDepth", "metrics")
TARDIS_KINDS = ("incremental_book_L2", "trades", "derivative_ticker")
TARDIS_VENUES = {"binance": "binance-futures", "bybit": "bybit"}
_OB200_SINCE = date(2025, 8, 21)
#: [bytes] of a small coin's file, for the plan where nobody says better
_USUAL_BYTES = {
    "klines": 60_000,
    "aggTrades": 400_000,
    "bookDepth": 450_000,
    "metrics": 11_000,
    "fundingRate": 2_000,
    "trading": 1_500_000,
    "orderbook": 40_000_000,
    "incremental_book_L2": 100_000_000,
    "trades": 5_000_000,
    "derivative_ticker": 1_500_000,
}


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One file of an archive."""

    kind: str  #: such as aggTrades
    symbol: str
    day: date  #: its first day
    url: str
    path: PurePosixPath  #: below the folder of downloads
    has_checksum: bool  #: the archive publishes its SHA-256 beside it

    @property
    def usual_bytes(self) -> int:
        """The size of such a file of a small coin."""
        return _USUAL_BYTES[self.kind]


def days_between(first: date, last: date) -> list[date]:
    """Return every day from `first` to `last`, both included."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def vision_files(symbols: Iterable[str], days: Sequence[date], base: str = VISION) -> Iterator[ArchiveFile]:
    """Yield Binance Vision's files of USD-M futures; candles begin a day sooner, for the volume of 24 h."""
    months = sorted({day.replace(day=1) for day in days})
    for symbol in symbols:
        for kind in VISION_DAILY:
            for day in (days[0] - timedelta(days=1), *days) if kind == "klines" else days:
                folder, label = (f"{symbol}/1m", "1m") if kind == "klines" else (symbol, kind)
                yield _file(base, "data/futures/um/daily", kind, symbol, day, f"{folder}/{symbol}-{label}-{day}.zip")
        for month in months:
            name = f"{symbol}/{symbol}-fundingRate-{month:%Y-%m}.zip"
            yield _file(base, "data/futures/um/monthly", "fundingRate", symbol, month, name)


def bybit_files(
    symbols: Iterable[str], days: Sequence[date], trades_base: str = BYBIT_TRADES, books_base: str = BYBIT_BOOKS
) -> Iterator[ArchiveFile]:
    """Yield Bybit's trades and books of linear contracts; books have 500 levels before 2025-08-21, then 200."""
    for symbol in symbols:
        for day in days:
            path = f"trading/{symbol}/{symbol}{day}.csv.gz"
            url = f"{trades_base}/{path}"
            yield ArchiveFile("trading", symbol, day, url, PurePosixPath("bybit", path), has_checksum=False)
            levels = 200 if day >= _OB200_SINCE else 500
            path = f"orderbook/linear/{symbol}/{day}_{symbol}_ob{levels}.data.zip"
            url = f"{books_base}/{path}"
            yield ArchiveFile("orderbook", symbol, day, url, PurePosixPath("bybit", path), has_checksum=False)


def tardis_files(
    venue: str, symbols: Iterable[str], months: Iterable[date], base: str = TARDIS
) -> Iterator[ArchiveFile]:
    """Yield Tardis's files of the first day of each month, which need no key."""
    for symbol in symbols:
        for month in months:
            for kind in TARDIS_KINDS:
                path = f"v1/{TARDIS_VENUES[venue]}/{kind}/{month:%Y/%m}/01/{symbol}.csv.gz"
                url = f"{base}/{path}"
                yield ArchiveFile(kind, symbol, month, url, PurePosixPath("tardis", path), has_checksum=False)


def _file(base: str, folder: str, kind: str, symbol: str, day: date, name: str) -> ArchiveFile:
    path = f"{folder}/{kind}/{name}"
    return ArchiveFile(kind, symbol, day, f"{base}/{path}", PurePosixPath("vision", path), has_checksum=True)
