"""What users write becomes a Config, or one line for each thing that is wrong."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.config.load import ConfigError, hints, load_config
from bot.config.settings import RECORDS, SETTINGS, Config
from features.declare import sources_of
from features.facts.venues import VENUES
from features.settings import FeatureSettings, SharedSettings
from fetchers.transport.pools import HEADROOM
from fetchers.universe import UniverseSettings
from scoring.settings import ScoringSettings, record_version
from scoring.strategies.levels.settings import LevelsSettings
from scoring.strategies.ups_short.settings import UpsSettings

TOKEN = "123456:AAbb-cc_dd"


def problems_of(environ: dict[str, str], env_file: Path | None = None) -> tuple[str, ...]:
    """Load settings that must be refused."""
    with pytest.raises(ConfigError) as refused:
        load_config(environ, env_file)
    assert str(refused.value) == "\n".join(refused.value.problems)
    return refused.value.problems


def env_file_of(tmp_path: Path, text: str) -> Path:
    """Write a .env."""
    path = tmp_path / ".env"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults() -> None:
    """With nothing set, the rooms get their records' own defaults."""
    config = load_config({})
    assert config.features == FeatureSettings()
    assert config.scoring == ScoringSettings(
        own={"ups": dataclasses.asdict(UpsSettings()), "levels": dataclasses.asdict(LevelsSettings())},
        config_hash=config.scoring.config_hash,
        features_hash=config.scoring.features_hash,
    )
    assert config.universe == UniverseSettings()
    assert config.venues.headroom == dict.fromkeys(VENUES, HEADROOM) | {"bybit": 0.5}
    assert config.changed() == []
    assert config.mysql is None
    assert (UpsSettings().min_score, config.scoring.take_profit_percent, config.features.oi_window_s) == (72, 1.7, 900)


@pytest.mark.parametrize("record", RECORDS)
def test_every_field_has_a_setting(record: type[Any]) -> None:
    """Nothing the rooms can be told is out of the user's reach but the constants of the design."""
    derived = {"texts", "folder", "code_hash", "config_hash", "features_hash"}
    constants = {"near_miss_points", "liquidity_flip_ask_share", "own"}
    rooms = {"telegram", "venues", "universe", "features", "candles", "scoring", "http", "mysql", "tape"}
    fields = {field.name for field in dataclasses.fields(record)}
    assert fields - sources_of(record).keys() <= derived | constants | rooms


def test_what_two_records_share_is_one_setting() -> None:
    """Features and decisions never differ in what both are told."""
    config = load_config({"SWEEP_TTL_SECONDS": "20", "MAX_DATA_AGE_SECONDS": "12", "REFRESH_INTERVAL": "3"})
    features, scoring, names = (
        {field.name for field in dataclasses.fields(record)}
        for record in (FeatureSettings, ScoringSettings, SharedSettings)
    )
    assert features & scoring == names, "declared twice"
    assert [getattr(config.features, name) for name in names] == [getattr(config.scoring, name) for name in names]
    assert (config.scoring.sweep_ttl_s, config.scoring.max_data_age_s, config.scoring.refresh_interval_s) == (20, 12, 3)


CHANGED = {
    "TP_PERCENT": "2",
    "SWEEP_TTL_SECONDS": "20",
    "MIN_SCORE_THRESHOLD": "60",
    "EXCLUDE_COINS": "xmr,btc",
    "TAKER_FEE_PERCENT": "0.06,binance=0.04",
    "BYBIT_URL": "https://api.bybit.eu",
    "QUIET_HOURS": "23:00-07:00",
    "BURST_LIMIT": "4",
    "MIN_OI_DIVERGENCE": "10",
    "RATE_HEADROOM_PERCENT": "20",
}


