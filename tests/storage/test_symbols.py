"""The names under which people look for a coin."""

from storage.symbols import symbol_key


def test_a_coin_called_usdt() -> None:
    """USDT alone stays what it is."""
    assert symbol_key("usdt") == "USDT"
