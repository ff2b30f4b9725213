"""Each command and each button as a user would use it, by one who may steer, one who may read and one who may not."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from loguru import logger
from telegram import Chat, User

from bot.chat.asking.access import AS_YOURSELF, Access
from bot.chat.asking.asker import Asker
from bot.chat.asking.presses import IN_PRIVATE, TOO_FAST
from bot.chat.commands.menu import BY_NAME, COMMANDS
from bot.chat.delivery.sender import Content
from bot.chat.recipients import Recipients
from bot.chat.texts.listing import Listing
from bot.chat.texts.markup import bold
from bot.core.orchestrator import Orchestrator
from bot.logs import LogFile
from scoring.exits import start
from scoring.signals import FOREVER_MS
from storage.messages import Kind
from tests.bot.conftest import GROUP, OTHER_PERSON, PERSON, World, listen, look
from tests.bot.web.site import app_of
from tests.builders import NOW_MS, instrument
from tests.storage.builders import (
    entry_message,
    exit_message,
    make_limits,
    make_message,
    make_near_miss,
    make_outcome,
    make_signal,
)
from tests.telegram_html import length, read_html
from tests.telegram_stand_in import TOKEN, Fault, Received

HOUR_MS = 3_600_000
STRANGER = 1001


@pytest.fixture
async def bot(world: World) -> Orchestrator:
    """Return the bot that the commands act on, listening; it has looked at three pairs of two coins."""
    look(
        world.orchestrator,
        instrument(id="PEPEUSDT"),
        instrument(venue="binance", id="PEPEUSDT"),
        instrument(id="XLMUSDT"),
        funding_rate_8h=[0.001, 0.0, 0.0005],
    )
    await listen(world)
    world.telegram.people.add(STRANGER)
    return world.orchestrator


async def message_to(world: World, text: str, *, user_id: int = PERSON, chat_id: int | None = None) -> Received:
    """Send a command and return the answer, which replies to it; the clock goes on so that the pace is no matter."""
    await world.clock.advance(4)
    count = len(world.telegram.messages)
    await world.telegram.user_sends(text, user_id=user_id, chat_id=chat_id)
    answer = (await world.telegram.wait_for_messages(count + 1))[-1]
    assert answer.reply_to is not None
    return answer


async def ask(world: World, text: str, **who: Any) -> str:
    """Send a command and return the text of the answer."""
    return (await message_to(world, text, **who)).text


async def press(world: World, message: Received, data: str, *, user_id: int = PERSON) -> str:
    """Press what is or was a button and return what the phone shows at once."""
    await world.clock.advance(4)
    query_id = await world.telegram.user_presses(data, user_id=user_id, message=message)
    await world.telegram.wait_for(lambda: query_id in world.telegram.answered)
    return world.telegram.answered[query_id]


async def silence(world: World) -> None:
    """Show that nothing sent before this was answered: the answer to a further command comes next."""
    count = len(world.telegram.messages)
    await ask(world, "/version")
    assert len(world.telegram.messages) == count + 1


async def alert(world: World) -> Received:
    """Send the alert of signal 1 with its buttons."""
    signal = make_signal(1)
    await world.store.outbox.enqueue(world.bot.announcer._of_signal(Kind.ENTRY, "SHORT XLM", signal))
    world.run(world.delivery.run())
    await world.telegram.wait_for_messages(2)
    return next(message for message in world.telegram.messages if message.chat_id == PERSON)


async def close(world: World, count: int) -> None:
    """End the first `count` of the three signals, the last of them at its stop."""
    for number in range(1, count + 1):
        await world.store.record_outcome(make_outcome(number), make_limits(next_id=4), [])


@pytest.mark.usefixtures("bot")
async def test_help(world: World) -> None:
    """/start and /help list all that an admin may say, and to a reader only what a reader may."""
    for text in ("/start", "/HELP", "/help@sgnl_test_bot"):
        answer = await ask(world, text)
        assert all(f"/{command.name} " in answer for command in COMMANDS)
    read = await ask(world, "/help", user_id=OTHER_PERSON, chat_id=GROUP)
    assert all((f"/{command.name} " in read) is not command.is_steering for command in COMMANDS)


def test_readme_names_them() -> None:
    """README.md lists each command and each of its other names, and what steers after the rest."""
    readme = (Path(__file__).parents[4] / "README.md").read_text(encoding="utf-8")
    table = readme.partition("## Commands in the chat")[2].partition("## Command line")[0]
    assert all(re.search(rf"`/{name}\b", table) for name in ("start", "help", *BY_NAME))
    rows = [row for row in table.splitlines() if row.startswith("| `/")]
    first = next(number for number, row in enumerate(rows) if "`/pause" in row)
    names = [set(re.findall(r"/([a-z]+)", row.split("|")[1])) for row in rows]
    assert set().union(*names[first:]) == {command.name for command in COMMANDS if command.is_steering}


@pytest.mark.usefixtures("bot")
async def test_status_and_health(world: World) -> None:
    """/status and /health answer in the chat they were asked in, a group too."""
    assert (await ask(world, "/status")).startswith("SGNL 0.")
    answer = await message_to(world, "/health", user_id=OTHER_PERSON, chat_id=GROUP)
    assert answer.chat_id == GROUP
    assert "Messages: all sent" in answer.text


@pytest.mark.usefixtures("bot")
async def test_health_tells_what_telegram_did(world: World) -> None:
    """/health tells of flood waits, of chats that refuse the bot and of what was rejected."""
    world.telegram.held_until_ms[OTHER_PERSON] = NOW_MS + 5_000
    world.telegram.blocked.add(GROUP)
    world.run(world.delivery.run())
    await world.queue(*(make_message(chat_id=str(chat)) for chat in (OTHER_PERSON, GROUP)), make_message(chat_id="404"))
    await world.pass_time(lambda: len([*world.delivery.chat_states.faults()]) == 2, step_s=0)
    answer = await ask(world, "/health")
    assert f"chat {GROUP} gets nothing: Forbidden: bot was kicked from the group chat" in answer
    assert answer.startswith("Not well\n")
    assert f"Flood wait once, last 14 Nov 22:13 (chat {OTHER_PERSON}: Flood control exceeded" in answer
    assert "chat 404 gets nothing: Chat not found" in answer


async def test_pause_until_resume(world: World, bot: Orchestrator) -> None:
    """/pause and its other names hold new alerts until /resume."""
    for text in ("/pause", "/stop", "/stopentry"):
        assert await ask(world, text) == "Paused until /resume. Open signals are followed to their exit."
        assert bot.ledger.limits.paused_until_ms == FOREVER_MS
        assert await ask(world, "/resume") == "Alerting again."
        assert bot.ledger.limits.paused_until_ms is None


async def test_pause_for_a_while(world: World, bot: Orchestrator) -> None:
    """/pause 2h holds new alerts for two hours, after a restart too."""
    assert (await ask(world, "/pause  2h")).startswith("Paused until 15 Nov 00:13 UTC.")
    assert bot.ledger.limits.paused_until_ms == world.clock.now_ms() + 2 * HOUR_MS
    assert (await world.store.load()).limits == bot.ledger.limits
    assert await ask(world, "/pause <soon>") == 'A time looks like 30m, 2h or 1d, was "<soon>"'


@pytest.mark.usefixtures("bot")
async def test_signals(world: World) -> None:
    """/signals lists the latest alerts with their ends, /trades the same, and says what a count looks like."""
    await close(world, 1)
    lines = (await ask(world, "/signals")).splitlines()
    assert lines[0] == "Alerts, the latest first"
    assert [line.split()[0] for line in lines[1:]] == ["#3", "#2", "#1"]
    assert lines[1].endswith("SHORT XLM Bybit 0.000012345: open")
    assert lines[3].endswith(": TP hit +1.59 % net, +1.77 R")
    assert len((await ask(world, "/trades 2")).splitlines()) == 3
    assert await ask(world, "/signals all") == 'How many is a number from 1 to 200, was "all"'


async def test_open(world: World, bot: Orchestrator) -> None:
    """/open tells how each open signal stands."""
    assert await ask(world, "/open") == "0 open\nNothing yet"
    bot.ledger.open_signals[1] = start(make_signal(1))
    answer = await ask(world, "/open")
    assert answer.startswith("1 open\n#1 SHORT XLM Bybit 0.000012345 SL 0.000012444 TP 0.000012136\n")


@pytest.mark.usefixtures("bot")
async def test_top(world: World) -> None:
    """/top lists the best scores in columns that fit a phone."""
    lines = (await ask(world, "/top")).splitlines()
    assert [line.split()[1:] for line in lines[1:]] == [["PEPE", "Bybit"], ["XLM", "Bybit"], ["PEPE", "Binance"]]
    assert max(map(len, lines[1:])) <= 32
    assert len((await ask(world, "/top 1")).splitlines()) == 2


@pytest.mark.usefixtures("bot")
@pytest.mark.parametrize("coin", ["PEPE", "pepe", "PEPEUSDT", "PEPE/USDT"])
async def test_score(world: World, coin: str) -> None:
    """/score tells what lifts a coin on its best venue, what refuses it, and how it stands elsewhere."""
    answer = await ask(world, f"/score {coin}")
    assert answer.startswith("PEPE Bybit 20.0\n")
    assert "Funding              10.0  100 %" in answer
    assert "✗ score 20.0 < 72" in answer
    assert answer.splitlines()[-1].startswith("Binance 10.0, refused by ")


@pytest.mark.usefixtures("bot")
async def test_a_coin_that_is_not_watched(world: World) -> None:
    """An unknown coin is answered with the nearest ones."""
    for text in ("/score PEPEE", "/chart PEPEE", "/mute PEPEE 1h"):
        assert await ask(world, text) == "PEPEE is not watched, did you mean PEPE?"
    assert await ask(world, "/score") == "Name a coin, such as PEPE or PEPEUSDT"


@pytest.mark.usefixtures("bot")
async def test_why(world: World) -> None:
    """/why tells all an alert rested on; an unknown number is said so."""
    for text in ("/why 1", "/why #1"):
        answer = await ask(world, text)
        assert answer.startswith("#1 SHORT XLM Bybit 0.000012345\n14 Nov 22:13:21 UTC, still open\n")
        assert "✓ score 76.4 >= 72" in answer
        assert answer.endswith(
            "code c0de, settings c0nf\nits input was not kept, or by other code: it cannot be decided again"
        )
    assert await ask(world, "/why 99") == "There is no alert #99; /signals lists them"


@pytest.mark.usefixtures("bot")
async def test_misses(world: World) -> None:
    """/misses lists what almost became an alert and what stopped it."""
    await world.store.remember([], make_limits(next_id=4), [], [make_near_miss(failed=("score", "sweep"))])
    assert (await ask(world, "/misses")).splitlines() == [
        "Near misses of the last day",
        "score 1, sweep 1",
        "22:13 XLM Bybit 70.5: score, sweep",
    ]


@pytest.mark.usefixtures("bot")
async def test_stats_and_performance(world: World) -> None:
    """/stats and /performance count what has ended, with intervals, and call few results unproven."""
    assert "all: no data" in await ask(world, "/stats")
    await close(world, 2)
    stats = await ask(world, "/stats 7d")
    made = "alerts +1.77 R (too few days for an interval, n 2), 2 of 2 won, 100 % (34 to 100 %), unproven"
    assert f"all: {made}, +3.19 %, profit factor ∞" in stats
    assert f"score 75+: {made}" in stats
    assert f"take profit: {made}" in stats
    assert "from the alert's own price, which nobody gets: +1.77 R (too few days for an interval, n 2)" in stats
    performance = await ask(world, "/performance")
    assert f"Bybit: {made}" in performance
    assert f"XLM: {made}" in performance


@pytest.mark.usefixtures("bot")
async def test_daily_and_count(world: World) -> None:
    """/daily gives the report so far and /count what is left of the day."""
    assert (await ask(world, "/daily")).startswith("Alive: 0 looks")
    assert (await ask(world, "/count")).startswith("0 of 8 alerts used today, 8 left until midnight in UTC")


async def test_mutes(world: World, bot: Orchestrator) -> None:
    """A coin or a venue is muted for a while or until /unmute, /mutes lists both, and a restart changes nothing."""
    assert (await ask(world, "/mutes")).startswith("Nothing is muted")
    assert await ask(world, "/mute pepeusdt 1h") == "PEPE is muted until 14 Nov 23:13 UTC."
    assert await ask(world, "/mute LBank") == "LBank is muted until /unmute."
    assert (await world.store.load()).limits == bot.ledger.limits
    assert await ask(world, "/mutes") == "Muted\nPEPE until 14 Nov 23:13 UTC\nLBank until /unmute"
    assert await ask(world, "/unmute doge") == "doge is not muted; /mutes lists what is"
    assert await ask(world, "/unmute PEPE") == "No longer muted: PEPE."
    assert await ask(world, "/unmute all") == "No longer muted: lbank."
    assert (bot.ledger.limits.muted_coins, bot.ledger.limits.muted_venues) == ({}, {})


@pytest.mark.usefixtures("bot")
async def test_quiet(world: World) -> None:
    """/quiet sets the hours in which nothing rings, tells them and ends them."""
    assert (await ask(world, "/quiet")).startswith("There are no quiet hours")
    assert await ask(world, "/quiet 22:00-7:00") == "Nothing rings from 22:00-07:00 (UTC); /quiet off ends that."
    assert (await ask(world, "/quiet soon")).startswith("Quiet hours look like 23:00-07:00, or off")
    assert (await ask(world, "/quiet off")).startswith("There are no quiet hours")


@pytest.mark.usefixtures("bot")
async def test_config_hides_secrets(world: World) -> None:
    """/config lists every setting on its pages, and no secret."""
    message = await message_to(world, "/config")
    text = message.text
    while any(button["text"] == "More »" for button in message.buttons):
        await press(world, message, message.press("More »"))
        edits = world.telegram.edits
        await world.telegram.wait_for(lambda edits=edits: world.telegram.edits >= edits)  # type: ignore[misc]
        await world.pass_time(lambda before=message: world.telegram.messages[-1].html != before.html)  # type: ignore[misc]
        message = world.telegram.messages[-1]
        text += message.text
    assert "TELEGRAM_BOT_TOKEN: hidden" in text
    assert "MIN_SCORE_THRESHOLD=72" in text
    assert "LOG_LEVEL=INFO" in text
    assert "stand-in" not in text


@pytest.mark.usefixtures("bot")
async def test_logs(world: World, tmp_path: Path) -> None:
    """/logs shows admins what happened last, in private and in the operator's chat, and nobody anywhere else."""
    assert await ask(world, "/logs") == "The log is not kept in a file"
    with LogFile(tmp_path / "logs", "INFO", secrets=[TOKEN]) as log_file:
        assert world.bot.handlers is not None
        world.bot.handlers.answering.context = replace(world.bot.context, log_file=log_file)
        for number in range(30):
            logger.warning("event <{}> of {}", number, TOKEN)
        message = await message_to(world, "/logs 25")
        lines = message.text.splitlines()
        assert [line.partition("event")[2] for line in lines[1:11]] == [f" <{n}> of ***" for n in range(29, 19, -1)]
        assert lines[-1].startswith("Page 1 of ")
        assert await ask(world, "/logs", chat_id=GROUP) == IN_PRIVATE
        assert await ask(world, "/logs", user_id=OTHER_PERSON, chat_id=GROUP) != IN_PRIVATE, "he is no admin"
        group_message = replace(message, chat_id=GROUP)
        assert await press(world, group_message, message.press("More »")) == IN_PRIVATE
        world.bot.recipients.operator = f"{GROUP}:7"
        assert "event" in await ask(world, "/logs", chat_id=GROUP)


