"""The names under which people look for a coin."""


def symbol_key(symbol: str) -> str:
    """Return what "xlm", "XLMUSDT", "XLM_USDT" and "XLM/USDT:USDT" have in common: "XLM"."""
    letters = "".join(filter(str.isalnum, symbol.upper()))
    return letters.removesuffix("USDT").removesuffix("USDT") or letters
