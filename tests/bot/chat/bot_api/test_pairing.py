"""First contact, with real python-telegram-bot against the stand-in."""

import asyncio
import signal
import socket
from pathlib import Path

import aiohttp
import pytest

from bot.chat.bot_api.pairing import ALPHABET, CODE_LENGTH, GUESSES, Pairing, with_paired_chat
from bot.cli.demo import OVERRIDES, simulated_market
from bot.clock import SystemClock
from bot.config.load import load_config
from bot.config.settings import TelegramSettings
from tests.bot.conftest import GROUP, OTHER_PERSON, PERSON, World, eventually
from tests.bot.test_main import finish, run, start
from tests.telegram_stand_in import TOKEN, Fault, TelegramStandIn

pytestmark = pytest.mark.long

CONFIG = load_config({"TELEGRAM_BOT_TOKEN": TOKEN})
SETTINGS = CONFIG.telegram


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def shown() -> list[str]:
    """Return what the terminal shows."""
    return []


@pytest.fixture
async def pairing(world: World, shown: list[str]) -> "asyncio.Future[TelegramSettings]":
    """Return what the pairing under way will come to."""
    codes = iter(("AAAAAA", "BBBBBB", "CCCCCC"))
    pairing = Pairing(world.application, world.store, world.clock, show=shown.append, draw_code=lambda: next(codes))
    found: asyncio.Future[TelegramSettings] = asyncio.get_running_loop().create_future()

    async def run() -> None:
        found.set_result(await pairing.run(SETTINGS))

    world.run(run())
    await world.telegram.wait_for(lambda: "getUpdates" in world.telegram.requests)
    return found


async def ask(world: World, text: str, user_id: int = PERSON) -> str:
    """Send a message and return the answer."""
    count = len(world.telegram.messages)
    await world.clock.advance(4)
    await world.telegram.user_sends(text, user_id=user_id)
    return (await world.telegram.wait_for_messages(count + 1))[-1].text


async def test_the_code_makes_the_owner(
    world: World, shown: list[str], pairing: "asyncio.Future[TelegramSettings]"
) -> None:
    """The terminal shows a code; the private chat that sends it gets the alerts, its person steers, and it is kept."""
    assert shown == ["Telegram: send /start AAAAAA to @sgnl_test_bot to get the alerts there"]
    assert (await ask(world, "/start")).startswith("Send /start and the code")
    assert (await ask(world, "/start aaaaaa")).startswith("This chat gets the alerts from here on.")
    settings = await asyncio.wait_for(pairing, 5)
    assert settings.chat_ids == (str(PERSON),)
    assert settings.steering_ids == {PERSON}
    assert (await with_paired_chat(CONFIG, world.store)).telegram == settings


async def test_wrong_guesses(world: World, pairing: "asyncio.Future[TelegramSettings]", shown: list[str]) -> None:
    """After some wrong guesses their sender is not heard for a minute; nobody's guesses keep the owner out."""
    for _ in range(GUESSES - 1):
        assert await ask(world, "/start ZZZZZZ", OTHER_PERSON) == "That is not the code."
    assert (await ask(world, "/start ZZZZZZ", OTHER_PERSON)).startswith("That was wrong too often.")
    await world.telegram.user_sends("/start AAAAAA", user_id=OTHER_PERSON)
    await eventually(lambda: asyncio.sleep(0, not world.telegram._updates), bool)  # heard, and not answered
    assert not pairing.done()
    assert [line.split()[3] for line in shown] == ["AAAAAA"]
    await ask(world, "/start AAAAAA")
    assert (await asyncio.wait_for(pairing, 5)).chat_ids == (str(PERSON),)


async def test_a_group_cannot_own(world: World, pairing: "asyncio.Future[TelegramSettings]") -> None:
    """The code said in a group, where others read it, does nothing."""
    await world.telegram.user_sends("/start AAAAAA", user_id=PERSON, chat_id=GROUP)
    assert await ask(world, "/start wrong") == "That is not the code."
    assert not pairing.done()


async def test_not_paired(world: World) -> None:
    """Before the first pairing nobody is the owner."""
    assert await with_paired_chat(CONFIG, world.store) == CONFIG


async def test_codes_are_drawn(world: World, shown: list[str]) -> None:
    """A code is short, easy to type, and not the last one again."""
    for _ in range(2):
        Pairing(world.application, world.store, world.clock, show=shown.append)._show_code()
    codes = {line.split()[3] for line in shown}
    assert len(codes) == 2
    assert all(len(code) == CODE_LENGTH and set(code) <= set(ALPHABET) for code in codes)


