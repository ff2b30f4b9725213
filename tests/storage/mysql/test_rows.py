"""Values on their way to MySQL keep what it can hold of them."""

from decimal import Decimal
from typing import Any

import pytest

from scoring.signals import ExitReason, Fill
from storage.following import outcome_to_row
from storage.mysql.rows import COLUMNS, history_of_outcome, history_of_signal, upsert
from storage.signals import signal_to_row
from tests.storage.builders import make_levels, make_outcome, make_signal


def the(table: str, rows: Any) -> dict[str, Any]:
    """Return the only row of a table, by column."""
    ((_, values),) = [row for row in rows if row[0] == table]
    return dict(zip(COLUMNS[table], values, strict=True))


@pytest.mark.parametrize("price", [1e-9, 1.2345e-05, 0.1 + 0.2, 99999.5, 1e17, 12345678901234567.0])
def test_prices_are_written_out(price: float) -> None:
    """A price is text without an exponent, which MySQL would take for a double, and with every digit of the float."""
    signal = the("signals", history_of_signal(signal_to_row(make_signal(levels=make_levels(entry=price)))))
    assert "e" not in signal["entry"].lower()
    assert Decimal(signal["entry"]) == Decimal(repr(price))
    assert float(signal["entry"]) == price


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_no_value_is_null(value: float) -> None:
    """NaN and the infinities, which MySQL does not know, are NULL."""
    signal = make_signal(levels=make_levels(entry=value, break_even_win_rate=value))
    row = the("signals", history_of_signal(signal_to_row(signal)))
    assert (row["entry"], row["break_even_win_rate"]) == (None, None)


def test_an_exit_nobody_could_enter() -> None:
    """Without a reachable entry its columns are NULL."""
    row = the("exits", history_of_outcome(outcome_to_row(make_outcome(reachable=None))))
    assert [row[name] for name in COLUMNS["exits"] if name.startswith("reachable")] == [None] * 4


def test_each_target_and_what_it_closed() -> None:
    """A row a target with its share, and a row a share that was closed; the plan is among the features."""
    levels = make_levels(take_profits=(0.0000122, 0.000012), shares=(0.6, 0.4))
    rows = list(history_of_signal(signal_to_row(make_signal(levels=levels, plan={"entry1": 0.5}))))
    targets = [values for table, values in rows if table == "signal_targets"]
    assert targets == [(1, 1, "0.0000122", 0.6), (1, 2, "0.000012", 0.4)]
    assert ("signal_features", (1, "plan", "entry1", 0.5)) in rows
    fill = Fill(share=0.6, price=0.0000122, time_ms=1_500, reason=ExitReason.TAKE_PROFIT)
    filled = the("exit_fills", history_of_outcome(outcome_to_row(make_outcome(fills=(fill,)))))
    assert filled == {
        "signal_id": 1,
        "place": 1,
        "share": 0.6,
        "price": "0.0000122",
        "filled_at": "1970-01-01 00:00:01.500",
        "reason": "take_profit",
    }


def test_an_upsert_names_every_column() -> None:
    """A row that is there already gets all its values anew."""
    assert upsert("near_misses").count(" = VALUES(") == len(COLUMNS["near_misses"])
