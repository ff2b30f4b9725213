"""Every way a message can go, from the real store through real python-telegram-bot to the stand-in."""

import asyncio
import io
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from telegram import Bot

from bot.chat.bot_api.sending import TelegramSender
from bot.chat.delivery.outbox_loop import Delivery
from bot.chat.delivery.sender import TERMINAL_CHAT, Content, FoundChat, TerminalSender
from bot.chat.recipients import Recipients
from storage.messages import DeliveryState, FollowUp, Kind, NewMessage
from storage.outbox import DOUBT_SENDING
from tests.bot.conftest import GROUP, OTHER_PERSON, PERSON, World, eventually, quote
from tests.builders import NOW_MS
from tests.hand_clock import HandClock
from tests.storage.builders import entry_message, exit_message, make_message
from tests.telegram_stand_in import _PAGES, TOKEN, Fault, Received

CHANNEL = -1001234567890
CARRIED_OUT = (Fault.LOSE_REPLY, Fault.HOLD_REPLY, Fault.SERVER_ERROR_AFTER, Fault.GATEWAY_AFTER)
IN_DOUBT = tuple(fault for fault in Fault if fault not in (Fault.UNAUTHORIZED, Fault.NOT_FOUND, Fault.CONFLICT))


@pytest.fixture
async def running(world: World) -> World:
    """Return the world with its delivery running."""
    world.run(world.delivery.run())
    return world


def texts(world: World, chat_id: int = PERSON) -> list[str]:
    """Return what stands in a chat."""
    return [message.text for message in world.telegram.messages if message.chat_id == chat_id]


async def attempts(world: World) -> int:
    """Return how often the first pending message has been tried, 0 where none is pending."""
    due = await world.store.outbox.due(NOW_MS * 2)
    return due[0].attempts if due else 0


async def test_sent_as_soon_as_it_is_queued(running: World) -> None:
    """A message goes out without the clock moving, is recorded as sent, and an alert's latency is measured."""
    await running.queue(entry_message(1))
    (message,) = await running.telegram.wait_for_messages(1)
    await running.wait_for_states(sent=1)
    assert (message.text, message.is_html, message.is_silent) == ("SHORT 1", True, False)
    latency = running.delivery.record.latency()
    assert latency is not None
    assert (latency.count, latency.p50_ms, latency.p95_ms) == (1, 0.0, 0.0)


async def test_an_exit_replies_to_its_alert(running: World) -> None:
    """The exit of a signal is a reply to the alert in the same chat, in each chat."""
    await running.queue(*(entry_message(1, str(chat)) for chat in (PERSON, GROUP)))
    await running.wait_for_states(sent=2)
    alerts = {message.chat_id: message.message_id for message in running.telegram.messages}
    await running.queue(*(exit_message(1, str(chat)) for chat in (PERSON, GROUP)))
    exits = (await running.telegram.wait_for_messages(4))[2:]
    assert {message.chat_id: message.reply_to for message in exits} == alerts


async def test_order_in_a_chat(world: World) -> None:
    """Exits go before entries, entries before notices, and notices do not ring."""
    await world.store.outbox.enqueue([entry_message(1)])
    await world.store.outbox.mark_sending(1)
    await world.store.outbox.mark_sent(1, 999, NOW_MS)
    await world.store.outbox.enqueue([make_message(), entry_message(2), exit_message(1)])
    world.run(world.delivery.run())
    await world.pass_time(lambda: len(world.telegram.messages) == 3)
    messages = world.telegram.messages
    assert [message.text for message in messages] == ["EXIT 1", "SHORT 2", "started"]
    assert [message.is_silent for message in messages] == [False, False, True]
    assert messages[0].reply_to is None, "the alert is gone from the chat, the exit goes all the same"


async def test_an_exit_overtakes_what_waits_for_its_turn(running: World) -> None:
    """An exit queued while a chat is being paced goes next, before the entries that waited longer."""
    await running.queue(entry_message(1), *(make_message(html=f"notice {number}") for number in range(4)))
    await running.telegram.wait_for_messages(3)
    await running.clock.wait_for_sleepers(2)
    await running.queue(exit_message(1))
    await running.pass_time(lambda: len(running.telegram.messages) == 6)
    assert texts(running) == ["SHORT 1", "notice 0", "notice 1", "EXIT 1", "notice 2", "notice 3"]


async def test_pacing(running: World) -> None:
    """A person gets three at once and one a second, and Telegram never has to ask for patience."""
    await running.queue(*(make_message(html=str(number)) for number in range(6)))
    await running.telegram.wait_for_messages(3)
    await running.pass_time(lambda: len(running.telegram.messages) == 6, step_s=0.1)
    await running.wait_for_states(sent=6)
    assert texts(running) == [str(number) for number in range(6)]
    assert running.telegram.messages[3].at_ms - running.telegram.messages[0].at_ms >= 3_000
    assert running.telegram.floods == []


