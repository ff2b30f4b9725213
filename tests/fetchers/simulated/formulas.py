"""The formulas of docs/features.md in plain Python over what the venues say: a check of the scenario only."""

from itertools import pairwise
from math import log, sqrt
from statistics import median

from features.settings import FeatureSettings
from tests.fetchers.simulated.stage import Look, Print

DEPTH_USDT, ASK_SHARE, OI_SCORE, SPREAD, SCORE = 5_000.0, 0.60, 30.0, 0.005, 72.0


def clip01(value: float) -> float:
    """Between 0 and 1."""
    return min(max(value, 0.0), 1.0)


def inside(looked: Look) -> tuple[list[tuple[float, float]], list[tuple[float, float]], float, float]:
    """Bids and asks inside reach, the mid and the reach as a share of it."""
    mid = (looked.bids[0][0] + looked.asks[0][0]) / 2
    reach = 0.01
    for side in (looked.bids, looked.asks):
        if len(side) == 50:
            reach = min(reach, abs(side[-1][0] / mid - 1))
    bids, asks = ([(p, q) for p, q in side if abs(p / mid - 1) <= reach] for side in (looked.bids, looked.asks))
    return bids, asks, mid, reach


def depths(looked: Look) -> tuple[float, float]:
    """Weighted bid and ask depth inside reach [USDT]."""
    bids, asks, mid, reach = inside(looked)
    return tuple(sum(p * q * (1 - abs(p / mid - 1) / reach) for p, q in side) for side in (bids, asks))  # type: ignore[return-value]  # two sides


def ask_share(looked: Look) -> float:
    """Ask depth's share."""
    bid, ask = depths(looked)
    return ask / (bid + ask)


def wall_ratio(looked: Look) -> float:
    """Largest / median notional of the asks inside reach."""
    notionals = [p * q for p, q in inside(looked)[1]]
    assert len(notionals) >= 5
    return max(notionals) / median(notionals)


def spread(looked: Look) -> float:
    """Relative spread of the book."""
    return (looked.asks[0][0] - looked.bids[0][0]) / inside(looked)[2]


def exhaustion(looks: list[Look], settings: FeatureSettings) -> float:
    """1 - bid depth now / median of the earlier books."""
    now_ms = looks[-1].now_ms
    earlier = [
        looked
        for looked in looks
        if settings.book_window_s / 60 <= (now_ms - looked.now_ms) / 1000 <= settings.book_window_s
    ]
    assert len(earlier) >= 3
    assert earlier[-1].now_ms - earlier[0].now_ms >= settings.book_window_s / 15 * 1000
    return 1 - depths(looks[-1])[0] / median(depths(looked)[0] for looked in earlier)


def oi_divergence(looks: list[Look], settings: FeatureSettings) -> tuple[float, float, float]:
    """Score, change of open interest and of price over the window."""
    since_ms = looks[-1].now_ms - settings.oi_window_s * 1000
    oldest = next(looked for looked in looks if looked.now_ms >= since_ms)
    assert looks[-1].now_ms - oldest.now_ms >= settings.oi_window_s * 1000 * 2 / 3
    assert oldest.open_interest is not None
    assert looks[-1].open_interest is not None
    open_interest = looks[-1].open_interest / oldest.open_interest - 1
    price = looks[-1].price / oldest.price - 1
    return 100 * sqrt(clip01(open_interest / 0.02) * clip01(-price / 0.01)), open_interest, price


def sell_share(prints: list[Print], now_ms: int, settings: FeatureSettings) -> float:
    """Taker-sell share of the notional inside the flow window."""
    recent = [p for p in prints if now_ms - p.time_ms < settings.flow_window_s * 1000]
    return sum(p.price * p.quantity for p in recent if p.is_sell) / sum(p.price * p.quantity for p in recent)


def sweeps(prints: list[Print]) -> list[list[Print]]:
    """Maximal runs of taker sales, cut at a second, through three prices and ending lower."""
    runs: list[list[Print]] = [[]]
    for p in prints:
        if not p.is_sell:
            runs.append([])
        elif runs[-1] and p.time_ms - runs[-1][0].time_ms > 1000:
            runs.append([p])
        else:
            runs[-1].append(p)
    return [run for run in runs if len({p.price for p in run}) >= 3 and run[-1].price < run[0].price]


