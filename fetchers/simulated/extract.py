"""Make the small recordings of this package from the full ones: ``python -m fetchers.simulated.extract PATH_TO_DATA``.

Keeps of each coin the mid price (and mark and index where recorded), a book every few seconds, and the prints
(Bitcoin, Ether) or the taker volumes, open interest and funding (the others). SOURCE.md beside the files names where
they are from.
"""

import argparse
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from fetchers.simulated.recordings import DIRECTORY

RAW_COINS = ("BTC", "ETH")
FRAME_COINS = ("SOL", "BNB", "SUI", "TON")
BOOK_LEVELS = 50
RAW_STEP_MS, RAW_BOOK_MS = 250, 15_000
FRAME_BOOK_MS = 5_000


def _lines(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as file:
        yield from file


def _levels(side: dict[float, float], *, is_bid: bool) -> list[tuple[float, float]]:
    return sorted(side.items(), reverse=is_bid)[:BOOK_LEVELS]


def _book_arrays(books: list[tuple[int, list[tuple[float, float]], list[tuple[float, float]]]]) -> dict[str, Any]:
    # prices become distances from the best of their side: the ladder is put where the path is
    bids = np.array([bids for _, bids, _ in books])
    asks = np.array([asks for _, _, asks in books])
    return {
        "book_ms": np.array([time for time, _, _ in books], dtype=np.int32),
        "bid_distance": np.round(bids[:, :1, 0] - bids[:, :, 0], 6).astype(np.float32),
        "bid_quantity": bids[:, :, 1].astype(np.float32),
        "ask_distance": np.round(asks[:, :, 0] - asks[:, :1, 0], 6).astype(np.float32),
        "ask_quantity": asks[:, :, 1].astype(np.float32),
    }


def extract_raw(path: Path) -> dict[str, Any]:
    """Return the arrays of a raw stream: bookTicker for the mid, depth diffs for the books, prints."""
    quotes: list[tuple[int, float]] = []
    prints: list[tuple[int, float, bool]] = []
    books = []
    sides: dict[str, dict[float, float]] = {"b": {}, "a": {}}
    pending: list[dict[str, Any]] = []
    snapshot_id, next_book_ms = None, 0
    for line in _lines(path):
        message = orjson.loads(line.split(b" ", 1)[1])
        data = message.get("data", message)
        if "lastUpdateId" in data:  # the REST snapshot; the diffs before it were kept
            snapshot_id = data["lastUpdateId"]
            sides = {"b": dict(_floats(data["bids"])), "a": dict(_floats(data["asks"]))}
            for diff in pending:
                _apply(sides, diff, snapshot_id)
        elif data["e"] == "bookTicker":
            quotes.append((data["T"], (float(data["b"]) + float(data["a"])) / 2))
        elif data["e"] == "trade":
            prints.append((data["T"], float(data["q"]), data["m"]))
        elif snapshot_id is None:
            pending.append(data)
        else:
            _apply(sides, data, snapshot_id)
            if data["T"] >= next_book_ms:
                next_book_ms = data["T"] + RAW_BOOK_MS
                books.append((data["T"], _levels(sides["b"], is_bid=True), _levels(sides["a"], is_bid=False)))
    start = quotes[0][0]
    times = np.arange(start, quotes[-1][0], RAW_STEP_MS)
    latest = np.searchsorted(np.array([time for time, _ in quotes]), times, side="right") - 1
    inside = sorted(row for row in prints if start <= row[0] < times[-1])
    return {
        "mid_ms": (times - start).astype(np.int32),
        "mid": np.array([quotes[i][1] for i in latest]),
        "trade_ms": np.array([time - start for time, _, _ in inside], dtype=np.int32),
        "trade_quantity": np.array([quantity for _, quantity, _ in inside], dtype=np.float32),
        "trade_is_sell": np.array([is_sell for _, _, is_sell in inside]),
        **_book_arrays([(time - start, bids, asks) for time, bids, asks in books]),
    }


def _floats(levels: list[list[str]]) -> list[tuple[float, float]]:
    return [(float(price), float(quantity)) for price, quantity in levels]


def _apply(sides: dict[str, dict[float, float]], diff: dict[str, Any], snapshot_id: int) -> None:
    if diff["u"] <= snapshot_id:
        return
    for name, side in sides.items():
        for price, quantity in _floats(diff[name]):
            if quantity:
                side[price] = quantity
            else:
                side.pop(price, None)


def extract_frames(frames: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the arrays of one coin's half-second frames."""
    start = frames[0]["t_ms"]
    known = [frame for frame in frames if frame["open_interest"] is not None]
    books, next_book_ms = [], 0
    for frame in frames:
        if frame["t_ms"] >= next_book_ms:
            next_book_ms = frame["t_ms"] + FRAME_BOOK_MS
            books.append(
                (frame["t_ms"] - start, _floats(frame["bids"][:BOOK_LEVELS]), _floats(frame["asks"][:BOOK_LEVELS]))
            )
    return {
        "mid_ms": np.array([frame["t_ms"] - start for frame in frames], dtype=np.int32),
        "mid": np.array([(float(frame["bids"][0][0]) + float(frame["asks"][0][0])) / 2 for frame in frames]),
        "mark": np.array([frame["mark"] for frame in frames]),
        "index": np.array([frame["index"] for frame in frames]),
        "known_ms": np.array([frame["t_ms"] - start for frame in known], dtype=np.int32),
        "taker_buy": np.array([frame["futures_taker_buy"] for frame in known]),
        "taker_sell": np.array([frame["futures_taker_sell"] for frame in known]),
        "open_interest": np.array([frame["open_interest"] for frame in known]),
        "funding_rate": np.array([frame["funding_rate"] for frame in known]),
        **_book_arrays(books),
    }


def main() -> None:
    """Write one file per coin into recordings/."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="the directory with the full recordings")
    data = parser.parse_args().data
    frames: dict[str, list[dict[str, Any]]] = {coin: [] for coin in FRAME_COINS}
    for line in _lines(data / "binance_usdm_frames_20240921.jsonl.gz"):
        frame = orjson.loads(line)
        frames.get(frame["symbol"].removesuffix("USDT"), []).append(frame)
    for coin in RAW_COINS:
        arrays = extract_raw(data / "binance_usdm_raw_20240808" / f"{coin.lower()}usdt.gz")
        np.savez_compressed(DIRECTORY / f"{coin.lower()}.npz", **arrays)
    for coin, rows in frames.items():
        np.savez_compressed(DIRECTORY / f"{coin.lower()}.npz", **extract_frames(rows))


if __name__ == "__main__":
    main()