@pytest.mark.parametrize(
    ("environ", "config_hash", "features_hash", "version"),
    [({}, "7f9df2fccc0a", "ec592a", "1-66576c"), (CHANGED, "6383ad3cc8c8", "388a50", "1-2c9fb5")],
)
def test_hashes_last(environ: dict[str, str], config_hash: str, features_hash: str, version: str) -> None:
    """Records of stored signals compare by them: the same settings give the same, whatever the code looks like.

    A new setting gives a new config_hash, and a new version where it decides what is alerted or how it ends.
    """
    scoring = load_config(environ).scoring
    assert (scoring.config_hash, scoring.features_hash) == (config_hash, features_hash)
    assert record_version("1", scoring, UpsSettings) == version


def test_a_venue_more_needs_no_row_here() -> None:
    """URL, proxy, fee, headroom and EXCHANGES follow from its row of facts."""
    script = """
from features.facts.venues import VENUES, VenueFacts
VENUES["okto"] = VenueFacts(id="okto", title="Okto", pair_page="https://okto.example/{}")
from bot.config.docs import env_example
from bot.config.load import load_config
environ = {"OKTO_URL": "http://127.0.0.1:9", "OKTO_PROXY": "direct", "TAKER_FEE_PERCENT": "0.05,okto=0.02"}
config = load_config(environ | {"RATE_HEADROOM_PERCENT": "30,okto=90"})
assert config.venues.exchanges[-1] == "okto" and config.venues.urls["okto"] == "http://127.0.0.1:9"
assert config.venues.routes["okto"].proxy == "direct" and config.venues.headroom["okto"] == 0.9
assert config.scoring.taker_fee_percent == {"okto": 0.02}
assert "Base URL in place of Okto's own" in env_example()
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, cwd=Path(__file__).parents[3])


def test_a_strategy_brings_its_settings() -> None:
    """They are found by the list of strategies: nothing is edited here."""
    script = """
from dataclasses import dataclass, replace
from typing import ClassVar
from features.declare import POINTS, Group
from scoring.settings import StrategySettings
from scoring.strategies import STRATEGIES
from tests.scoring.strategies.bounce_long import BOUNCE_LONG

@dataclass(frozen=True, slots=True, kw_only=True)
class BounceSettings(StrategySettings):
    strategy: ClassVar[str] = "bounce"
    min_score: float = Group("Strategy bounce").setting("BOUNCE_MIN_SCORE", "70", POINTS, "Least score")

STRATEGIES["bounce"] = replace(BOUNCE_LONG, settings=BounceSettings)
import bot.config.load as load
from bot.config.docs import env_example
config = load.load_config({"STRATEGIES": "bounce,ups", "BOUNCE_MIN_SCORE": "65"})
assert config.scoring.of(BounceSettings).min_score == 65
assert config.changed() == ["STRATEGIES=bounce,ups (default ups)", "BOUNCE_MIN_SCORE=65 (default 70)"]
assert "# Strategy bounce" in env_example()
try:
    load.load_config({"BOUNCE_MIN_SCORE": "650"})
except load.ConfigError as error:
    assert "BOUNCE_MIN_SCORE (environment): was" in str(error)
else:
    raise AssertionError("not refused")
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, cwd=Path(__file__).parents[3])


def test_the_features_settings_part_records() -> None:
    """A window of the features begins a new record, as what is scored with it is something else."""
    hashes = {
        load_config({"BOOK_WINDOW_SECONDS": length}).scoring.features_hash for length in ("900", "1800", "1800.0")
    }
    assert len(hashes) == 2


def test_environment_wins_over_env_file(tmp_path: Path) -> None:
    """A value in the environment beats the one in .env, and a blank one does not count."""
    env_file = env_file_of(tmp_path, "TP_PERCENT=2\nCOOLDOWN_SECONDS=10 # short\nBURST_LIMIT=\n")
    config = load_config({"TP_PERCENT": "3", "COOLDOWN_SECONDS": " "}, env_file)
    assert (config.scoring.take_profit_percent, config.scoring.cooldown_s, config.scoring.burst_limit) == (3, 10, 2)
    assert config.changed() == ["COOLDOWN_SECONDS=10 (default 60)", "TP_PERCENT=3 (default 1.7)"]