async def test_telegram_out_of_reach(running: World) -> None:
    """A refused connection is retried with growing pauses, says so meanwhile, and repeats nothing."""
    await running.telegram.close()
    await running.queue(make_message())
    for seconds, tries in ((0, 1), (1, 2), (2, 3), (4, 4)):
        await running.clock.advance(seconds)
        await running.clock.wait_for_sleepers(2)
        assert await attempts(running) == tries
    assert "Cannot connect to host 127.0.0.1" in running.delivery.record.fault
    await running.telegram.open()
    await running.clock.advance(8)
    await running.telegram.wait_for_messages(1)
    await running.wait_for_states(sent=1)
    assert texts(running) == ["started"]
    assert running.delivery.record.fault == ""


async def test_telegram_away_for_an_hour(running: World) -> None:
    """After an hour exits and notices go out in order, alerts have expired and that is told, nothing is repeated."""
    await running.telegram.close()
    await running.queue(entry_message(1), entry_message(2), make_message(), exit_message(1))
    end_ms = NOW_MS + 3_600_000
    await running.pass_time(lambda: running.clock.now_ms() >= end_ms, step_s=30)
    assert "Cannot connect to host 127.0.0.1" in running.delivery.record.fault
    assert [incident.what for incident in running.delivery.record.incidents()] == ["not sent yet"]
    await running.clock.wait_for_sleepers(2)  # no try of before is still on its way
    await running.telegram.open()
    await running.pass_time(lambda: len(running.telegram.messages) == 2, step_s=5)
    await running.wait_for_states(sent=2, expired=2)
    told = "could not be sent in time and expired"
    for text, name in zip(texts(running), ("EXIT 1", "started"), strict=True):
        assert re.fullmatch(rf"From 14 Nov 22:13, 1 h.* ago\n{name}(\n\n. earlier messages? {told})?", text)
    assert sum(int(text.split("\n\n")[1][0]) for text in texts(running) if told in text) == 2


async def test_flood_wait_is_kept_exactly_and_holds_one_chat(running: World) -> None:
    """A 429 silences its chat for the seconds Telegram names, and no other chat."""
    running.telegram.held_until_ms[PERSON] = NOW_MS + 17_000
    await running.queue(make_message(html="held"), make_message(chat_id=str(OTHER_PERSON)))
    await running.telegram.wait_for(lambda: running.telegram.floods == [PERSON])
    await running.wait_for_states(sent=1, pending=1)
    await running.clock.wait_for_sleepers(2)
    await running.clock.advance(16.999)
    assert texts(running) == []
    await running.clock.advance(0.001)
    await running.telegram.wait_for_messages(2)
    await running.wait_for_states(sent=2)
    assert running.telegram.messages[1].at_ms == NOW_MS + 17_000
    assert running.telegram.floods == [PERSON]


async def test_a_refusal_in_telegrams_own_words_is_tried_again(running: World) -> None:
    """A 401 or 404 of the Bot API says that nothing was done, so it is sent again unmarked, to a group too."""
    running.telegram.faults += [("sendMessage", Fault.UNAUTHORIZED), ("sendMessage", Fault.NOT_FOUND)]
    await running.queue(make_message(chat_id=str(GROUP)))
    await running.pass_time(lambda: len(running.telegram.messages) == 1)
    await running.wait_for_states(sent=1)
    assert texts(running, GROUP) == ["started"]


@pytest.mark.parametrize("fault", IN_DOUBT)
async def test_a_lost_reply_to_a_person(running: World, fault: Fault) -> None:
    """What may have arrived is sent to a person once more, marked."""
    running.telegram.faults.append(("sendMessage", fault))
    await running.queue(make_message())
    await running.pass_time(lambda: "MAY REPEAT" in "".join(texts(running)))
    await running.wait_for_states(sent=1)
    *first, again = texts(running)
    assert first == (["started"] if fault in CARRIED_OUT else [])
    assert again.endswith("started")


@pytest.mark.parametrize("fault", IN_DOUBT)
async def test_a_lost_reply_to_a_group(running: World, fault: Fault) -> None:
    """What may have arrived in a group is not repeated: a doubled alert there is a doubled trade."""
    running.telegram.faults.append(("sendMessage", fault))
    await running.queue(make_message(chat_id=str(GROUP)))
    await running.wait_for_states(uncertain=1)
    await running.clock.advance(60)
    await running.queue(make_message(chat_id=str(GROUP), html="next"))
    await running.wait_for_states(uncertain=1, sent=1)
    doubt = "1 earlier message may not have arrived: no answer came"
    assert texts(running, GROUP)[-1] == f"next\n\n{doubt}", "the group learns that there may have been another"
    assert texts(running, GROUP)[:-1] == (["started"] if fault in CARRIED_OUT else [])
    await running.queue(make_message(chat_id=str(GROUP), html="after"))
    await running.pass_time(lambda: texts(running, GROUP)[-1].endswith("after"))


async def test_a_second_lost_reply_is_the_last(running: World) -> None:
    """A message whose repetition is in doubt too is left at that."""
    running.telegram.faults += [("sendMessage", Fault.LOSE_REPLY)] * 2
    await running.queue(make_message())
    await running.pass_time(lambda: len(running.telegram.messages) == 2)
    await running.wait_for_states(uncertain=1)
    await running.clock.advance(60)
    await running.wait_for_states(uncertain=1)
    assert len(running.telegram.messages) == 2


