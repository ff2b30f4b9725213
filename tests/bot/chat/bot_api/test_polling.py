"""The life of the connection to Telegram: start, poll, every way it can be disturbed, close."""

import asyncio
import logging
from typing import Any

import pytest
from loguru import logger
from telegram import Bot
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, NetworkError, TelegramError

from bot.chat.bot_api.application import StartError, build_application
from bot.chat.bot_api.polling import Polling
from bot.chat.bot_api.request import NeverLeft, NoAnswer
from bot.chat.bot_api.translation import translate
from bot.chat.delivery.sender import BadText, Blocked, MaybeSent, NoTopic, NotSent, Rejected, SendError
from tests.bot.conftest import GROUP, OTHER_PERSON, PERSON, World, eventually
from tests.builders import NOW_MS
from tests.storage.builders import make_message
from tests.telegram_stand_in import TOKEN, Fault

STEERING = {"pause", "resume", "mute", "unmute", "quiet", "config", "test", "chats", "audit", "logs", "web"}


@pytest.fixture
async def polling(world: World) -> Polling:
    """Return polling that has not started."""
    assert world.bot.polling is not None
    return world.bot.polling


async def polls(world: World) -> None:
    """Return once the bot polls."""
    await world.telegram.wait_for(lambda: "getUpdates" in world.telegram.requests)


async def test_start_and_run(world: World, polling: Polling) -> None:
    """It removes a webhook, shows its menu to who may steer, and receives commands."""
    world.telegram.webhook_url = "https://left.over"
    await polling.start()
    world.run(polling.run())
    await world.telegram.user_sends("/status", user_id=PERSON)
    (answer,) = await world.telegram.wait_for_messages(1)
    assert answer.text.startswith("SGNL 0.")
    names = {scope: {command["command"] for command in commands} for scope, commands in world.telegram.commands.items()}
    admins = names[f'{{"chat_id": {PERSON}, "type": "chat"}}']
    assert names == {
        f'{{"chat_id": {PERSON}, "type": "chat"}}': admins,
        f'{{"chat_id": {GROUP}, "type": "chat"}}': admins - STEERING,
        f'{{"chat_id": {GROUP}, "type": "chat_member", "user_id": {PERSON}}}': admins,
    }
    assert admins > STEERING
    assert polling.fault == ""


async def test_a_menu_cannot_be_shown_to_who_never_wrote(world: World, polling: Polling) -> None:
    """An admin without a chat yet is no reason not to listen."""
    world.telegram.people.remove(PERSON)
    await polling.start()
    world.run(polling.run())
    await polls(world)
    assert list(world.telegram.commands) == [f'{{"chat_id": {GROUP}, "type": "chat"}}']


@pytest.mark.parametrize("token", ["123456:wrong", "12:3"])
async def test_a_wrong_token(world: World, token: str) -> None:
    """The bot refuses to start, in one line that names the setting and does not show the token."""
    application = build_application(token, world.telegram.url)
    polling = Polling(application, handlers=[], menus=tuple, clock=world.clock)
    with pytest.raises(StartError, match="TELEGRAM_BOT_TOKEN") as raised:
        await polling.start()
    assert token not in str(raised.value)
    assert raised.value.__suppress_context__
    await polling.close()


async def test_out_of_reach_at_the_start(world: World, polling: Polling) -> None:
    """It starts all the same, says so, and listens once Telegram is there."""
    await world.telegram.close()
    await polling.start()
    assert "cannot be reached" in polling.fault
    world.run(polling.run())
    await world.clock.wait_for_sleepers(1)
    await world.telegram.open()
    await world.telegram.user_sends("/status", user_id=PERSON)
    await world.pass_time(lambda: len(world.telegram.messages) == 1)
    assert polling.fault == ""


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.SERVER_ERROR, Fault.BAD_GATEWAY])
async def test_a_poll_that_fails(world: World, polling: Polling, fault: Fault) -> None:
    """Polling goes on after a fault, and no command is lost or heard twice."""
    await polling.start()
    world.telegram.faults += [("getUpdates", fault)] * 3
    await world.telegram.user_sends("/status", user_id=PERSON)
    world.run(polling.run())
    await world.pass_time(lambda: len(world.telegram.messages) == 1)
    await world.telegram.user_sends("/help", user_id=PERSON)
    await world.telegram.wait_for_messages(2)
    assert [message.text[:6] for message in world.telegram.messages] == ["SGNL 0", "SGNL w"]