def test_env_file_is_read_as_written(tmp_path: Path) -> None:
    """A byte order mark is skipped and a dollar in a password stays one."""
    env_file = tmp_path / ".env"
    env_file.write_bytes(b"\xef\xbb\xbfMYSQL_HOST=db\nMYSQL_PASSWORD='a${HOME}$b'\nMYSQL_ROOT_PASSWORD=x\n")
    config = load_config({}, env_file)
    assert config.mysql is not None
    assert config.mysql.password == "a${HOME}$b"


def test_missing_env_file_is_an_empty_one(tmp_path: Path) -> None:
    """Nobody has to have a .env."""
    assert load_config({}, tmp_path / ".env") == load_config({})


def test_full_telegram_and_venue_settings() -> None:
    """Lists, topics, base URLs and fees by venue arrive as the records say."""
    config = load_config(
        {
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_CHAT_ID": "42, -1001234567890:7,@my_channel,42",
            "EXCHANGES": "mexc,binance",
            "BINANCE_URL": "http://127.0.0.1:9001/",
            "TAKER_FEE_PERCENT": "0.06, binance=0.04,mexc=0.02",
            "EXCLUDE_COINS": "xmr,DASH",
            "TRAILING_ENABLED": "Yes",
        }
    )
    assert config.telegram.chat_ids == ("42", "-1001234567890:7", "@my_channel")
    assert config.venues.exchanges == ("mexc", "binance")
    assert config.venues.urls == {"binance": "http://127.0.0.1:9001", "bybit": "", "mexc": "", "lbank": ""}
    assert config.scoring.default_taker_fee_percent == 0.06
    assert config.scoring.taker_fee_percent == {"binance": 0.04, "mexc": 0.02}
    assert config.universe.exclude_coins == {"XMR", "DASH"}
    assert config.scoring.trailing_enabled


def test_who_is_told_what_goes_wrong() -> None:
    """The chat named for it, or else the first private one, or else the first admin's; never a group or channel."""
    chats = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_CHAT_ID": "-100777,@channel,43:5,42"}
    assert load_config(chats).telegram.operator == "43:5"
    assert load_config(chats | {"OPERATOR_CHAT_ID": "-100888:7"}).telegram.operator == "-100888:7"
    groups = chats | {"TELEGRAM_CHAT_ID": "-100777"}
    assert load_config(groups).telegram.operator == ""
    assert load_config(groups | {"TELEGRAM_ADMIN_IDS": "7,8"}).telegram.operator == "7"


