"""The web app of a bot, as bot/services.py builds it."""

from aiohttp import web

from bot.web.app import build_app
from bot.wiring import Bot


def app_of(bot: Bot) -> web.Application:
    """Return the web app over a whole bot."""
    hosts, metrics = bot.config.http.hosts, bot.metrics.exposition
    return build_app(bot.live_status, bot.store, bot.access, bot.live, hosts, metrics=metrics)
