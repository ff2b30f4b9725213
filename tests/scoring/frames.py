"""Frames, signals and outcomes for the tests of scoring; a test overrides the one thing it is about."""

from dataclasses import fields, replace
from typing import Any

import numpy as np

from features.frame import FeatureFrame
from scoring.gates import GateFrame, GateInputs, check_gates
from scoring.settings import ScoringSettings
from scoring.signals import DataTimes, ExitReason, Levels, Limits, Outcome, Result, Side, Signal, Verdict
from scoring.strategies import STRATEGIES
from scoring.strategies.ups_short.settings import UpsSettings
from tests.builders import NOW_MS, feature_frame, instrument

NAN = float("nan")
SETTINGS = ScoringSettings()
UPS = STRATEGIES["ups"]

#: scores 20 + 10 + 15 * 0.76 + 15 * 0.8 * 0.9 + 10 + 7.6 + 4 = 73.8
PASSING: dict[str, Any] = {
    "open_interest_change": 0.02,
    "price_change": -0.01,
    "wall_ratio": 7.5,
    "bid_exhaustion": 0.25,
    "ask_share": 0.7,
    "taker_sell_share": 0.7,
    "sweep_multiple": 8.0,
    "sweep_age_s": 3.0,
    "btc_return": 0.0,
    "momentum_z": -2.0,
    "momentum_return": -0.004,
    "vwap_distance": 0.01,
    "funding_rate_8h": 0.0004,
    "funding_rate": 0.0004,
    "mark_price": 100.002,
}


def passing(count: int = 1, /, **changed: Any) -> FeatureFrame:
    """Return `count` instruments of coins C0, C1 and so on, all of which pass every gate; scalars hold for all."""
    instruments = changed.pop("instruments", None) or [instrument(id=f"C{number}USDT") for number in range(count)]
    return feature_frame(instruments, **(PASSING | changed))


def limits(**changed: Any) -> Limits:
    """Return fresh limits with the given fields changed."""
    return replace(Limits.fresh(), **changed)


def make_settings(**changed: Any) -> ScoringSettings:
    """Return settings with the given ones changed, those that UPS alone takes too."""
    own = {field.name: changed.pop(field.name) for field in fields(UpsSettings) if field.name in changed}
    return ScoringSettings(own={"ups": own}, **changed)


def check(features: FeatureFrame, limits: Limits | None = None, /, **changed: Any) -> tuple[GateInputs, GateFrame]:
    """Return the gates' word on `features`; `changed` are settings, `now_ms` or `open_names`."""
    now_ms, open_names = changed.pop("now_ms", features.now_ms), changed.pop("open_names", ())
    settings = make_settings(**changed)
    inputs = GateInputs(
        now_ms=now_ms,
        features=features,
        scores=UPS.score(features, settings),
        levels=UPS.levels(now_ms, features, settings),
        limits=limits or Limits.fresh(),
        open_names=open_names,
        settings=settings,
    )
    return inputs, check_gates(UPS.gates, inputs)


def refusals(features: FeatureFrame, limits: Limits | None = None, /, **changed: Any) -> set[str]:
    """Return the names of the gates that refuse the first instrument."""
    _, checked = check(features, limits, **changed)
    return {gate.name for gate, passed in zip(checked.gates, checked.passed[:, 0], strict=True) if not passed}


def levels(side: Side = Side.SHORT, **changed: Any) -> Levels:
    """Return an entry at 100 with the target 2 % and the stop 1 % away."""
    record: dict[str, Any] = {
        "side": side,
        "entry": 100.0,
        "take_profits": (100.0 + 2 * side.direction,),
        "stop": 100.0 - side.direction,
        "take_profit_percent": 2.0,
        "stop_percent": 1.0,
        "cost_percent": 0.1,
        "net_take_profit_percent": 1.9,
        "net_stop_percent": 1.1,
        "break_even_win_rate": 1.1 / 3,
    }
    return Levels(**(record | changed))


def signal(side: Side = Side.SHORT, **changed: Any) -> Signal:
    """Return a signal on PEPE, decided at NOW_MS."""
    nothing = DataTimes(price_ms=None, book_ms=None, trades_ms=None, open_interest_ms=None, funding_ms=None)
    record: dict[str, Any] = {
        "id": 1,
        "side": side,
        "venue": "bybit",
        "instrument_id": "PEPEUSDT",
        "coin": "PEPE",
        "pair": "PEPE/USDT",
        "tick_size": 0.01,
        "decided_ms": NOW_MS,
        "levels": levels(side),
        "score": 75.0,
        "sub_scores": {},
        "contributions": {},
        "features": {},
        "verdicts": (Verdict(name="score", passed=True, value=75.0, limit=72.0, reason="score 75.0 ≥ 72"),),
        "reasons": (),
        "missing": {},
        "borrowed": "",
        "sellable_usdt": 1000.0,
        "data_times": nothing,
        "code_hash": "",
        "config_hash": "",
    }
    return Signal(**(record | changed))


def outcome(r: float = 1.0, **changed: Any) -> Outcome:
    """Return an outcome of `r` R at a risk of 1 %, the same from both entries."""
    result = Result(entry=100.0, gross_percent=r + 0.1, net_percent=r, r=r)
    record: dict[str, Any] = {
        "signal_id": 1,
        "reason": ExitReason.TAKE_PROFIT if r > 0 else ExitReason.STOP_LOSS,
        "exit_ms": NOW_MS + 60_000,
        "fill": 99.0,
        "ideal": result,
        "reachable": result,
        "mae_percent": 0.0,
        "mfe_percent": 0.0,
        "held_s": 60.0,
        "is_ambiguous": False,
        "note": "",
    }
    return Outcome(**(record | changed))


def ideal(outcome: Outcome | None) -> Result:
    """Return the result from the alert's entry of what has one."""
    assert outcome is not None
    assert outcome.ideal is not None
    return outcome.ideal


def column(values: list[float]) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Return an array over instruments."""
    return np.array(values, float)