def test_who_may_steer() -> None:
    """The named admins, or else the people of the private chats, never a whole group."""
    chats = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_CHAT_ID": "42,-100777,@channel,43:5"}
    assert load_config(chats).telegram.steering_ids == {42, 43}, "a topic in a private chat is that person's too"
    assert load_config(chats | {"TELEGRAM_ADMIN_IDS": "7,8"}).telegram.steering_ids == {7, 8}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MIN_SCORE_THRESHOLD", "101"),
        ("MIN_SCORE_THRESHOLD", "nan"),
        ("MIN_SCORE_THRESHOLD", "high"),
        ("BURST_LIMIT", "2.5"),
        ("BURST_LIMIT", "0"),
        ("TRAILING_ENABLED", "maybe"),
        ("EXCHANGES", "binance,kraken"),
        ("EXCHANGES", ","),
        ("TIMEZONE", "Mars/Olympus"),
        ("TIMEZONE", "Europe"),
        ("TIMEZONE", "../etc"),
        ("TELEGRAM_CHAT_ID", "my_channel"),
        ("TELEGRAM_CHAT_ID", "-0"),
        ("TELEGRAM_CHAT_ID", "42:topic"),
        ("TELEGRAM_ADMIN_IDS", "@somebody"),
        *(("TELEGRAM_ADMIN_IDS", f"42,{shared}") for shared in (1087968824, 136817688, 777000)),
        ("OPERATOR_CHAT_ID", "42,43"),
        ("TELEGRAM_ADMIN_IDS", "-100123"),
        ("TELEGRAM_API_URL", "localhost:8081"),
        ("MEXC_URL", "http://127.0.0.1:port"),
        ("TAKER_FEE_PERCENT", "0.05,kraken=0.1"),
        ("TAKER_FEE_PERCENT", "binance=0.04,binance=0.05"),
        ("TAKER_FEE_PERCENT", "-1"),
        ("LOG_LEVEL", "LOUD"),
        ("HTTP_PORT", "65536"),
        ("HTTP_HOST", "http://192.0.2.7"),
    ],
)
def test_a_bad_value_is_one_line(name: str, text: str) -> None:
    """The line names the setting, where it came from, what it was and what is expected."""
    assert problems_of({name: text}) == (
        f'{name} (environment): was "{text}", expected {SETTINGS[name].kind.expected}',
    )


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (
            {"MIN_QUOTE_VOLUME": "9", "MAX_QUOTE_VOLUME": "8"},
            "MIN_QUOTE_VOLUME: was 9, expected at most MAX_QUOTE_VOLUME",
        ),
        ({"SL_PERCENT_MIN": "2"}, "SL_PERCENT_MIN: was 2, expected at most SL_PERCENT_MAX, which is 1.1"),
        ({"REFRESH_INTERVAL": "20"}, "REFRESH_INTERVAL: was 20, expected at most MAX_DATA_AGE_SECONDS"),
        (
            {"REACH_SECONDS": "9", "SIGNAL_TIMEOUT_SECONDS": "8"},
            "REACH_SECONDS: was 9, expected at most SIGNAL_TIMEOUT",
        ),
        (
            {"TRAILING_ENABLED": "on", "TRAIL_DISTANCE_PERCENT": "0.9"},
            "TRAIL_DISTANCE_PERCENT: was 0.9, expected at most TRAIL_ACTIVATION_PERCENT, which is 0.8",
        ),
        ({"HTTP_HOST": "192.0.2.7"}, "HTTP_TOKEN: is not set"),
    ],
)
def test_contradictions(environ: dict[str, str], line: str) -> None:
    """Values that are fine alone but not together are refused with both named."""
    (problem,) = problems_of(environ)
    assert problem.startswith(line)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    """Addresses of the machine itself are open without HTTP_TOKEN."""
    assert load_config({"HTTP_HOST": host}).http.host == host


def test_trailing_limits_only_hold_while_it_is_on() -> None:
    """Settings of a feature that is off contradict nothing."""
    assert load_config({"TRAIL_DISTANCE_PERCENT": "5"}).scoring.trail_distance_percent == 5


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    """One start shows everything there is to repair, in .env and in the environment."""
    env_file = env_file_of(tmp_path, "MIN_SCORE_TRESHOLD=70\nwhat is this\nTP_PERCENT=much\nHTTPS_PORT=1\nNONSENSE=1\n")
    assert problems_of({"HTTP_HOST": "192.0.2.7", "TELEGRAM_TOKEN": "x"}, env_file) == (
        ".env, line 1: MIN_SCORE_TRESHOLD is no setting, did you mean MIN_SCORE_THRESHOLD?",
        ".env, line 2: expected NAME=value",
        ".env, line 4: HTTPS_PORT is no setting, did you mean HTTP_PORT?",
        ".env, line 5: NONSENSE is no setting",
        "TELEGRAM_TOKEN (environment): is no setting, did you mean TELEGRAM_BOT_TOKEN?",
        'TP_PERCENT (.env): was "much", expected a number from 0.01 to 50',
        "HTTP_TOKEN: is not set, expected one since HTTP_HOST 192.0.2.7 is open to other machines",
    )


