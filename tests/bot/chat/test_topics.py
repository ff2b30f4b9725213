"""Alerts, exits and commands inside the topics of a forum, and in channels."""

import pytest

from storage.messages import FollowUp
from tests.bot.conftest import GROUP, OTHER_PERSON, PERSON, World, listen, look
from tests.builders import NOW_MS, instrument
from tests.storage.builders import entry_message, exit_message, make_message
from tests.telegram_stand_in import Received

TOPIC, OTHER_TOPIC, CHANNEL = 7, 8, -1009
IN_TOPIC = f"{GROUP}:{TOPIC}"


@pytest.fixture
async def forum(world: World) -> World:
    """Return a world whose group is a forum of two topics, with delivery and commands running."""
    world.telegram.topics[GROUP] = {TOPIC, OTHER_TOPIC}
    look(world.orchestrator, instrument(id="PEPEUSDT"))
    world.bot.recipients.chats = (IN_TOPIC, str(CHANNEL))
    await listen(world)
    world.run(world.delivery.run())
    return world


def shown(world: World) -> list[tuple[str, int | None]]:
    """Return what stands where in the group."""
    return [(message.text, message.topic) for message in world.telegram.messages if message.chat_id == GROUP]


async def answer(world: World, text: str, **where: int) -> Received:
    """Send a command in the group and return the answer."""
    await world.clock.advance(4)
    count = len(world.telegram.messages)
    await world.telegram.user_sends(text, user_id=OTHER_PERSON, chat_id=GROUP, **where)
    return (await world.telegram.wait_for_messages(count + 1))[-1]


async def test_alert_exit_and_follow_up(forum: World) -> None:
    """An alert stands in its topic, its exit replies to it there, and what becomes of it is edited in there."""
    await forum.queue(entry_message(1, IN_TOPIC), entry_message(1, f"{GROUP}:{OTHER_TOPIC}"))
    await forum.wait_for_states(sent=2)
    await forum.queue(exit_message(1, IN_TOPIC), FollowUp(signal_id=1, html="ended"))
    await forum.pass_time(lambda: forum.telegram.edits == 2)
    assert shown(forum) == [("SHORT 1\nended", TOPIC), ("SHORT 1\nended", OTHER_TOPIC), ("EXIT 1", TOPIC)]
    alert, _, ended = forum.telegram.messages
    assert ended.reply_to == alert.message_id


async def test_the_general_topic(forum: World) -> None:
    """Telegram finds no thread 1: what goes to the general topic names none."""
    await forum.queue(make_message(chat_id=f"{GROUP}:1"))
    await forum.wait_for_states(sent=1)
    assert shown(forum) == [("started", None)]


async def test_a_topic_that_is_gone(forum: World) -> None:
    """What was for a deleted topic goes to its group, marked, and is seen in /health; the other topics go on."""
    await forum.queue(make_message(chat_id=f"{GROUP}:9"), make_message(chat_id=IN_TOPIC, html="there"))
    await forum.wait_for_states(sent=2)
    assert {message.text: message.topic for message in forum.telegram.messages} == {
        "Its topic is gone\nstarted": None,
        "there": TOPIC,
    }
    assert (
        f"Refused once, last 14 Nov 22:13 (chat {GROUP}:9: Message thread not found)"
        in (await answer(forum, "/health", thread=TOPIC)).text
    )
    await forum.queue(make_message(chat_id=f"{GROUP}:9", html="next"))
    await forum.pass_time(lambda: forum.telegram.messages[-1].text == "Its topic is gone\nnext")
    refused = forum.telegram.requests.count("sendMessage") - len(forum.telegram.messages)
    assert refused == 1, "it is known from then on"


async def test_a_topic_that_is_closed(forum: World) -> None:
    """What is for a closed topic waits until it is opened again; alerts expire meanwhile, and that is said."""
    forum.telegram.closed_topics.add((GROUP, TOPIC))
    await forum.queue(entry_message(1, IN_TOPIC), exit_message(1, IN_TOPIC), make_message(chat_id=IN_TOPIC))
    await forum.pass_time(lambda: forum.clock.now_ms() > NOW_MS + 300_000, step_s=5)
    assert [*forum.delivery.chat_states.faults()] == [f"chat {IN_TOPIC} gets nothing: Topic_closed"]
    forum.telegram.closed_topics.clear()
    await forum.pass_time(lambda: len(forum.telegram.messages) == 2, step_s=5)
    await forum.wait_for_states(expired=1, sent=2)
    assert forum.telegram.messages[0].text.endswith("1 earlier message could not be sent in time and expired")
    assert [*forum.delivery.chat_states.faults()] == []


