"""The stand-in is as strict as Telegram: real python-telegram-bot against it, and its text rules by table."""

from collections.abc import AsyncIterator

import pytest
from telegram import Bot, BotCommand, ReplyParameters
from telegram.constants import ParseMode
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, RetryAfter
from telegram.request import HTTPXRequest

from tests.hand_clock import HandClock
from tests.telegram_html import EntityError, length, read_html
from tests.telegram_stand_in import TOKEN, TelegramStandIn

PERSON, GROUP = 100, -200


@pytest.fixture
def clock() -> HandClock:
    """Return the clock the stand-in counts by."""
    return HandClock()


@pytest.fixture
async def telegram(clock: HandClock) -> AsyncIterator[TelegramStandIn]:
    """Yield a Telegram with a person and a group."""
    async with TelegramStandIn(clock.now_ms) as telegram:
        telegram.people.add(PERSON)
        telegram.groups.add(GROUP)
        yield telegram


@pytest.fixture
async def bot(telegram: TelegramStandIn, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bot]:
    """Yield a bot connected to it."""
    monkeypatch.setenv("PTB_TIMEDELTA", "1")  # PTB's future, see bot/chat/bot_api/application.py
    async with Bot(TOKEN, base_url=f"{telegram.url}/bot", request=HTTPXRequest(read_timeout=2)) as bot:
        yield bot


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("plain", "plain"),
        ("<b>a</b><i>b <u>c</u></i>", "ab c"),
        ('<a href="https://x.y/?a=1&b=2">link</a>', "link"),
        ('<pre><code class="language-python">x</code></pre>', "x"),
        ('<span class="tg-spoiler">x</span>', "x"),
        ("&lt;b&gt; &amp; &quot; &#65; &#x41;", '<b> & " A A'),
        ("5 > 4", "5 > 4"),
        ("<B>a</b>", "a"),
        ("<b>a</>", "a"),
    ],
)
def test_html_that_can_be_read(html: str, text: str) -> None:
    """Supported tags and entities give the text a reader sees."""
    assert read_html(html) == text


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ("<coin>", 'Unsupported start tag "coin" at byte offset 0'),
        ("€ <br/>", 'Unsupported start tag "br/" at byte offset 4'),
        ("4 < 5", 'Unsupported start tag "" at byte offset 2'),
        ("4 <5", "Unclosed start tag at byte offset 2"),
        ("<b", "Unclosed start tag at byte offset 0"),
        ('<a href="x', 'Expected equal sign in declaration of an attribute of the tag "a" at byte offset 0'),
        ("<a href>x</a>", 'Expected equal sign in declaration of an attribute of the tag "a" at byte offset 0'),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("<b><i>x</b></i>", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'),
        ("R&B", "Unescaped & at byte offset 1"),
        ("&nbsp;", "Unescaped & at byte offset 0"),
    ],
)
def test_html_that_cannot(html: str, complaint: str) -> None:
    """Everything else is refused in Telegram's words."""
    with pytest.raises(EntityError) as raised:
        read_html(html)
    assert str(raised.value) == complaint


def test_length_counts_utf_16() -> None:
    """A character outside the basic plane counts twice."""
    assert length("a€😀") == 4


async def test_a_message(telegram: TelegramStandIn, bot: Bot, clock: HandClock) -> None:
    """A message arrives as it was sent, its time by the stand-in's clock."""
    first = await bot.send_message(PERSON, "<b>a</b>", parse_mode=ParseMode.HTML, disable_notification=True)
    second = await bot.send_message(PERSON, "b", reply_parameters=ReplyParameters(first.message_id))
    received = telegram.messages
    assert [(message.text, message.is_html, message.is_silent) for message in received] == [
        ("a", True, True),
        ("b", False, False),
    ]
    assert (received[1].reply_to, received[1].message_id) == (first.message_id, second.message_id)
    assert first.date.timestamp() * 1000 == clock.now_ms()