def test_other_programs_variables_do_not_trip() -> None:
    """The environment belongs to everybody: only a slip of the finger in one of our names is refused there."""
    names = (
        "PATH HOME TZ HTTP_PROXY HTTPS_PROXY http_proxy HTTPS_PORT DATA DATA_HOME XDG_DATA_DIRS MYSQL_HOME MYSQL_PWD "
        "MYSQL_TCP_PORT MYSQL_ROOT_PASSWORD MYSQL_ROOT_PASSWORD_FILE LOGNAME LOG_FILE TELEGRAM_DESKTOP HOSTNAME"
    )
    assert load_config(dict.fromkeys(names.split(), "x")) == load_config({})


def test_env_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Docker makes a folder where a mounted file is missing: that is a line, not a traceback."""
    (tmp_path / ".env").mkdir()
    (problem,) = problems_of({}, tmp_path / ".env")
    assert problem.startswith(".env: could not be read")


def test_secrets_from_files(tmp_path: Path) -> None:
    """A secret may be the content of a file, without the line end; not twice, and not a missing or empty file."""
    secret = tmp_path / "token"
    secret.write_text(f"{TOKEN}\n", encoding="utf-8")
    environ = {"TELEGRAM_CHAT_ID": "42", "TELEGRAM_BOT_TOKEN_FILE": str(secret)}
    assert load_config(environ).telegram.bot_token == TOKEN
    assert problems_of(environ | {"TELEGRAM_BOT_TOKEN": TOKEN}) == (
        "TELEGRAM_BOT_TOKEN (environment): was given twice, here and as TELEGRAM_BOT_TOKEN_FILE",
    )
    (problem,) = problems_of({"HTTP_TOKEN_FILE": str(tmp_path / "none")})
    assert problem.startswith("HTTP_TOKEN_FILE (environment): could not be read")
    secret.write_text("\n", encoding="utf-8")
    (problem,) = problems_of(environ)
    assert problem.endswith("was empty, expected the secret in it")


def test_secrets_are_never_shown() -> None:
    """Neither the records' repr nor a refusal shows a secret."""
    secrets = {"TELEGRAM_BOT_TOKEN": TOKEN, "HTTP_TOKEN": "0123456789abcdef", "MYSQL_PASSWORD": "hunter2"}
    config = load_config(secrets | {"TELEGRAM_CHAT_ID": "42", "MYSQL_HOST": "db"})
    shown = f"{config!r} {config.texts} {config.changed()}"
    assert not [secret for secret in secrets.values() if secret in shown]
    (problem,) = problems_of({"HTTP_TOKEN": "hunter2"})
    assert problem == "HTTP_TOKEN (environment): expected at least 16 characters without spaces"
    (problem,) = problems_of({"TELEGRAM_CHAT_ID": f"123456:{'Ab-9' * 9}"})
    assert problem.startswith("TELEGRAM_CHAT_ID (environment): expected numeric ids")


def test_config_hash() -> None:
    """The hash follows what the settings mean, not how they are written, and no secret."""

    def hash_of(environ: dict[str, str]) -> str:
        config: Config = load_config(environ)
        return config.scoring.config_hash

    assert hash_of({}) == hash_of({"TP_PERCENT": "1.70"}) == hash_of({"HTTP_TOKEN": "0123456789abcdef"})
    assert hash_of({}) != hash_of({"TP_PERCENT": "1.8"})


SECRET = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0"


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"TELEGRAM_BOT_TOKEN {SECRET}",
        f'TELEGRAM_BOT_TOKEN="{SECRET}',
        f"{SECRET}=x",
        f"TELEGRAM_BOT_TOKEN=bot{SECRET}",
        f"TELEGRAM_BOT_TOKEN=“{SECRET}”",
        f"TELEGRAM_BOT_TOKEN={SECRET}'",
        f"TELEGRAM_CHAT_ID={SECRET}",
        f"HTTP_PORT={SECRET}",
        f"MEXC_URL=http://me:{SECRET}@127.0.0.1",
        f"TELEGRAM_BOT_TOKEN={SECRET}\nHTTP_PORT={SECRET}",
        f"export {SECRET}",
    ],
)
def test_a_secret_in_the_wrong_place_is_not_shown(tmp_path: Path, text: str) -> None:
    """Whatever is wrong with the line, it is named by its number or its setting, and not by what stands in it."""
    (problem,) = problems_of({}, env_file_of(tmp_path, f"{text}\n"))
    assert not any(part in problem for part in ("110201543", "AAHdq", "saw0"))