@pytest.mark.parametrize("outage", [Fault.HANG, Fault.BAD_GATEWAY, Fault.RESET])
async def test_a_telegram_that_answers_nothing_sensible(running: World, outage: Fault) -> None:
    """While no answer comes one message of a chat is in doubt, and the others wait until Telegram answers again."""
    running.telegram.outage = outage
    exits = [make_message(chat_id=str(chat), html=f"{number}") for number in range(4) for chat in (PERSON, GROUP)]
    await running.queue(*exits)
    await running.telegram.wait_for(lambda: running.telegram.requests.count("sendMessage") == 2)
    await eventually(running.store.outbox.counts, lambda counts: counts[DeliveryState.SENDING] == 0)
    end_ms = NOW_MS + 600_000
    await running.pass_time(lambda: running.clock.now_ms() >= end_ms and running.delivery.record.fault != "", step_s=10)
    counts = await running.store.outbox.counts()
    assert (counts[DeliveryState.UNCERTAIN], counts[DeliveryState.FAILED]) == (1, 0), "the group's first"
    running.telegram.outage = None
    await running.pass_time(lambda: len(running.telegram.messages) == 7, step_s=2)
    await running.wait_for_states(sent=7, uncertain=1)
    assert [text.splitlines()[-1] for text in texts(running)] == ["0", "1", "2", "3"]
    assert ["MAY REPEAT" in text for text in texts(running)] == [True, False, False, False]
    first, *rest = texts(running, GROUP)
    assert first.splitlines()[1:] == ["1", "", "1 earlier message may not have arrived: no answer came"]
    assert [text.splitlines()[-1] for text in rest] == ["2", "3"]
    assert running.delivery.record.fault == ""


async def test_what_a_stopped_bot_was_sending(world: World) -> None:
    """After a restart what was being sent goes once more to a person, marked, and not to a group."""
    await world.store.outbox.enqueue([make_message(), make_message(chat_id=str(GROUP))])
    for outbox_id in (1, 2):
        await world.store.outbox.mark_sending(outbox_id)
        await world.store.outbox.mark_uncertain(outbox_id, "the bot stopped while it was being sent")
    world.run(world.delivery.run())
    await world.pass_time(lambda: len(world.telegram.messages) == 1)
    await world.wait_for_states(sent=1, uncertain=1)
    assert texts(world)[0].startswith("MAY REPEAT")


async def test_what_a_stopped_bot_had_put_off(world: World) -> None:
    """A message put off before a restart is found again when its time has come, with nobody waking the delivery."""
    await world.store.outbox.enqueue([make_message()])
    await world.store.outbox.mark_retry(1, NOW_MS + 60_000, "flood")
    world.run(world.delivery.run())
    await world.pass_time(lambda: len(world.telegram.messages) == 1)
    assert 60_000 <= world.telegram.messages[0].at_ms - NOW_MS < 75_000


async def test_a_late_entry_says_so(world: World) -> None:
    """An alert older than 30 s says how late it is and how far the price has gone; an exit needs no such mark."""
    quote(world, 1, 0.0000122216)
    await world.store.outbox.enqueue(
        [entry_message(1), entry_message(2, str(OTHER_PERSON)), make_message(chat_id=str(GROUP))]
    )
    await world.clock.advance(45)
    world.run(world.delivery.run())
    await world.telegram.wait_for_messages(3)
    assert texts(world) == ["LATE 45 s, price -1.00 % since\nSHORT 1"]
    assert texts(world, OTHER_PERSON) == ["LATE 45 s\nSHORT 2"]
    assert texts(world, GROUP) == ["started"]


async def test_an_entry_far_too_late_expires(world: World) -> None:
    """An alert older than four times 30 s is not sent, and the next message to its chat says so, once."""
    await world.store.outbox.enqueue([entry_message(1), entry_message(2), entry_message(1, str(GROUP))])
    await world.clock.advance(121)
    world.run(world.delivery.run())
    await world.wait_for_states(expired=3)
    for html in ("next", "after"):
        await world.queue(make_message(html=html))
    await world.wait_for_states(expired=3, sent=2)
    told, after = texts(world)
    assert told.endswith("\nnext\n\n2 earlier messages could not be sent in time and expired")
    assert after.endswith("\nafter")


async def test_bad_html_goes_as_plain_text(running: World) -> None:
    """Text that Telegram cannot read arrives as a reader would have seen it."""
    await running.queue(make_message(html="<b>SHORT</b> R&B <unknown> spread < 5 bps"))
    await running.wait_for_states(sent=1)
    assert texts(running) == ["SHORT R&B <unknown> spread < 5 bps"]