async def test_the_topics_of_a_group_share_its_pace(forum: World) -> None:
    """Telegram counts a forum as one group."""
    for number in range(6):
        await forum.queue(make_message(chat_id=f"{GROUP}:{(TOPIC, OTHER_TOPIC)[number % 2]}", html=str(number)))
    await forum.pass_time(lambda: len(forum.telegram.messages) == 6, step_s=0.1)
    assert forum.telegram.messages[3].at_ms - forum.telegram.messages[0].at_ms >= 3_000
    assert forum.telegram.floods == []


async def test_commands_are_answered_where_they_were_asked(forum: World) -> None:
    """A question in a topic is answered there; one in the general topic, or in a thread of replies, in the group."""
    assert (await answer(forum, "/version", thread=TOPIC)).topic == TOPIC
    assert (await answer(forum, "/version", thread=OTHER_TOPIC)).topic == OTHER_TOPIC
    assert (await answer(forum, "/version")).topic is None
    assert (await answer(forum, "/version", thread=99)).topic is None


async def test_a_button_in_a_topic(forum: World) -> None:
    """Details under an alert in a topic are told in that topic, as a reply to the alert."""
    await forum.queue(entry_message(1, IN_TOPIC))
    await forum.wait_for_states(sent=1)
    (alert,) = forum.telegram.messages
    await forum.telegram.user_presses("why:1", user_id=OTHER_PERSON, message=alert)
    details = (await forum.telegram.wait_for_messages(2))[-1]
    assert (details.topic, details.reply_to) == (TOPIC, alert.message_id)


async def test_a_public_channel_by_its_name(world: World) -> None:
    """Alerts go to @name as well, at the pace of a group and without a repetition."""
    world.telegram.channels.add(CHANNEL)
    world.telegram.names["@calls"] = CHANNEL
    world.run(world.delivery.run())
    await world.queue(entry_message(1, "@calls"))
    await world.wait_for_states(sent=1)
    await world.queue(exit_message(1, "@calls"))
    await world.wait_for_states(sent=2)
    alert, ended = world.telegram.messages
    assert (alert.chat_id, ended.reply_to) == (CHANNEL, alert.message_id)


async def test_buttons_in_a_channel(forum: World) -> None:
    """Nobody can make the bot post in a channel: what an admin asks for there comes in private."""
    forum.telegram.channels.add(CHANNEL)
    await forum.queue(entry_message(1, str(CHANNEL)))
    await forum.wait_for_states(sent=1)
    (alert,) = forum.telegram.messages
    query = await forum.telegram.user_presses("why:1", user_id=OTHER_PERSON, message=alert)
    await forum.telegram.wait_for(lambda: query in forum.telegram.answered)
    assert forum.telegram.answered[query] == "Only my admins may do that."
    assert len(forum.telegram.messages) == 1
    await forum.telegram.user_presses("why:1", user_id=PERSON, message=alert)
    details = (await forum.telegram.wait_for_messages(2))[-1]
    assert (details.chat_id, details.text[:8]) == (PERSON, "#1 SHORT"), "the readers of the channel do not see it"


async def test_readers_of_a_group_named_by_its_name(world: World) -> None:
    """Who writes in a public group the alerts go to may read, also where .env has its @name; so after it has moved."""
    world.telegram.names["@scalps"] = GROUP
    world.bot.recipients.chats = ("@Scalps",)
    await listen(world)
    assert (await answer(world, "/version")).text.startswith("SGNL 0.")


async def test_readers_of_a_group_that_moved(forum: World) -> None:
    """In the group's new id people are known as in the old one."""
    moved = -1001
    forum.telegram.groups.add(moved)
    forum.telegram.migrated[GROUP] = moved
    forum.telegram.topics[moved] = {TOPIC}
    await forum.queue(make_message(chat_id=IN_TOPIC))
    await forum.wait_for_states(sent=1)
    await forum.clock.advance(4)
    await forum.telegram.user_sends("/version", user_id=OTHER_PERSON, chat_id=moved, thread=TOPIC)
    told = (await forum.telegram.wait_for_messages(2))[-1]
    assert (told.chat_id, told.topic, told.text[:6]) == (moved, TOPIC, "SGNL 0")


async def test_an_admin_steers_from_a_topic(forum: World) -> None:
    """Steering is a matter of who, not of where."""
    await forum.telegram.user_sends("/pause", user_id=PERSON, chat_id=GROUP, thread=TOPIC)
    (told,) = await forum.telegram.wait_for_messages(1)
    assert (told.topic, told.text[:6]) == (TOPIC, "Paused")