@pytest.mark.parametrize(
    "text", ["hunter2secret", "hunter2secret=", "HUNTER2SECRET=", "MYSQL_PASSWORD=x\nhunter2secret"]
)
def test_a_password_alone_on_a_line_is_not_shown(tmp_path: Path, text: str) -> None:
    """A name is shown only where it looks like one."""
    (problem,) = problems_of({"MYSQL_HOST": "h"}, env_file_of(tmp_path, f"{text}\n"))
    assert "hunter2" not in problem.lower()
    assert problem.startswith(".env, line ")


def test_a_short_secret_given_to_another_setting_is_not_shown() -> None:
    """What is set as a secret is hidden in every other line."""
    (problem,) = problems_of({"MYSQL_PASSWORD": "hunter2", "HTTP_PORT": "hunter2"})
    assert problem == "HTTP_PORT (environment): expected a whole number from 0 to 65535"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("TP_PERCENT=1\nTP_PERCENT=2", ".env, line 2: TP_PERCENT was given already in line 1, keep one"),
        ("A=\nTP_PERCENT=1\n\n# x\nTP_PERCENT=", ".env, line 5: TP_PERCENT was given already in line 2, keep one"),
        ("MYSQL_PASSWORD=ab #cd", ".env, line 1: MYSQL_PASSWORD: what follows"),
        ("DATA_DIR=my data #1", ".env, line 1: DATA_DIR: what follows"),
        ("MYSQL_PASSWORD='ab", ".env, line 1: a quote is not closed"),
        ('MYSQL_PASSWORD="a" b', ".env, line 1: a quote is not closed, or something follows it"),
        ("MYSQL_PASSWORD=ab'", ".env, line 1: MYSQL_PASSWORD: a quote ends it"),
        ("TELEGRAM_CHAT_ID=“-100123”", ".env, line 1: TELEGRAM_CHAT_ID: the quotes are not the plain ones"),
        ("telegram_chat_id=5", ".env, line 1: telegram_chat_id is no setting, did you mean TELEGRAM_CHAT_ID?"),
        ("MYSQL_PORT=tcp://10.0.0.1:3306", "MYSQL_PORT (.env): was set by Kubernetes for its service mysql"),
        ("HTTP_PORT=8_080", 'HTTP_PORT (.env): was "8_080", expected a whole number'),
        ("HTTP_PORT=\u0661", 'HTTP_PORT (.env): was "\u0661", expected a whole number'),
        ("DATA_DIR=~nobody-of-that-name/x", 'DATA_DIR (.env): was "~nobody-of-that-name/x", expected a path'),
        ("TELEGRAM_CHAT_ID=5", "TELEGRAM_BOT_TOKEN: is not set, expected one since TELEGRAM_CHAT_ID names"),
    ],
)
def test_traps_of_env_files(tmp_path: Path, text: str, problem: str) -> None:
    """What would silently mean something else is refused with its line and what to do."""
    assert any(line.startswith(problem) for line in problems_of({}, env_file_of(tmp_path, f"{text}\n")))


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("ab#cd", "ab#cd"),
        ("'ab #cd'", "ab #cd"),
        ('"ab #cd" # mine', "ab #cd"),
        ("it's", "it's"),
        ("pa$word${HOME}", "pa$word${HOME}"),
        ("=abc=", "=abc="),
    ],
)
def test_what_is_no_trap(tmp_path: Path, text: str, password: str) -> None:
    """Passwords as people write them are read as they are."""
    config = load_config({}, env_file_of(tmp_path, f"MYSQL_HOST=db\nMYSQL_PASSWORD={text}\n"))
    assert config.mysql is not None
    assert config.mysql.password == password


