"""/chats: how each chat fares."""

from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.chat_states import ChatState
from bot.chat.delivery.sender import Content
from bot.chat.texts.markup import Markup, bold, html, join
from bot.chat.texts.phrases import (
    age_text,
    duration_text,
    fit,
    local_time,
)
from storage.messages import Button


async def answer(context: CommandContext, _argument: str) -> Said:
    """/chats."""
    sent_ms, waiting = await context.store.chats.last_sent_ms(), await context.store.chats.waiting_counts()
    states = context.chat_states
    names = context.recipients.everyone
    lines = [
        chat_line(
            name,
            states[name],
            last_sent_ms=sent_ms.get(name),
            waiting=waiting.get(name, 0),
            is_operator=name == context.recipients.operator,
            now_ms=context.clock.now_ms(),
            monotonic_ms=context.clock.monotonic_ms(),
            timezone=context.timezone,
        )
        for name in names
    ]
    return Content(text=fit(bold("Chats"), *lines), buttons=(Button(text="Try again", press="try:"),))


def chat_line(
    name: str,
    state: ChatState,
    *,
    last_sent_ms: int | None,
    waiting: int,
    is_operator: bool,
    now_ms: int,
    monotonic_ms: int,
    timezone: str,
) -> Markup:
    """Return how a chat fares; `monotonic_ms` is now by the clock of its waits."""
    title = (f"{state.title} ({name})" if state.title else name) + (", operator" if is_operator else "")
    parts: list[str] = ["takes messages"]
    if state.refusal:
        since = f"{local_time(state.refused_since_ms, timezone):%d %b %H:%M}"
        parts = [html("<b>gets nothing</b> since {}: {}", since, state.refusal)]
        if state.try_at_ms > monotonic_ms:
            parts.append(f"next try in {duration_text((state.try_at_ms - monotonic_ms) / 1000)}")
    elif state.flood_until_ms > monotonic_ms:
        wait = duration_text((state.flood_until_ms - monotonic_ms) / 1000)
        parts = [html("<b>gets nothing</b> for {}: Telegram asks for patience", wait)]
    if state.rejected:
        parts.append(f"last message rejected: {state.rejection}")
    if state.has_lost_topic:
        parts.append("its topic is gone, so messages go to the group")
    parts.append("nothing sent yet" if last_sent_ms is None else f"last sent {age_text(now_ms - last_sent_ms)} ago")
    if waiting:
        parts.append(f"{waiting} waiting")
    return html("{}: {}", title, join(", ", parts))


COMMAND = Command(
    name="chats",
    help="how each chat fares",
    answer=answer,
    is_steering=True,
)