async def test_a_chat_that_blocks_the_bot(running: World) -> None:
    """After a 403 all that is for the chat waits, and Telegram is asked no more, until the chat is heard from."""
    running.telegram.blocked.add(PERSON)
    await running.queue(entry_message(1), exit_message(1), make_message(chat_id=str(GROUP)))
    await running.wait_for_states(pending=2, sent=1)
    await running.queue(make_message())
    await running.wait_for_states(pending=3, sent=1)
    assert running.telegram.requests.count("sendMessage") == 2
    assert [*running.delivery.chat_states.faults()] == [
        f"chat {PERSON} gets nothing: Forbidden: bot was blocked by the user"
    ]
    running.telegram.blocked.clear()
    await running.delivery.replies.send(str(PERSON), Content(text="here I am"))
    await running.pass_time(lambda: len(texts(running)) == 4, step_s=0.1)
    assert texts(running) == ["here I am", "SHORT 1", "EXIT 1", "started"]
    assert [*running.delivery.chat_states.faults()] == []
    assert await running.store.chats.blocked() == {}


REFUSALS = ("blocked", "without_rights")


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("sign", ["time", "hour", "restart", "try again"])
async def test_a_chat_that_refuses_and_takes_again(world: World, refusal: str, sign: str) -> None:
    """Whatever the refusal, the chat gets messages again: after a while, by a sign, or after a restart."""
    world.telegram.channels.add(CHANNEL)
    getattr(world.telegram, refusal).add(CHANNEL)
    delivery = world.run(world.delivery.run())
    await world.queue(entry_message(1, str(CHANNEL)), exit_message(1, str(CHANNEL)))
    await world.pass_time(lambda: [*world.delivery.chat_states.faults()] != [], step_s=0)
    if sign == "hour":
        await world.pass_time(lambda: world.clock.now_ms() > NOW_MS + 3_600_000, step_s=30)
    getattr(world.telegram, refusal).clear()
    if sign == "restart":
        delivery.cancel()
        world.delivery = Delivery(world.store, world.sender, world.clock, max_signal_age_s=30)
        world.run(world.delivery.run())
        await world.queue(make_message(chat_id=str(CHANNEL)))
    elif sign == "try again":
        world.delivery.chat_states.try_again(str(CHANNEL))
    expected = {"time": 2, "hour": 1, "restart": 3, "try again": 2}[sign]
    # small steps where nothing has to be waited for: an alert expires, however slow the machine is
    await world.pass_time(lambda: len(texts(world, CHANNEL)) == expected, step_s=5 if sign in {"time", "hour"} else 0.1)
    await world.pass_time(lambda: not [*world.delivery.chat_states.faults()], step_s=0)
    assert any("EXIT 1" in text for text in texts(world, CHANNEL))


async def test_refusals_are_tried_more_and_more_seldom(running: World) -> None:
    """Who is blocked for a day asks Telegram some thirty times."""
    running.telegram.blocked.add(PERSON)
    await running.queue(exit_message(1))
    await running.pass_time(lambda: running.clock.now_ms() > NOW_MS + 80_000_000, step_s=60)
    assert 20 <= running.telegram.requests.count("sendMessage") <= 35
    await running.pass_time(lambda: running.clock.now_ms() > NOW_MS + 90_000_000, step_s=60)
    await running.wait_for_states(expired=1)


async def test_a_named_chat_is_known_by_its_number(running: World) -> None:
    """A group called by its name or with a topic is the same group when it is heard from."""
    running.telegram.names["@scalps"] = GROUP
    running.telegram.topics[GROUP] = {7}
    running.telegram.blocked.add(GROUP)
    for chat_id in ("@scalps", f"{GROUP}:7"):
        await running.queue(make_message(chat_id=chat_id, html=chat_id))
    await running.pass_time(lambda: len([*running.delivery.chat_states.faults()]) == 2, step_s=0.1)
    await running.pass_time(lambda: running.delivery.chat_states["@scalps"].id == str(GROUP))
    running.telegram.blocked.clear()
    await running.delivery.replies.send(str(GROUP), Content(text="here I am"))
    await running.pass_time(lambda: len(texts(running, GROUP)) == 3, step_s=0.1)
    await running.pass_time(lambda: not [*running.delivery.chat_states.faults()], step_s=0)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409])
async def test_only_telegrams_own_words_block(running: World, code: int) -> None:
    """An answer of whatever stands before Telegram blocks nobody, rejects nothing and ends nothing."""
    fault = next(fault for fault, page in _PAGES.items() if page == code)
    running.telegram.faults += [("sendMessage", fault)] * 2
    await running.queue(make_message(), make_message(chat_id=str(GROUP)))
    await running.pass_time(lambda: len(running.telegram.messages) == 1)
    await running.wait_for_states(sent=1, uncertain=1)
    assert [*running.delivery.chat_states.faults()] == []
    assert await running.store.chats.blocked() == {}


async def test_an_edits_flood_wait_holds_up_no_alert(running: World) -> None:
    """What only changes a message waits by itself."""
    await running.queue(storm("one"))
    await running.wait_for_states(sent=1)
    running.telegram.edits_held_until_ms = NOW_MS + 40_000
    await running.queue(storm("one two"))
    await eventually(running.store.outbox.counts, lambda counts: counts[DeliveryState.PENDING] == 1)
    await running.telegram.wait_for(lambda: "editMessageText" in running.telegram.requests)
    await running.queue(entry_message(1))
    await running.telegram.wait_for_messages(2)
    assert running.telegram.messages[1].at_ms == NOW_MS
    await running.pass_time(lambda: texts(running)[0] == "one two")
    assert running.clock.now_ms() >= NOW_MS + 40_000


