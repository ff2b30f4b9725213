"""Every command, in the order of /help: one file a command, and one row here."""

from collections.abc import Mapping

from bot.chat.commands import (
    audit,
    chart,
    chats,
    count,
    daily,
    health,
    levels,
    logs,
    misses,
    mute,
    mutes,
    open_signals,
    pause,
    performance,
    profit,
    quiet,
    resume,
    score,
    send_test,
    settings,
    signals,
    stats,
    status,
    top,
    unmute,
    version,
    web,
    why,
)
from bot.chat.commands.base import Command

COMMANDS: tuple[Command, ...] = tuple(
    module.COMMAND
    for module in (
        status,
        open_signals,
        signals,
        top,
        score,
        levels,
        why,
        chart,
        misses,
        profit,
        stats,
        performance,
        daily,
        count,
        mutes,
        health,
        version,
        pause,
        resume,
        mute,
        unmute,
        quiet,
        settings,
        send_test,
        chats,
        logs,
        audit,
        web,
    )
)
BY_NAME: Mapping[str, Command] = {name: command for command in COMMANDS for name in (command.name, *command.aliases)}