async def test_test(world: World, bot: Orchestrator) -> None:
    """/test sends every chat a message that nobody can take for an alert."""
    assert await ask(world, "/test") == "A test is on its way to 2 chats."
    world.run(world.delivery.run())
    tests = (await world.telegram.wait_for_messages(3))[1:]
    assert {message.chat_id for message in tests} == {PERSON, GROUP}
    assert all("nothing to trade" in message.text for message in tests)


@pytest.mark.usefixtures("bot")
async def test_unknown_commands(world: World) -> None:
    """An unknown command gets a hint in private; in a group it may be meant for another bot."""
    assert await ask(world, "/moon") == "/moon is no command of mine, /help lists them."
    await world.telegram.user_sends("/moon", user_id=PERSON, chat_id=GROUP)
    await world.telegram.user_sends("/help@other_bot", user_id=PERSON, chat_id=GROUP)
    await world.telegram.user_sends("just talking", user_id=PERSON)
    await silence(world)


async def test_strangers_are_refused(world: World, bot: Orchestrator) -> None:
    """Who is neither admin nor in a chat of ours is told so once, whatever they ask, and nothing happens."""
    for stranger, name in enumerate(["start", "help", "moon", *BY_NAME], 2001):
        world.telegram.people.add(stranger)
        assert await ask(world, f"/{name}", user_id=stranger) == (
            f"Sorry, I only answer my owner. If that is you, put your id {stranger} into TELEGRAM_ADMIN_IDS."
        )
        await world.telegram.user_sends(f"/{name} PEPE", user_id=stranger)
    await silence(world)
    assert bot.ledger.limits == make_limits()