async def test_two_bots_on_one_token(world: World, polling: Polling) -> None:
    """A 409 is said once, messages still go out, and commands are received again when the other one has stopped."""

    def told() -> list[str]:
        lines = [one.text.partition("\n")[0] for one in world.telegram.messages]
        return [line for line in lines if "receive" in line]

    await polling.start()
    world.run(polling.run())
    await polls(world)
    async with Bot(TOKEN, base_url=f"{world.telegram.url}/bot") as other:
        await other.get_updates(timeout=0)
    await world.telegram.user_sends("/pause", user_id=PERSON)
    await world.clock.wait_for_sleepers(1)
    assert "another program uses TELEGRAM_BOT_TOKEN" in polling.fault
    assert polling.fault in world.bot.live_status.status().problems(), "the web app's /health says so too"
    world.run(world.delivery.run())
    await world.queue(make_message())
    await world.telegram.wait_for_messages(2)
    world.telegram.faults += [("getUpdates", Fault.CONFLICT)] * 3
    await world.pass_time(lambda: len(told()) == 2, step_s=5)
    assert world.clock.now_ms() - NOW_MS >= 30_000 + 60_000 + 120_000 + 240_000
    await world.pass_time(lambda: any("/pause is 8 min old" in one.text for one in world.telegram.messages))
    assert [line[:19] for line in told()] == ["I receive no comman", "Commands are receiv"]
    assert polling.fault == ""


async def test_a_webhook_that_another_program_sets(world: World, polling: Polling) -> None:
    """A webhook has words of its own, on which one can act."""
    await polling.start()
    world.run(polling.run())
    await polls(world)
    world.telegram.webhook_url = "https://other.test"
    await world.telegram.user_sends("/pause", user_id=PERSON)
    await world.pass_time(lambda: "webhook" in polling.fault, step_s=0)
    world.telegram.webhook_url = ""
    await world.pass_time(lambda: bool(world.orchestrator.ledger.limits.paused_until_ms), step_s=5)


NOT_HEARD = tuple(fault for fault in Fault if fault not in (Fault.HANG, Fault.HOLD_REPLY))


@pytest.mark.parametrize("fault", NOT_HEARD)
async def test_nothing_telegram_says_ends_the_hearing(world: World, polling: Polling, fault: Fault) -> None:
    """After whatever answer to a poll, once or for a while, commands are heard."""
    await polling.start()
    listening = world.run(polling.run())
    await polls(world)
    world.telegram.faults += [("getUpdates", fault)] * 3
    await world.telegram.user_sends("/pause", user_id=PERSON)
    await world.pass_time(lambda: not world.telegram.faults, step_s=5)
    await world.pass_time(lambda: polling.fault == "", step_s=5)
    assert world.orchestrator.ledger.limits.paused_until_ms
    assert not listening.done()


async def test_a_token_that_is_revoked(world: World, polling: Polling) -> None:
    """A token that stops being valid is said, without showing it, and the commands wait until it is valid again."""
    await polling.start()
    listening = world.run(polling.run())
    await polls(world)
    world.telegram.token = "123456:new"
    await world.telegram.user_sends("/pause", user_id=PERSON)
    await world.pass_time(lambda: "does not know this bot" in polling.fault)
    assert TOKEN not in polling.fault
    world.telegram.token = TOKEN
    await world.pass_time(lambda: bool(world.orchestrator.ledger.limits.paused_until_ms))
    assert not listening.done()


