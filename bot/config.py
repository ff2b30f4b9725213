"""From the environment and .env to one frozen Config, or every problem at once.

The table of settings is bot/settings.py. A blank value is one not given. Nothing here opens a socket or changes the
environment.
"""

import hashlib
import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import orjson
from dotenv.parser import parse_stream

from bot.phone.sender import is_person
from bot.phone.sounds import Mode, QuietHours
from bot.settings import EXCHANGES, SETTINGS, Setting
from features.settings import FeatureSettings
from fetchers.universe import UniverseSettings
from scoring.settings import ScoringSettings
from storage.outbox import Kind

#: compose's database reads them from the same .env
COMPOSE_ONLY = ("MYSQL_ROOT_PASSWORD", "MYSQL_REVIEW_PASSWORD")
#: other programs' variables that look like ours with a slip of the finger
FOREIGN = frozenset({"HTTPS_HOST", "HTTPS_PORT", *COMPOSE_ONLY, *(f"{name}_FILE" for name in COMPOSE_ONLY)})
SECRET_FILES = frozenset(f"{setting.name}_FILE" for setting in SETTINGS.values() if setting.is_secret)
KNOWN = SETTINGS.keys() | SECRET_FILES
#: TELEGRAM_TOKEN is refused for TELEGRAM_BOT_TOKEN (0.88), MYSQL_TCP_PORT is not for MYSQL_PORT (0.83)
NEAR_MISS = 0.87
#: a token stays a secret in the wrong place, e.g. in TELEGRAM_CHAT_ID
BOT_TOKEN_LIKE = re.compile(r"[0-9]{6,}:[\w-]{30,}")
#: a trailing exit that could never arm, or that would start out at a loss
TRAILING_ORDER = (("TRAIL_ACTIVATION_PERCENT", "TP_PERCENT"), ("TRAIL_DISTANCE_PERCENT", "TRAIL_ACTIVATION_PERCENT"))


class ConfigError(Exception):
    """The settings cannot be used; one line for each problem, none shows a secret."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSettings:
    """Which venues to watch, and how hard they may be asked."""

    exchanges: tuple[str, ...]
    urls: dict[str, str | None]  #: base URL by exchange; None is the venue's own
    headroom: float  #: [0…1] of each published request limit that stays unused
    universe_reload_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramSettings:
    """The chats, and who may steer from them."""

    bot_token: str = field(repr=False)  #: "": no Telegram, the alerts appear in the terminal
    chat_ids: tuple[str, ...]  #: "123", "-100123", "@channel", each with ":thread" for a topic; () is to be paired
    admin_ids: tuple[int, ...]
    operator_chat_id: str  #: "": as `operator` says
    api_url: str  #: without the final /bot
    max_signal_age_s: float
    modes: dict[Kind, Mode]
    quiet_hours: QuietHours | None
    report_hour: int  #: of the day in TIMEZONE

    @property
    def steering_ids(self) -> frozenset[int]:
        """User ids that may give commands: the admins, or where none are named the people of the private chats."""
        private = (int(chat.partition(":")[0]) for chat in self.chat_ids if is_person(chat))
        return frozenset(self.admin_ids or private)

    @property
    def operator(self) -> str:
        """The chat of who runs the bot, "" where nobody is known: notices never go to a channel's readers."""
        private = filter(is_person, self.chat_ids)
        return self.operator_chat_id or next(private, "") or next(map(str, self.admin_ids), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class MySqlSettings:
    """Where the history goes."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Where the web app listens."""

    host: str
    port: int
    token: str = field(repr=False)  #: "": none is asked for
    hosts: tuple[str, ...] = ()  #: other names it may be asked by, in lower case


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings, checked, in the groups the rooms take."""

    features: FeatureSettings
    scoring: ScoringSettings
    strategies: tuple[str, ...]  #: names of scoring.strategies that run
    venues: VenueSettings
    universe: UniverseSettings
    telegram: TelegramSettings
    http: HttpSettings
    mysql: MySqlSettings | None
    data_dir: Path
    retention_days: int
    log_level: str
    texts: dict[str, str] = field(repr=False)  #: every setting that is no secret, by its name, as it was written

    def changed(self) -> list[str]:
        """Return "NAME=value (default ...)" for the settings, secrets apart, that are not at their default."""
        return [
            f"{name}={text} (default {SETTINGS[name].default or 'not set'})"
            for name, text in self.texts.items()
            if text != SETTINGS[name].default
        ]


def load_config(environ: Mapping[str, str], env_file: Path | None = None) -> Config:
    """Read the settings; `environ` wins over `env_file`, which need not exist.

    Raises
    ------
    ConfigError
        With every problem found.
    """
    problems: list[str] = []
    sources = {"environment": environ}
    if env_file is not None:
        sources[env_file.name] = _read_env_file(env_file, problems)
    for source, given in sources.items():
        problems.extend(_unknown_names(source, given))
    texts: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name, setting in SETTINGS.items():
        source, texts[name] = _find(setting, sources, problems)
        try:
            values[name] = setting.parse(texts[name])
        except ValueError:
            # The default stands in, so that the checks across settings still run.
            values[name] = setting.parse(setting.default)
            is_hidden = setting.is_secret or BOT_TOKEN_LIKE.search(texts[name])
            was = "" if is_hidden else f'was "{texts[name]}", '
            problems.append(f"{name} ({source}): {was}expected {setting.kind.expected}")
    problems.extend(_contradictions(values))
    if problems:
        raise ConfigError(problems)
    return _build(values, texts)


def _read_env_file(path: Path, problems: list[str]) -> dict[str, str]:
    """The file's values as written: a "$" in a password is a "$"."""
    values: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for binding in parse_stream(stream):
                if binding.error:
                    problems.append(f"{path.name}, line {binding.original.line}: expected NAME=value")
                elif binding.key is not None:
                    values[binding.key] = binding.value or ""
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path.name}: could not be read ({error})")
    return values