async def test_an_edit_that_hangs_holds_up_no_alert(running: World) -> None:
    """While a change waits for its answer, what is new goes."""
    await running.queue(storm("one"))
    await running.wait_for_states(sent=1)
    running.telegram.faults.append(("editMessageText", Fault.HANG))
    await running.queue(storm("one two"))
    await running.telegram.wait_for(lambda: "editMessageText" in running.telegram.requests)
    await running.queue(entry_message(1))
    await running.telegram.wait_for_messages(2)


async def test_what_is_late_says_which_time_it_speaks_of(world: World) -> None:
    """An exit or a notice that leaves over a minute late names its time; an alert is LATE as ever."""
    await world.store.outbox.enqueue([exit_message(1), make_message(chat_id=str(GROUP))])
    await world.clock.advance(5 * 3600)
    world.run(world.delivery.run())
    await world.telegram.wait_for_messages(2)
    assert texts(world) == ["From 14 Nov 22:13, 5 h ago\nEXIT 1"]
    assert texts(world, GROUP) == ["From 14 Nov 22:13, 5 h ago\nstarted"]


async def test_chats_that_are_ours_no_more(world: World) -> None:
    """A chat taken out of the settings gets neither what waits nor changes of what stands there."""
    task = world.run(world.delivery.run())
    await world.queue(entry_message(1, str(GROUP)))
    await world.wait_for_states(sent=1)
    task.cancel()
    await world.store.outbox.enqueue([exit_message(1, str(GROUP)), entry_message(2, str(GROUP))])
    world.delivery = Delivery(
        world.store,
        world.sender,
        world.clock,
        max_signal_age_s=30,
        recipients=Recipients(chats=(str(PERSON),)),
    )
    world.run(world.delivery.run())
    await world.queue(FollowUp(signal_id=1, html="over"), make_message())
    await world.pass_time(lambda: texts(world) == ["started"], step_s=0)
    await world.wait_for_states(sent=2, failed=2)
    assert texts(world, GROUP) == ["SHORT 1"]


async def test_a_start_without_a_token(world: World) -> None:
    """What was for the phone waits for it: the terminal neither shows it nor marks it sent."""
    await world.store.outbox.enqueue([make_message(), make_message(chat_id=TERMINAL_CHAT, html="here")])
    out = io.StringIO()
    delivery = Delivery(
        world.store,
        TerminalSender(out),
        world.clock,
        max_signal_age_s=30,
        recipients=Recipients(chats=(TERMINAL_CHAT,), operator=TERMINAL_CHAT),
    )
    world.run(delivery.run())
    await world.wait_for_states(sent=1, pending=1)
    assert out.getvalue() == "here\n\n"


async def test_the_operator_is_told(world: World) -> None:
    """What other chats refuse, may not have got or did not get in time is said to the operator, and to nobody else."""
    world.delivery = Delivery(
        world.store,
        world.sender,
        world.clock,
        max_signal_age_s=30,
        recipients=Recipients(chats=(str(PERSON), str(GROUP)), operator=str(PERSON)),
    )
    world.run(world.delivery.run())
    world.telegram.faults.append(("sendMessage", Fault.LOSE_REPLY))
    await world.queue(make_message(chat_id=str(GROUP), html="in doubt"))
    await world.wait_for_states(uncertain=1)
    world.telegram.blocked.add(GROUP)
    await world.queue(entry_message(1, str(GROUP)))
    await world.pass_time(lambda: world.clock.now_ms() > NOW_MS + 200_000, step_s=5)
    world.telegram.blocked.clear()
    await world.pass_time(lambda: not [*world.delivery.chat_states.faults()], step_s=60)
    await world.pass_time(lambda: len(texts(world)) == 4, step_s=5)
    assert sorted(text.splitlines()[-1] for text in texts(world)) == [
        "Chat -200: 1 earlier message could not be sent in time and expired",
        "Chat -200: 1 earlier message may not have arrived: no answer came",
        "Chat Scalps (-200) takes messages again",
        "It is tried again by itself, at once by the button under /chats",
    ]
    assert texts(world, GROUP) == ["in doubt"]


async def test_a_long_flood_wait_is_a_fault(running: World) -> None:
    """A chat that gets nothing for over a minute is one that gets nothing."""
    running.telegram.held_until_ms[PERSON] = NOW_MS + 3_600_000
    await running.queue(exit_message(1))
    await running.telegram.wait_for(lambda: running.telegram.floods == [PERSON])
    await running.pass_time(lambda: bool([*running.delivery.chat_states.faults()]), step_s=0)
    assert [*running.delivery.chat_states.faults()] == [
        f"chat {PERSON} gets nothing until 23:13: Telegram asks for patience"
    ]
    await running.pass_time(lambda: len(texts(running)) == 1, step_s=60)
    assert [*running.delivery.chat_states.faults()] == []