async def test_readers_do_not_steer(world: World, bot: Orchestrator) -> None:
    """Being in the group where the alerts go lets people read, and steering is refused, once each, politely."""
    for reader, command in enumerate((command for command in COMMANDS if command.is_steering), 3001):
        world.telegram.people.add(reader)
        answer = await ask(world, f"/{command.name} PEPE", user_id=reader, chat_id=GROUP)
        assert answer.startswith("Only my admins may do that.")
        await world.telegram.user_sends(f"/{command.name} PEPE", user_id=reader, chat_id=GROUP)
    await silence(world)
    assert bot.ledger.limits == make_limits()


async def test_old_commands(world: World, bot: Orchestrator) -> None:
    """A command that waited over a minute while the bot was away is not obeyed, and its sender is told."""
    await world.telegram.user_sends("/pause", user_id=PERSON, sent_ms=NOW_MS - 59_000)
    await world.telegram.user_sends("/resume", user_id=PERSON, sent_ms=NOW_MS - 600_000)
    obeyed, ignored = await world.telegram.wait_for_messages(2)
    assert obeyed.text.startswith("Paused")
    assert ignored.text == "/resume is 10 min old, so it was ignored. Send it again if you still mean it."
    assert bot.ledger.limits.paused_until_ms == FOREVER_MS


