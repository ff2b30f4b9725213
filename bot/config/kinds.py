"""Kinds of values of the bot's own settings; features/declare.py has those of all rooms."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from bot.config.sounds import Mode, QuietHours, parse_quiet_hours
from features.declare import Kind, matching, several
from fetchers.transport.route import DIRECT, SCHEMES


def _url(text: str) -> str:
    parts = urlsplit(text)
    _ = parts.port  # raises ValueError where it is no number
    is_base = parts.scheme in {"http", "https"} and parts.hostname and not parts.query and not parts.fragment
    if not is_base or "@" in parts.netloc:
        raise ValueError
    return text.rstrip("/")


def _stream_url(text: str) -> str:
    scheme = text.partition("://")[0]
    if scheme not in {"ws", "wss"}:
        raise ValueError
    return scheme + _url("http" + text.removeprefix(scheme)).removeprefix("http")


def _page(text: str) -> str:
    parts = urlsplit(text)
    _ = parts.port  # raises ValueError where it is no number
    if parts.scheme not in {"http", "https"} or not parts.hostname or not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError
    return text


def _proxy(text: str) -> str:
    parts = urlsplit(text)
    if text != DIRECT and not (parts.scheme in SCHEMES and parts.hostname and parts.port and not parts.path.strip("/")):
        raise ValueError
    return text


def _path(text: str) -> str:
    try:
        return str(Path(text).expanduser())
    except RuntimeError as error:  # "~nobody"
        raise ValueError from error


def _chats(text: str) -> tuple[str, ...]:
    """The chats in the order given; Telegram knows names in any case, so one in two spellings is one."""
    by_name: dict[str, str] = {}
    for chat in several(matching(_CHAT))(text):
        by_name.setdefault(chat.lower(), chat)
    return tuple(by_name.values())


_USER = "[1-9][0-9]{0,15}"
_CHAT = rf"(-?{_USER}|@[A-Za-z][A-Za-z0-9_]{{4,31}})(:[0-9]+)?"
#: Under these ids write all anonymous admins, all channels, and what a linked channel posts: they name no person.
SHARED_IDS = frozenset({1087968824, 136817688, 777000})


def _user(text: str) -> int:
    user_id = int(matching(_USER)(text))
    if user_id in SHARED_IDS:
        raise ValueError
    return user_id


TEXT = Kind(expected="text", parse=str, is_free=True)
PATH = Kind(expected="a path", parse=_path, is_free=True)
NAME = Kind(expected="a name", parse=matching(r"[\w$-]+"))
HOST = Kind(expected="a host name or an address", parse=matching(r"[\w.:-]+"))
HOSTS = Kind(
    expected="host names, comma separated, without ports",
    parse=several(lambda text: matching(r"[\w.-]+|[0-9a-fA-F:]+")(text).lower()),
    empty=(),
)
URL = Kind(expected="a base URL without a user, such as http://127.0.0.1:8081", parse=_url)
STREAM_URL = Kind(
    expected="a base URL without a user, such as wss://stream.example.com or ws://127.0.0.1:8082", parse=_stream_url
)
PAGE = Kind(expected="a URL such as https://hc-ping.com/your-uuid", parse=_page)
SITE = Kind(expected="a URL such as http://mybox:8080", parse=_page)
PROXY = Kind(
    expected=f"{DIRECT}, or a proxy such as http://host:3128 or socks5://user:password@host:1080", parse=_proxy
)
USER_AGENT = Kind(expected="up to 200 printable ASCII characters", parse=matching(r"[\x20-\x7e]{1,200}"))
LOG_LEVEL = Kind(expected="one of DEBUG, INFO, WARNING, ERROR", parse=matching("DEBUG|INFO|WARNING|ERROR"))
BOT_TOKEN = Kind(expected="digits, a colon and the rest, as @BotFather gives it", parse=matching(r"[0-9]+:[\w-]+"))
WEB_TOKEN = Kind(expected="at least 16 characters without spaces", parse=matching(r"[\x21-\x7e]{16,}"))
CHATS = Kind(
    expected="numeric ids (groups and channels start with -) or @channel, comma separated, chat:thread for a topic",
    parse=_chats,
    empty=(),
)
CHAT = Kind(expected="one of the same kind as in TELEGRAM_CHAT_ID", parse=matching(_CHAT))
USERS = Kind(
    expected="numeric user ids, comma separated, none that Telegram lends to many", parse=several(_user), empty=()
)
QUIET: Kind[QuietHours | None] = Kind(
    expected="a span of the day such as 23:00-07:00", parse=parse_quiet_hours, empty=None
)
MODE = Kind(expected="on, silent or off", parse=lambda text: Mode(text.lower()))
