"""Each command as a user would send it, by one who may and one who may not."""

import pytest

from bot.telegram_commands import UsageError, parse_duration_ms
from tests.bot.conftest import GROUP, OTHER_PERSON, PERSON, RecordingControl, World, build_edge
from tests.builders import NOW_MS

HOUR_MS = 3_600_000


@pytest.fixture
async def control(world: World) -> RecordingControl:
    """Return what the commands act on, with the bot listening."""
    control = RecordingControl()
    edge = build_edge(world, control)
    await edge.start()
    world.run(edge.run())
    return control


async def ask(world: World, text: str, *, user_id: int = PERSON, chat_id: int | None = None) -> str:
    """Send a command and return the answer, which replies to it."""
    count = len(world.telegram.messages)
    await world.telegram.user_sends(text, user_id=user_id, chat_id=chat_id)
    return (await world.telegram.wait_for_messages(count + 1))[-1].text


async def silence(world: World) -> None:
    """Show that nothing sent before this was answered: the answer to a further command comes next."""
    count = len(world.telegram.messages)
    await world.telegram.user_sends("/status", user_id=PERSON)
    assert [message.text for message in (await world.telegram.wait_for_messages(count + 1))[count:]] == ["SGNL is well"]


@pytest.mark.usefixtures("control")
async def test_help(world: World) -> None:
    """/start and /help list what can be said."""
    for command in ("/start", "/HELP", "/help@sgnl_test_bot"):
        answer = await ask(world, command)
        assert answer.startswith("SGNL watches")
        assert all(f"/{name} " in answer for name in ("status", "pause", "resume", "help"))


@pytest.mark.usefixtures("control")
async def test_status(world: World) -> None:
    """/status answers in the chat it was asked in, a group too."""
    assert await ask(world, "/status") == "SGNL is well"
    assert await ask(world, "/status", chat_id=GROUP) == "SGNL is well"
    assert [message.chat_id for message in world.telegram.messages] == [PERSON, GROUP]


async def test_pause_until_resume(world: World, control: RecordingControl) -> None:
    """/pause and its other names hold new alerts until /resume."""
    for command in ("/pause", "/stop", "/stopentry"):
        assert await ask(world, command) == "Paused until /resume. Open signals are followed to their exit."
    await world.clock.advance(4)
    assert await ask(world, "/resume") == "Alerting again."
    assert control.calls == [None, None, None, "resume"]


async def test_pause_for_a_while(world: World, control: RecordingControl) -> None:
    """/pause 2h holds new alerts for two hours."""
    assert (await ask(world, "/pause  2h")).startswith("Paused for 2h.")
    assert control.calls == [NOW_MS + 2 * HOUR_MS]


async def test_pause_for_nonsense(world: World, control: RecordingControl) -> None:
    """A time that cannot be read is answered with one that can, and nothing is paused."""
    assert await ask(world, "/pause <soon>") == 'A time looks like 30m, 2h or 1d, was "<soon>"'
    assert control.calls == []


@pytest.mark.usefixtures("control")
async def test_unknown_commands(world: World) -> None:
    """An unknown command gets a hint in private; in a group it may be meant for another bot."""
    assert await ask(world, "/moon") == "/moon is no command of mine, /help lists them."
    await world.telegram.user_sends("/moon", user_id=PERSON, chat_id=GROUP)
    await world.telegram.user_sends("/help@other_bot", user_id=PERSON, chat_id=GROUP)
    await world.telegram.user_sends("just talking", user_id=PERSON)
    await silence(world)


async def test_strangers_are_refused(world: World, control: RecordingControl) -> None:
    """Who may not steer is told so once, whatever they ask, and nothing happens."""
    for stranger, command in enumerate(
        ("start", "help", "status", "pause", "stop", "stopentry", "resume", "moon"), 1001
    ):
        world.telegram.people.add(stranger)
        assert await ask(world, f"/{command}", user_id=stranger) == (
            f"Sorry, I only answer my owner. If that is you, put your id {stranger} into TELEGRAM_ADMIN_IDS."
        )
        await world.telegram.user_sends(f"/{command}", user_id=stranger)
    await silence(world)
    assert control.calls == []


async def test_a_stranger_in_the_group(world: World, control: RecordingControl) -> None:
    """Being in the group where the alerts go gives nobody a right."""
    assert (await ask(world, "/pause", user_id=OTHER_PERSON, chat_id=GROUP)).startswith("Sorry")
    assert control.calls == []


async def test_old_commands(world: World, control: RecordingControl) -> None:
    """A command that waited over a minute while the bot was away is not obeyed, and its sender is told."""
    await world.telegram.user_sends("/pause", user_id=PERSON, sent_ms=NOW_MS - 59_000)
    await world.telegram.user_sends("/resume", user_id=PERSON, sent_ms=NOW_MS - 600_000)
    obeyed, ignored = await world.telegram.wait_for_messages(2)
    assert obeyed.text.startswith("Paused")
    assert ignored.text == "/resume is 10 min old, so it was ignored. Send it again if you still mean it."
    assert control.calls == [None]


@pytest.mark.usefixtures("control")
async def test_answers_are_paced(world: World) -> None:
    """A burst of commands is answered at the pace Telegram allows."""
    for _ in range(5):
        await world.telegram.user_sends("/status", user_id=PERSON)
    await world.pass_time(lambda: len(world.telegram.messages) == 5)
    assert world.telegram.floods == []


@pytest.mark.usefixtures("control")
async def test_a_button_of_another_version(world: World) -> None:
    """A press on a button nobody knows is answered at once."""
    await ask(world, "/status")
    query_id = await world.telegram.user_presses("mute:PEPE", user_id=PERSON, message=world.telegram.messages[0])
    await world.telegram.wait_for(lambda: query_id in world.telegram.answered)
    assert world.telegram.answered[query_id] == "This button is out of date."


@pytest.mark.parametrize(
    ("text", "length_ms"),
    [
        ("2h", 2 * HOUR_MS),
        ("30m", HOUR_MS // 2),
        ("1d", 24 * HOUR_MS),
        ("1h30m", HOUR_MS * 3 // 2),
        ("1 D 12 H", 36 * HOUR_MS),
        ("30d", 720 * HOUR_MS),
    ],
)
def test_parse_duration(text: str, length_ms: int) -> None:
    """Minutes, hours and days, alone or together, up to 30 days."""
    assert parse_duration_ms(text) == length_ms


@pytest.mark.parametrize("text", ["", "2", "h", "2x", "-2h", "1.5h", "0m", "31d", "two hours", "9999999d"])
def test_parse_no_duration(text: str) -> None:
    """Anything else says what a time looks like and what was given."""
    with pytest.raises(UsageError, match=f'was "{text}"'):
        parse_duration_ms(text)