@pytest.mark.parametrize(
    ("kind", "odd"),
    [
        ("message", {"message_id": 1, "date": 1, "chat": {"id": 5, "type": "private"}, "from": {"id": 5}}),
        ("message", {"message_id": 1}),
        ("message", "no object"),
        ("callback_query", {"id": "1"}),
        ("a_kind_of_the_future", {"id": 1}),
    ],
)
async def test_an_update_that_cannot_be_read(world: World, polling: Polling, kind: str, odd: Any) -> None:
    """It is left out for good, said once in the log, and the ones before and behind it are carried out."""
    await polling.start()
    await world.telegram.user_sends("/pause", user_id=PERSON)
    for _ in range(3):
        await world.telegram.push(kind, odd)
    await world.telegram.user_sends("/mute LBank", user_id=PERSON)
    lines: list[str] = []
    sink = logger.add(lines.append, level="WARNING")
    listening = world.run(polling.run())
    await world.telegram.wait_for_messages(2)
    logger.remove(sink)
    assert [message.text[:6] for message in world.telegram.messages] == ["Paused", "LBank "]
    assert sum("cannot be read" in line for line in lines) <= 1
    await eventually(lambda: asyncio.sleep(0, not world.telegram._updates), bool)
    assert not listening.done()


async def test_a_redirect_at_the_start(world: World, polling: Polling) -> None:
    """A server that sends elsewhere ends the start in one line that says what to set."""
    world.telegram.faults.append(("getMe", Fault.REDIRECT))
    with pytest.raises(StartError, match=r"TELEGRAM_API_URL: it redirects to https://api\.test") as raised:
        await polling.start()
    assert TOKEN not in str(raised.value)
    await polling.close()


async def test_told_to_stop_with_commands_fetched(world: World, polling: Polling) -> None:
    """What was fetched is carried out before the bot ends, and Telegram does not give it out again."""
    await polling.start()
    listening = world.run(polling.run())
    await polls(world)
    for _ in range(5):
        await world.telegram.user_sends("/version", user_id=PERSON)
    await world.telegram.user_sends("/pause", user_id=PERSON)
    await world.telegram.wait_for_messages(1)
    listening.cancel()
    await asyncio.wait([listening])
    assert world.orchestrator.ledger.limits.paused_until_ms
    assert not world.telegram._updates


