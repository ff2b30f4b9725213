"""Tables of decisions whose truth is known: scores that predict, and scores that do not."""

import numpy as np

from scoring.evidence.rows import DAY_MS, Rows

START_MS = 1_770_000_000_000 // DAY_MS * DAY_MS
PARTS = ("sweep", "wall", "oi")
HOUR_MS = 3_600_000


def table(
    *, seed: int, truth: float, days: int = 40, coins: int = 12, per_coin_day: int = 3, market: float = 0.3
) -> Rows:
    """Return rows whose R is `truth` times the standardised score, plus a day's market, plus noise.

    With truth 0 the score still goes with the day's market through each coin's day, as real scores do: only what
    differs within a coin's day is noise.
    """
    rng = np.random.default_rng(seed)
    n = days * coins * per_coin_day
    day, coin = np.repeat(np.arange(days), coins * per_coin_day), np.tile(np.arange(coins), days * per_coin_day)
    shared = rng.normal(size=days)[day]
    parts = np.clip(rng.normal(20, 6, (n, 3)) + 4 * shared[:, None], 0, 34)
    score = parts.sum(axis=1)
    within = parts.sum(axis=1) - 12 * shared
    net = truth * (within - 60) / within.std() + market * shared + rng.normal(0, 1.2, n)
    control = market * shared[:, None] + rng.normal(0, 1.2, (n, 5))
    parts[rng.random((n, 3)) < 0.05] = np.nan
    return Rows(
        decided_ms=START_MS + day * DAY_MS + rng.integers(0, 24, n) * HOUR_MS,
        coin=np.array([f"C{number}" for number in coin]),
        score=score,
        gross_r=net + 0.1,
        net_r=net,
        part_names=PARTS,
        parts=parts,
        is_approximate=rng.random((n, 3)) < 0.1,
        gate_names=("spread",),
        gates=rng.random((n, 1)) < 0.6,
        controls={"other_instrument": control, "other_time": control[:, ::-1]},
    )
