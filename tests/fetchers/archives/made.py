"""A made Vision archive: an hour of two coins and Bitcoin, in the shape of the real files."""

import gzip
import hashlib
import io
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import orjson

from fetchers.archives.sources import ArchiveFile, bybit_files, vision_files
from fetchers.archives.vision import BANDS, METRICS

DAY = date(2026, 7, 1)
DAY_MS = 1_782_864_000_000
SYMBOLS = ("BTCUSDT", "WIFUSDT", "1000PEPEUSDT")
PRICE = {"BTCUSDT": 60_000.0, "WIFUSDT": 1.25, "1000PEPEUSDT": 0.0125}
TICK = {"BTCUSDT": 0.1, "WIFUSDT": 0.0001, "1000PEPEUSDT": 0.000001}


def vision_contents(hours: int = 1) -> dict[ArchiveFile, bytes]:
    """Return every file of SYMBOLS and DAY by what it is, but of the second coin no metrics."""
    found = {}
    for symbol in SYMBOLS:
        texts = {
            "aggTrades": _prints(symbol, hours),
            "bookDepth": _depth(symbol, hours),
            "metrics": _metrics(symbol, hours),
            "fundingRate": f"calc_time,funding_interval_hours,last_funding_rate\n{DAY_MS - 28_799_995},8,-1.8E-5\n",
        }
        for file in vision_files([symbol], [DAY]):
            if file.kind == "metrics" and symbol == "1000PEPEUSDT":
                continue
            text = _klines(symbol, file.day) if file.kind == "klines" else texts[file.kind]
            found[file] = zipped(file.path.name.replace(".zip", ".csv"), text)
    return found


def zipped(name: str, text: str) -> bytes:
    """Return a zip of one file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return packed.getvalue()


def put_files(folder: Path, contents: dict[ArchiveFile, bytes]) -> None:
    """Write them where downloads lie."""
    for file, content in contents.items():
        (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / file.path).write_bytes(content)


def checksum(file: ArchiveFile, content: bytes) -> bytes:
    """Return what the archive has beside a file."""
    return f"{hashlib.sha256(content).hexdigest()}  {file.path.name}\n".encode()


def bybit_contents() -> dict[ArchiveFile, bytes]:
    """Return six minutes of trades and books of WIFUSDT and Bitcoin, and the first lines of the next day."""
    found = {}
    for symbol in ("BTCUSDT", "WIFUSDT"):
        trading, orderbook = bybit_files([symbol], [DAY])
        price, tick = PRICE[symbol], TICK[symbol]
        rows = ["timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional"]
        lines = []
        for second in range(60):
            at_ms = DAY_MS + 6000 * second + 100
            side = "Buy" if second % 2 else "Sell"
            rows.append(f"{at_ms / 1000:.4f},{symbol},{side},{100 / price:.6f},{price:.6f},ZeroPlusTick,{second},1,1,1")
            levels = [[[f"{price + sign * (n + 1) * tick:.6f}", "900"] for n in range(200)] for sign in (-1, 1)]
            kind = "delta" if second else "snapshot"
            lines.append(_book(symbol, kind, second + 1, at_ms, levels if not second else [[levels[0][0]], []]))
        lines.append(_book(symbol, "snapshot", 61, DAY_MS + 86_400_050, [[["1", "1"]], [["2", "1"]]]))
        found[trading] = gzip.compress("\n".join(rows).encode())
        found[orderbook] = zipped(orderbook.path.name.removesuffix(".zip"), "\n".join(lines))
    return found


def _book(symbol: str, kind: str, update: int, at_ms: int, levels: list[list[list[str]]]) -> str:
    data = {"s": symbol, "b": levels[0], "a": levels[1], "u": update, "seq": update}
    return orjson.dumps({"topic": "t", "type": kind, "ts": at_ms + 5, "data": data, "cts": at_ms}).decode()


def _prints(symbol: str, hours: int) -> str:
    rng = np.random.default_rng(len(symbol))
    rows = ["agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"]
    steps = np.cumsum(rng.integers(-1, 2, 1800 * hours))
    for number, step in enumerate(steps.tolist()):
        is_sell = number % 2 == 0
        price = PRICE[symbol] + TICK[symbol] * (step + (0 if is_sell else 1))
        time_ms = DAY_MS + 2000 * number + 7
        quantity = 250 / PRICE[symbol]
        rows.append(f"{number},{price:.6f},{quantity:.6f},{number},{number},{time_ms},{str(is_sell).lower()}")
    return "\n".join(rows)


def _depth(symbol: str, hours: int) -> str:
    rows = ["timestamp,percentage,depth,notional"]
    for number in range(120 * hours):
        moment = datetime.fromtimestamp(DAY_MS / 1000 + 30 * number + 1, UTC)
        for band in BANDS:
            notional = (50_000 + 10 * number if band < 0 else 80_000 - 10 * number) * abs(band) ** 0.5
            price = PRICE[symbol] * (1 + band / 200)
            rows.append(f"{moment:%Y-%m-%d %H:%M:%S},{band:.2f},{notional / price:.8f},{notional:.8f}")
    return "\n".join(rows)


def _metrics(symbol: str, hours: int) -> str:
    rows = [",".join(METRICS)]
    for number in reversed(range(12 * hours)):
        moment = datetime.fromtimestamp(DAY_MS / 1000 + 300 * number, UTC)
        rows.append(f"{moment:%Y-%m-%d %H:%M:%S},{symbol},{1_000_000 + 5000 * number}.0,1.0,1,1,1,1.0")
    return "\n".join(rows)


def _klines(symbol: str, day: date) -> str:
    open_ms = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
    price = f"{PRICE[symbol]:.6f}"
    rows = []
    for minute in range(1440):
        at = open_ms + 60_000 * minute
        rows.append(f"{at},{price},{price},{price},{price},{4000 / PRICE[symbol]:.6f},{at + 59_999},4000,20,1,1,0")
    return "\n".join(rows)
