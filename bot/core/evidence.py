"""Signals that have ended, and the controls that were drawn with them, as the table that scoring/evidence judges."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from features.facts.market import FloatArray
from scoring.evidence.rows import Rows
from scoring.records import Row
from scoring.signals import Arm, Signal


def table_of(
    closed: Iterable[Row], controls: Iterable[tuple[int, Arm, float]] = (), approximate: Collection[str] = ()
) -> Rows:
    """Return the rows of signals of one strategy, by time.

    `controls` are (alert's id, arm, R); `approximate` are the parts that the history gives only nearly. Gates that all
    of them passed tell nothing and are left out.
    """
    closed = sorted(closed, key=lambda row: (row[0].decided_ms, row[0].id))
    signals, outcomes = [row[0] for row in closed], [row[1] for row in closed]
    names = tuple(dict.fromkeys(name for signal in signals for name in signal.contributions))
    net = [math.nan if one.reachable is None else one.reachable.r for one in outcomes]
    gross = [
        math.nan if one.reachable is None else one.reachable.gross_percent / _risk_percent(signal)
        for signal, one in closed
    ]
    of_each = [{verdict.name for verdict in one.verdicts if verdict.passed} for one in signals]
    every = [verdict.name for one in signals for verdict in one.verdicts]
    gates = tuple(gate for gate in dict.fromkeys(every) if any(gate not in passed for passed in of_each))
    return Rows(
        decided_ms=np.array([one.decided_ms for one in signals], np.int64),
        coin=np.array([one.coin for one in signals], np.str_),
        score=np.array([one.score for one in signals], float),
        gross_r=np.array(gross, float),
        net_r=np.array(net, float),
        part_names=names,
        parts=np.array([[_points(one, name) for name in names] for one in signals], float).reshape(
            len(signals), len(names)
        ),
        gate_names=gates,
        gates=np.array([[gate in passed for gate in gates] for passed in of_each], bool).reshape(
            len(signals), len(gates)
        ),
        is_approximate=np.tile([name in approximate for name in names], (len(signals), 1)).astype(bool),
        controls=_controls_of(signals, controls),
    )


def _risk_percent(signal: Signal) -> float:
    # the same planned risk that R is counted in
    return 100 * abs(signal.levels.stop - signal.levels.entry) / signal.levels.entry


def _points(signal: Signal, name: str) -> float:
    return math.nan if name in signal.missing else signal.contributions.get(name, math.nan)


def _controls_of(signals: Sequence[Signal], controls: Iterable[tuple[int, Arm, float]]) -> dict[str, FloatArray]:
    drawn: dict[Arm, dict[int, list[float]]] = {arm: defaultdict(list) for arm in Arm}
    for signal_id, arm, r in controls:
        drawn[arm][signal_id].append(r)
    return {
        arm.value: np.array([_padded(by_signal[one.id], by_signal) for one in signals], float).reshape(len(signals), -1)
        for arm, by_signal in drawn.items()
        if by_signal
    }


def _padded(found: Sequence[float], by_signal: dict[int, list[float]]) -> list[float]:
    most = max(map(len, by_signal.values()))
    return [*found, *[math.nan] * (most - len(found))]
