"""The web app of a bot, as bot/services.py builds it, and rows of a leaderboard larger than any simulated market's."""

import random
from typing import Any

from aiohttp import web

from bot.web.app import build_app
from bot.wiring import Bot


def app_of(bot: Bot) -> web.Application:
    """Return the web app over a whole bot."""
    hosts, metrics = bot.config.http.hosts, bot.metrics.exposition
    return build_app(bot.live_status, bot.store, bot.access, bot.live, hosts, metrics=metrics)


PARTS = {"open_interest": 25, "flow": 20, "ask_share": 15, "wall": 10, "exhaustion": 10, "momentum": 10, "funding": 10}


def whole_universe(count: int) -> list[dict[str, Any]]:
    """Return the rows of /api/markets for so many pairs, best first; no two have as many points of any part."""
    draw = random.Random(5)
    rows = []
    for i in range(count):
        contributions = {name: draw.random() * weight for name, weight in PARTS.items()}
        rows.append(
            {
                "venue": ("binance", "bybit", "mexc", "lbank")[i % 4],
                "id": f"C{i}USDT",
                "coin": f"C{i}",
                "pair": f"C{i}/USDT",
                "score": sum(contributions.values()),
                "price": 10 ** draw.uniform(-7, 4),
                "spread_bps": draw.random() * 30,
                "tick_size": 10.0 ** -draw.randrange(9),
                "contributions": contributions,
            }
        )
    return sorted(rows, key=lambda row: -row["score"])
