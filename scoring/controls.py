"""The control group: what chance makes of the same side, levels and exits, so that a record has something beside it.

Two controls are drawn with each alert: another instrument of its venue at its time, and its instrument at a time of the
day that follows. What is drawn follows from the alert and the features alone, so a replay draws the same.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from features.facts.market import BoolArray
from features.frame import FeatureFrame
from features.missing import Missing
from scoring.gates import ENTRY_GATES, GateFrame, GateInputs, check_gates
from scoring.levels import levels_at
from scoring.settings import ScoringSettings
from scoring.signals import Arm, Control, ExitReason, Limits, Outcome, Signal
from scoring.strategies.base import Strategy

DAY_MS = 86_400_000
LATE_MS = 60_000  #: how long after its time a control may still begin
IDS_PER_SIGNAL = 10  #: the controls of alert 7 are 71 and 72


def draw_controls(signal: Signal, inputs: GateInputs, checked: GateFrame) -> Iterator[Control]:
    """Yield the controls of a signal that was just decided on these inputs, of which the gates said `checked`.

    Chance is uniform over the instruments that could be entered (fresh price, spread, stop and target as the gates
    want them), but for the signal's coin, and over the milliseconds of a day.
    """
    instruments, is_possible = inputs.features.instruments, _could_enter(signal, inputs, checked)
    is_here, is_same_coin = instruments.venue.is_named(signal.venue), instruments.coin.is_named(signal.coin)
    columns = np.flatnonzero(is_possible & instruments.is_eligible & is_here & ~is_same_coin)
    drawn = _control(signal, Arm.OTHER_INSTRUMENT)
    if columns.size:
        by_id = columns[instruments.id_rank[columns].argsort()]
        column = int(by_id[int(len(by_id) * _uniform(signal, drawn.arm))])
        one = instruments[column]
        yield replace(
            drawn,
            instrument_id=one.id,
            coin=one.coin,
            pair=one.pair,
            tick_size=one.tick_size,
            levels=levels_at(inputs.levels, column, one.tick_size),
        )
    later = _control(signal, Arm.OTHER_TIME)
    yield replace(later, decided_ms=signal.decided_ms + 1 + int(DAY_MS * _uniform(signal, later.arm)))


def begin_control(
    control: Control,
    signal: Signal,
    features: FeatureFrame,
    column: int | None,
    settings: ScoringSettings,
    strategy: Strategy | None,
) -> Control | Outcome | None:
    """Return a control whose time has come with its levels, None while it cannot be entered, and its end after that.

    `column` is the instrument's in the features, None where it is not among them; `strategy` is the alert's, None where
    it runs no more.
    """
    is_late = features.now_ms - control.decided_ms > LATE_MS
    if column is not None and strategy is not None and not is_late:
        inputs = GateInputs(
            now_ms=features.now_ms,
            features=features,
            scores=strategy.score(features, settings),
            levels=strategy.levels(features.now_ms, features, settings),
            limits=Limits.fresh(),
            open_names=(),
            settings=settings,
        )
        if not _could_enter(signal, inputs, check_gates(strategy.gates, inputs))[column]:
            return None
        tick_size = features.instruments[column].tick_size
        return replace(
            control,
            decided_ms=features.now_ms,
            tick_size=tick_size,
            levels=levels_at(inputs.levels, column, tick_size),
        )
    return _never_begun(control) if is_late else None


def as_signal(control: Control, signal: Signal) -> Signal:
    """Return a control that has begun as the signal that it is followed as; `signal` is the alert it belongs to."""
    assert control.levels is not None, "it has begun"
    return replace(
        signal,
        id=control.id,
        venue=control.venue,
        instrument_id=control.instrument_id,
        coin=control.coin,
        pair=control.pair,
        tick_size=control.tick_size,
        decided_ms=control.decided_ms,
        levels=control.levels,
    )


def _control(signal: Signal, arm: Arm) -> Control:
    return Control(
        id=IDS_PER_SIGNAL * signal.id + 1 + list(Arm).index(arm),
        signal_id=signal.id,
        arm=arm,
        decided_ms=signal.decided_ms,
        venue=signal.venue,
        instrument_id=signal.instrument_id,
        coin=signal.coin,
        pair=signal.pair,
        tick_size=signal.tick_size,
        levels=None,
    )


def _uniform(signal: Signal, arm: Arm) -> float:
    # [0…1) from what makes the signal itself: nothing has to be kept, and no other draw shifts this one
    seed = f"{arm} {signal.strategy} {signal.venue} {signal.instrument_id} {signal.decided_ms}"
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:6]) / 2**48


def _could_enter(signal: Signal, inputs: GateInputs, checked: GateFrame) -> BoolArray:
    """Return which instruments could be entered on the signal's side, whatever their scores, (n,)."""
    of_entries = {gate.name for gate in ENTRY_GATES}
    passed = checked.passed_by(*(gate.name for gate in checked.gates if gate.name in of_entries))
    is_fresh = inputs.features.missing["price"] == Missing.PRESENT
    return np.asarray(passed & is_fresh & (inputs.levels.direction == signal.side.direction))


def _never_begun(control: Control) -> Outcome:
    return Outcome(
        signal_id=control.id,
        reason=ExitReason.NOT_KNOWN,
        exit_ms=control.decided_ms + LATE_MS,
        fill=float("nan"),
        ideal=None,
        reachable=None,
        mae_percent=0.0,
        mfe_percent=0.0,
        held_s=0.0,
        is_ambiguous=False,
        note="it could not be entered at its time",
    )
