"""The table of everything a user can set: config.py reads it, `.env.example` and README.md are printed from it.

Defaults are written as a user would write them, so they go through the same parsers as the user's own.
"""

import re
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bot.chat.delivery.sounds import Mode, parse_quiet_hours
from features.facts.venues import VENUES
from fetchers.transport.route import DIRECT, SCHEMES
from scoring.strategies import STRATEGIES

EXCHANGES = tuple(VENUES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a setting takes: `parse` raises ValueError where the text is not what `expected` says."""

    expected: str
    parse: Callable[[str], Any]
    empty: Any = ""  #: the value of a setting that is not set
    is_free: bool = False  #: any text will do, so what looks like a comment behind it may be part of it


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table."""

    name: str
    default: str  #: "" is not set
    kind: Kind
    unit: str
    fields: tuple[str, ...]  #: where the value goes, e.g. "features.oi_window_s"; () where config.py knows better
    help: str
    is_secret: bool = False  #: never shown, and may be given as the path of a file in NAME_FILE

    def parse(self, text: str) -> Any:
        """Return the value of `text`, or raise ValueError."""
        return self.kind.parse(text) if text else self.kind.empty


def _plain(text: str) -> str:
    """Refuse what only Python takes for a number: "8_080", digits of other scripts."""
    if "_" in text or not text.isascii():
        raise ValueError
    return text


def _number(low: float, high: float) -> Kind:
    def parse(text: str) -> float:
        value = float(_plain(text))
        if not low <= value <= high:
            raise ValueError
        return value

    return Kind(expected=f"a number from {low:.15g} to {high:.15g}", parse=parse)


def _whole(low: int, high: int) -> Kind:
    def parse(text: str) -> int:
        value = int(_plain(text))
        if not low <= value <= high:
            raise ValueError
        return value

    return Kind(expected=f"a whole number from {low} to {high}", parse=parse)


def _matching(pattern: str, make: Callable[[str], Any] = str) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError
        return make(text)

    return parse


def _several(parse_one: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """A comma separated list, in the order given and without repetitions."""
    return lambda text: tuple(dict.fromkeys(parse_one(part.strip()) for part in text.split(",")))


def _flag(text: str) -> bool:
    if text.lower() in {"on", "true", "yes", "1"}:
        return True
    if text.lower() in {"off", "false", "no", "0"}:
        return False
    raise ValueError


def _url(text: str) -> str:
    parts = urlsplit(text)
    _ = parts.port  # raises ValueError where it is no number
    is_base = parts.scheme in {"http", "https"} and parts.hostname and not parts.query and not parts.fragment
    if not is_base or "@" in parts.netloc:
        raise ValueError
    return text.rstrip("/")


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
    for chat in _several(_matching(_CHAT))(text):
        by_name.setdefault(chat.lower(), chat)
    return tuple(by_name.values())


def _time_zone(text: str) -> str:
    try:
        return zoneinfo.ZoneInfo(text).key
    except (zoneinfo.ZoneInfoNotFoundError, OSError) as error:  # OSError: "Europe" is a directory
        raise ValueError from error


def _by_venue(low: float, high: float, default: float) -> Callable[[str], dict[str, float]]:
    """Parse a number for all venues and others by name; "default" holds for those not named."""

    def parse(text: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for part in text.split(","):
            venue, equals, number = part.rpartition("=")
            venue = venue.strip() if equals else "default"
            if venue not in {*EXCHANGES, "default"} or venue in found:
                raise ValueError
            found[venue] = _number(low, high).parse(number)
        return {"default": default} | found

    return parse


_USER = "[1-9][0-9]{0,15}"
_CHAT = rf"(-?{_USER}|@[A-Za-z][A-Za-z0-9_]{{4,31}})(:[0-9]+)?"
#: Under these ids write all anonymous admins, all channels, and what a linked channel posts: they are nobody.
SHARED_IDS = frozenset({1087968824, 136817688, 777000})


def _user(text: str) -> int:
    user_id: int = _matching(_USER, int)(text)
    if user_id in SHARED_IDS:
        raise ValueError
    return user_id


TEXT = Kind(expected="text", parse=str, is_free=True)
PATH = Kind(expected="a path", parse=_path, is_free=True)
NAME = Kind(expected="a name", parse=_matching(r"[\w$-]+"))
HOST = Kind(expected="a host name or an address", parse=_matching(r"[\w.:-]+"))
HOSTS = Kind(
    expected="host names, comma separated, without ports",
    parse=_several(_matching(r"[\w.-]+|[0-9a-fA-F:]+", str.lower)),
    empty=(),
)
FLAG = Kind(expected="on or off", parse=_flag)
URL = Kind(expected="a base URL without a user, such as http://127.0.0.1:8081", parse=_url)
PAGE = Kind(expected="a URL such as https://hc-ping.com/your-uuid", parse=_page)
PROXY = Kind(
    expected=f"{DIRECT}, or a proxy such as http://host:3128 or socks5://user:password@host:1080",
    parse=_proxy,
)
USER_AGENT = Kind(expected="up to 200 printable ASCII characters", parse=_matching(r"[\x20-\x7e]{1,200}"))
HEADROOM = Kind(
    expected="a percentage from 0 to 95, and others by venue, such as 30,bybit=50", parse=_by_venue(0, 95, 30)
)
ZONE = Kind(expected="a time zone such as Europe/Rome", parse=_time_zone)
FEES = Kind(
    expected="a percentage from 0 to 5, and others by venue, such as 0.05,binance=0.04", parse=_by_venue(0, 5, 0.05)
)
LOG_LEVEL = Kind(expected="one of DEBUG, INFO, WARNING, ERROR", parse=_matching("DEBUG|INFO|WARNING|ERROR"))
BOT_TOKEN = Kind(expected="digits, a colon and the rest, as @BotFather gives it", parse=_matching(r"[0-9]+:[\w-]+"))
WEB_TOKEN = Kind(expected="at least 16 characters without spaces", parse=_matching(r"[\x21-\x7e]{16,}"))
CHATS = Kind(
    expected="numeric ids (groups and channels start with -) or @channel, comma separated, chat:thread for a topic",
    parse=_chats,
    empty=(),
)
CHAT = Kind(expected="one of the same kind as in TELEGRAM_CHAT_ID", parse=_matching(_CHAT))
USERS = Kind(
    expected="numeric user ids, comma separated, none that Telegram lends to many", parse=_several(_user), empty=()
)
EXCHANGE_NAMES = Kind(
    expected=f"some of {', '.join(EXCHANGES)}, comma separated", parse=_several(_matching("|".join(EXCHANGES)))
)
STRATEGY_NAMES = Kind(
    expected=f"some of {', '.join(STRATEGIES)}, comma separated", parse=_several(_matching("|".join(STRATEGIES)))
)
COINS = Kind(
    expected="coins, comma separated, such as XMR,DASH",
    parse=lambda text: frozenset(coin.strip() for coin in text.upper().split(",")),
    empty=frozenset(),
)
QUIET = Kind(expected="a span of the day such as 23:00-07:00", parse=parse_quiet_hours, empty=None)
MODE = Kind(expected="on, silent or off", parse=lambda text: Mode(text.lower()))
PORT = _whole(0, 65535)
WINDOW = _number(0.1, 7200)  # the arrays keep every tick of it
SECONDS = _number(0.1, 86_400)
PAUSE = _number(0, 86_400)
COUNT = _whole(1, 10_000)
PERCENT = _number(0.01, 50)
SHARE = _number(0, 1)
POINTS = _number(0, 100)
USDT = _number(0, 1e12)

# fmt: off
GROUPS: dict[str, tuple[Setting, ...]] = {
    "Telegram": (
        Setting("TELEGRAM_BOT_TOKEN", "", BOT_TOKEN, "", ("telegram.bot_token",),
                "Token of your bot. Without it the alerts appear in the terminal", is_secret=True),
        Setting("TELEGRAM_CHAT_ID", "", CHATS, "", ("telegram.chat_ids",),
                "Where the alerts go. Not set: the chat that sends the code the bot shows at its start"),
        Setting("TELEGRAM_ADMIN_IDS", "", USERS, "", ("telegram.admin_ids",),
                "Who may give commands. Not set: the private chats of TELEGRAM_CHAT_ID"),
        Setting("OPERATOR_CHAT_ID", "", CHAT, "", ("telegram.operator_chat_id",),
                "Where notices, faults and reports go, and to no other chat. Not set: the first private chat of"
                " TELEGRAM_CHAT_ID, else the first of TELEGRAM_ADMIN_IDS"),
        Setting("TELEGRAM_API_URL", "https://api.telegram.org", URL, "", ("telegram.api_url",),
                "The Bot API server, for those who run their own"),
        Setting("MAX_SIGNAL_AGE_SECONDS", "30", SECONDS, "s", ("telegram.max_signal_age_s",),
                "An entry alert sent later is marked LATE, four times as late it is dropped and said so"),
        Setting("ENTRY_MESSAGES", "on", MODE, "", (), "Alerts: on, silent or off"),
        Setting("EXIT_MESSAGES", "on", MODE, "", (), "How alerts ended"),
        Setting("NOTICE_MESSAGES", "silent", MODE, "", (),
                "Start and stop, a venue blind or back, stop-loss guard and daily cap"),
        Setting("STORM_MESSAGES", "silent", MODE, "", (),
                "The list of coins that passed every gate but BURST_LIMIT"),
        Setting("REPORT_MESSAGES", "silent", MODE, "", (), "The daily report"),
        Setting("REPORT_HOUR", "8", _whole(0, 23), "", ("telegram.report_hour",),
                "Hour of the day in TIMEZONE at which it comes"),
        Setting("QUIET_HOURS", "", QUIET, "", ("telegram.quiet_hours",),
                "When nothing rings, in TIMEZONE; /quiet changes it"),
    ),
    "Venues": (
        Setting("EXCHANGES", ",".join(EXCHANGES), EXCHANGE_NAMES, "", ("venues.exchanges",),
                "The venues to watch"),
        *(
            Setting(f"{venue.id.upper()}_URL", "", URL, "", (),
                    f"Base URL in place of {venue.title}'s own, such as one of its regional hosts")
            for venue in VENUES.values()
        ),
        Setting("PROXY_URL", "", PROXY, "", (),
                "Proxy for venues, Telegram and HEARTBEAT_URL. Not set: HTTPS_PROXY, ALL_PROXY and NO_PROXY of the"
                " environment",
                is_secret=True),
        *(
            Setting(f"{venue.id.upper()}_PROXY", "", PROXY, "", (),
                    f"The same for {venue.title} alone", is_secret=True)
            for venue in VENUES.values()
        ),
        Setting("USER_AGENT", "", USER_AGENT, "", (),
                "What the bot calls itself before the venues. Not set: sgnl and its version"),
        Setting("REFRESH_INTERVAL", "5", _number(0.1, 60), "s",
                ("features.refresh_interval_s", "scoring.refresh_interval_s"),
                "From one look at the market to the next"),
        Setting("RATE_HEADROOM_PERCENT", "30,bybit=50", HEADROOM, "%", (),
                "Share of each venue's published limit that stays unused; Bybit hides what others on your address use"),
        Setting("MIN_QUOTE_VOLUME", "500000", USDT, "USDT a day", ("universe.min_quote_volume",),
                "Pairs that trade less are left out"),
        Setting("MAX_QUOTE_VOLUME", "200000000", USDT, "USDT a day", ("universe.max_quote_volume",),
                "Pairs that trade more are left out: the low caps stay"),
        Setting("EXCLUDE_COINS", "", COINS, "", ("universe.exclude_coins",),
                "Coins that are never alerted"),
        Setting("INNOVATION_ZONE", "off", FLAG, "", ("universe.innovation_zone",),
                "on: contracts of MEXC's Innovation Zone may signal; higher fees, closed in many countries"),
        Setting("UNIVERSE_RELOAD_SECONDS", "900", SECONDS, "s", ("venues.universe_reload_s",),
                "From one reading of the venues' market lists to the next"),
    ),
    "Strategies": (
        Setting("STRATEGIES", "ups", STRATEGY_NAMES, "", (), "What runs, of: " + ", ".join(STRATEGIES)),
    ),
    "Age of data": (
        Setting("MAX_DATA_AGE_SECONDS", "15", SECONDS, "s", ("features.max_data_age_s", "scoring.max_data_age_s"),
                "Older prices, order books and trades are stale"),
        Setting("MAX_OI_AGE_SECONDS", "60", SECONDS, "s", ("features.max_oi_age_s",),
                "Older live open interest is stale"),
        Setting("MAX_FUNDING_AGE_SECONDS", "120", SECONDS, "s", ("features.max_funding_age_s",),
                "An older funding rate is stale"),
        Setting("MAX_DAY_AGE_SECONDS", "180", SECONDS, "s", ("features.max_day_age_s",),
                "Older 24 h figures are stale"),
        Setting("BOOK_FROZEN_SECONDS", "60", SECONDS, "s", ("features.book_frozen_s",),
                "A book unchanged for as long while price or trades moved is not believed"),
    ),
    "Features": (
        Setting("OI_WINDOW_SECONDS", "900", WINDOW, "s", ("features.oi_window_s", "scoring.oi_window_s"),
                "Changes of open interest and price are taken over this window"),
        Setting("BOOK_WINDOW_SECONDS", "1800", WINDOW, "s", ("features.book_window_s",),
                "Bids now are compared with the books of this window"),
        Setting("BOOK_BAND_PERCENT", "1", _number(0.1, 1), "%", ("features.book_band_percent",),
                "Depth is compared in the widest band up to this that a book reaches: 0.1, 0.25, 0.5, 1 %"),
        Setting("FLOW_WINDOW_SECONDS", "60", WINDOW, "s", ("features.flow_window_s", "scoring.flow_window_s"),
                "The share of taker sells is taken over this window"),
        Setting("SWEEP_BASELINE_SECONDS", "300", WINDOW, "s", ("features.sweep_baseline_s",),
                "A sweep is measured against the trading of this window"),
        Setting("SWEEP_TTL_SECONDS", "30", WINDOW, "s", ("features.sweep_ttl_s", "scoring.sweep_ttl_s"),
                "How long a sweep counts"),
        Setting("MIN_SWEEP_USDT", "2000", USDT, "USDT", ("features.min_sweep_usdt",),
                "Smaller sweeps do not count"),
        Setting("BTC_WINDOW_SECONDS", "300", WINDOW, "s", ("features.btc_window_s", "scoring.btc_window_s"),
                "Bitcoin's return is taken over this window"),
        Setting("MOMENTUM_WINDOW_SECONDS", "60", WINDOW, "s",
                ("features.momentum_window_s", "scoring.momentum_window_s"),
                "Momentum is taken over this window and three times it, volatility over fifteen"),
    ),
    "Gates": (
        Setting("MIN_SCORE_THRESHOLD", "72", POINTS, "points", ("scoring.min_score",),
                "The lowest score that is alerted"),
        Setting("MIN_BID_DEPTH_USDT", "5000", USDT, "USDT", ("scoring.min_bid_depth_usdt",),
                "Least bid depth: an empty book only looks like a short"),
        Setting("MIN_ASK_IMBALANCE", "0.60", SHARE, "share", ("scoring.min_ask_imbalance",),
                "Least share of the asks in the book's depth"),
        Setting("MIN_OI_DIVERGENCE", "30", POINTS, "points", ("scoring.min_oi_divergence",),
                "Least sub-score of open interest rising into a falling price"),
        Setting("MAX_SPREAD_PERCENT", "0.5", PERCENT, "%", ("scoring.max_spread_percent",),
                "The spread has to be below"),
        Setting("MAX_BTC_PUMP_PERCENT", "0.5", PERCENT, "%", ("scoring.max_btc_pump_percent",),
                "Bitcoin rising as much bars entries and closes what is open"),
        Setting("MAX_DISCOUNT_PERCENT", "0.5", PERCENT, "%", ("scoring.max_discount_percent",),
                "A price already so far below its index is too late for a SHORT, above it for a LONG"),
        Setting("COOLDOWN_SECONDS", "60", PAUSE, "s", ("scoring.cooldown_s",),
                "Rest of a coin after its last alert and after its last exit"),
        Setting("BURST_LIMIT", "2", COUNT, "signals", ("scoring.burst_limit",),
                "At most as many alerts in BURST_WINDOW_SECONDS"),
        Setting("BURST_WINDOW_SECONDS", "300", SECONDS, "s", ("scoring.burst_window_s",),
                "The window of BURST_LIMIT"),
        Setting("MAX_DAILY_TRADES", "8", COUNT, "signals", ("scoring.max_daily_trades",),
                "At most as many alerts a day of TIMEZONE"),
        Setting("STOPLOSS_GUARD_COUNT", "3", COUNT, "stops", ("scoring.stoploss_guard_count",),
                "As many stops within STOPLOSS_GUARD_SECONDS pause the alerts for as long"),
        Setting("STOPLOSS_GUARD_SECONDS", "3600", SECONDS, "s", ("scoring.stoploss_guard_s",),
                "The window and the pause of STOPLOSS_GUARD_COUNT"),
    ),
    "Levels and exits": (
        Setting("TP_PERCENT", "1.7", PERCENT, "%", ("scoring.take_profit_percent",),
                "Distance of the take-profit"),
        Setting("SL_PERCENT_MIN", "0.7", PERCENT, "%", ("scoring.stop_percent_min",),
                "Distance of the stop in a quiet market"),
        Setting("SL_PERCENT_MAX", "1.1", PERCENT, "%", ("scoring.stop_percent_max",),
                "Distance of the stop in a wild market"),
        Setting("TAKER_FEE_PERCENT", "0.05", FEES, "%", (),
                "Your taker fee each way; a contract whose venue publishes a higher one counts with that"),
        Setting("TRAILING_ENABLED", "off", FLAG, "", ("scoring.trailing_enabled",),
                "Follow the price with a trailing exit"),
        Setting("TRAIL_ACTIVATION_PERCENT", "0.8", PERCENT, "%", ("scoring.trail_activation_percent",),
                "Profit at which trailing begins"),
        Setting("TRAIL_DISTANCE_PERCENT", "0.4", PERCENT, "%", ("scoring.trail_distance_percent",),
                "Trailing exits this far off the best price"),
        Setting("SIGNAL_TIMEOUT_SECONDS", "3600", SECONDS, "s", ("scoring.signal_timeout_s",),
                "A signal still open then is closed"),
        Setting("REACH_SECONDS", "15", PAUSE, "s", ("scoring.reach_s",),
                "Time a person needs to enter: results are also given from the price then"),
    ),
    "Storage": (
        Setting("DATA_DIR", "data", PATH, "", (),
                "Folder of the database and of the log"),
        Setting("RETENTION_DAYS", "90", _whole(2, 36_500), "days", (),
                "Older near misses, messages and venue states are deleted there; signals and outcomes stay"),
        Setting("MYSQL_HOST", "", HOST, "", ("mysql.host",),
                "Server that keeps the history. Not set: no MySQL"),
        Setting("MYSQL_PORT", "3306", _whole(1, 65535), "", ("mysql.port",), "Its port"),
        Setting("MYSQL_USER", "sgnl", TEXT, "", ("mysql.user",), "Its user"),
        Setting("MYSQL_PASSWORD", "", TEXT, "", ("mysql.password",), "That user's password", is_secret=True),
        Setting("MYSQL_DATABASE", "sgnl", NAME, "", ("mysql.database",), "Its database"),
        Setting("MYSQL_SSL_REQUIRED", "off", FLAG, "", ("mysql.is_tls_required",),
                "Only by TLS, with a verified certificate for MYSQL_HOST. Off: TLS where offered, not verified"),
        Setting("MYSQL_SSL_CA", "", PATH, "", ("mysql.ca_file",),
                "PEM file of the authority that signs it, and TLS is required then. Not set: those the system trusts"),
    ),
    "Web and log": (
        Setting("HTTP_HOST", "127.0.0.1", HOST, "", ("http.host",),
                "Address of the web app. Anything but this machine's own needs HTTP_TOKEN"),
        Setting("HTTP_PORT", "8080", PORT, "", ("http.port",),
                "Its port; 0 takes any free one"),
        Setting("HTTP_HOSTS", "", HOSTS, "", ("http.hosts",),
                "Names it may be asked by beside localhost and the machine's addresses, as a reverse proxy's"),
        Setting("HTTP_TOKEN", "", WEB_TOKEN, "", ("http.token",),
                "Who asks has to send it as a Bearer token", is_secret=True),
        Setting("TIMEZONE", "UTC", ZONE, "", ("scoring.timezone",),
                "Where you live: for the day of MAX_DAILY_TRADES, QUIET_HOURS and REPORT_HOUR"),
        Setting("LOG_LEVEL", "INFO", LOG_LEVEL, "", (),
                "How much the log says, on stderr and in DATA_DIR/logs"),
        Setting("HEARTBEAT_URL", "", PAGE, "", (),
                "Asked for every minute while all is well, so that who watches it (healthchecks.io, Uptime Kuma) can"
                " call you when it falls silent", is_secret=True),
    ),
}
# fmt: on

SETTINGS: dict[str, Setting] = {setting.name: setting for group in GROUPS.values() for setting in group}
