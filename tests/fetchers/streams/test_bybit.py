"""Bybit's frames."""

import orjson
import pytest

from fetchers.streams.bybit import WIRE
from tests.builders import NOW_MS
from tests.fetchers.streams.frames import public_trade, read


def test_trades_of_a_message() -> None:
    """Oldest first, S is the taker's side, block trades are left out but show that the topic is alive."""
    heard = read("bybit", public_trade({}, {"i": "b", "S": "Buy", "p": "16578.60"}, {"i": "c", "BT": True}))
    assert heard.symbols == ("BTCUSDT", "BTCUSDT")
    assert heard.price.tolist() == [16578.5, 16578.6]
    assert heard.is_taker_sell.tolist() == [True, False]
    assert len(set(heard.ids.tolist())) == 2
    assert heard.sent_ms.tolist() == [NOW_MS - 20]
    assert heard.unreadable == 0
    assert read("bybit", public_trade({"BT": True})).heard == {"BTCUSDT"}


@pytest.mark.parametrize("changed", [{"p": "x"}, {"v": "-1"}, {"S": "SELL"}, {"i": 7}, {"T": None}, {"s": "ETHUSDT"}])
def test_a_row_that_is_no_print(changed: dict[str, object]) -> None:
    """It is counted and costs only itself; a row of another symbol too."""
    heard = read("bybit", public_trade(changed, {"i": "b"}))
    assert (len(heard.symbols), heard.unreadable) == (1, 1)


def test_answers() -> None:
    """One bad or repeated topic fails all that were asked for with it, and is named."""
    accepted, unknown, repeated = read(
        "bybit",
        {"success": True, "ret_msg": "", "conn_id": "x", "req_id": "1", "op": "subscribe"},
        {"success": False, "ret_msg": "error:handler not found,topic:publicTrade.NOPEUSDT", "req_id": "2"},
        {"success": False, "ret_msg": "error:already subscribed,topic:publicTrade.BTCUSDT", "req_id": "3"},
    ).answers
    assert (accepted.request, accepted.error) == (1, "")
    assert (unknown.request, unknown.symbol, unknown.is_repeated) == (2, "NOPEUSDT", False)
    assert (repeated.request, repeated.symbol, repeated.is_repeated) == (3, "BTCUSDT", True)


def test_both_shapes_of_a_pong() -> None:
    """As documented, and as other products of Bybit answer."""
    assert read("bybit", {"success": True, "ret_msg": "pong", "conn_id": "x", "req_id": "", "op": "ping"}).has_pong
    assert read("bybit", {"op": "pong"}).has_pong


def test_messages() -> None:
    """As documented."""
    assert orjson.loads(WIRE.subscribe([WIRE.topic("BTCUSDT")], 7)) == {
        "req_id": "7",
        "op": "subscribe",
        "args": ["publicTrade.BTCUSDT"],
    }
    assert orjson.loads(WIRE.ping) == {"op": "ping"}
