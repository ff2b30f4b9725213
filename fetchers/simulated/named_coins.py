"""Real coins and rows whose names, multipliers or kinds are easily misread (docs/venues.md), by venue."""

from enum import Enum


class ListingKind(Enum):
    """The kind of a listing; only PERPETUAL is for the bot."""

    PERPETUAL = "perpetual"
    STOCK = "stock"
    COMMODITY = "commodity"
    SUSPENDED = "suspended"  #: settling, closed or paused: its prices do not move
    PENDING = "pending"  #: listed, not trading yet
    DELIVERY = "delivery"
    USDC = "usdc"
    INVERSE = "inverse"


# Real names with the traps of docs/venues.md: coin, price, and by venue (base, coins per base, contract size).
NAMED: tuple[tuple[str, float, dict[str, tuple[str, float, float]]], ...] = (
    (
        "PEPE",
        1.1e-5,
        {
            "binance": ("1000PEPE", 1e3, 1),
            "bybit": ("1000PEPE", 1e3, 1),
            "mexc": ("PEPE", 1, 1e7),
            "lbank": ("1000PEPE", 1e3, 1),
        },
    ),
    (
        "SHIB",
        1.6e-5,
        {
            "binance": ("1000SHIB", 1e3, 1),
            "bybit": ("SHIB1000", 1e3, 1),
            "mexc": ("SHIB", 1, 1000),
            "lbank": ("1000SHIB", 1e3, 1),
        },
    ),
    ("SATS", 3.2e-8, {"binance": ("1000SATS", 1e3, 1), "bybit": ("10000SATS", 1e4, 1), "lbank": ("1000SATS", 1e3, 1)}),
    (
        "MOG",
        1.2e-6,
        {"binance": ("1000000MOG", 1e6, 1), "bybit": ("1000000MOG", 1e6, 1), "mexc": ("1000000MOG", 1e6, 10)},
    ),
    ("BABYDOGE", 1.5e-9, {"bybit": ("1000000BABYDOGE", 1e6, 1), "lbank": ("1000000BABYDOGE", 1e6, 1)}),
    ("BONK", 1.8e-5, {"binance": ("1000BONK", 1e3, 1), "mexc": ("1000BONK", 1e3, 100)}),
    ("GAS", 3.21, {"binance": ("GAS", 1, 1), "mexc": ("GAS", 1, 0.1)}),  # ccxt renames MEXC's to GASDAO
    ("EDGE", 0.83, {"lbank": ("EDGEX", 1, 1), "bybit": ("EDGE", 1, 1)}),  # LBank shows it as EDGE
    ("NEIRO", 1.13e-3, {"binance": ("NEIRO", 1, 1), "bybit": ("NEIRO", 1, 1)}),
    ("NEIRO", 4.07e-4, {"mexc": ("NEIRO", 1, 1000)}),  # the same ticker, another coin
    ("币安人生", 0.142, {"binance": ("币安人生", 1, 1)}),
)
# Rows that are not for the bot: (coin, price, kind, {venue: (id, base, quote)}).
ODD: tuple[tuple[str, float, ListingKind, dict[str, tuple[str, str, str]]], ...] = (
    (
        "TSLA",
        412.5,
        ListingKind.STOCK,
        {
            "binance": ("TSLAUSDT", "TSLA", "USDT"),
            "bybit": ("TSLAUSDT", "TSLA", "USDT"),
            "mexc": ("TESLA_USDT", "TESLA", "USDT"),
            "lbank": ("TSLAUSDT", "TSLA", "USDT"),
        },
    ),
    (
        "XAU",
        2650.0,
        ListingKind.COMMODITY,
        {
            "binance": ("XAUUSDT", "XAU", "USDT"),
            "bybit": ("XAUUSDT", "XAU", "USDT"),
            "mexc": ("GOLD_USDT", "GOLD", "USDT"),
            "lbank": ("GOLDUSDT", "GOLD", "USDT"),
        },
    ),
    (
        "OLDIE",
        0.0123,
        ListingKind.SUSPENDED,
        {
            "binance": ("OLDIEUSDT", "OLDIE", "USDT"),
            "bybit": ("OLDIEUSDT", "OLDIE", "USDT"),
            "mexc": ("OLDIE_USDT", "OLDIE", "USDT"),
            "lbank": ("OLDIEUSDT", "OLDIE", "USDT"),
        },
    ),
    (
        "NEWBIE",
        0.77,
        ListingKind.PENDING,
        {"binance": ("NEWBIEUSDT", "NEWBIE", "USDT"), "bybit": ("NEWBIEUSDT", "NEWBIE", "USDT")},
    ),
    (
        "BTC",
        0,
        ListingKind.DELIVERY,
        {"binance": ("BTCUSDT_261225", "BTC", "USDT"), "bybit": ("BTCUSDT-25DEC26", "BTC", "USDT")},
    ),
    (
        "BTC",
        0,
        ListingKind.USDC,
        {
            "binance": ("BTCUSDC", "BTC", "USDC"),
            "bybit": ("BTCPERP", "BTC", "USDC"),
            "mexc": ("BTC_USDC", "BTC", "USDC"),
        },
    ),
    ("BTC", 0, ListingKind.INVERSE, {"mexc": ("BTC_USD", "BTC", "USD")}),
)
