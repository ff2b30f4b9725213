"""Features over real recordings: `python -m tests.recordings DATA_DIR > docs/recordings.md` writes the table.

The raw recording is what the venue streamed (depth diffs, best quotes, prints), from which the book is rebuilt; the
frames are ready books. Both are cut into ticks of `TICK_MS` as if polled.
"""

import argparse
import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from features.facts.market import (
    FloatArray,
    Instrument,
    Observation,
    OpenInterest,
    OrderBook,
    Quotes,
    Trades,
    read_only,
)
from features.frame import FEATURES, PARTS, FeatureFrame, compute_features
from features.missing import Missing
from features.settings import FeatureSettings
from features.state.market_state import MarketState
from tests.builders import instrument, levels

VENUE = "binance"
TICK_MS = 5000
FRAME_LEVELS = 100  #: a side, as they were recorded
RAW_LEVELS = 1000  #: a side; fine ticks need as many to show ten basis points
RAW = ("btcusdt", "ethusdt")
FRAMES = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "SUIUSDT", "TONUSDT")

Ticks = Iterator[tuple[int, list[Observation]]]


class RawBook:
    """A book kept from diffs, which must follow one another without a gap."""

    def __init__(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}
        self.last_id = 0  #: 0 until the snapshot
        self.changes = 0  #: diffs applied
        self.waiting: list[dict[str, Any]] = []  #: diffs that came before the snapshot

    def start(self, snapshot: dict[str, Any]) -> None:
        """Take the REST snapshot, and of the diffs that came before it those it does not hold."""
        self._put(snapshot["bids"], snapshot["asks"])
        self.last_id = snapshot["lastUpdateId"]
        for diff in self.waiting:
            self.change(diff)

    def change(self, diff: dict[str, Any]) -> None:
        """Apply a diff.

        Raises
        ------
        ValueError
            Where it does not follow: the first must straddle the snapshot, each other name the one before.
        """
        if not self.last_id:
            self.waiting.append(diff)
        elif diff["u"] >= self.last_id:
            follows = diff["pu"] == self.last_id if self.changes else diff["U"] <= self.last_id
            if not follows:
                raise ValueError(f"the diff's previous id was {diff['pu']}, the book's last {self.last_id}")
            self._put(diff["b"], diff["a"])
            self.last_id = diff["u"]
            self.changes += 1

    def _put(self, bids: list[list[str]], asks: list[list[str]]) -> None:
        for side, told in ((self.bids, bids), (self.asks, asks)):
            for price, quantity in told:
                side[float(price)] = float(quantity)
                if not float(quantity):
                    del side[float(price)]