def best_sweep(prints: list[Print], now_ms: int, settings: FeatureSettings) -> tuple[float, float]:
    """Score of the best sweep inside its TTL and its multiple of the median second; zeros where there is none."""
    buckets: dict[int, float] = {}
    for p in prints:
        if now_ms - p.time_ms < settings.sweep_baseline_s * 1000:
            buckets[p.time_ms // 1000] = buckets.get(p.time_ms // 1000, 0.0) + p.price * p.quantity
    if len(buckets) < 10:
        return 0.0, 0.0
    typical = median(buckets.values())
    best = (0.0, 0.0)
    for run in sweeps(prints):
        notional = sum(p.price * p.quantity for p in run)
        age_s = (now_ms - run[-1].time_ms) / 1000
        if notional >= max(settings.min_sweep_usdt, 5 * typical) and age_s <= settings.sweep_ttl_s:
            multiple = notional / typical
            best = max(best, (100 * clip01(multiple / 10) * clip01(1 - age_s / settings.sweep_ttl_s), multiple))
    return best


def momentum_z(looks: list[Look], settings: FeatureSettings) -> float:
    """The momentum's z over what has been seen, volatility floored at 5 bps."""
    window_s = settings.momentum_window_s
    recent = [looked for looked in looks if looks[-1].now_ms - looked.now_ms <= 15 * window_s * 1000]
    squares = sum(log(b.price / a.price) ** 2 for a, b in pairwise(recent))
    windows = (recent[-1].now_ms - recent[0].now_ms) / 1000 / window_s
    sigma = max(sqrt(squares / windows), 5e-4)

    def back(seconds: float) -> float:
        then = next(looked for looked in looks if looked.now_ms >= looks[-1].now_ms - seconds * 1000)
        return looks[-1].price / then.price - 1

    return 0.6 * back(window_s) / sigma + 0.4 * back(3 * window_s) / (sigma * sqrt(3))


def score(looks: list[Look], flow: list[Look], btc_return: float, settings: FeatureSettings) -> float:
    """UPS v1 of a row, open interest and flow from `flow`'s venue."""
    looked, now_ms = looks[-1], looks[-1].now_ms
    wall = min(wall_ratio(looks[-2]), wall_ratio(looks[-1]))
    liquidity = 50 * clip01((wall - 3) / 9) + 50 * clip01(exhaustion(looks, settings) / 0.5)
    taker = sell_share(flow[-1].prints, now_ms, settings)
    orderflow = 70 * clip01((ask_share(looked) - 0.5) / 0.25) + 30 * clip01((taker - 0.5) / 0.3)
    extended = looked.price / looked.vwap_24h - 1
    momentum = 70 * clip01(-momentum_z(looks, settings) / 2) + 30 * clip01(extended / 0.05)
    return (
        0.20 * oi_divergence(flow, settings)[0]
        + 0.20 * liquidity
        + 0.15 * orderflow
        + 0.15 * best_sweep(flow[-1].prints, now_ms, settings)[0]
        + 0.10 * 100 * clip01((0.003 - btc_return) / 0.003)
        + 0.10 * momentum
        + 0.10 * 100 * clip01(looked.funding_rate_8h / 0.001)
    )


def failed_gates(looks: list[Look], flow: list[Look], btc_return: float, settings: FeatureSettings) -> set[str]:
    """The market's own gates that do not pass."""
    looked, now_ms = looks[-1], looks[-1].now_ms
    passed = {
        "score": score(looks, flow, btc_return, settings) >= SCORE,
        "bid_depth": depths(looked)[0] >= DEPTH_USDT,
        "ask_imbalance": ask_share(looked) >= ASK_SHARE,
        "sweep": best_sweep(flow[-1].prints, now_ms, settings)[1] > 0,
        "oi_divergence": oi_divergence(flow, settings)[0] >= OI_SCORE,
        "spread": spread(looked) < SPREAD,
        "stale_data": now_ms - looked.book_ms <= settings.max_data_age_s * 1000,
    }
    return {name for name, is_passed in passed.items() if not is_passed}
