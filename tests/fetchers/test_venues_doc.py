"""docs/venues.md names every path that the venues are asked by, and every code that they are understood by."""

from pathlib import Path

import pytest

from fetchers.venues import binance, bybit, lbank, mexc

DOC = (Path(__file__).parents[2] / "docs" / "venues.md").read_text()
PATHS = [
    value
    for venue in (binance, bybit, lbank)
    for name, value in vars(venue).items()
    if name.isupper() and isinstance(value, str) and value.startswith("/")
]


@pytest.mark.parametrize(
    "path", [*PATHS, *mexc.LISTS, *(f"{mexc.PREFIX}/{name}" for name in ("ticker", "depth", "kline"))]
)
def test_paths(path: str) -> None:
    """Each path is in the tables, beneath the beginning that MEXC's and LBank's share."""
    short = path.removeprefix(mexc.PREFIX).removeprefix("/cfd/openApi/v1/pub")
    assert f"`{short}" in DOC


@pytest.mark.parametrize(
    "code",
    [
        *(*binance.UNKNOWN_SYMBOLS, binance.TOO_MUCH_WEIGHT),
        *(*bybit.COUNTRY, *bybit.BUSY, bybit.IP_LIMIT, bybit.TOO_MANY_VISITS, bybit.PARAMETERS, bybit.UNKNOWN_SYMBOL),
        *(mexc.TOO_FREQUENT, mexc.UNKNOWN_CONTRACT),
        *(*lbank.TOO_FREQUENT, lbank.UNKNOWN_CONTRACT),
    ],
)
def test_codes(code: int) -> None:
    """Each code is in the table of refusals."""
    assert str(code) in DOC
