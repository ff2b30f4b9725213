"""The steps of `check`: the settings, each venue, Telegram and MySQL, one line each."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from loguru import logger
from telegram import Bot
from telegram.error import BadRequest, Forbidden, InvalidToken, TelegramError

from bot.chat.bot_api.application import UNKNOWN_BOT, build_application
from bot.clock import Clock
from bot.config.settings import Config, MySqlSettings
from fetchers.base import ProbedVenue, Venue
from fetchers.deep_check.check import DeepCheck
from fetchers.errors import FetchError
from fetchers.streams.stream_check import StreamCheck, StreamFinding
from fetchers.streams.venue_stream import VenueStream
from fetchers.transport.client import Reply
from fetchers.universe import UniverseSettings, build_universe
from storage.errors import StorageError
from storage.mysql.server import Server, server_version

DEADLINE_S = 15.0
DEEP_DEADLINE_S = 120.0
LONGEST_TEXT = 600  #: of what went wrong
CHECK_DIR = "check"  #: in DATA_DIR: the venues' replies as they came
#: what is kept of a reply's header: who and what answered, and what it counts
HEADERS = ("Content-Type", "Content-Encoding", "Server", "Retry-After", "X-MBX-USED-WEIGHT-1M")


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


async def check_deep(config: Config, venues: Sequence[ProbedVenue], clock: Clock) -> list[Check]:
    """Make every call that the bot makes of each venue, one line each, and keep the replies under DATA_DIR."""
    folder = config.data_dir / CHECK_DIR
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        return [Check(name="replies", is_ok=False, text=f"{folder} cannot be written: {error.strerror}")]
    found = await asyncio.gather(*(_deep(config, venue, clock, folder) for venue in venues))
    return [*(check for checks in found for check in checks), Check(name="replies", is_ok=True, text=f"in {folder}")]


async def _deep(config: Config, venue: ProbedVenue, clock: Clock, folder: Path) -> list[Check]:
    check = DeepCheck(
        venue,
        config.universe,
        refresh_interval_s=config.features.refresh_interval_s,
        now_ms=clock.monotonic_ms,
        sleep=clock.sleep,
        save=Replies(folder, venue.name).save,
    )

    async def run() -> str:
        await venue.open()
        try:
            await check.run()
        finally:
            await venue.close()
        return ""

    ended = await _guarded(venue.name, run, DEEP_DEADLINE_S)
    checks = [
        Check(name=venue.name, is_ok=one.is_ok, text=f"{one.step}: {one.came}; expected {one.expected}")
        for one in check.findings
    ]
    return checks if ended.is_ok else [*checks, ended]


async def check_streams(
    config: Config, venues: Sequence[ProbedVenue], streams: Mapping[str, VenueStream], clock: Clock, seconds: float
) -> list[Check]:
    """Listen to each venue's trade stream for so long; a line a connection, and one of the prints."""
    listened = [(venue, streams[venue.name]) for venue in venues if venue.name in streams]
    found = await asyncio.gather(*(_streams(config, venue, stream, clock, seconds) for venue, stream in listened))
    return [check for checks in found for check in checks]


async def _streams(
    config: Config, venue: ProbedVenue, stream: VenueStream, clock: Clock, seconds: float
) -> list[Check]:
    check = StreamCheck(venue, stream, config.universe, now_ms=clock.monotonic_ms, sleep=clock.sleep)
    found: list[StreamFinding] = []

    async def run() -> str:
        found.extend(await check.run(seconds))
        return ""

    ended = await _guarded(venue.name, run, DEADLINE_S + seconds)
    checks = [Check(name=venue.name, is_ok=one.is_ok, text=one.text) for one in found]
    return checks if ended.is_ok else [*checks, ended]


class Replies:
    """The replies of one venue as files, those of an earlier check replaced; they hold no secret, for none is sent."""

    def __init__(self, folder: Path, venue: str) -> None:
        self._folder, self._venue, self._count = folder, venue, 0
        for old in folder.glob(f"{venue}-*"):
            old.unlink()

    def save(self, step: str, reply: Reply) -> None:
        """Write a reply's body to a file of its own, and where it came from to the list of all."""
        self._count += 1
        what = "-".join(re.findall(r"\w+", step))
        file = self._folder / f"{self._venue}-{self._count:02d}-{what}.{'txt' if reply.json is None else 'json'}"
        file.write_bytes(reply.body)
        headers = {name: reply.headers[name] for name in HEADERS if name in reply.headers}
        line = {"file": file.name, "path": reply.path, "status": reply.status, "headers": headers}
        line |= {"sent_ms": reply.sent_ms, "received_ms": reply.received_ms}
        with (self._folder / f"{self._venue}-replies.jsonl").open("ab") as replies:
            replies.write(orjson.dumps(line) + b"\n")


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
    bot = build_application(config.telegram.bot_token, config.telegram.api_url, route=config.route).bot
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


async def _guarded(name: str, check: Callable[[], Awaitable[str]], deadline_s: float = DEADLINE_S) -> Check:
    try:
        async with asyncio.timeout(deadline_s):
            return Check(name=name, is_ok=True, text=await check())
    except TimeoutError:
        return Check(name=name, is_ok=False, text=f"no answer within {deadline_s:.0f} s")
    except InvalidToken:
        return Check(name=name, is_ok=False, text=UNKNOWN_BOT)  # PTB's own text shows the token
    except (FetchError, StorageError, TelegramError) as error:
        return Check(name=name, is_ok=False, text=f"failed: {error}"[:LONGEST_TEXT])
    except Exception as error:  # noqa: BLE001 - whatever fails in one step, the others are still made
        logger.opt(exception=error).debug("check of {} failed", name)
        return Check(name=name, is_ok=False, text=f"failed: {type(error).__name__}: {error}"[:LONGEST_TEXT])


def _changed(config: Config) -> str:
    changed = config.changed()
    return f"good; not at their default: {', '.join(changed)}" if changed else "good, all at their default"
