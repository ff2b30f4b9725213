"""The lines of .env: their values as written, and what would silently mean something else refused with its line."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from dotenv.parser import Binding, parse_stream  # dotenv_values would skip bad lines and take duplicates

from bot.config.settings import SETTINGS

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
#: a name that may be shown; anything else before the "=" may be a secret in the wrong place
NAME_LIKE = re.compile(r"[A-Z]+(_[A-Z0-9]+)*")
#: one that may be shown as it is close to a setting's
SETTING_LIKE = re.compile(r"[A-Za-z][A-Za-z_]{0,39}")
SMART_QUOTES = "“”„‟‘’‚‛«»`´"  # noqa: RUF001


def read_env_file(path: Path, problems: list[str]) -> dict[str, str]:
    """Return the file's values as written (a "$" in a password is a "$"), and add what is wrong to `problems`."""
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
    """Return what is wrong with a line of .env, "" for nothing. No value is shown, and no name that may be one."""
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


def unknown_in_environment(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the near misses only: the environment is full of other programs' names."""
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