async def test_old_commands_get_one_line(world: World, bot: Orchestrator) -> None:
    """Of whatever waited while the bot was away one line tells, and a fresh command behind it is obeyed at once."""
    for text in ("/version", "/status", "/pause", "/mute PEPE") * 6:
        await world.telegram.user_sends(text, user_id=PERSON, chat_id=GROUP, sent_ms=NOW_MS - 3_600_000)
    await world.telegram.user_sends("/quiet 22:00-07:00", user_id=PERSON, chat_id=GROUP)
    answers = await world.telegram.wait_for_messages(2)
    old = "24 commands are up to 60 min old, so they were ignored: /version, /status, /pause, /mute."
    assert sorted(answer.text for answer in answers) == [
        f"{old} Send again what you still mean.",
        "Nothing rings from 22:00-07:00 (UTC); /quiet off ends that.",
    ]
    assert bot.ledger.limits == make_limits()


async def test_nobodys_questions_hold_up_an_admin(world: World, bot: Orchestrator) -> None:
    """In a lively group an admin's order is carried out as it arrives, whatever is asked there; its answer follows."""
    for reader in range(3001, 3011):
        world.telegram.people.add(reader)
        for _ in range(6):
            await world.telegram.user_sends("/version", user_id=reader, chat_id=GROUP)
    await world.telegram.user_sends("/pause", user_id=PERSON, chat_id=GROUP)
    await world.telegram.wait_for_messages(2)
    await world.telegram.wait_for(lambda: not world.telegram._updates)
    assert bot.ledger.limits.paused_until_ms == FOREVER_MS, "without the clock having moved"
    await world.pass_time(lambda: any(one.text.startswith("Paused") for one in world.telegram.messages))
    await world.pass_time(lambda: world.clock.now_ms() > NOW_MS + 600_000, step_s=5)
    texts = [one.text for one in world.telegram.messages]
    assert texts.count(TOO_FAST) == 10, "who asks too fast is told so once"
    assert world.telegram.floods == []


