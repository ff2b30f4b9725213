"""Signals as the table that is judged."""

import math

import pytest

from bot.core.evidence import table_of
from scoring.signals import Arm, Result, Unreachable
from tests.storage.builders import DECIDED_MS, make_outcome, make_signal


def test_the_table() -> None:
    """By time; points but of missing parts; R net and gross in one planned risk; controls under their alert."""
    second = make_signal(2, coin="PEPE", contributions={"sweep": 9.0, "funding": 2.0}, missing={})
    first = make_signal(1)
    result = Result(entry=0.000012345, gross_percent=1.6, net_percent=1.5, r=1.5 / 0.802)
    closed = [(second, make_outcome(2, unreachable=Unreachable.NOT_SEEN)), (first, make_outcome(1, ideal=result))]
    rows = table_of(closed, [(1, Arm.OTHER_TIME, -1.0), (1, Arm.OTHER_TIME, 0.5), (9, Arm.OTHER_TIME, 3.0)], {"sweep"})
    assert rows.decided_ms.tolist() == [DECIDED_MS + 1000, DECIDED_MS + 2000]
    assert rows.coin.tolist() == ["XLM", "PEPE"]
    assert rows.part_names == ("sweep", "funding")
    assert rows.parts[0, 0] == 12.0
    assert math.isnan(rows.parts[0, 1])  # missing: it counted nothing, which is no low score
    assert rows.parts[1].tolist() == [9.0, 2.0]
    assert rows.is_approximate.tolist() == [[True, False]] * 2
    assert rows.has_result.tolist() == [True, False]
    assert rows.gross_r[0] / rows.net_r[0] == pytest.approx(1.6 / 1.5, rel=2e-3)
    assert list(rows.controls) == ["other_time"]
    assert rows.controls["other_time"][0].tolist() == [-1.0, 0.5]
    assert all(map(math.isnan, rows.controls["other_time"][1]))


def test_no_signal() -> None:
    """An empty table, not an error."""
    assert len(table_of([])) == 0
