"""The life of the connection to Telegram: start, poll, every way it can be disturbed, close."""

import asyncio
import logging

import pytest
from loguru import logger
from telegram import Bot
from telegram.error import Conflict, InvalidToken, NetworkError, TelegramError

from bot.phone.sender import MaybeSent, NotSent, SendError
from bot.phone.telegram_edge import StartError, TelegramEdge, build_application, translate
from bot.phone.telegram_request import NeverLeft, NoAnswer
from tests.bot.conftest import GROUP, OTHER_PERSON, PERSON, World, build_edge
from tests.storage.builders import make_message
from tests.telegram_stand_in import TOKEN, Fault

STEERING = {"pause", "resume", "mute", "unmute", "quiet", "config", "test"}


@pytest.fixture
async def edge(world: World) -> TelegramEdge:
    """Return an edge that has not started."""
    return build_edge(world)


async def polls(world: World) -> None:
    """Return once the bot polls."""
    await world.telegram.wait_for(lambda: "getUpdates" in world.telegram.requests)


async def test_start_and_run(world: World, edge: TelegramEdge) -> None:
    """It removes a webhook, shows its menu to who may steer, and hears commands."""
    world.telegram.webhook_url = "https://left.over"
    await edge.start()
    world.run(edge.run())
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
    assert edge.trouble == ""


async def test_a_menu_cannot_be_shown_to_who_never_wrote(world: World, edge: TelegramEdge) -> None:
    """An admin without a chat yet is no reason not to listen."""
    world.telegram.people.remove(PERSON)
    await edge.start()
    world.run(edge.run())
    await polls(world)
    assert list(world.telegram.commands) == [f'{{"chat_id": {GROUP}, "type": "chat"}}']


@pytest.mark.parametrize("token", ["123456:wrong", "12:3"])
async def test_a_wrong_token(world: World, token: str) -> None:
    """The bot refuses to start, in one line that names the setting and does not show the token."""
    application = build_application(token, world.telegram.url)
    edge = TelegramEdge(application, handlers=[], menus=[], clock=world.clock)
    with pytest.raises(StartError, match="TELEGRAM_BOT_TOKEN") as raised:
        await edge.start()
    assert token not in str(raised.value)
    assert raised.value.__suppress_context__
    await edge.close()


async def test_out_of_reach_at_the_start(world: World, edge: TelegramEdge) -> None:
    """It starts all the same, says so, and listens once Telegram is there."""
    await world.telegram.close()
    await edge.start()
    assert "cannot be reached" in edge.trouble
    world.run(edge.run())
    await world.clock.wait_for_sleepers(1)
    await world.telegram.open()
    await world.telegram.user_sends("/status", user_id=PERSON)
    await world.pass_time(lambda: len(world.telegram.messages) == 1)
    assert edge.trouble == ""


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.SERVER_ERROR, Fault.BAD_GATEWAY])
async def test_a_poll_that_fails(world: World, edge: TelegramEdge, fault: Fault) -> None:
    """Polling goes on after a fault, and no command is lost or heard twice."""
    await edge.start()
    world.telegram.faults += [("getUpdates", fault)] * 3
    await world.telegram.user_sends("/status", user_id=PERSON)
    world.run(edge.run())
    await world.pass_time(lambda: len(world.telegram.messages) == 1)
    await world.telegram.user_sends("/help", user_id=PERSON)
    await world.telegram.wait_for_messages(2)
    assert [message.text[:6] for message in world.telegram.messages] == ["SGNL 0", "SGNL w"]


async def test_two_bots_on_one_token(world: World, edge: TelegramEdge) -> None:
    """A 409 is said once and ends the polling; messages still go out."""
    await edge.start()
    polling = world.run(edge.run())
    await polls(world)
    async with Bot(TOKEN, base_url=f"{world.telegram.url}/bot") as other:
        await other.get_updates(timeout=0)
    await asyncio.wait_for(polling, 5)
    assert "another program uses TELEGRAM_BOT_TOKEN" in edge.trouble
    world.answers._reports.edge = edge
    assert edge.trouble in world.answers._reports.status().problems(), "the web app's /health says so too"
    world.run(world.delivery.run())
    await world.queue(make_message())
    await world.telegram.wait_for_messages(1)


async def test_a_token_that_is_revoked(world: World, edge: TelegramEdge) -> None:
    """A token that stops being valid ends the run with the line that names the setting."""
    await edge.start()
    polling = world.run(edge.run())
    await polls(world)
    world.telegram.token = "123456:new"
    await world.telegram.user_sends("/help", user_id=PERSON)
    with pytest.raises(StartError, match="TELEGRAM_BOT_TOKEN"):
        await asyncio.wait_for(polling, 5)


async def test_a_command_that_fails(world: World, edge: TelegramEdge, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error while answering is logged, and the next command is heard."""

    async def fail() -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(world.orchestrator, "resume", fail)
    lines: list[str] = []
    sink = logger.add(lines.append, level="ERROR")
    await edge.start()
    world.run(edge.run())
    await world.telegram.user_sends("/resume", user_id=PERSON)
    await world.telegram.user_sends("/status", user_id=PERSON)
    (answer,) = await world.telegram.wait_for_messages(1)
    logger.remove(sink)
    assert answer.text.startswith("SGNL 0.")
    assert "the disk is full" in "".join(lines)


async def test_a_flooded_chat_holds_up_no_other(world: World, edge: TelegramEdge) -> None:
    """While a group's many questions wait for their pace, an admin's command is answered at once."""
    await edge.start()
    world.run(edge.run())
    for _ in range(30):
        await world.telegram.user_sends("/version", user_id=OTHER_PERSON, chat_id=GROUP)
    await world.telegram.wait_for_messages(2)
    await world.telegram.user_sends("/status", user_id=PERSON)
    await world.telegram.wait_for(lambda: any(message.chat_id == PERSON for message in world.telegram.messages))
    await world.pass_time(lambda: len(world.telegram.messages) == 21, step_s=5)
    assert world.telegram.floods == []


async def test_the_token_is_never_logged(world: World, edge: TelegramEdge, caplog: pytest.LogCaptureFixture) -> None:
    """No library logs the URLs, of which the token is part."""
    caplog.set_level(logging.INFO)
    await edge.start()
    world.run(edge.run())
    await polls(world)
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (NeverLeft("refused"), NotSent),
        (NoAnswer("slow"), MaybeSent),
        (NetworkError("Bad Gateway"), NotSent),
        (Conflict("two"), NotSent),
        (InvalidToken(), NotSent),
        (TelegramError("Invalid server response"), MaybeSent),
    ],
)
def test_whether_a_request_had_left(error: TelegramError, meaning: type[SendError]) -> None:
    """Only what failed before a byte had left, or what Telegram itself refused, is known not to have been sent."""
    assert type(translate(error)) is meaning