@pytest.mark.parametrize("shared", [1087968824, 136817688, 777000])
async def test_an_id_of_many_is_nobody(world: World, shared: int) -> None:
    """Who writes as the group or as a channel is told to write as himself, and no such id is ever suggested."""
    world.bot.recipients.admin_ids = frozenset({PERSON, shared})
    await listen(world)
    await world.telegram.user_sends("/pause", user_id=shared, chat_id=GROUP)
    (answer,) = await world.telegram.wait_for_messages(1)
    assert answer.text == f"Only my admins may do that. {AS_YOURSELF}"
    assert str(shared) not in answer.text
    assert world.orchestrator.ledger.limits == make_limits()


async def test_a_bot_is_no_admin(world: World, bot: Orchestrator) -> None:
    """Another bot steers nothing, whatever id it has."""
    update = {
        "message_id": 1,
        "date": NOW_MS // 1000,
        "chat": world.telegram._chat(GROUP),
        "from": {"id": PERSON, "is_bot": True, "first_name": "Robot"},
        "text": "/pause",
        "entities": [{"type": "bot_command", "offset": 0, "length": 6}],
    }
    await world.telegram.push("message", update)
    (answer,) = await world.telegram.wait_for_messages(1)
    assert AS_YOURSELF in answer.text
    assert bot.ledger.limits == make_limits()


@pytest.mark.parametrize("fault", [Fault.LOSE_REPLY, Fault.BAD_GATEWAY, Fault.SERVER_ERROR_AFTER, Fault.RESET])
async def test_a_mute_whose_answer_is_lost(world: World, bot: Orchestrator, fault: Fault) -> None:
    """What a button did stays done where nobody knows whether the phone showed it."""
    message = await alert(world)
    await world.clock.advance(4)
    world.telegram.faults.append(("answerCallbackQuery", fault))
    await world.telegram.user_presses(message.press("Mute 1 h"), user_id=PERSON, message=message)
    await silence(world)
    assert list(bot.ledger.limits.muted_coins) == ["XLM"]


async def test_the_mute_button_shortens_nothing(world: World, bot: Orchestrator) -> None:
    """A coin that is muted for longer stays so."""
    message = await alert(world)
    await ask(world, "/mute PEPE")
    await bot.ledger.change_limits(lambda limits: replace(limits, muted_coins={"XLM": FOREVER_MS}))
    assert await press(world, message, message.press("Mute 1 h")) == "XLM stays muted until /unmute."
    assert bot.ledger.limits.muted_coins == {"XLM": FOREVER_MS}