async def test_a_token_that_is_refused(running: World) -> None:
    """A 401 loses nothing: what was to be sent waits and goes, in its order, once the token is known again."""
    running.telegram.token = "123456:new"
    await running.queue(entry_message(1), make_message())
    await running.pass_time(lambda: running.delivery.record.fault == "Unauthorized")
    running.telegram.token = TOKEN
    await running.pass_time(lambda: len(running.telegram.messages) == 2)
    await running.wait_for_states(sent=2)
    assert texts(running) == ["SHORT 1", "started"]
    assert running.delivery.record.fault == ""


async def test_a_group_that_migrates(running: World) -> None:
    """Messages to a group that became a supergroup go to its new id, after a restart too."""
    running.telegram.groups.add(-1001)
    running.telegram.migrated[GROUP] = -1001
    await running.queue(make_message(chat_id=str(GROUP)), make_message(chat_id=str(GROUP), html="second"))
    await running.wait_for_states(sent=2)
    assert texts(running, -1001) == ["started", "second"]
    reborn = Delivery(running.store, running.sender, running.clock, max_signal_age_s=30)
    running.run(reborn.run())
    await running.clock.wait_for_sleepers(2)
    requests = running.telegram.requests.count("sendMessage")
    await running.queue(make_message(chat_id=str(GROUP), html="third"))
    await running.telegram.wait_for_messages(3)
    assert running.telegram.requests.count("sendMessage") == requests + 1


async def test_what_stood_in_a_group_that_migrates(running: World) -> None:
    """The numbers of messages begin anew in the new group: what stood in the old one is never changed there."""
    running.telegram.groups.add(-1001)
    await running.queue(entry_message(1, str(GROUP)), entry_message(2, str(GROUP)))
    await running.wait_for_states(sent=2)
    running.telegram.migrated[GROUP] = -1001
    edits = [FollowUp(signal_id=number, html=f"ended {number}") for number in (1, 2)]
    await running.queue(*(exit_message(number, str(GROUP)) for number in (1, 2)), *edits)
    await running.pass_time(lambda: len(texts(running, -1001)) == 2)
    await running.wait_for_states(sent=4)
    await running.clock.advance(60)
    assert texts(running, -1001) == ["EXIT 1", "EXIT 2"]
    assert all(message.reply_to is None for message in running.telegram.messages if message.chat_id == -1001)


class MovesMeanwhile(TelegramSender):
    """A group that moves while a message to it is on its way."""

    def __init__(self, bot: Bot, move: Callable[[], Awaitable[None]]) -> None:
        super().__init__(bot)
        self._move = move

    async def send(self, chat_id: str, content: Content, **named: Any) -> int:
        """Send, and move before the answer is there."""
        message_id = await super().send(chat_id, content, **named)
        if content.html == "SHORT 1":
            await self._move()
        return message_id


async def test_a_group_that_migrates_meanwhile(world: World) -> None:
    """What arrived in the old group just before is not changed in the new one either."""
    world.telegram.groups.add(-1001)

    async def move() -> None:
        world.telegram.migrated[GROUP] = -1001
        await world.delivery.replies.send(str(GROUP), Content(text="an answer"))
        world.delivery.chat_states.migrated = {str(GROUP): "-1001"}

    sender = MovesMeanwhile(world.application.bot, move)
    world.delivery = Delivery(world.store, sender, world.clock, max_signal_age_s=30)
    world.run(world.delivery.run())
    await world.queue(entry_message(1, str(GROUP)))
    await world.wait_for_states(sent=1)
    await world.queue(exit_message(1, str(GROUP)), FollowUp(signal_id=1, html="ended"))
    await world.wait_for_states(sent=2)
    assert texts(world, -1001) == ["an answer", "EXIT 1"]


async def test_a_clock_set_back_while_no_bot_ran(world: World) -> None:
    """What was put off then waits no longer for it."""
    await world.store.outbox.enqueue([replace(make_message(), created_ms=NOW_MS)])
    await world.store.outbox.mark_retry(1, NOW_MS + 30_000, "lost connection")
    await world.store.state.put("sends", [[str(PERSON), NOW_MS]])
    clock = HandClock(NOW_MS - 3_600_000)
    delivery = Delivery(world.store, world.sender, clock, max_signal_age_s=30)
    world.run(delivery.run())
    await clock.wait_for_sleepers(1)
    for _ in range(4):
        await clock.advance(10)
        await asyncio.sleep(0.02)
    await world.telegram.wait_for_messages(1)


async def test_the_pace_survives_a_restart(world: World) -> None:
    """Answers and changes count too: after a restart Telegram never has to ask a group's bot for patience."""
    task = world.run(world.delivery.run())
    await world.queue(storm("0", GROUP))
    await world.wait_for_states(sent=1)
    for number in range(1, 9):
        await world.queue(storm(f"{number}", GROUP))
        await world.pass_time(lambda number=number: texts(world, GROUP)[0] == f"{number}")  # type: ignore[misc]
        await world.clock.advance(3)
    task.cancel()
    reborn = Delivery(world.store, world.sender, world.clock, max_signal_age_s=30)
    world.run(reborn.run())
    await world.store.outbox.enqueue([make_message(chat_id=str(GROUP), html=f"next {number}") for number in range(14)])
    reborn.wake()
    await world.pass_time(lambda: len(texts(world, GROUP)) == 15)
    assert world.telegram.floods == []