def _unknown_names(source: str, values: Mapping[str, str]) -> Iterator[str]:
    """Every unknown name in .env; in the environment, which is full of other programs' names, the near misses only."""
    is_shared = source == "environment"
    for name in sorted(values.keys() - KNOWN - (FOREIGN if is_shared else {*COMPOSE_ONLY})):
        near = get_close_matches(name, KNOWN, n=1, cutoff=NEAR_MISS if is_shared else 0.6)
        if near or not is_shared:
            yield f"{name} ({source}): is no setting" + (f", did you mean {near[0]}?" if near else "")


def _find(setting: Setting, sources: Mapping[str, Mapping[str, str]], problems: list[str]) -> tuple[str, str]:
    """Where the setting was given, and its text."""
    for source, values in sources.items():
        text = values.get(setting.name, "").strip()
        path = values.get(f"{setting.name}_FILE", "").strip() if setting.is_secret else ""
        if text and path:
            problems.append(f"{setting.name} ({source}): was given twice, here and as {setting.name}_FILE")
        if text:
            return source, text
        if path:
            try:
                text = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{setting.name}_FILE ({source}): could not be read ({error})")
            else:
                if not text:
                    problems.append(f"{setting.name}_FILE ({source}): {path} was empty, expected the secret in it")
            return path, text
    return "default", setting.default


def _contradictions(values: Mapping[str, Any]) -> Iterator[str]:
    """What each setting allows but all together do not."""
    for smaller, larger in (
        ("MIN_QUOTE_VOLUME", "MAX_QUOTE_VOLUME"),
        ("SL_PERCENT_MIN", "SL_PERCENT_MAX"),
        ("REFRESH_INTERVAL", "MAX_DATA_AGE_SECONDS"),
        ("REACH_SECONDS", "SIGNAL_TIMEOUT_SECONDS"),
        *(TRAILING_ORDER if values["TRAILING_ENABLED"] else ()),
    ):
        if values[smaller] > values[larger]:
            yield f"{smaller}: was {values[smaller]:.15g}, expected at most {larger}, which is {values[larger]:.15g}"
    if not values["HTTP_TOKEN"] and not is_loopback(values["HTTP_HOST"]):
        yield f"HTTP_TOKEN: is not set, expected one since HTTP_HOST {values['HTTP_HOST']} is open to other machines"


def is_loopback(host: str) -> bool:
    """Return whether a host's name or address is the machine's own, which no other machine reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _build(values: Mapping[str, Any], texts: Mapping[str, str]) -> Config:
    public = {name: values[name] for name in SETTINGS if not SETTINGS[name].is_secret}
    # `sorted` makes a list of the one set among them
    config_hash = hashlib.sha256(orjson.dumps(public, sorted, orjson.OPT_SORT_KEYS)).hexdigest()[:12]
    groups: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, setting in SETTINGS.items():
        for place in setting.fields:
            group, _, field_name = place.rpartition(".")
            groups[group][field_name] = values[name]
    fees = dict(values["TAKER_FEE_PERCENT"])
    modes = {kind: values[f"{kind.name}_MESSAGES"] for kind in Kind}
    urls = {venue: values[f"{venue.upper()}_URL"] or None for venue in EXCHANGES}
    return Config(
        features=FeatureSettings(**groups["features"]),
        scoring=ScoringSettings(
            **groups["scoring"],
            default_taker_fee_percent=fees.pop("default"),
            taker_fee_percent=fees,
            config_hash=config_hash,
        ),
        strategies=values["STRATEGIES"],
        venues=VenueSettings(**groups["venues"], urls=urls, headroom=values["RATE_HEADROOM_PERCENT"] / 100),
        universe=UniverseSettings(**groups["universe"]),
        telegram=TelegramSettings(**groups["telegram"], modes=modes),
        http=HttpSettings(**groups["http"]),
        mysql=MySqlSettings(**groups["mysql"]) if values["MYSQL_HOST"] else None,
        data_dir=Path(values["DATA_DIR"]),
        retention_days=values["RETENTION_DAYS"],
        log_level=values["LOG_LEVEL"],
        texts={name: texts[name] for name in public},
    )
