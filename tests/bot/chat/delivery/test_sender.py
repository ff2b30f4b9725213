"""The plain text of a message, and the terminal that shows it."""

import io

import pytest

from bot.chat.delivery.sender import TERMINAL_CHAT, Content, TerminalSender, plain_text
from bot.chat.texts.markup import stored
from bot.config.chat_ids import is_person


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<b>SHORT PEPE</b> 5 &lt; 6 &amp; more", "SHORT PEPE 5 < 6 & more"),
        ('<a href="https://x.y/?a=1&amp;b=2">open</a>', "open"),
        ("<pre>a  b\nc</pre>", "a  b\nc"),
        ("spread < 5 bps and > 2", "spread < 5 bps and > 2"),
        ("</b>broken <coin> <i>text", "broken <coin> text"),
    ],
)
def test_plain_text(html: str, text: str) -> None:
    """Tags go, entities are read, and what only looks like a tag stays."""
    assert plain_text(stored(html)) == text


@pytest.mark.parametrize(
    ("chat_id", "person"), [("100", True), ("-200", False), ("@channel", False), ("-200:5", False), ("terminal", False)]
)
def test_is_person(chat_id: str, *, person: bool) -> None:
    """Only a positive number is a private chat."""
    assert is_person(chat_id) is person


async def test_the_terminal_shows_the_same_text() -> None:
    """Without a token the alert appears as plain text with an empty line after it."""
    stream = io.StringIO()
    sender = TerminalSender(stream)
    for html in ("<b>SHORT</b> A&amp;B", "EXIT"):
        await sender.send(TERMINAL_CHAT, Content(text=stored(html)))
    assert stream.getvalue() == "SHORT A&B\n\nEXIT\n\n"
