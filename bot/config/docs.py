"""The settings as text for people; a test holds .env.example and README.md to it."""

from collections.abc import Iterator
from typing import Any

from bot.config.env_file import COMPOSE_ONLY
from bot.config.settings import GROUPS
from features.declare import Setting

#: what nearly everybody sets is in .env.example, ready to be filled in
FIRST = ("TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID")


def settings_table_markdown() -> str:
    """Return one Markdown table for each group of settings."""
    return "\n\n".join("\n".join((f"**{title}**", "", *_rows(group))) for title, group in GROUPS.items())


def env_example() -> str:
    """Return .env.example."""
    return "\n".join(_env_lines()) + "\n"


def _rows(group: tuple[Setting[Any], ...]) -> Iterator[str]:
    yield "| setting | default | takes | what it does |"
    yield "|---|---|---|---|"
    for setting in group:
        default = f"`{setting.default}`" if setting.default else ""
        unit = f" {setting.unit}" if setting.default and setting.unit else ""
        yield f"| `{setting.name}` | {default}{unit} | {setting.kind.expected} | {setting.meaning} |"


def _env_lines() -> Iterator[str]:
    yield "# Copy this file to .env and set what shall differ from the defaults shown here."
    yield "# The environment wins over .env. A secret may also be given as the path of a file that holds it:"
    yield f"# {FIRST[0]}_FILE=/run/secrets/bot_token"
    for title, group in GROUPS.items():
        yield from ("", f"# {title}", "")
        for setting in group:
            unit = f"{setting.unit}, " if setting.unit else ""
            yield f"# {setting.meaning} ({unit}{setting.kind.expected})"
            yield f"{'' if setting.name in FIRST else '#'}{setting.name}={setting.default}"
    yield from (
        "",
        "# Read by the database of docker compose only, not by the bot",
        *(f"#{name}=" for name in COMPOSE_ONLY),
    )
