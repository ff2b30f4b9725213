"""The arithmetic of Telegram's limits."""

import pytest

from bot.chat.delivery.pacing import Pacer
from bot.chat.delivery.sender import TERMINAL_CHAT
from tests.telegram_stand_in import Flood


def test_a_person_gets_three_at_once_and_then_one_a_second() -> None:
    """The fourth message to a private chat waits until the first is 3.3 s old."""
    pacer = Pacer()
    for now_ms in (0, 100, 200):
        assert pacer.wait_ms("100", now_ms) == 0
        pacer.add("100", now_ms)
    assert pacer.wait_ms("100", 300) == 3_000
    assert pacer.wait_ms("100", 3_300) == 0
    assert pacer.wait_ms("7", 300) == 0


def test_a_group_gets_twenty_a_minute_over_all_its_topics() -> None:
    """The 21st message to a group waits for the first to be over a minute old, whatever topic it is for."""
    pacer = Pacer()
    for number in range(20):
        pacer.add(f"-200:{number % 3}", 1_200 * number)
    assert pacer.wait_ms("-200", 24_000) == 42_000
    assert pacer.wait_ms("-201", 24_000) == 0


def test_thirty_a_second_overall() -> None:
    """The 31st chat in a second waits for the first message to be over a second old."""
    pacer = Pacer()
    for chat in range(1, 31):
        pacer.add(str(chat), 10)
    assert pacer.wait_ms("31", 100) == 1_010


@pytest.mark.parametrize(("chat", "limit", "left"), [("100", 3, 1), ("-200", 3, 1), ("31", 30, 10)])
def test_answers_leave_room(chat: str, limit: int, left: int) -> None:
    """However many answers are given, a third of the limit that is met first is free for what cannot wait."""
    pacer, given = Pacer(), 0
    while pacer.wait_ms(chat if limit == 3 else str(given + 1), 0, is_answer=True) == 0:
        pacer.add(chat if limit == 3 else str(given + 1), 0)
        given += 1
    assert given == limit - left
    assert pacer.wait_ms(chat, 0) == 0


def test_the_terminal_needs_no_patience() -> None:
    """What stands in for Telegram has no limits, and takes no room in Telegram's."""
    pacer = Pacer()
    for _ in range(100):
        pacer.add(TERMINAL_CHAT, 0)
    assert pacer.wait_ms(TERMINAL_CHAT, 0) == pacer.wait_ms("100", 0) == 0


@pytest.mark.parametrize("chats", [("100",), ("-200",), ("100", "7", "-200"), tuple(map(str, range(1, 60)))])
def test_telegram_never_has_to_complain(chats: tuple[str, ...]) -> None:
    """Sending as fast as the pacer allows keeps within Telegram's limits by Telegram's own count."""
    pacer, flood = Pacer(), Flood()
    for now_ms in range(0, 200_000, 50):
        for chat in chats:
            if pacer.wait_ms(chat, now_ms) == 0:
                pacer.add(chat, now_ms)
                flood.check(int(chat), now_ms)


def test_a_clock_that_goes_back_blocks_no_chat() -> None:
    """Whatever the clock does, nobody waits longer than a whole window."""
    pacer = Pacer()
    for _ in range(3):
        pacer.add("100", 3_600_000)
    assert pacer.wait_ms("100", 0) == 3_300


def test_strangers_are_not_kept_for_ever() -> None:
    """However many people are written to, only those are remembered whom it may have to wait for."""
    pacer = Pacer()
    for number in range(5_000):
        pacer.add(str(number + 1), 100 * number)
    assert len(pacer._chats) <= 1_001
    for _ in range(2):
        pacer.add("5000", 499_950)
    assert pacer.wait_ms("5000", 500_000) > 0