def test_home_and_names_in_any_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A "~" is the home folder, in files of secrets too, and a channel in two spellings is one."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "token").write_text(TOKEN)
    chats = {"TELEGRAM_BOT_TOKEN_FILE": "~/token", "TELEGRAM_CHAT_ID": "@MyChannel,5,@mychannel,@MyChannel:7"}
    config = load_config(chats | {"DATA_DIR": "~/sgnl"})
    assert config.data_dir == tmp_path / "sgnl"
    assert config.telegram.bot_token == TOKEN
    assert config.telegram.chat_ids == ("@MyChannel", "5", "@MyChannel:7")


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_a_proxy_that_cannot_be_used(name: str) -> None:
    """Its user and password are not shown; http is fine."""
    (problem,) = problems_of({name: "ftp://me:hunter2@host:1"})
    assert problem.startswith(f"{name} (environment): expected a proxy of one of http, https, socks5")
    assert "hunter2" not in problem
    assert load_config({name: "http://me:hunter2@host:1"}) == load_config({})


def test_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no log may show is all that is secret in the settings, and passwords of proxies, also the environment's."""
    monkeypatch.setenv("https_proxy", "http://ann:of-the-environment@proxy.test:3128")
    given = {
        "TELEGRAM_BOT_TOKEN": "123456:token",
        "HTTP_TOKEN": "of-the-web-app-1234",
        "MYSQL_HOST": "db",
        "MYSQL_PASSWORD": "of-mysql",
        "HEARTBEAT_URL": "https://hc-ping.com/of-the-heartbeat",
        "PROXY_URL": "socks5://ann:of%20all@proxy.test:1080",
        "BYBIT_PROXY": "http://ann:of-bybit@proxy.test:3128",
    }
    expected = {"123456:token", "of-the-web-app-1234", "of-mysql", "of-the-heartbeat", "of all", "of-bybit"}
    config = load_config(given)
    assert {*config.secrets()} >= expected | {given["HEARTBEAT_URL"], "of-the-environment"}
    assert not any(secret in repr(config) for secret in expected)


@pytest.mark.parametrize(("mode", "is_open"), [(0o600, False), (0o640, True), (0o644, True), (0o604, True)])
def test_an_env_file_that_others_can_read(tmp_path: Path, mode: int, is_open: bool) -> None:
    """It is said with what to do; one that is not there is no matter."""
    path = tmp_path / ".env"
    assert [*hints(load_config({}), path)] == []
    path.write_text("")
    path.chmod(mode)
    hint = f"{path} can be read by other users of this machine: chmod 600 {path}"
    assert [*hints(load_config({}), path)] == ([hint] if is_open else [])


@pytest.mark.parametrize(
    ("url", "is_told"),
    [
        ("http://bot-api.example.com", True),
        ("http://8.8.8.8:8081", True),
        ("https://bot-api.example.com", False),
        ("http://127.0.0.1:8081", False),
        ("http://192.168.1.2:8081", False),
        ("http://telegram-bot-api:8081", False),
    ],
)
def test_a_token_sent_in_clear(tmp_path: Path, url: str, is_told: bool) -> None:
    """A Bot API server out there that is asked without TLS is said."""
    config = load_config({"TELEGRAM_BOT_TOKEN": "123456:token", "TELEGRAM_API_URL": url})
    told = [*hints(config, tmp_path / ".env")]
    assert told == (["TELEGRAM_API_URL: your token goes there unencrypted, take https"] if is_told else [])


def test_settings_need_no_network() -> None:
    """Settings are read before anything connects: no library of the network is imported for them."""
    names = {"aiohttp", "telegram", "ccxt", "aiosqlite"}
    script = f"import sys, bot.config.load; sys.exit(bool({names} & set(sys.modules)))"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", script], check=False, cwd=root).returncode == 0