async def test_a_command_is_confirmed_once_it_is_carried_out(
    world: World, polling: Polling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bot that is killed while it carries out a command gets it again."""
    may_end = asyncio.Event()

    async def resume() -> None:
        await may_end.wait()

    monkeypatch.setattr(world.orchestrator.ledger, "resume", resume)
    await polling.start()
    world.run(polling.run())
    await world.telegram.user_sends("/resume", user_id=PERSON)
    await asyncio.sleep(0.1)
    assert world.telegram._updates
    may_end.set()
    await eventually(lambda: asyncio.sleep(0, not world.telegram._updates), bool)


@pytest.mark.parametrize("ahead_s", [-3600, -90, 90, 3600])
async def test_a_clock_that_is_off(world: World, polling: Polling, ahead_s: int) -> None:
    """The age of a command is a matter of Telegram's clock alone; that ours is off is said."""
    world.telegram.ahead_ms = -1000 * ahead_s
    await polling.start()
    listening = world.run(polling.run())
    await world.telegram.user_sends("/pause", user_id=PERSON)
    old_ms = world.clock.now_ms() + world.telegram.ahead_ms - 600_000
    await world.telegram.user_sends("/resume", user_id=PERSON, sent_ms=old_ms)
    await world.telegram.wait_for_messages(2)
    assert sorted(message.text[:6] for message in world.telegram.messages) == ["/resum", "Paused"]
    assert world.orchestrator.ledger.limits.paused_until_ms
    way = "behind" if ahead_s < 0 else "ahead of"
    assert any(f"{way} Telegram's" in note for note in world.bot.live_status.status().notes)
    listening.cancel()
    await asyncio.wait([listening])
    await polling.close()


async def test_a_command_that_fails(world: World, polling: Polling, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error while answering is said to who asked and logged, and the next command is heard."""

    async def fail() -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(world.orchestrator.ledger, "resume", fail)
    lines: list[str] = []
    sink = logger.add(lines.append, level="ERROR")
    await polling.start()
    world.run(polling.run())
    await world.telegram.user_sends("/resume", user_id=PERSON)
    await world.telegram.user_sends("/status", user_id=PERSON)
    answers = await world.telegram.wait_for_messages(2)
    logger.remove(sink)
    assert {answer.text[:7] for answer in answers} == {"/resume", "SGNL 0."}
    assert any(answer.text == "/resume failed: the disk is full" for answer in answers)
    assert "the disk is full" in "".join(lines)


async def test_a_flooded_chat_holds_up_no_other(world: World, polling: Polling) -> None:
    """While a group's many questions wait for their pace, an admin's command is answered at once; most are dropped."""
    await polling.start()
    world.run(polling.run())
    for _ in range(30):
        await world.telegram.user_sends("/version", user_id=OTHER_PERSON, chat_id=GROUP)
    await world.telegram.wait_for_messages(2)
    await world.telegram.user_sends("/status", user_id=PERSON)
    await world.telegram.wait_for(lambda: any(message.chat_id == PERSON for message in world.telegram.messages))
    await world.pass_time(lambda: len(world.telegram.messages) == 7, step_s=5)
    assert world.telegram.floods == []


async def test_the_token_is_never_logged(world: World, polling: Polling, caplog: pytest.LogCaptureFixture) -> None:
    """No library logs the URLs, of which the token is part."""
    caplog.set_level(logging.INFO)
    await polling.start()
    world.run(polling.run())
    await polls(world)
    assert TOKEN not in caplog.text


ABOUT_THE_CHAT = (
    "TOPIC_CLOSED",
    "CHAT_WRITE_FORBIDDEN",
    "Chat_write_forbidden",
    "CHAT_SEND_PLAIN_FORBIDDEN",
    "CHAT_RESTRICTED",
    "CHAT_ADMIN_REQUIRED",
    "CHANNEL_PRIVATE",
    "PEER_ID_INVALID",
    "USER_IS_BLOCKED",
    "Chat not found",
    "Not enough rights to send text messages to the chat",
    "Need administrator rights in the channel chat",
    "Have no rights to send a message",
    "Group chat was deactivated",
)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (NeverLeft("refused"), NotSent),
        (NoAnswer("slow"), MaybeSent),
        (NetworkError("Request entity too large"), Rejected),
        (Conflict("two"), NotSent),
        (BadRequest("Message thread not found"), NoTopic),
        (BadRequest("Message text is empty"), Rejected),
        (BadRequest("Button_data_invalid"), Rejected),
        (BadRequest("Can't parse entities: unclosed tag"), BadText),
        *((BadRequest(words), Blocked) for words in ABOUT_THE_CHAT),
        (InvalidToken(), NotSent),
        (TelegramError("Invalid server response"), MaybeSent),
    ],
)
def test_whether_a_request_had_left(error: TelegramError, meaning: type[SendError]) -> None:
    """Only what failed before a byte had left, or what Telegram itself refused, is known not to have been sent."""
    assert type(translate(error)) is meaning


@pytest.mark.parametrize("kind", [BadRequest, Forbidden, NetworkError, TelegramError])
def test_words_are_cut(kind: type[TelegramError]) -> None:
    """However long the words are, what is kept of them is short."""
    assert len(str(translate(kind("x" * 70_000)))) <= 300
