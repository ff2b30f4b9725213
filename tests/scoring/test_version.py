"""Other formulas, other version: records of before and after a change must never be added up."""

import hashlib
from pathlib import Path

import numpy as np

from features.frame import FEATURES, FeatureFrame
from scoring.settings import ScoringSettings
from scoring.strategies.base import Strategy
from scoring.strategies.ups_short import UPS_SHORT
from tests.builders import NOW_MS, instrument
from tests.recordings import FRAMES, frame_ticks, raw_ticks, replay
from tests.scoring.frames import PASSING, passing

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings"
#: by strategy and version, what its formulas and the features' make of the same inputs; lines are added, never changed
DIGESTS = {("ups", "1"): "d75752ac488d024d"}


def digest(strategy: Strategy) -> str:
    """Return what features, sub-scores, gates and levels are of real books and of made-up figures, to six digits."""
    frames = [
        *replay(("ethusdt",), raw_ticks({"ethusdt": RECORDINGS / "binance_ethusdt_20240808.gz"})),
        *replay(FRAMES, frame_ticks(RECORDINGS / "binance_frames_20240921.jsonl.gz")),
        _made_up(300),
    ]
    settings, made = ScoringSettings(), hashlib.sha256()
    for frame in frames:
        levels = strategy.levels(frame.now_ms, frame, settings)
        scores = strategy.score(frame, settings)
        values = [
            *(getattr(frame, feature.name) for feature in FEATURES),
            *(scores.sub_scores, scores.total, levels.entry, levels.take_profit, levels.stop, levels.cost_percent),
        ]
        for value in values:
            made.update(b"".join(f"{one:.6g}".encode() for one in np.ravel(value).tolist()))
    return made.hexdigest()[:16]


def _made_up(count: int) -> FeatureFrame:
    random = np.random.default_rng(1)
    figures = {name: value * random.lognormal(0, 0.7, count) for name, value in PASSING.items() if name != "btc_return"}
    figures |= {"ask_share": random.random(count), "taker_sell_share": random.random(count)}
    figures["volatility_minute"] = random.lognormal(-6.5, 0.8, count)
    return passing(instruments=[instrument(id=f"C{i}USDT") for i in range(count)], now_ms=NOW_MS, **figures)


def test_formulas_have_a_version() -> None:
    """A change of what a score or a level is needs another `version` of the strategy, and a line above."""
    found = digest(UPS_SHORT)
    known = DIGESTS.get((UPS_SHORT.name, UPS_SHORT.version))
    assert found == known, f"formulas have changed: give {UPS_SHORT.name} another version, and DIGESTS its {found}"