async def test_three_steps(tmp_path: Path) -> None:
    """From the command line to the first alert: a token, a start, the code; nothing is asked again after a restart.

    Before the code comes `check` says what to do, and /health that this is what the watch waits for.
    """
    clock = SystemClock()
    async with simulated_market(120, 12) as market, TelegramStandIn(clock.now_ms) as telegram:
        telegram.people.add(PERSON)
        settings = OVERRIDES | {f"{venue.upper()}_URL": url for venue, url in market.urls.items()}
        settings |= {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_URL": telegram.url, "DATA_DIR": str(tmp_path)}
        settings |= {"HTTP_PORT": str(free_port()), "LOG_LEVEL": "WARNING"}
        checking = await start("check", **settings)
        process = await start("run", **settings)
        assert process.stdout is not None
        async with asyncio.timeout(30):
            assert (await process.stdout.readline()).startswith(b"The page: ")
            code = (await process.stdout.readline()).decode().split()[3]
        checked = await finish(checking)
        assert "no chat yet: run the bot and send it /start with the code it shows in the terminal" in checked.out
        health = f"http://127.0.0.1:{settings['HTTP_PORT']}/health"
        async with aiohttp.ClientSession() as session, session.get(health) as reply:
            assert reply.status == 503
            assert "Telegram: waiting for /start CODE, the code is in the terminal" in (await reply.json())["problems"]
            assert code not in await reply.text()
        await telegram.user_sends(f"/start {code}", user_id=PERSON)
        await telegram.wait_for(lambda: any("Alerts like it" in one.text for one in telegram.messages), 90)
        assert [one.text.split("\n")[0][:22] for one in telegram.messages[:2]] == [
            "This chat gets the ale",
            "SGNL 0.1.0 is watching",
        ]
        assert all(one.chat_id == PERSON for one in telegram.messages)
        async with aiohttp.ClientSession() as session, session.get(health) as reply:
            assert (reply.status, (await reply.json())["problems"]) == (200, [])
        process.send_signal(signal.SIGTERM)
        ended = await finish(process)
        assert (ended.code, ended.err) == (0, "")
        telegram.messages.clear()
        process = await start("run", **settings)
        await telegram.wait_for(lambda: any("is watching" in one.text for one in telegram.messages), 30)
        process.send_signal(signal.SIGTERM)
        ended = await finish(process)
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.splitlines() == [f"The page: {health.removesuffix('/health')}"], "and no code"
        assert "chats: Ann (100)" in (await run("check", **settings)).out


async def test_a_token_that_is_revoked_meanwhile(world: World, shown: list[str]) -> None:
    """A token that stops being valid while the code is awaited is said, and the code counts once it is valid again."""
    pairing = Pairing(world.application, world.store, world.clock, show=shown.append, draw_code=lambda: "AAAAAA")
    running = world.run(pairing.run(SETTINGS))  # type: ignore[arg-type]
    await world.telegram.wait_for(lambda: "getUpdates" in world.telegram.requests)
    world.telegram.token = "123456:new"
    await world.telegram.user_sends("/start", user_id=PERSON)
    await world.pass_time(lambda: "does not know this bot" in pairing.fault)
    world.telegram.token = TOKEN
    await world.telegram.user_sends("/start AAAAAA", user_id=PERSON)
    await world.pass_time(running.done)


@pytest.mark.parametrize("is_webhook", [False, True])
async def test_another_program_on_the_token(world: World, shown: list[str], *, is_webhook: bool) -> None:
    """While another program takes the updates the terminal says so, and the code counts once it has stopped."""
    pairing = Pairing(world.application, world.store, world.clock, show=shown.append, draw_code=lambda: "AAAAAA")
    running = world.run(pairing.run(SETTINGS))  # type: ignore[arg-type]
    await world.telegram.wait_for(lambda: "getUpdates" in world.telegram.requests)
    world.telegram.faults.append(("getUpdates", Fault.CONFLICT))
    if is_webhook:
        world.telegram.webhook_url = "https://other.test"
    await world.telegram.user_sends("/start", user_id=PERSON)
    await world.pass_time(lambda: any("I receive no commands" in line for line in shown))
    world.telegram.webhook_url = ""
    await world.telegram.user_sends("/start AAAAAA", user_id=PERSON)
    await world.pass_time(running.done)
    assert sum("I receive no commands" in line for line in shown) == 1
    assert any("Commands are received again" in line for line in shown)


async def test_telegram_out_of_reach_meanwhile(world: World, shown: list[str]) -> None:
    """While Telegram is away /health says so beside what is waited for, and the code counts once it is back."""
    await world.telegram.close()
    pairing = Pairing(world.application, world.store, world.clock, show=shown.append, draw_code=lambda: "AAAAAA")
    running = world.run(pairing.run(SETTINGS))  # type: ignore[arg-type]
    await world.pass_time(lambda: bool(shown))
    assert shown == ["Telegram: send /start AAAAAA to get the alerts there"]
    await world.pass_time(lambda: "cannot be reached" in pairing.fault)
    assert pairing.fault.endswith(": waiting for /start CODE, the code is in the terminal")
    await world.telegram.open()
    await world.telegram.user_sends("/start AAAAAA", user_id=PERSON)
    await world.pass_time(running.done)


@pytest.mark.parametrize("named", [{"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_CHAT_ID": "5"}, {}])
async def test_settings_win(world: World, named: dict[str, str]) -> None:
    """Where the settings name a chat, or no Telegram, an earlier pairing counts for nothing."""
    await world.store.state.put("paired", {"chat_id": 7, "user_id": 7})
    config = load_config(named)
    assert await with_paired_chat(config, world.store) == config


async def test_admins_stay(world: World) -> None:
    """Who was named as admin stays it when another chat is paired."""
    await world.store.state.put("paired", {"chat_id": 7, "user_id": 7})
    settings = load_config({"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_ADMIN_IDS": "5"})
    known = (await with_paired_chat(settings, world.store)).telegram
    assert known.chat_ids == ("7",)
    assert known.steering_ids == {5}
