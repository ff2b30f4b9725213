"""`bot check`: is everything that was configured there, before anyone relies on it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass

from loguru import logger
from telegram import Bot
from telegram.error import BadRequest, Forbidden, InvalidToken, TelegramError

from bot.config import Config, MySqlSettings
from bot.phone.telegram_edge import UNKNOWN_BOT, build_application
from fetchers.base import Venue
from fetchers.errors import FetchError
from fetchers.universe import UniverseSettings, build_universe
from storage.errors import StorageError
from storage.mysql import Server, server_version

DEADLINE_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the report."""

    name: str
    is_ok: bool
    text: str


async def check_all(config: Config, venues: Sequence[Venue], universe: UniverseSettings) -> list[Check]:
    """Check the venues side by side, then Telegram and MySQL."""
    checks = [_guarded(venue.name, lambda venue=venue: check_venue(venue, universe)) for venue in venues]  # type: ignore[misc]
    checks.append(_guarded("telegram", lambda: check_telegram(config)))
    checks.append(_guarded("mysql", lambda: check_mysql(config.mysql)))
    return [Check(name="settings", is_ok=True, text=_changed(config)), *await asyncio.gather(*checks)]


async def check_venue(venue: Venue, universe: UniverseSettings) -> str:
    """Load the venue's markets and quotes and say what became of them."""
    await venue.open()
    try:
        listings = await venue.load_markets()
        clock = await venue.measure_clock()
        quotes = await venue.fetch_quotes()
    finally:
        await venue.close()
    found = build_universe({venue.name: listings}, {venue.name: quotes}, universe)
    dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(found.dropped[venue.name].items()))
    return (
        f"reachable, {len(found.instruments)} of {len(listings)} instruments kept; dropped: {dropped or 'none'}; "
        f"clock {clock.offset_ms:+.0f} ms, round trip {clock.round_trip_ms:.0f} ms"
    )


async def check_telegram(config: Config) -> str:
    """Ask Telegram who the bot is and whether it knows the chats."""
    if not config.telegram.bot_token:
        return "not configured, alerts go to the terminal"
    bot = build_application(config.telegram.bot_token, config.telegram.api_url).bot
    try:
        await bot.initialize()
        titles = [await _title(bot, chat_id) for chat_id in config.telegram.chat_ids]
        if not titles:
            return (
                f"@{bot.username}, no chat yet: run the bot and send it /start with the code it shows in the terminal"
            )
        return f"@{bot.username}, chats: {', '.join(titles)}"
    finally:
        await bot.shutdown()


async def _title(bot: Bot, chat_id: str) -> str:
    try:
        chat = await bot.get_chat(chat_id.partition(":")[0])
    except (BadRequest, Forbidden) as error:
        hint = "press Start in the chat with the bot, or add it to the group or channel"
        raise TelegramError(f"chat {chat_id}: {error}; {hint}") from error
    return f"{chat.effective_name or chat.type} ({chat_id})"


async def check_mysql(settings: MySqlSettings | None) -> str:
    """Log in."""
    if settings is None:
        return "not configured"

    return f"reachable, {await asyncio.to_thread(server_version, Server(**asdict(settings)))}"


async def _guarded(name: str, check: Callable[[], Awaitable[str]]) -> Check:
    try:
        async with asyncio.timeout(DEADLINE_S):
            return Check(name=name, is_ok=True, text=await check())
    except TimeoutError:
        return Check(name=name, is_ok=False, text=f"no answer within {DEADLINE_S:.0f} s")
    except InvalidToken:
        return Check(name=name, is_ok=False, text=UNKNOWN_BOT)  # PTB's own text shows the token
    except (FetchError, StorageError, TelegramError) as error:
        return Check(name=name, is_ok=False, text=f"failed: {error}")
    except Exception as error:  # noqa: BLE001 - whatever ails one part, the others are still told of
        logger.opt(exception=error).debug("check of {} failed", name)
        return Check(name=name, is_ok=False, text=f"failed: {type(error).__name__}: {error}")


def _changed(config: Config) -> str:
    changed = config.changed()
    return f"good; not at their default: {', '.join(changed)}" if changed else "good, all at their default"