@pytest.mark.parametrize("is_urgent", [True, False])
async def test_an_order_is_answered_in_a_full_chat(running: World, is_urgent: bool) -> None:
    """Where alerts leave no room for answers, one to who steers comes all the same; other answers wait."""
    await running.queue(*(make_message(chat_id=str(GROUP), html=f"{number}") for number in range(16)))
    await running.pass_time(lambda: len(texts(running, GROUP)) == 16)
    await running.clock.advance(4)
    running.run(running.delivery.replies.send(str(GROUP), Content(text="muted"), is_urgent=is_urgent))
    await running.clock.advance(1)
    await running.pass_time(lambda: running.telegram.requests.count("sendMessage") == 16 + is_urgent, step_s=0)
    assert ("muted" in texts(running, GROUP)) is is_urgent
    await running.pass_time(lambda: "muted" in texts(running, GROUP))


@pytest.mark.parametrize("html", ["x" * 5000, " "])
async def test_a_message_telegram_will_not_take(running: World, html: str) -> None:
    """What no repetition can help is given up at once, what follows it goes and says so."""
    await running.queue(make_message(html=html))
    await running.wait_for_states(failed=1)
    assert len([*running.delivery.chat_states.faults()]) == 1
    await running.queue(make_message(html="next"))
    await running.wait_for_states(failed=1, sent=1)
    assert texts(running) == ["next\n\n1 earlier message would not be taken by Telegram"]
    await running.pass_time(lambda: not [*running.delivery.chat_states.faults()], step_s=0)


async def test_a_refusal_is_an_answer(running: World) -> None:
    """A chat that cannot be written to is no reason to call Telegram out of reach for ever."""
    await running.telegram.close()
    await running.queue(make_message(chat_id="404"))
    await running.pass_time(lambda: running.delivery.record.fault != "")
    await running.telegram.open()
    await running.pass_time(lambda: running.delivery.record.fault == "")
    await running.wait_for_states(pending=1)


async def test_a_hung_telegram_holds_up_nobody(running: World) -> None:
    """While one chat's request hangs, waking returns at once and other chats are served."""
    running.telegram.faults.append(("sendMessage", Fault.HANG))
    await running.queue(make_message())
    await running.telegram.wait_for(lambda: "sendMessage" in running.telegram.requests)
    await running.queue(make_message(chat_id=str(GROUP)))
    await running.telegram.wait_for_messages(1)
    assert texts(running, GROUP) == ["started"]
    assert texts(running) == []


async def test_drain(running: World) -> None:
    """Draining waits for what can go now, and counts what cannot."""
    await running.queue(*(make_message(html=str(number)) for number in range(3)))
    assert await running.delivery.drain(5) == 0
    assert texts(running) == ["0", "1", "2"]
    await running.queue(make_message())
    assert await running.delivery.drain(0.05) == 1


def storm(html: str, chat_id: int = PERSON) -> NewMessage:
    """Return a list that later ones of its storm replace."""
    return make_message(kind=Kind.STORM, chat_id=str(chat_id), html=html, edit_key="storm 1")


async def test_a_list_is_edited_in_place(running: World) -> None:
    """A message of the same key changes the one that stands in the chat, and rings no second time."""
    for html in ("one", "one two", "one two three"):
        await running.queue(storm(html), storm(html, GROUP))
        await running.wait_for_states(sent=2)
    assert (texts(running), texts(running, GROUP)) == (["one two three"], ["one two three"])
    assert running.telegram.requests.count("sendMessage") == 2


async def test_a_list_that_grows_before_it_is_sent(running: World) -> None:
    """Changes to what still waits, or is on its way, are not lost and cost nothing."""
    running.telegram.held_until_ms[PERSON] = NOW_MS + 5_000
    for html in ("one", "one two"):
        await running.queue(storm(html))
    await running.wait_for_states(pending=1)
    await running.pass_time(lambda: bool(running.telegram.messages))
    assert texts(running) == ["one two"]
    running.telegram.faults.append(("editMessageText", Fault.HANG))
    await running.queue(storm("one two three"))
    await running.telegram.wait_for(lambda: "editMessageText" in running.telegram.requests)
    await running.store.outbox.enqueue([storm("all four")])
    await running.pass_time(lambda: texts(running) == ["all four"])
    await running.wait_for_states(sent=1)


@pytest.mark.parametrize("fault", [Fault.LOSE_REPLY, Fault.RESET, Fault.BAD_GATEWAY, Fault.SERVER_ERROR])
async def test_an_edit_may_be_repeated(running: World, fault: Fault) -> None:
    """An edit whose reply was lost is made again, in a group too, and is in no doubt."""
    await running.queue(storm("one", GROUP))
    await running.wait_for_states(sent=1)
    running.telegram.faults.append(("editMessageText", fault))
    await running.queue(storm("one two", GROUP))
    await running.pass_time(lambda: running.telegram.requests.count("editMessageText") == 2)
    await running.wait_for_states(sent=1)
    assert texts(running, GROUP) == ["one two"]


