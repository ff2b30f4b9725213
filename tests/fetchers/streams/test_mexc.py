"""MEXC's frames."""

import orjson
import pytest

from fetchers.streams.mexc import WIRE
from tests.builders import NOW_MS
from tests.fetchers.streams.frames import DEAL, deals, read


def test_deals_are_contracts() -> None:
    """They become base coin, by each contract's size; T 2 is a taker who sold."""
    heard = read("mexc", deals({}, {"T": 1}), deals({"v": 3}, symbol="PEPE_USDT"))
    assert heard.symbols == ("BTC_USDT", "BTC_USDT", "PEPE_USDT")
    assert heard.quantity.tolist() == pytest.approx([4e-4, 4e-4, 3e7])
    assert heard.is_taker_sell.tolist() == [True, False, True]
    assert heard.venue_ms.tolist() == [NOW_MS - 30] * 3
    assert len(set(heard.ids.tolist()[:2])) == 2


def test_a_list_or_an_object() -> None:
    """Frames held one deal until August 2025."""
    heard = read("mexc", deals() | {"data": DEAL})
    assert (heard.symbols, heard.unreadable) == (("BTC_USDT",), 0)


def test_a_self_trade_is_no_flow() -> None:
    """As in the REST replies; the topic is alive."""
    heard = read("mexc", deals({"M": 1}))
    assert (len(heard.symbols), set(heard.heard), heard.unreadable) == (0, {"BTC_USDT"}, 0)


@pytest.mark.parametrize("changed", [{"p": -1}, {"v": None}, {"T": 3}, {"T": "2"}, {"t": 0}, {"p": [1]}])
def test_a_row_that_is_no_print(changed: dict[str, object]) -> None:
    """It is counted and costs only itself."""
    heard = read("mexc", deals(changed, {"v": 9}))
    assert (len(heard.symbols), heard.unreadable) == (1, 1)


def test_a_contract_without_a_size() -> None:
    """How much was traded is not known: no print."""
    assert read("mexc", deals(symbol="NEW_USDT")).symbols == ()


def test_answers() -> None:
    """An acceptance names nothing, a refusal the contract."""
    accepted, refused = read(
        "mexc",
        {"channel": "rs.sub.deal", "data": "success", "ts": NOW_MS},
        {"channel": "rs.error", "data": "Contract [NOPE_USDT] not exists", "ts": NOW_MS},
    ).answers
    assert (accepted.request, accepted.error) == (None, "")
    assert (refused.error, refused.symbol) == ("Contract [NOPE_USDT] not exists", "NOPE_USDT")


def test_messages() -> None:
    """One contract a frame."""
    assert orjson.loads(WIRE.subscribe(["BTC_USDT"], 7)) == {"method": "sub.deal", "param": {"symbol": "BTC_USDT"}}
    assert orjson.loads(WIRE.ping) == {"method": "ping"}
