import gzip
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from fetchers.simulated.extract import BOOK_LEVELS, extract_frames, extract_raw
from fetchers.simulated.recordings import Recording


def _raw(time_ms: int, kind: str, **data: object) -> bytes:
    return b"1 " + orjson.dumps({"stream": "x", "data": {"e": kind, "T": time_ms, **data}}) + b"\n"


def test_extract_raw_rebuilds_the_book_from_snapshot_and_diffs(tmp_path: Path) -> None:
    """Diffs the snapshot already holds are dropped, later ones change and remove levels; prints and mid are kept."""
    bids = [[f"{100 - i}", "1"] for i in range(60)]
    asks = [[f"{101 + i}", "2"] for i in range(60)]
    snapshot = {"lastUpdateId": 5, "bids": bids, "asks": asks}
    lines = [
        _raw(1000, "bookTicker", b="100", a="101"),
        _raw(1000, "depthUpdate", u=4, b=[["100", "9"]], a=[]),
        b"1 " + orjson.dumps(snapshot) + b"\n",
        _raw(1100, "depthUpdate", u=6, b=[["100", "7"], ["99", "0"]], a=[["101", "3"]]),
        _raw(1200, "trade", p="100", q="0.5", m=True),
        _raw(1900, "bookTicker", b="101", a="102"),
        _raw(3000, "bookTicker", b="101", a="102"),
    ]
    path = tmp_path / "raw.gz"
    path.write_bytes(gzip.compress(b"".join(lines)))
    arrays = extract_raw(path)
    assert arrays["bid_quantity"][0][0] == 7
    assert arrays["bid_distance"][0][:2].tolist() == [0, 2]
    assert arrays["ask_quantity"][0][:2].tolist() == [3, 2]
    assert arrays["bid_distance"].shape == (1, BOOK_LEVELS)
    recording = Recording(arrays)
    np.testing.assert_allclose(recording.mid(np.array([0.0, 1.5])), (100.5, 101.5))
    assert recording.prints(0, 1)[3].tolist() == [True]


def test_extract_frames_keeps_what_was_recorded_once_in_a_while() -> None:
    """Nulls between the sparse samples are left out."""
    levels = [[f"{10 + i}", "1"] for i in range(50)]

    def frame(time_ms: int, open_interest: float | None) -> dict[str, Any]:
        sparse = ("futures_taker_buy", "futures_taker_sell", "open_interest", "funding_rate")
        return {"t_ms": time_ms, "bids": levels[::-1], "asks": levels, "mark": 10, "index": 10} | dict.fromkeys(
            sparse, open_interest
        )

    arrays = extract_frames([frame(5000, None), frame(5500, 3.0), frame(6000, None), frame(11_000, 4.0)])
    assert arrays["known_ms"].tolist() == [500, 6000]
    assert arrays["open_interest"].tolist() == [3.0, 4.0]
    assert arrays["book_ms"].tolist() == [0, 6000]
