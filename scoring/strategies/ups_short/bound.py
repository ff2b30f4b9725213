"""Which instruments are worth polling: the highest UPS that the bulk data still allows, where no gate fails already."""

from collections.abc import Collection
from functools import partial

import numpy as np

from features.facts.market import BoolArray, FloatArray
from features.frame import FeatureFrame
from features.missing import Missing
from scoring.gates import GateInputs, check_gates
from scoring.levels import compute_levels
from scoring.score import add_up
from scoring.settings import ScoringSettings
from scoring.signals import Limits, Side
from scoring.strategies.ups_short.gates import GATES, OI_DIVERGENCE, has_live_divergence
from scoring.strategies.ups_short.score import WEIGHTS, compute_sub_scores, orderflow_imbalance, sweep
from scoring.strategies.ups_short.settings import UpsSettings

SWEEP = list(WEIGHTS).index("sweep")
IMBALANCE = list(WEIGHTS).index("orderflow_imbalance")
#: sub-scores that a book and trades decide
POLLED = [list(WEIGHTS).index(name) for name in ("liquidity_pressure", "orderflow_imbalance", "sweep")]
#: gates a poll cannot open; pause, guard, burst and cap are left out, so that the leaderboard lives through them
BULK_GATES = ("btc_pump", "discount", "cooldown", "open_signal", "muted", "eligible")


def upper_bound(
    features: FeatureFrame,
    settings: ScoringSettings,
    limits: Limits | None = None,
    open_names: Collection[str] = (),
    *,
    knows_flow: bool = False,
) -> FloatArray:
    """Return the highest UPS that any book, any trades and any live open interest could give on this bulk snapshot.

    Where `knows_flow`, the prints are taken as they are, and who has no fresh ones, or no sweep in them, is not worth a
    look at its book.

    Open interest that is unknown, historical or itself polled counts as 100. That of a venue which has it live and in
    bulk counts as it is, and so does what is borrowed from one, unless a poll could bring the coin a better lender.

    Returns
    -------
    (n,) points, -inf where a gate already fails: stale price, wide spread, BTC pump, open interest, trades that nobody
    publishes, cooldown, open signal, mute, not eligible.
    """
    has_no_trades = _has_no_trades(features)
    sub_scores = compute_sub_scores(features, settings)
    sub_scores[POLLED] = 100.0
    sub_scores[SWEEP, has_no_trades] = 0.0
    if knows_flow:
        sub_scores[SWEEP] = sweep(features.sweep_multiple, features.sweep_age_s, settings.sweep_ttl_s)
        sub_scores[IMBALANCE] = orderflow_imbalance(np.ones(len(features.instruments)), features.taker_sell_share)
    sub_scores[OI_DIVERGENCE, ~_has_settled_open_interest(features)] = 100.0
    bound = add_up(sub_scores, WEIGHTS)
    inputs = GateInputs(
        now_ms=features.now_ms,
        features=features,
        scores=bound,
        levels=compute_levels(features.now_ms, features, settings, Side.SHORT.direction),
        limits=limits or Limits.fresh(),
        open_names=open_names,
        settings=settings,
    )
    checked = check_gates(GATES, inputs)
    # a venue without a bulk bid and ask is priced by its mark: its spread is the last book's, and the next may differ
    has_bulk_spread = features.price != features.mark_price
    fails = ~checked.passed_by(*BULK_GATES, *(("sweep",) if knows_flow else ()))
    fails |= has_bulk_spread & (checked.value_of("spread") >= settings.max_spread_percent)
    fails |= features.missing["price"] != Missing.PRESENT
    fails |= features.now_ms - features.price_ms > 1000 * settings.max_data_age_s
    fails |= (sub_scores[OI_DIVERGENCE] < settings.of(UpsSettings).min_oi_divergence) | has_no_trades
    return np.where(fails, -np.inf, bound.total)


#: the highest UPS that any book and any live open interest could give, the prints being known
hot_bound = partial(upper_bound, knows_flow=True)


def _has_settled_open_interest(features: FeatureFrame) -> BoolArray:
    instruments = features.instruments
    own = np.arange(len(instruments))
    source = np.where(features.borrows_open_interest, features.lender, own)
    is_polled = instruments.publishes_open_interest & ~instruments.has_bulk_open_interest
    may_change_lender = features.borrows_open_interest & instruments.coin.shared_with(is_polled)
    return instruments.has_bulk_open_interest[source] & has_live_divergence(features) & ~may_change_lender


def _has_no_trades(features: FeatureFrame) -> BoolArray:
    # neither its own venue nor any that lists the coin publishes them: no sweep will ever be seen
    return ~features.instruments.coin.shared_with(features.instruments.publishes_trades)