async def test_an_edit_of_what_is_gone(running: World) -> None:
    """A list that somebody deleted is left at that, and its change is not sent as a new message."""
    await running.queue(storm("one"))
    await running.wait_for_states(sent=1)
    running.telegram.messages.clear()
    await running.queue(storm("one two"))
    await running.telegram.wait_for(lambda: "editMessageText" in running.telegram.requests)
    await running.wait_for_states(sent=1)
    assert [incident.what for incident in running.delivery.record.incidents()] == ["rejected"]
    assert texts(running) == []


async def test_what_a_stopped_bot_was_editing(world: World) -> None:
    """An edit under way when the bot was killed is made again, unmarked."""
    world.run(world.delivery.run())
    await world.queue(storm("one", GROUP))
    await world.wait_for_states(sent=1)
    await world.store.outbox.enqueue([storm("one two", GROUP)])
    await world.store.outbox.mark_sending(1)
    await world.store.database.write(DOUBT_SENDING)
    world.delivery.wake()
    await world.wait_for_states(sent=1)
    assert texts(world, GROUP) == ["one two"]


class SurprisedSender:
    """Raises what no sender should."""

    async def edit(self, *_arguments: object, **_named: object) -> None:
        """Fail."""
        raise KeyError("result")

    async def send(self, *_arguments: object, **_named: object) -> int:
        """Fail."""
        raise KeyError("result")

    async def probe(self) -> None:
        """Fail."""
        raise KeyError("result")

    async def look_up(self, *_arguments: object, **_named: object) -> FoundChat:
        """Fail."""
        raise KeyError("result")


async def test_the_loop_outlives_a_surprise(world: World) -> None:
    """An error nobody expected leaves its message in doubt and the loop running."""
    delivery = Delivery(world.store, SurprisedSender(), world.clock, max_signal_age_s=30)
    task = world.run(delivery.run())
    await world.store.outbox.enqueue([make_message(chat_id=str(GROUP)), make_message(chat_id=str(GROUP))])
    delivery.wake()
    await world.wait_for_states(uncertain=1, pending=1)
    assert not task.done()


@pytest.mark.parametrize("seed", [1, 2])
async def test_fault_storm(running: World, seed: int) -> None:
    """Under faults at random only what is known to be in doubt may be missing, repeats are marked, the pace is kept."""
    dice = random.Random(seed)
    faults = [fault for fault in Fault if fault not in (Fault.HANG, Fault.HOLD_REPLY)]  # those take real time
    queued: list[NewMessage] = []
    for number in range(8):
        running.telegram.faults += [("sendMessage", dice.choice(faults)) for _ in range(dice.randrange(4))]
        batch = [
            replace(message, created_ms=running.clock.now_ms())
            for chat in (str(PERSON), str(OTHER_PERSON), str(GROUP))
            for message in (make_message(chat_id=chat, html=f"notice {number}"), *_of_signal(number, chat))
        ]
        queued += batch
        await running.queue(*batch)
        for _ in range(dice.randrange(10)):
            await running.clock.advance(0.5)
            await asyncio.sleep(0.002)
    counts = await _at_rest(running)
    assert counts[DeliveryState.FAILED] == counts[DeliveryState.EXPIRED] == 0
    assert sum(not _copies(running, message) for message in queued) <= counts[DeliveryState.UNCERTAIN]
    assert running.telegram.floods == []
    for message in queued:
        copies = _copies(running, message)
        assert len(copies) <= (1 if message.chat_id == str(GROUP) else 2)
        assert all("MAY REPEAT" in copy.text for copy in copies[1:])
        alerts = _copies(running, entry_message(message.signal_id or 0, message.chat_id))
        if message.kind is Kind.EXIT and copies and alerts:
            assert alerts[0].message_id < copies[0].message_id, "an exit never comes before its alert"


def _of_signal(number: int, chat_id: str) -> list[NewMessage]:
    """Return the alert of one signal and the exit of the one before."""
    entries = [entry_message(number, chat_id)] if 1 <= number <= 3 else []
    exits = [exit_message(number - 1, chat_id)] if 1 <= number - 1 <= 3 else []
    return entries + exits


def _copies(world: World, message: NewMessage) -> list[Received]:
    return [
        received
        for received in world.telegram.messages
        if str(received.chat_id) == message.chat_id and message.html in received.text.split("\n")
    ]


async def _at_rest(world: World) -> dict[DeliveryState, int]:
    """Move on until nothing waits any more."""
    async with asyncio.timeout(10):
        while True:
            counts = await world.store.outbox.counts()
            if not counts[DeliveryState.PENDING] + counts[DeliveryState.SENDING]:
                return counts
            await world.clock.advance(0.5)
            await asyncio.sleep(0.002)