@pytest.mark.parametrize(
    ("chat_id", "text", "complaint"),
    [
        (PERSON, "<coin>", "Can't parse entities: unsupported start tag"),
        (PERSON, "<b> </b>", "Message text is empty"),
        (PERSON, "x" * 4097, "Message is too long"),
        (PERSON, "😀" * 2049, "Message is too long"),
        (404, "x", "Chat not found"),
        ("@nobody", "x", "Chat not found"),
    ],
)
async def test_bad_requests(telegram: TelegramStandIn, bot: Bot, chat_id: int | str, text: str, complaint: str) -> None:
    """A message Telegram would not take is refused with a 400."""
    with pytest.raises(BadRequest) as raised:
        await bot.send_message(chat_id, text, parse_mode=ParseMode.HTML)
    assert complaint.lower() in raised.value.message.lower()
    assert telegram.messages == []


async def test_the_length_is_that_of_the_text(telegram: TelegramStandIn, bot: Bot) -> None:
    """Tags and entities do not count."""
    await bot.send_message(PERSON, f"<b>{'&amp;' * 4096}</b>", parse_mode=ParseMode.HTML)
    assert telegram.messages[0].text == "&" * 4096


async def test_a_reply_to_nothing(telegram: TelegramStandIn, bot: Bot) -> None:
    """It is refused, or sent without the reply where that is allowed."""
    with pytest.raises(BadRequest, match="essage to be replied not found"):
        await bot.send_message(PERSON, "x", reply_parameters=ReplyParameters(99))
    await bot.send_message(PERSON, "x", reply_parameters=ReplyParameters(99, allow_sending_without_reply=True))
    assert telegram.messages[0].reply_to is None


async def test_topics(telegram: TelegramStandIn, bot: Bot) -> None:
    """Only a forum's own topics take messages, the general one is never named, and a reply stays in its topic."""
    telegram.topics[GROUP] = {7, 8}
    first = await bot.send_message(GROUP, "a", message_thread_id=7)
    assert (first.is_topic_message, first.message_thread_id) == (True, 7)
    for chat_id, topic in ((GROUP, 9), (GROUP, 1), (PERSON, 7)):
        with pytest.raises(BadRequest, match="thread not found"):
            await bot.send_message(chat_id, "x", message_thread_id=topic)
    for where in ({"message_thread_id": 8}, {}):
        with pytest.raises(BadRequest, match="replied not found"):
            await bot.send_message(GROUP, "x", reply_parameters=ReplyParameters(first.message_id), **where)  # type: ignore[arg-type]
    await bot.send_message(GROUP, "b", message_thread_id=7, reply_parameters=ReplyParameters(first.message_id))
    assert [(message.topic, message.reply_to) for message in telegram.messages] == [(7, None), (7, first.message_id)]


async def test_what_people_write_in_topics(telegram: TelegramStandIn, bot: Bot) -> None:
    """A topic's message says so; a thread of replies in a group that is no forum does not."""
    await telegram.user_sends("x", user_id=PERSON, chat_id=GROUP, thread=7)
    telegram.topics[GROUP] = {7}
    await telegram.user_sends("x", user_id=PERSON, chat_id=GROUP, thread=7)
    messages = [update.message for update in await bot.get_updates(timeout=0)]
    assert [(one and one.message_thread_id, one and one.is_topic_message) for one in messages] == [(7, None), (7, True)]


async def test_numbers_are_of_a_chat(telegram: TelegramStandIn, bot: Bot) -> None:
    """Each chat counts its own messages, so that a number of one is another message in the next."""
    ids = [(await bot.send_message(chat_id, "x")).message_id for chat_id in (PERSON, PERSON, GROUP)]
    assert ids == [1, 2, 1]


async def test_names(telegram: TelegramStandIn, bot: Bot) -> None:
    """Public chats go by their names."""
    telegram.channels.add(-1009)
    telegram.names["@calls"] = -1009
    message = await bot.send_message("@calls", "x")
    assert (message.chat.id, message.chat.username, message.chat.type) == (-1009, "calls", "channel")