async def test_a_forged_page(world: World, bot: Orchestrator) -> None:
    """Nobody turns an alert into a page of something else."""
    message = await alert(world)
    await world.wait_for_states(sent=2)
    assert await press(world, message, "page:0:version:", user_id=PERSON) == "This button is out of date."
    await silence(world)
    assert world.telegram.edits == 0


async def test_a_page_that_fails(world: World, bot: Orchestrator) -> None:
    """A page that cannot be made any more says why."""
    message = await message_to(world, "/version")
    await press(world, message, "page:0:top:x")
    await world.pass_time(lambda: world.telegram.messages[-1].text.startswith("How many is a number"))


async def test_chats(world: World, bot: Orchestrator) -> None:
    """/chats says how each chat fares, and its button tries them again."""
    world.telegram.blocked.add(GROUP)
    world.run(world.delivery.run())
    await world.queue(make_message(), exit_message(1, str(GROUP)))
    await world.pass_time(lambda: bool([*world.delivery.chat_states.faults()]), step_s=0)
    await world.wait_for_states(sent=1, pending=1)
    message = await message_to(world, "/chats")
    lines = message.text.splitlines()
    assert lines[1].startswith(f"{PERSON}, operator: takes messages, last sent ")
    assert lines[2].startswith(
        f"{GROUP}: gets nothing since 14 Nov 22:13: Forbidden: bot was kicked from the group chat, "
    )
    # an admin's question has it tried again: its message may be under way
    assert lines[2].endswith(("nothing sent yet, 1 waiting", "nothing sent yet"))
    world.telegram.blocked.clear()
    assert (await press(world, message, message.press("Try again"))).startswith("Every chat is tried again")
    await world.pass_time(lambda: GROUP in {one.chat_id for one in world.telegram.messages}, step_s=0)
    assert world.clock.now_ms() - NOW_MS < 15_000, "by the button, before the hold of a refusing chat is over"
    assert await press(world, message, message.press("Try again"), user_id=STRANGER) == "Only my admins may do that."


async def test_health_over_http(world: World, bot: Orchestrator) -> None:
    """A chat that gets nothing is a reason to call the bot unwell for whoever watches it."""
    world.telegram.blocked.add(GROUP)
    world.run(world.delivery.run())
    await world.queue(exit_message(1, str(GROUP)))
    await world.pass_time(lambda: bool([*world.delivery.chat_states.faults()]), step_s=0)
    app = app_of(world.bot)
    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/health")
        assert answer.status == 503
        assert f"chat {GROUP} gets nothing: Forbidden: bot was kicked" in await answer.text()
        await world.telegram.bot_becomes("member", GROUP, by=PERSON)
        await world.pass_time(lambda: not [*world.delivery.chat_states.faults()], step_s=0)
        assert "gets nothing" not in await (await client.get("/health")).text()


@pytest.mark.parametrize("status", ["member", "administrator"])
async def test_put_back_into_a_chat(world: World, bot: Orchestrator, status: str) -> None:
    """A chat that gets the bot back gets its messages at once, also one that can send no command."""
    world.run(world.delivery.run())
    await world.telegram.bot_becomes("kicked", GROUP, by=OTHER_PERSON)
    await world.queue(exit_message(1, str(GROUP)))
    await world.pass_time(lambda: bool([*world.delivery.chat_states.faults()]), step_s=0)
    await world.telegram.bot_becomes(status, GROUP, by=OTHER_PERSON)
    await world.pass_time(lambda: len(world.telegram.messages) == 1, step_s=0)
    assert world.clock.now_ms() == NOW_MS


async def test_audit(world: World, bot: Orchestrator) -> None:
    """/audit lists who steered, where, how and with what success, after a restart too."""
    message = await alert(world)
    await ask(world, "/pause 2h")
    await ask(world, "/mute <moon>", chat_id=GROUP)
    await press(world, message, message.press("Mute 1 h"))
    await ask(world, "/version")
    lines = (await ask(world, "/audit")).splitlines()
    paused = "Paused until 15 Nov 00:13 UTC. Open signals are followed to their exit; /resume ends the pause."
    assert [line.partition("user ")[2] for line in lines[1:]] == [
        f"{PERSON} in {PERSON}: Mute 1 h, #1 → XLM is muted for 1 h.",
        f"{PERSON} in {GROUP}: /mute <moon> → <moon> is not watched",
        f"{PERSON} in {PERSON}: /pause 2h → {paused}",
    ]


