"""Real market data to play instead of an invented path, looped without a jump.

A recording of length T is played forward, then backward (the book's sides and the prints' sides swapped), and so on:
the price never jumps and has no drift, and what pushed it up on the way there pushes it down on the way back.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.facts.market import BoolArray, FloatArray, IntArray

DIRECTORY = Path(__file__).parent / "recordings"
RECORDED_COINS = ("BTC", "ETH", "SOL", "BNB", "SUI", "TON")


class Recording:
    """One coin's recorded minutes. All times are seconds since the market's start, before it as well."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        self._mid_s = arrays["mid_ms"] / 1000.0
        self.length_s = float(self._mid_s[-1])
        self.has_prints = "trade_ms" in arrays
        self.mean_price = float(arrays["mid"].mean())

    def mid(self, elapsed_s: FloatArray) -> FloatArray:
        """Return the mid price [USDT], linear between samples."""
        folded, _ = self._fold(elapsed_s)
        return _between(folded, self._mid_s, self._arrays["mid"])

    def relative_to_mid(self, name: str, elapsed_s: FloatArray) -> FloatArray:
        """Return the recorded "mark" or "index" as a multiple of the mid, 1 where it was not recorded."""
        if name not in self._arrays:
            return np.ones_like(elapsed_s)
        folded, _ = self._fold(elapsed_s)
        return _between(folded, self._mid_s, self._arrays[name] / self._arrays["mid"])

    def known(self, name: str, elapsed_s: FloatArray) -> FloatArray | None:
        """Return a sparse quantity ("open_interest", "funding_rate"), linear between samples; None if not recorded."""
        if name not in self._arrays:
            return None
        folded, _ = self._fold(elapsed_s)
        return _between(folded, self._arrays["known_ms"] / 1000.0, self._arrays[name])

    def sell_share(self, elapsed_s: FloatArray) -> FloatArray:
        """Return the recorded share of taker sells, for the coins whose single prints were not recorded."""
        folded, is_back = self._fold(elapsed_s)
        sold, bought = self._arrays["taker_sell"], self._arrays["taker_buy"]
        share = _between(folded, self._arrays["known_ms"] / 1000.0, sold / (sold + bought))
        return np.asarray(np.where(is_back, 1 - share, share))

    def book(self, elapsed_s: float) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Bid distances from the best [USDT] and quantities, ask distances and quantities, (50,) each."""
        folded, is_back = self._fold(np.array([elapsed_s]))
        i = max(0, int(np.searchsorted(self._arrays["book_ms"], folded[0] * 1000, side="right")) - 1)
        bid, ask = (
            (self._arrays[f"{side}_distance"][i].astype(float), self._arrays[f"{side}_quantity"][i].astype(float))
            for side in ("bid", "ask")
        )
        return (*ask, *bid) if is_back[0] else (*bid, *ask)

    def prints(self, start_s: float, end_s: float) -> tuple[IntArray, FloatArray, FloatArray, BoolArray]:
        """Number, time [s], quantity and is_sell of the prints with start_s <= time < end_s, oldest first."""
        times = self._arrays["trade_ms"] / 1000.0
        passes = []
        for lap in range(int(start_s // self.length_s), int(end_s // self.length_s) + 1):
            is_back = lap % 2 == 1
            at = lap * self.length_s + (self.length_s - times[::-1] if is_back else times)
            first, last = np.searchsorted(at, (start_s, end_s))
            order = np.arange(first, last)
            source = len(times) - 1 - order if is_back else order
            sold = self._arrays["trade_is_sell"][source]
            quantity = self._arrays["trade_quantity"][source].astype(float)
            passes.append((lap * len(times) + order, at[first:last], quantity, ~sold if is_back else sold))
        number, time, quantity, is_sell = (np.concatenate(parts) for parts in zip(*passes, strict=True))
        return number, time, quantity, is_sell

    def traded_per_s(self) -> tuple[float, float]:
        """Prints and base quantity per second, on average over the recording."""
        if self.has_prints:
            quantity = self._arrays["trade_quantity"]
            return len(quantity) / self.length_s, float(quantity.sum()) / self.length_s
        # taker volumes are sums over the ~33 s between two samples
        traded = float((self._arrays["taker_buy"] + self._arrays["taker_sell"]).sum())
        return 2.0, traded / self.length_s

    def _fold(self, elapsed_s: FloatArray) -> tuple[FloatArray, BoolArray]:
        lap, folded = np.divmod(elapsed_s, self.length_s)
        is_back = lap % 2 == 1
        return np.where(is_back, self.length_s - folded, folded), is_back


def _between(at: FloatArray, known_at: NDArray[Any], known: NDArray[Any]) -> FloatArray:
    return np.asarray(np.interp(at, known_at, known), dtype=np.float64)


def load_recordings() -> dict[str, Recording]:
    """Read the recordings that come with the package."""
    loaded = {}
    for coin in RECORDED_COINS:
        with np.load(DIRECTORY / f"{coin.lower()}.npz") as arrays:
            loaded[coin] = Recording(dict(arrays))
    return loaded
