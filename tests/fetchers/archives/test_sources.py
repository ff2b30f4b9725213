"""Names of files, as the archives have them."""

from datetime import date

from fetchers.archives.sources import bybit_files, days_between, tardis_files, vision_files

DAYS = days_between(date(2026, 6, 30), date(2026, 7, 1))


def test_vision() -> None:
    """Daily files by kind, candles from the day before on, funding by month, each with a checksum."""
    files = list(vision_files(["XUSDT"], DAYS))
    daily = "https://data.binance.vision/data/futures/um/daily"
    monthly = "https://data.binance.vision/data/futures/um/monthly"
    assert [file.url for file in files] == [
        *(f"{daily}/klines/XUSDT/1m/XUSDT-1m-{day}.zip" for day in ("2026-06-29", "2026-06-30", "2026-07-01")),
        *(
            f"{daily}/{kind}/XUSDT/XUSDT-{kind}-{day}.zip"
            for kind in ("aggTrades", "bookDepth", "metrics")
            for day in DAYS
        ),
        *(f"{monthly}/fundingRate/XUSDT/XUSDT-fundingRate-{month}.zip" for month in ("2026-06", "2026-07")),
    ]
    assert all(file.has_checksum and file.usual_bytes for file in files)
    assert str(files[0].path) == "vision/data/futures/um/daily/klines/XUSDT/1m/XUSDT-1m-2026-06-29.zip"


def test_bybit() -> None:
    """No dash in trades; 500 levels until 2025-08-20, then 200."""
    files = list(bybit_files(["XUSDT"], days_between(date(2025, 8, 20), date(2025, 8, 21))))
    assert [file.url.rpartition("/")[2] for file in files] == [
        *("XUSDT2025-08-20.csv.gz", "2025-08-20_XUSDT_ob500.data.zip"),
        *("XUSDT2025-08-21.csv.gz", "2025-08-21_XUSDT_ob200.data.zip"),
    ]


def test_tardis() -> None:
    """The first of a month."""
    files = list(tardis_files("binance", ["XUSDT"], [date(2026, 9, 1)]))
    base = "https://datasets.tardis.dev/v1/binance-futures"
    assert [file.url for file in files] == [
        f"{base}/{kind}/2026/09/01/XUSDT.csv.gz" for kind in ("incremental_book_L2", "trades", "derivative_ticker")
    ]