async def test_an_answer_telegram_will_not_take(world: World, bot: Orchestrator) -> None:
    """Whoever asked learns why nothing came."""
    world.telegram.blocked.clear()
    await world.delivery.replies.send(str(PERSON), Content(text="x" * 5000))
    assert world.telegram.messages[-1].text == "The answer could not be shown: Message is too long"


@pytest.mark.parametrize("text", ["/score " + "&" * 4000, "/pause " + "x" * 4000, "/mute " + "<" * 4000])
async def test_a_long_argument(world: World, bot: Orchestrator, text: str) -> None:
    """What is asked may be as long as it likes: it is answered."""
    assert len(await ask(world, text)) < 1000


@pytest.mark.parametrize("coin", ["COIN", "&<>"])
def test_pages_are_cut_by_their_length(coin: str) -> None:
    """However long the lines, Telegram takes each page and nothing is left out."""
    names = [f"{coin}{number:05d}" for number in range(2000)]
    listing = Listing(title=bold("Settings"), lines=["first", ",".join(names), *["x" * 1500] * 9, "last"])
    pages = [read_html(listing.page(number)) for number in range(listing.pages)]
    assert all(length(page) <= 4096 for page in pages)
    assert ",".join(names) in "".join(line for page in pages for line in page.splitlines()[1:-1])
    assert pages[-1].splitlines()[-2] == "last"


async def test_refusals_are_not_kept_for_ever(world: World, bot: Orchestrator) -> None:
    """However many strangers write, what is kept of them is bounded."""
    access = Access(Recipients(chats=()), world.delivery.chat_states)
    chat = Chat(1, "private")
    for stranger in range(1, 5000):
        assert access.refuse(Asker(User(stranger, "Ann", is_bot=False), None, ()), chat, "x", "Sorry") is not None
    assert len(access._refused) <= 1000


@pytest.mark.usefixtures("bot")
async def test_answers_are_paced(world: World) -> None:
    """A burst of commands is answered at a pace that leaves Telegram room for alerts."""
    for _ in range(5):
        await world.telegram.user_sends("/version", user_id=PERSON)
    await world.telegram.wait_for_messages(2)
    world.run(world.delivery.run())
    await world.queue(entry_message(1))
    await world.telegram.wait_for_messages(3)
    assert world.telegram.messages[2].text == "SHORT 1"
    await world.pass_time(lambda: len(world.telegram.messages) == 6)
    assert world.telegram.floods == []


@pytest.mark.usefixtures("bot")
async def test_paging(world: World) -> None:
    """A long list comes in pages that are turned in place, to its ends and no further."""
    signals = [make_signal(number) for number in range(4, 27)]
    await world.store.remember(signals, make_limits(next_id=27), [])
    message = await message_to(world, "/signals 100")
    assert [button["text"] for button in message.buttons] == ["More »"]
    assert message.text.endswith("Page 1 of 3")
    for page, buttons in ((2, ["« Back", "More »"]), (3, ["« Back"])):
        assert await press(world, message, message.press("More »")) == ""
        await world.telegram.wait_for(lambda page=page: f"Page {page} of 3" in world.telegram.messages[-1].text)  # type: ignore[misc]
        message = world.telegram.messages[-1]
        assert [button["text"] for button in message.buttons] == buttons
    assert "#1 " in message.text
    assert len(world.telegram.messages) == 1


@pytest.mark.usefixtures("bot")
async def test_details_button(world: World) -> None:
    """Details answers at once and replies to the alert with what it rested on, to readers too."""
    message = await alert(world)
    assert [button["text"] for button in message.buttons] == ["Details", "Chart", "Mute 1 h", "Copy"]
    assert await press(world, message, message.press("Details")) == ""
    details = (await world.telegram.wait_for_messages(3))[-1]
    assert details.text.startswith("#1 SHORT XLM Bybit")
    assert details.reply_to == message.message_id


async def test_mute_button(world: World, bot: Orchestrator) -> None:
    """Mute 1 h says at once what it did; readers may not press it."""
    message = await alert(world)
    group = next(one for one in world.telegram.messages if one.chat_id == GROUP)
    assert await press(world, group, group.press("Mute 1 h"), user_id=OTHER_PERSON) == "Only my admins may do that."
    assert bot.ledger.limits.muted_coins == {}
    assert await press(world, message, message.press("Mute 1 h")) == "XLM is muted for 1 h."
    await world.telegram.wait_for(lambda: True)
    await world.pass_time(lambda: bool(bot.ledger.limits.muted_coins))
    assert 0 < bot.ledger.limits.muted_coins["XLM"] - NOW_MS <= HOUR_MS + 8_000