def read_raw(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the messages of a raw recording, `local_ns json` a line."""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            message = json.loads(line.partition(" ")[2])
            yield message.get("data", message)


def raw_ticks(paths: dict[str, Path]) -> Ticks:
    """Yield the ticks of raw recordings, by venue id."""
    messages = sorted(
        ((message["E"], identity, message) for identity, path in paths.items() for message in read_raw(path)),
        key=lambda item: item[0],
    )
    books = {identity: RawBook() for identity in paths}
    prints: dict[str, list[dict[str, Any]]] = {identity: [] for identity in paths}
    best: dict[str, dict[str, Any]] = {}
    looked: set[str] = set()
    tick_ms = messages[0][0] // TICK_MS * TICK_MS + TICK_MS
    for event_ms, identity, message in messages:
        while event_ms > tick_ms:
            ready = [i for i in paths if books[i].last_id and i in best]
            yield (
                tick_ms,
                [
                    *(_raw_quotes(i, best[i], tick_ms) for i in ready),
                    *(_raw_book(i, books[i], tick_ms) for i in ready),
                    *(_raw_trades(i, prints[i], tick_ms, continues=i in looked) for i in ready),
                ],
            )
            looked.update(ready)
            for i in ready:
                prints[i].clear()
            tick_ms += TICK_MS
        match message.get("e"):
            case "depthUpdate":
                books[identity].change(message)
            case "bookTicker":
                best[identity] = message
            case "trade" if message["X"] == "MARKET":
                prints[identity].append(message)
            case None:
                books[identity].start(message)


def _raw_quotes(identity: str, best: dict[str, Any], tick_ms: int) -> Quotes:
    return Quotes(
        venue=VENUE,
        ids=(identity,),
        exchange_ms=read_only([best["E"]], np.int64),
        received_ms=tick_ms,
        bid_price=read_only([float(best["b"])], np.float64),
        ask_price=read_only([float(best["a"])], np.float64),
    )


def _raw_book(identity: str, book: RawBook, tick_ms: int) -> OrderBook:
    bids = sorted(book.bids.items(), reverse=True)[:RAW_LEVELS]
    return _book(identity, bids, sorted(book.asks.items())[:RAW_LEVELS], tick_ms, RAW_LEVELS)


def _book(
    identity: str, bids: list[tuple[float, float]], asks: list[tuple[float, float]], time_ms: int, levels_asked: int
) -> OrderBook:
    return OrderBook(
        venue=VENUE,
        id=identity,
        bids=levels(bids),
        asks=levels(asks),
        levels_asked=levels_asked,
        exchange_ms=time_ms,
        received_ms=time_ms,
    )


def _raw_trades(identity: str, prints: list[dict[str, Any]], tick_ms: int, *, continues: bool) -> Trades:
    ordered = sorted(prints, key=lambda one: (one["T"], one["t"]))
    return Trades(
        venue=VENUE,
        id=identity,
        prints=read_only([[float(one[name]) for one in ordered] for name in "Tpqm"], np.float64),
        exchange_ms=tick_ms,
        received_ms=tick_ms,
        continues=continues,
    )


def read_frames(path: Path) -> list[dict[str, Any]]:
    """Return the frames of a recording, oldest first."""
    with gzip.open(path, "rt") as lines:
        return sorted((json.loads(line) for line in lines), key=lambda frame: frame["t_ms"])


def frame_ticks(path: Path) -> Ticks:
    """Yield the ticks of recorded frames: each instrument's last frame, and what comes only now and then."""
    newest: dict[str, dict[str, Any]] = {}
    frames = read_frames(path)
    tick_ms = frames[0]["t_ms"] // TICK_MS * TICK_MS + TICK_MS
    for frame in frames:
        while frame["t_ms"] > tick_ms:
            yield tick_ms, [record for one in newest.values() for record in _frame_records(one)]
            newest.clear()
            tick_ms += TICK_MS
        before = newest.get(frame["symbol"], {})
        rare = {name: before.get(name) for name in ("open_interest", "funding_rate") if frame[name] is None}
        newest[frame["symbol"]] = frame | rare


def _frame_records(frame: dict[str, Any]) -> list[Observation]:
    bids, asks = ([(float(p), float(q)) for p, q in frame[side][:FRAME_LEVELS]] for side in ("bids", "asks"))
    identity, time_ms = frame["symbol"], frame["t_ms"]

    def one(value: float | None) -> FloatArray | None:
        return None if value is None else read_only([value], np.float64)

    quotes = Quotes(
        venue=VENUE,
        ids=(identity,),
        exchange_ms=read_only([time_ms], np.int64),
        received_ms=time_ms,
        bid_price=one(bids[0][0]),
        ask_price=one(asks[0][0]),
        mark_price=one(frame["mark"]),
        funding_rate=one(frame["funding_rate"]),
        funding_interval_h=one(8.0),  # of all recorded coins
    )
    records: list[Observation] = [quotes, _book(identity, bids, asks, time_ms, FRAME_LEVELS)]
    if frame["open_interest"] is not None:
        amount = frame["open_interest"]
        point = OpenInterest(
            venue=VENUE, id=identity, open_interest_base=amount, exchange_ms=time_ms, received_ms=time_ms
        )
        records.append(point)
    return records


def instruments(ids: tuple[str, ...]) -> list[Instrument]:
    """Return the recorded instruments."""
    return [instrument(venue=VENUE, id=identity, base=identity.upper().removesuffix("USDT")) for identity in ids]


def replay(ids: tuple[str, ...], ticks: Ticks) -> list[FeatureFrame]:
    """Return the frame of every tick, with the default windows."""
    state = MarketState(instruments(ids), FeatureSettings())
    frames = []
    for tick_ms, observations in ticks:
        state.advance(tick_ms)
        state.append(observations)
        frames.append(compute_features(state, tick_ms))
    return frames


def write_table(out: TextIO, title: str, frames: list[FeatureFrame]) -> None:
    """Write how each feature was distributed over ticks and instruments, and why it was missing."""
    out.write(
        f"\n## {title}\n\n{len(frames)} ticks of {TICK_MS // 1000} s, {len(frames[0].instruments)} instruments.\n"
    )
    out.write(
        "\n| feature | unit | defined | least | 10 % | median | 90 % | most |\n|---|---|---|---|---|---|---|---|\n"
    )
    for feature in FEATURES:
        values = np.concatenate([getattr(frame, feature.name) for frame in frames])
        known = values[np.isfinite(values)]
        spread = [f"{x:.4g}" for x in np.quantile(known, (0, 0.1, 0.5, 0.9, 1))] if len(known) else ["-"] * 5
        share = f"{len(known) / len(values):.0%}"
        out.write(f"| {feature.name} | {feature.unit} | {share} | {' | '.join(spread)} |\n")
    out.write("\n| part | present | missing because |\n|---|---|---|\n")
    for part in PARTS:
        codes = Counter(int(code) for frame in frames for code in frame.missing[part])
        total = sum(codes.values())
        reasons = ", ".join(f"{Missing(code).text} {count / total:.0%}" for code, count in codes.most_common() if code)
        out.write(f"| {part} | {codes[Missing.PRESENT] / total:.0%} | {reasons or '-'} |\n")


def main() -> None:
    """Write the tables of all recordings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the directory of the recordings")
    data: Path = parser.parse_args().data
    out = sys.stdout
    out.write("# Features over real recordings\n\n")
    out.write("Made by `python -m tests.recordings DATA_DIR > docs/recordings.md`; the windows are the defaults.\n")
    raw = {identity: data / "binance_usdm_raw_20240808" / f"{identity}.gz" for identity in RAW}
    write_table(out, "BTC and ETH, 345 s on 8 August 2024, rebuilt from the raw stream", replay(RAW, raw_ticks(raw)))
    frames = frame_ticks(data / "binance_usdm_frames_20240921.jsonl.gz")
    write_table(out, "Six perpetuals, 120 s on 21 September 2024", replay(FRAMES, frames))


if __name__ == "__main__":
    main()
