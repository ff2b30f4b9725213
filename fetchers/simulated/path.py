"""The price of every coin at any time: recorded where a recording is at hand, a bounded random walk elsewhere."""

from collections.abc import Mapping, Sequence

import numpy as np

from features.facts.market import FloatArray, IntArray
from fetchers.simulated.coins import Coin
from fetchers.simulated.legs import LegPath
from fetchers.simulated.noise import keys_of, walk
from fetchers.simulated.recordings import Recording
from fetchers.simulated.setups import Setup


class Paths:
    """Prices in USDT per coin; coins are places in the catalogue, times seconds since the market's start."""

    def __init__(
        self,
        coins: Sequence[Coin],
        *,
        seed: int,
        bends: Mapping[int, Setup | LegPath],
        recordings: dict[int, Recording],
    ) -> None:
        self._keys = np.concatenate([keys_of(seed, "path", place, coin.name) for place, coin in enumerate(coins)])
        self._log_price = np.log([coin.price_usdt for coin in coins])
        self._volatility = np.array([coin.volatility for coin in coins])
        self._bends = bends
        self._recordings = recordings

    def price(self, coins: IntArray, elapsed_s: FloatArray) -> FloatArray:
        """Return the fair price of each of `coins` at the time beside it, (m,)."""
        log_price = self._log_price[coins] + self._volatility[coins] * walk(self._keys[coins], elapsed_s)
        for coin, bend in self._bends.items():
            its = coins == coin
            if its.any():
                log_price[its] += bend.log_price(elapsed_s[its])
        price = np.exp(log_price)
        for coin, recording in self._recordings.items():
            its = coins == coin
            if its.any():
                price[its] = recording.mid(elapsed_s[its])
        return price
