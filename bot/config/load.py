"""From the environment and .env to one frozen Config, or every problem at once.

The table of settings is bot/config/settings.py. A blank value is one not given. Nothing here opens a socket or
changes the environment.
"""

import hashlib
import ipaddress
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

import orjson
from dotenv.parser import Binding, parse_stream

from bot.chat.delivery.sender import is_person
from bot.chat.delivery.sounds import Mode, QuietHours
from bot.config.settings import EXCHANGES, SETTINGS, Setting
from bot.version import VERSION
from features.settings import FeatureSettings
from fetchers.transport.route import SCHEMES, Route
from fetchers.universe import UniverseSettings
from scoring.settings import ScoringSettings
from storage.messages import Kind

#: compose's database reads them from the same .env
COMPOSE_ONLY = ("MYSQL_ROOT_PASSWORD", "MYSQL_REVIEW_PASSWORD")
#: other programs' variables that look like ours with a slip of the finger
FOREIGN = frozenset({"HTTPS_HOST", "HTTPS_PORT", *COMPOSE_ONLY, *(f"{name}_FILE" for name in COMPOSE_ONLY)})
SECRET_FILES = frozenset(f"{setting.name}_FILE" for setting in SETTINGS.values() if setting.is_secret)
KNOWN = SETTINGS.keys() | SECRET_FILES
ENV_FILE_KNOWN = KNOWN | {*COMPOSE_ONLY}
LONGEST_NAME = 40
#: TELEGRAM_TOKEN is refused for TELEGRAM_BOT_TOKEN (0.88), MYSQL_TCP_PORT is not for MYSQL_PORT (0.83)
NEAR_MISS = 0.87
#: a token stays a secret in the wrong place, e.g. in TELEGRAM_CHAT_ID
BOT_TOKEN_LIKE = re.compile(r"[0-9]{6,}:[\w-]{30,}")
#: a name that may be shown; what else stands before the "=" may be a secret in the wrong place
NAME_LIKE = re.compile(r"[A-Z]+(_[A-Z0-9]+)*")
#: one that may be shown as it is close to a setting's
SETTING_LIKE = re.compile(r"[A-Za-z][A-Za-z_]{0,39}")
#: a value that may be a secret in the wrong place: long, of letters and digits, or with a password in a URL
SECRET_LIKE = re.compile(r"(?=\S*[0-9])(?=\S*[A-Za-z])[\w+/=!#$%^&*~-]{12,}|\S*://[^/]*@.*")
SMART_QUOTES = "“”„‟‘’‚‛«»`´"  # noqa: RUF001
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
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
    headroom: dict[str, float]  #: [0…1] of each published request limit that stays unused, by exchange
    routes: dict[str, Route]  #: by which way each exchange is asked
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
    ca_file: str = ""  #: of the authority that signs the server's certificate; "" is the system's
    is_tls_required: bool = False


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
    route: Route  #: by which way Telegram and whatever has none of its own is asked
    universe: UniverseSettings
    telegram: TelegramSettings
    http: HttpSettings
    mysql: MySqlSettings | None
    data_dir: Path
    retention_days: int
    log_level: str
    heartbeat_url: str = field(repr=False)  #: "": none is asked
    texts: dict[str, str] = field(repr=False)  #: every setting that is no secret, by its name, as it was written

    @property
    def database(self) -> Path:
        """The file of SQLite."""
        return self.data_dir / "sgnl.db"

    def secrets(self) -> Iterator[str]:
        """Yield what no log may show; "" where there is none."""
        yield from (self.telegram.bot_token, self.http.token, self.mysql.password if self.mysql else "")
        yield from (self.heartbeat_url, urlsplit(self.heartbeat_url).path.strip("/"))
        for proxy in {route.proxy for route in (self.route, *self.venues.routes.values())} | {*getproxies().values()}:
            yield unquote(urlsplit(proxy).password or "")

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
    problems.extend(_unknown_in_environment(environ))
    texts: dict[str, str] = {}
    values: dict[str, Any] = {}
    refused: dict[str, tuple[str, str]] = {}
    for name, setting in SETTINGS.items():
        source, texts[name] = _find(setting, sources, problems)
        try:
            values[name] = setting.parse(texts[name])
        except ValueError:
            # The default stands in, so that the checks across settings still run.
            values[name] = setting.parse(setting.default)
            refused[name] = source, texts[name]
    secrets = {texts[name] for name, setting in SETTINGS.items() if setting.is_secret} - {""}
    for name, (source, text) in refused.items():
        problems.append(_bad_value(SETTINGS[name], source, text, secrets))
    problems.extend(_bad_proxies(environ))
    problems.extend(_contradictions(values))
    if not problems and values["TELEGRAM_CHAT_ID"] and not values["TELEGRAM_BOT_TOKEN"]:
        problems.append("TELEGRAM_BOT_TOKEN: is not set, expected one since TELEGRAM_CHAT_ID names who gets the alerts")
    if problems:
        raise ConfigError(problems)
    return _build(values, texts)


def hints(config: Config, env_file: Path) -> Iterator[str]:
    """Yield what to do about settings that work and give secrets away."""
    with suppress(OSError):  # there need not be one
        if os.name == "posix" and env_file.stat().st_mode & 0o044:
            yield f"{env_file} can be read by other users of this machine: chmod 600 {env_file}"
    parts = urlsplit(config.telegram.api_url)
    if config.telegram.bot_token and parts.scheme == "http" and not _is_near(parts.hostname or ""):
        yield "TELEGRAM_API_URL: your token goes there unencrypted, take https"


