"""What is known of the chats, and when one that refuses is tried again."""

import asyncio
from typing import Any

import pytest
from telegram import Bot

from bot.chat.bot_api.sending import TelegramSender
from bot.chat.delivery.chat_states import hold_for_s
from bot.chat.delivery.outbox_loop import Delivery
from bot.chat.delivery.sender import Blocked, Content, NoTopic
from bot.chat.recipients import Recipients
from tests.bot.conftest import GROUP, PERSON, World
from tests.builders import NOW_MS
from tests.storage.builders import make_message


def test_holds_grow_to_an_hour() -> None:
    """An alert may still be in time after the first, and the last leave Telegram alone."""
    assert [hold_for_s(refusals) for refusals in (0, 1, 2, 7, 8, 100)] == [15, 30, 60, 1920, 3600, 3600]


async def test_a_group_that_moves(world: World) -> None:
    """It goes by its new number, whichever of its topics is meant, and after a restart too."""
    states = world.delivery.chat_states
    before = states.migrated
    await states.migrate(str(GROUP), "-1001")
    assert states.target(f"{GROUP}:7") == "-1001:7"
    assert states.target(f"{GROUP}:7", before) == f"{GROUP}:7", "as of before"
    reborn = Delivery(world.store, TelegramSender(world.application.bot), world.clock, max_signal_age_s=30)
    await reborn.chat_states.recall([])
    assert reborn.chat_states.target(str(GROUP)) == "-1001"


async def test_a_topic_that_is_gone(world: World) -> None:
    """The group is written to without it, and not held, until somebody has it tried again."""
    states, name = world.delivery.chat_states, f"{GROUP}:7"
    await states.hold(name, NoTopic("message thread not found"), 0)
    assert (states.target(name), states.is_held(name)) == (str(GROUP), False)
    states.try_again(str(GROUP))
    assert states.target(name) == name
    assert [*states.faults()] == []


async def test_a_look_up_from_before_a_sign(world: World) -> None:
    """What was found wrong before there was a sign is looked at again at once, and blames nobody."""
    world.telegram.blocked.add(GROUP)
    states, name = world.delivery.chat_states, str(GROUP)
    looking = asyncio.gather(states.look_up(name))
    await world.telegram.wait_for(lambda: "getChat" in world.telegram.requests)
    states.try_again()
    await looking
    assert [*states.faults()] == []
    assert states.due_look_ups() == [name]
    assert states.due_look_ups() == []
    await states.look_up(name)
    assert len([*states.faults()]) == 1


class SlowRefusals(TelegramSender):
    """Hands on what Telegram refused only when told."""

    def __init__(self, bot: Bot) -> None:
        super().__init__(bot)
        self.refused, self.handed_on = asyncio.Event(), asyncio.Event()

    async def send(self, chat_id: str, content: Content, **named: Any) -> int:
        """Send, or wait with the refusal."""
        try:
            return await super().send(chat_id, content, **named)
        except Blocked:
            self.refused.set()
            await self.handed_on.wait()
            raise


@pytest.mark.parametrize("sign", ["try again", "put back", "answered there"])
async def test_a_refusal_from_before_a_sign(world: World, sign: str) -> None:
    """What was refused before there was a sign that the chat takes messages again holds it no longer."""
    sender = SlowRefusals(world.application.bot)
    delivery = world.delivery = Delivery(world.store, sender, world.clock, max_signal_age_s=30)
    delivery.chat_states[str(GROUP)].refusal = "kicked"
    world.run(delivery.run())
    world.telegram.blocked.add(GROUP)
    await world.queue(make_message(chat_id=str(GROUP)))
    await sender.refused.wait()
    world.telegram.blocked.clear()
    if sign == "answered there":
        await delivery.replies.send(str(GROUP), Content(text="an answer"))
    else:
        delivery.chat_states.try_again(None if sign == "try again" else str(GROUP))
    sender.handed_on.set()
    await world.pass_time(lambda: "started" in [message.text for message in world.telegram.messages], step_s=0)
    assert world.clock.now_ms() == NOW_MS
    await world.pass_time(lambda: not [*delivery.chat_states.faults()], step_s=0)


@pytest.mark.parametrize(
    ("chat_id", "hint"),
    [
        ("1234567", "did you mean -1001234567?"),
        ("-1234567", "did you mean -1001234567?"),
        ("404", "press Start in the chat with the bot"),
        ("-100404", "add the bot to the group or channel"),
        ("@nobody", "is the name right"),
        (f"{GROUP}:7", "the group has no topics"),
    ],
)
async def test_chats_are_looked_up_at_the_start(world: World, chat_id: str, hint: str) -> None:
    """What is wrong with a chat is said before a message is lost to it, with what to do."""
    world.telegram.channels.add(-1001234567)
    world.delivery = Delivery(
        world.store,
        world.sender,
        world.clock,
        max_signal_age_s=30,
        recipients=Recipients(chats=(chat_id,), operator=str(PERSON)),
    )
    world.run(world.delivery.run())
    await world.pass_time(lambda: any(hint in fault for fault in world.delivery.chat_states.faults()), step_s=0)
    (notice,) = await world.telegram.wait_for_messages(1)
    assert hint in notice.text
