"""From the environment and .env to one frozen Config, or every problem at once.

The settings are declared at the records' fields (bot/config/settings.py). A blank value is one not given. Nothing
here opens a socket or changes the environment.
"""

import hashlib
import ipaddress
import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from bot.config.env_file import read_env_file, unknown_in_environment
from bot.config.settings import (
    SETTINGS,
    Config,
    HttpSettings,
    MySqlSettings,
    TapeSettings,
    TelegramSettings,
    VenueSettings,
)
from features.candle_settings import CandleSettings
from features.declare import Setting, build
from features.settings import FeatureSettings
from fetchers.transport.route import SCHEMES
from fetchers.universe import UniverseSettings
from scoring.settings import ScoringSettings
from scoring.strategies import STRATEGIES

#: a token stays a secret in the wrong place, e.g. in TELEGRAM_CHAT_ID
BOT_TOKEN_LIKE = re.compile(r"[0-9]{6,}:[\w-]{30,}")
#: a value that may be a secret in the wrong place: long, of letters and digits, or with a password in a URL
SECRET_LIKE = re.compile(r"(?=\S*[0-9])(?=\S*[A-Za-z])[\w+/=!#$%^&*~-]{12,}|\S*://[^/]*@.*")
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
#: a trailing exit that could never arm, or that would start out at a loss
TRAILING_ORDER = (("TRAIL_ACTIVATION_PERCENT", "TP_PERCENT"), ("TRAIL_DISTANCE_PERCENT", "TRAIL_ACTIVATION_PERCENT"))


class ConfigError(Exception):
    """The settings cannot be used; one line for each problem, none shows a secret."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


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
        sources[env_file.name] = read_env_file(env_file, problems)
    problems.extend(unknown_in_environment(environ))
    texts: dict[str, str] = {}
    values: dict[str, Any] = {}
    refused: dict[str, tuple[str, str]] = {}
    for name, setting in SETTINGS.items():
        source, texts[name] = _find(setting, sources, problems)
        try:
            values[name] = setting.parse(texts[name])
        except ValueError:
            # The default is used instead, so that the checks across settings still run.
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


def _bad_value(setting: Setting[Any], source: str, text: str, secrets: Collection[str]) -> str:
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


def _find(setting: Setting[Any], sources: Mapping[str, Mapping[str, str]], problems: list[str]) -> tuple[str, str]:
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
    """Return the problems of settings that are valid one by one but not together."""
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
    features = build(FeatureSettings, values)
    features_hash = hashlib.sha256(repr(sorted(asdict(features).items())).encode()).hexdigest()[:6]
    return build(
        Config,
        values,
        telegram=build(TelegramSettings, values),
        venues=build(VenueSettings, values),
        universe=build(UniverseSettings, values),
        features=features,
        candles=build(CandleSettings, values),
        scoring=build(
            ScoringSettings,
            values,
            config_hash=config_hash,
            features_hash=features_hash,
            own={name: asdict(build(strategy.settings, values)) for name, strategy in STRATEGIES.items()},
        ),
        http=build(HttpSettings, values),
        tape=build(TapeSettings, values, folder=Path(values["DATA_DIR"]) / "tape"),
        mysql=build(MySqlSettings, values) if values["MYSQL_HOST"] else None,
        texts={name: texts[name] for name in public},
    )