def _is_near(host: str) -> bool:
    """Whether it is on this machine or in its network, as far as the name says."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".lan"))


def _read_env_file(path: Path, problems: list[str]) -> dict[str, str]:
    """The file's values as written: a "$" in a password is a "$"."""
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for binding in parse_stream(stream):
                where = f"{path.name}, line {binding.original.line}"
                problem = _bad_line(binding)
                if problem:
                    problems.append(f"{where}: {problem}")
                elif binding.key is not None and binding.key in lines:
                    problems.append(f"{where}: {binding.key} was given already in line {lines[binding.key]}, keep one")
                elif binding.key is not None:
                    values[binding.key] = binding.value or ""
                    lines[binding.key] = binding.original.line
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path.name}: could not be read ({getattr(error, 'strerror', None) or 'it is no UTF-8 text'})")
    return values


def _bad_line(binding: Binding) -> str:
    """What is wrong with a line of .env, "" for nothing. No value is shown, and no name that may be one."""
    if binding.error and "=" in binding.original.string:
        return "a quote is not closed, or something follows it: put the whole value between two of the same kind"
    if binding.error or (binding.key is not None and binding.value is None):
        return "expected NAME=value"
    if binding.key is None:
        return ""
    if binding.key not in ENV_FILE_KNOWN:
        return f"{_shown(binding.key)}is no setting{_hint(binding.key, cutoff=0.6)}"
    raw = binding.original.string.partition("=")[2].strip()
    value = binding.value or ""
    name = binding.key
    if value and (value[0] in SMART_QUOTES or value[-1] in SMART_QUOTES):
        return f"{name}: the quotes are not the plain ones, ' or \""
    is_quoted = raw[:1] in {"'", '"'}
    if value and not is_quoted and value[-1] in "'\"":
        return f"{name}: a quote ends it and none begins it: put the whole value between two of the same kind"
    if not is_quoted and raw != value and name in SETTINGS and SETTINGS[name].kind.is_free:
        return f'{name}: what follows " #" is a comment: put the whole value in quotes, or the comment on its own line'
    return ""


def _unknown_in_environment(environ: Mapping[str, str]) -> Iterator[str]:
    """The near misses only: the environment is full of other programs' names."""
    for name in sorted(environ.keys() - KNOWN - FOREIGN):
        if hint := _hint(name, cutoff=NEAR_MISS):
            yield f"{name} (environment): is no setting{hint}"


def _hint(name: str, *, cutoff: float) -> str:
    near = get_close_matches(name.upper() if SETTING_LIKE.fullmatch(name) else name, KNOWN, n=1, cutoff=cutoff)
    return f", did you mean {near[0]}?" if near else ""


def _shown(name: str) -> str:
    """The name for a line of its own, "" where it may be a secret."""
    is_close = bool(SETTING_LIKE.fullmatch(name) and get_close_matches(name.upper(), KNOWN, n=1, cutoff=NEAR_MISS))
    return f"{name} " if is_close or (NAME_LIKE.fullmatch(name) and len(name) <= LONGEST_NAME) else ""


def _bad_value(setting: Setting, source: str, text: str, secrets: Collection[str]) -> str:
    hides = setting.is_secret or BOT_TOKEN_LIKE.search(text) or any(secret in text for secret in secrets)
    was = "" if hides or SECRET_LIKE.fullmatch(text) else f'was "{text}", '
    if text.startswith("tcp://"):
        service = setting.name.partition("_")[0].lower()
        was = f"was set by Kubernetes for its service {service} (set enableServiceLinks: false in the pod's spec), "
    return f"{setting.name} ({source}): {was}expected {setting.kind.expected}"


def _bad_proxies(environ: Mapping[str, str]) -> Iterator[str]:
    for name in PROXIES:
        scheme, found, _ = environ.get(name, "").strip().partition("://")
        if found and scheme.lower() not in SCHEMES:
            yield f"{name} (environment): expected a proxy of one of {', '.join(SCHEMES)}, such as http://host:port"


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
                text = Path(path).expanduser().read_text(encoding="utf-8").strip()
            except (OSError, RuntimeError, UnicodeDecodeError) as error:
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
    headroom = values["RATE_HEADROOM_PERCENT"]
    route = Route(proxy=values["PROXY_URL"], user_agent=values["USER_AGENT"] or f"sgnl/{VERSION}")
    urls = {venue: values[f"{venue.upper()}_URL"] or None for venue in EXCHANGES}
    features = FeatureSettings(**groups["features"])
    return Config(
        features=features,
        scoring=ScoringSettings(
            **groups["scoring"],
            default_taker_fee_percent=fees.pop("default"),
            taker_fee_percent=fees,
            config_hash=config_hash,
            features_hash=hashlib.sha256(repr(sorted(asdict(features).items())).encode()).hexdigest()[:6],
        ),
        strategies=values["STRATEGIES"],
        venues=VenueSettings(
            **groups["venues"],
            urls=urls,
            headroom={venue: headroom.get(venue, headroom["default"]) / 100 for venue in EXCHANGES},
            routes={
                venue: replace(route, proxy=values[f"{venue.upper()}_PROXY"] or route.proxy) for venue in EXCHANGES
            },
        ),
        route=route,
        universe=UniverseSettings(**groups["universe"]),
        telegram=TelegramSettings(**groups["telegram"], modes=modes),
        http=HttpSettings(**groups["http"]),
        mysql=MySqlSettings(**groups["mysql"]) if values["MYSQL_HOST"] else None,
        data_dir=Path(values["DATA_DIR"]),
        retention_days=values["RETENTION_DAYS"],
        log_level=values["LOG_LEVEL"],
        heartbeat_url=values["HEARTBEAT_URL"],
        texts={name: texts[name] for name in public},
    )
