"""Who is written to: as the settings say, or a pairing."""

import pytest

from bot.chat.delivery.sender import TERMINAL_CHAT
from bot.chat.recipients import Recipients
from bot.config.load import load_config
from tests.telegram_stand_in import TOKEN

TELEGRAM = {"TELEGRAM_BOT_TOKEN": TOKEN}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, Recipients(chats=(TERMINAL_CHAT,), operator=TERMINAL_CHAT)),
        (TELEGRAM, Recipients(chats=())),
        (
            TELEGRAM | {"TELEGRAM_CHAT_ID": "-200,100"},
            Recipients(chats=("-200", "100"), operator="100", admin_ids=frozenset({100})),
        ),
    ],
)
def test_of_the_settings(settings: dict[str, str], expected: Recipients) -> None:
    """The terminal without a token, nobody before a pairing, else the chats, of which a person is the operator."""
    assert Recipients.of(load_config(settings).telegram) == expected


def test_a_pairing() -> None:
    """Whoever was handed the recipients sees those of the pairing."""
    recipients = Recipients.of(load_config(TELEGRAM).telegram)
    recipients.become(load_config(TELEGRAM | {"TELEGRAM_CHAT_ID": "100"}).telegram)
    assert recipients == Recipients(chats=("100",), operator="100", admin_ids=frozenset({100}))


def test_everyone() -> None:
    """The operator counts once."""
    assert Recipients(chats=("100", "-200"), operator="100").everyone == ("100", "-200")
    assert Recipients(chats=("-200",), operator="100").everyone == ("-200", "100")
    assert Recipients(chats=("-200",)).everyone == ("-200",)