async def test_stale_buttons(world: World, bot: Orchestrator) -> None:
    """A button of another version or of an alert this bot does not know says so and does nothing."""
    message = await alert(world)
    for data in ("mute:PEPE", "mute:99", "why:99", "chart:", "profit:1", "page:x:signals:", "page:1:moon:", "?"):
        assert await press(world, message, data) == "This button is out of date."
    assert bot.ledger.limits.muted_coins == {}


async def test_a_button_of_long_ago(world: World, bot: Orchestrator) -> None:
    """Under a message so old that bots may not see it any more a button says that it is out of date."""
    message = await alert(world)
    await world.clock.advance(4)
    query = await world.telegram.user_presses("mute:1", user_id=PERSON, message=message, is_gone=True)
    await world.telegram.wait_for(lambda: query in world.telegram.answered)
    assert world.telegram.answered[query] == "This button is out of date."
    assert bot.ledger.limits.muted_coins == {}


async def test_a_press_telegram_has_forgotten(world: World, bot: Orchestrator) -> None:
    """A press from before the bot was away cannot be answered any more, and is not obeyed."""
    message = await alert(world)
    world.telegram.answered[str(world.telegram._next_update_id)] = "expired"
    await world.telegram.user_presses(message.press("Mute 1 h"), user_id=PERSON, message=message)
    await silence(world)
    await world.pass_time(lambda: bot.ledger.limits.muted_coins == {}, step_s=0)


async def test_chart_button(world: World, bot: Orchestrator) -> None:
    """Chart answers at once and replies to the alert with a picture, or with why there is none."""
    message = await alert(world)
    assert await press(world, message, message.press("Chart")) == ""
    answer = (await world.telegram.wait_for_messages(3))[-1]
    assert answer.reply_to == message.message_id
    assert answer.text == "The prices around #1 are no longer kept, and the venue gives none"


async def test_copy_button(world: World, bot: Orchestrator) -> None:
    """Copy needs no bot: the text is in the button, as Cornix reads it."""
    message = await alert(world)
    copied = next(button for button in message.buttons if button["text"] == "Copy")
    assert copied["copy_text"]["text"].splitlines()[1] == "SHORT"
    assert "callback_data" not in copied


@pytest.mark.parametrize("data", ["why:1", "chart:1", "mute:1", "page:1:signals:100", "page:1:config:"])
async def test_strangers_press_nothing(world: World, bot: Orchestrator, data: str) -> None:
    """A button in a chat that is none of ours, where somebody forwarded it to, does nothing for a stranger."""
    world.run(world.delivery.run())
    await world.queue(make_message(chat_id=str(STRANGER)))
    (message,) = await world.telegram.wait_for_messages(1)
    assert await press(world, message, data, user_id=STRANGER) == "Only my admins may do that."
    await silence(world)
    assert bot.ledger.limits == make_limits()


async def test_readers_turn_no_page_of_the_settings(world: World, bot: Orchestrator) -> None:
    """What a reader may not ask for, a reader may not page through either."""
    world.run(world.delivery.run())
    await world.queue(make_message(chat_id=str(GROUP)))
    (message,) = await world.telegram.wait_for_messages(1)
    answer = await press(world, message, "page:1:config:", user_id=OTHER_PERSON)
    assert answer == "Only my admins may do that."
    assert world.telegram.edits == 0


async def test_refusals_are_logged(world: World, bot: Orchestrator) -> None:
    """Who was refused is in the log with what they wanted, once."""
    lines: list[str] = []
    sink = logger.add(lines.append, level="WARNING", format="{message}")
    for _ in range(3):
        await world.telegram.user_sends("/pause", user_id=STRANGER)
    await silence(world)
    logger.remove(sink)
    assert lines == [f"user {STRANGER} may not steer the bot and was refused: /pause\n"]


async def test_no_answer_shows_a_secret(world: World) -> None:
    """Whatever is asked, also after Telegram has refused the token, it is in no answer."""
    world.run(world.delivery.run())
    world.telegram.token = "123456:new"
    await world.queue(make_message())
    await world.pass_time(lambda: world.delivery.record.fault != "")
    assert TOKEN.partition(":")[2] not in world.delivery.record.fault
    world.telegram.token = TOKEN
    await world.pass_time(lambda: len(world.telegram.messages) == 1)
    await listen(world)
    for name in ("status", "health", "config", "version", "help", "count", "daily"):
        await ask(world, f"/{name}")
    assert TOKEN not in "".join(message.html for message in world.telegram.messages)


@pytest.mark.usefixtures("bot")
async def test_links_show_no_preview(world: World) -> None:
    """An alert's link is a link and no picture of a page."""
    await alert(world)
    assert not any(message.has_preview for message in world.telegram.messages)
