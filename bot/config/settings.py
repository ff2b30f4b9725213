"""Everything a user can set: the records that hold the values, each field declared with its setting.

What features, decisions and the universe need is declared in their own rooms, in the same way (features/declare.py);
`SETTINGS` is the sum of all.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

from bot.config import kinds
from bot.config.chat_ids import is_person
from bot.config.sounds import Mode, QuietHours
from bot.version import VERSION
from features.candle_settings import CandleSettings
from features.declare import (
    FLAG,
    SECONDS,
    Group,
    Setting,
    by_key,
    names_of,
    number,
    percent_by_venue,
    settings_of,
    whole,
)
from features.facts.venues import VENUES
from features.settings import FeatureSettings
from fetchers.transport.pools import HEADROOM
from fetchers.transport.route import Route
from fetchers.universe import UniverseSettings
from scoring.settings import ScoringSettings
from scoring.strategies import STRATEGIES, chosen
from storage.messages import Kind

TELEGRAM = Group("Telegram")
VENUE = Group("Venues")
STRATEGY = Group("Strategies")
STORAGE = Group("Storage")
TAPE = Group("Tape")
WEB = Group("Web and log")


_HEADROOM = ",".join(
    [
        f"{100 * HEADROOM:g}",
        *(f"{venue.id}={venue.headroom_percent:g}" for venue in VENUES.values() if venue.headroom_percent is not None),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramSettings:
    """The chats, and who may steer from them."""

    #: "": no Telegram, the alerts appear in the terminal
    bot_token: str = TELEGRAM.setting(
        "TELEGRAM_BOT_TOKEN",
        "",
        kinds.BOT_TOKEN,
        "Token of your bot. Without it the alerts appear in the terminal",
        is_secret=True,
    )
    #: "123", "-100123", "@channel", each with ":thread" for a topic; () is to be paired
    chat_ids: tuple[str, ...] = TELEGRAM.setting(
        "TELEGRAM_CHAT_ID",
        "",
        kinds.CHATS,
        "Where the alerts go. Not set: the chat that sends the code the bot shows at its start",
    )
    admin_ids: tuple[int, ...] = TELEGRAM.setting(
        "TELEGRAM_ADMIN_IDS", "", kinds.USERS, "Who may give commands. Not set: the private chats of TELEGRAM_CHAT_ID"
    )
    #: "": as `operator` says
    operator_chat_id: str = TELEGRAM.setting(
        "OPERATOR_CHAT_ID",
        "",
        kinds.CHAT,
        "Where notices, faults and reports go, and to no other chat. Not set: the first private chat of"
        " TELEGRAM_CHAT_ID, else the first of TELEGRAM_ADMIN_IDS",
    )
    #: without the final /bot
    api_url: str = TELEGRAM.setting(
        "TELEGRAM_API_URL", "https://api.telegram.org", kinds.URL, "The Bot API server, for those who run their own"
    )
    max_signal_age_s: float = TELEGRAM.setting(
        "MAX_SIGNAL_AGE_SECONDS",
        "30",
        SECONDS,
        "An entry alert sent later is marked LATE, four times as late it is dropped and said so",
        unit="s",
    )
    modes: dict[Kind, Mode] = by_key(
        {
            kind: TELEGRAM.row(f"{kind.name}_MESSAGES", default, kinds.MODE, text)
            for kind, default, text in (
                (Kind.ENTRY, "on", "Alerts: on, silent or off"),
                (Kind.EXIT, "on", "How alerts ended"),
                (Kind.NOTICE, "silent", "Start and stop, a venue blind or back, stop-loss guard and daily cap"),
                (
                    Kind.STORM,
                    "silent",
                    "Lists, no alerts: coins that only BURST_LIMIT refused, legs of LEVELS_WATCH",
                ),
                (Kind.REPORT, "silent", "The daily report"),
            )
        }
    )
    report_hour: int = TELEGRAM.setting(
        "REPORT_HOUR", "8", whole(0, 23), "Hour of the day in TIMEZONE at which it comes"
    )
    quiet_hours: QuietHours | None = TELEGRAM.setting(
        "QUIET_HOURS", "", kinds.QUIET, "When nothing rings, in TIMEZONE; /quiet changes it"
    )

    @property
    def steering_ids(self) -> frozenset[int]:
        """User ids that may give commands: the admins, or where none are named the people of the private chats."""
        private = (int(chat.partition(":")[0]) for chat in self.chat_ids if is_person(chat))
        return frozenset(self.admin_ids or private)

    @property
    def operator(self) -> str:
        """The operator's chat, "" where none is known: notices never go to a channel's readers."""
        private = filter(is_person, self.chat_ids)
        return self.operator_chat_id or next(private, "") or next(map(str, self.admin_ids), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSettings:
    """Which venues to watch, by which way, and how hard they may be asked."""

    exchanges: tuple[str, ...] = VENUE.setting("EXCHANGES", ",".join(VENUES), names_of(VENUES), "The venues to watch")
    #: base URL by exchange; "" is the venue's own
    urls: dict[str, str] = by_key(
        {
            venue.id: VENUE.row(
                f"{venue.id.upper()}_URL",
                "",
                kinds.URL,
                f"Base URL in place of {venue.title}'s own, such as one of its regional hosts",
            )
            for venue in VENUES.values()
        }
    )
    #: base URL of the stream by exchange; "" is the venue's own
    stream_urls: dict[str, str] = by_key(
        {
            venue.id: VENUE.row(
                f"{venue.id.upper()}_STREAM_URL", "", kinds.STREAM_URL, f"The same for {venue.title}'s trade stream"
            )
            for venue in VENUES.values()
            if venue.has_stream
        }
    )
    proxy: str = VENUE.setting(
        "PROXY_URL",
        "",
        kinds.PROXY,
        "Proxy for venues, Telegram and HEARTBEAT_URL. Not set: HTTPS_PROXY, ALL_PROXY and NO_PROXY of the environment",
        is_secret=True,
    )
    #: by exchange; "" is `proxy`
    proxies: dict[str, str] = by_key(
        {
            venue.id: VENUE.row(
                f"{venue.id.upper()}_PROXY", "", kinds.PROXY, f"The same for {venue.title} alone", is_secret=True
            )
            for venue in VENUES.values()
        }
    )
    user_agent: str = VENUE.row(
        "USER_AGENT", "", kinds.USER_AGENT, "What the bot calls itself before the venues. Not set: sgnl and its version"
    ).field(lambda given: given or f"sgnl/{VERSION}")
    #: [0…1] of each published request limit that stays unused, by exchange
    headroom: dict[str, float] = VENUE.row(
        "RATE_HEADROOM_PERCENT",
        _HEADROOM,
        percent_by_venue(high=95, default=round(100 * HEADROOM), example=_HEADROOM),
        "Share of each venue's published limit that stays unused: more where a venue does not show what others on "
        "your address use",
        unit="%",
    ).field(lambda percent: {venue: percent.get(venue, percent["default"]) / 100 for venue in VENUES})
    has_streams: bool = VENUE.setting(
        "STREAMS",
        "off",
        FLAG,
        "on: trades of Binance, Bybit and MEXC come by stream, and a sweep is looked at at once. off: only by polls",
    )
    quotes_interval_s: float = VENUE.setting(
        "QUOTES_INTERVAL",
        "0",
        number(0, 60),
        "From one reading of the prices to the next between two ticks, where a venue's limits leave room: whoever "
        "becomes a likely signal is looked at then. 0: only every REFRESH_INTERVAL",
        unit="s",
    )
    universe_reload_s: float = VENUE.setting(
        "UNIVERSE_RELOAD_SECONDS", "900", SECONDS, "From one reading of the venues' market lists to the next", unit="s"
    )

    @property
    def route(self) -> Route:
        """By which way Telegram and whatever has none of its own is asked."""
        return Route(proxy=self.proxy, user_agent=self.user_agent)

    @property
    def routes(self) -> dict[str, Route]:
        """By which way each exchange is asked."""
        return {venue: replace(self.route, proxy=proxy or self.proxy) for venue, proxy in self.proxies.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class MySqlSettings:
    """Where the history goes."""

    host: str = STORAGE.setting("MYSQL_HOST", "", kinds.HOST, "Server that keeps the history. Not set: no MySQL")
    port: int = STORAGE.setting("MYSQL_PORT", "3306", whole(1, 65535), "Its port")
    user: str = STORAGE.setting("MYSQL_USER", "sgnl", kinds.TEXT, "Its user")
    password: str = STORAGE.setting("MYSQL_PASSWORD", "", kinds.TEXT, "That user's password", is_secret=True)
    database: str = STORAGE.setting("MYSQL_DATABASE", "sgnl", kinds.NAME, "Its database")
    is_tls_required: bool = STORAGE.setting(
        "MYSQL_SSL_REQUIRED",
        "off",
        FLAG,
        "Only by TLS, with a verified certificate for MYSQL_HOST. Off: TLS where offered, not verified",
    )
    ca_file: str = STORAGE.setting(
        "MYSQL_SSL_CA",
        "",
        kinds.PATH,
        "PEM file of the authority that signs it, and TLS is required then. Not set: those the system trusts",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TapeSettings:
    """Whether everything that ticks take in is kept, to be played again."""

    is_on: bool = TAPE.setting("TAPE", "off", FLAG, "on: keep all that every tick takes in, for `replay`")
    max_gb: float = TAPE.setting(
        "TAPE_MAX_GB", "10", number(0.01, 100_000), "The oldest files of the tape are removed beyond this", unit="GB"
    )
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Where the web app listens."""

    host: str = WEB.setting(
        "HTTP_HOST", "127.0.0.1", kinds.HOST, "Address of the web app. Anything but this machine's own needs HTTP_TOKEN"
    )
    port: int = WEB.setting("HTTP_PORT", "8080", whole(0, 65535), "Its port; 0 takes any free one")
    #: in lower case
    hosts: tuple[str, ...] = WEB.setting(
        "HTTP_HOSTS",
        "",
        kinds.HOSTS,
        "Names it may be asked by beside localhost and the machine's addresses, as a reverse proxy's",
    )
    #: "": none is asked for
    token: str = WEB.setting(
        "HTTP_TOKEN",
        "",
        kinds.WEB_TOKEN,
        "Who asks has to send it as a Bearer token; the page asks for it once",
        is_secret=True,
    )
    page_url: str = WEB.setting(
        "HTTP_PAGE_URL",
        "",
        kinds.SITE,
        "Where your browser finds the page, for the link of /web; empty: HTTP_HOST and HTTP_PORT",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings, checked, in the groups the rooms take."""

    telegram: TelegramSettings
    venues: VenueSettings
    universe: UniverseSettings
    features: FeatureSettings
    candles: CandleSettings
    scoring: ScoringSettings
    http: HttpSettings
    tape: TapeSettings
    mysql: MySqlSettings | None
    strategies: tuple[str, ...] = STRATEGY.setting(
        "STRATEGIES", "ups", names_of(STRATEGIES), f"What runs, of: {', '.join(STRATEGIES)}"
    )
    data_dir: Path = STORAGE.row("DATA_DIR", "data", kinds.PATH, "Folder of the database and of the log").field(Path)
    retention_days: int = STORAGE.setting(
        "RETENTION_DAYS",
        "90",
        whole(2, 36_500),
        "Older near misses, messages and venue states are deleted there; signals and outcomes stay",
        unit="days",
    )
    log_level: str = WEB.setting(
        "LOG_LEVEL", "INFO", kinds.LOG_LEVEL, "How much the log says, on stderr and in DATA_DIR/logs"
    )
    #: "": none is asked
    heartbeat_url: str = WEB.setting(
        "HEARTBEAT_URL",
        "",
        kinds.PAGE,
        "Asked for every minute while all is well, so that who watches it (healthchecks.io, Uptime Kuma) can"
        " call you when it falls silent",
        is_secret=True,
    )
    texts: dict[str, str] = field(repr=False)  #: every setting that is no secret, by its name, as it was written

    @property
    def kept_candles(self) -> CandleSettings | None:
        """Which closed candles are kept, None where no strategy that runs needs any."""
        return self.candles if any(one.needs_candles for one in chosen(self.strategies)) else None

    @property
    def route(self) -> Route:
        """By which way Telegram and whatever has none of its own is asked."""
        return self.venues.route

    @property
    def database(self) -> Path:
        """The file of SQLite."""
        return self.data_dir / "sgnl.db"

    def secrets(self) -> Iterator[str]:
        """Yield what no log may show; "" where there is none."""
        yield from (self.telegram.bot_token, self.http.token, self.mysql.password if self.mysql else "")
        yield from (self.heartbeat_url, urlsplit(self.heartbeat_url).path.strip("/"))
        for proxy in {self.venues.proxy, *self.venues.proxies.values()} | {*getproxies().values()}:
            yield unquote(urlsplit(proxy).password or "")

    def changed(self) -> list[str]:
        """Return "NAME=value (default ...)" for the settings, secrets apart, that are not at their default."""
        return [
            f"{name}={text} (default {SETTINGS[name].default or 'not set'})"
            for name, text in self.texts.items()
            if text != SETTINGS[name].default
        ]


#: in the order in which they are listed
RECORDS = (
    TelegramSettings,
    VenueSettings,
    UniverseSettings,
    Config,
    MySqlSettings,
    TapeSettings,
    HttpSettings,
    FeatureSettings,
    CandleSettings,
    ScoringSettings,
    *(strategy.settings for strategy in STRATEGIES.values()),
)
#: every setting by its name; records that share a field share its setting
SETTINGS: dict[str, Setting[Any]] = {setting.name: setting for record in RECORDS for setting in settings_of(record)}


def _grouped() -> dict[str, tuple[Setting[Any], ...]]:
    found: dict[str, list[Setting[Any]]] = defaultdict(list)
    for setting in SETTINGS.values():
        found[setting.group].append(setting)
    return {title: tuple(group) for title, group in found.items()}


#: by their title
GROUPS = _grouped()

_TAKEN_IN = {"EXCHANGES", "REFRESH_INTERVAL", *(setting.name for setting in settings_of(UniverseSettings))}
#: what decisions and outcomes depend on, by name; the rest is this bot's own: where it is, whom it tells
DECISIVE = {*_TAKEN_IN, "STRATEGIES"} | {
    setting.name
    for record in (FeatureSettings, ScoringSettings, *(one.settings for one in STRATEGIES.values()))
    for setting in settings_of(record)
}
#: of them what may be another in a replay: which instruments there are, and when they are looked at, is the tape's
REPLAYABLE = DECISIVE - _TAKEN_IN