async def test_blocked_and_migrated(telegram: TelegramStandIn, bot: Bot) -> None:
    """A chat that blocked the bot is a 403, one that moved names its new id."""
    telegram.blocked.add(PERSON)
    telegram.migrated[GROUP] = -1001
    with pytest.raises(Forbidden, match="blocked by the user"):
        await bot.send_message(PERSON, "x")
    with pytest.raises(ChatMigrated) as raised:
        await bot.send_message(GROUP, "x")
    assert raised.value.new_chat_id == -1001


async def test_flood(telegram: TelegramStandIn, bot: Bot, clock: HandClock) -> None:
    """Three at once and one a second to a person, twenty a minute to a group; more is told how long to wait."""
    for _ in range(3):
        await bot.send_message(PERSON, "x")
    with pytest.raises(RetryAfter, match="0:00:01"):
        await bot.send_message(PERSON, "x")
    await clock.advance(1)
    await bot.send_message(PERSON, "x")
    for _ in range(20):
        await bot.send_message(GROUP, "x")
        await clock.advance(0.1)
    with pytest.raises(RetryAfter, match="0:00:58"):
        await bot.send_message(GROUP, "x")
    assert telegram.floods == [PERSON, GROUP]


async def test_edit(telegram: TelegramStandIn, bot: Bot) -> None:
    """A message can be edited where it exists and something changes."""
    message = await bot.send_message(PERSON, "a")
    await bot.edit_message_text("b", chat_id=PERSON, message_id=message.message_id)
    assert telegram.messages[0].text == "b"
    with pytest.raises(BadRequest, match="not modified"):
        await bot.edit_message_text("b", chat_id=PERSON, message_id=message.message_id)
    with pytest.raises(BadRequest, match="to edit not found"):
        await bot.edit_message_text("c", chat_id=PERSON, message_id=999)


async def test_updates(telegram: TelegramStandIn, bot: Bot) -> None:
    """An update is handed out until its offset is confirmed, and only of the kinds asked for."""
    await telegram.user_sends("/start", user_id=PERSON)
    for _ in range(2):
        (update,) = await bot.get_updates(timeout=0)
    assert update.message is not None
    assert update.message.text == "/start"
    assert await bot.get_updates(timeout=0, allowed_updates=["callback_query"]) == ()
    assert await bot.get_updates(offset=update.update_id + 1, timeout=0) == ()


async def test_a_press(telegram: TelegramStandIn, bot: Bot) -> None:
    """A press arrives as a query, which can be answered once."""
    await bot.send_message(PERSON, "x")
    query_id = await telegram.user_presses("mute", user_id=PERSON, message=telegram.messages[0])
    (update,) = await bot.get_updates(timeout=0)
    assert update.callback_query is not None
    assert update.callback_query.data == "mute"
    await bot.answer_callback_query(query_id, "done")
    assert telegram.answered == {query_id: "done"}
    with pytest.raises(BadRequest, match="Query is too old"):
        await bot.answer_callback_query(query_id)


async def test_a_webhook_forbids_polling(telegram: TelegramStandIn, bot: Bot) -> None:
    """Polling is a conflict until the webhook is deleted."""
    telegram.webhook_url = "https://x.y"
    with pytest.raises(Conflict, match="webhook is active"):
        await bot.get_updates(timeout=0)
    await bot.delete_webhook()
    assert await bot.get_updates(timeout=0) == ()


async def test_a_wrong_token(telegram: TelegramStandIn) -> None:
    """An unknown token is unauthorised."""
    bot = Bot("123456:wrong", base_url=f"{telegram.url}/bot")
    with pytest.raises(InvalidToken):
        await bot.initialize()
    await bot.shutdown()


@pytest.mark.parametrize(("name", "text"), [("Status", "x"), ("status", ""), ("status", "x" * 257)])
async def test_a_bad_menu(bot: Bot, name: str, text: str) -> None:
    """Names are lower case and every command has a description of at most 256 characters."""
    with pytest.raises(BadRequest):
        await bot.set_my_commands([BotCommand(name, text)])
