"""A strict Bot API on the loopback: what python-telegram-bot is tested against, with the faults that Telegram has.

It keeps its own count of the flood limits on the clock it is given; long polls alone wait on the event loop's time.
"""

import asyncio
import json
import math
import re
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.telegram_html import EntityError, length, read_html

TOKEN = "123456:stand-in"
BOT = {"id": 123456, "is_bot": True, "first_name": "SGNL", "username": "sgnl_test_bot"}
CONFLICT = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
WEBHOOK_SET = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)
NOT_MODIFIED = (
    "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a "
    "current content and reply markup of the message"
)
PNG = "attached"  #: stands for an uploaded file among the parameters
PATIENCE_S = 20.0  #: real time a test waits for something to arrive before it fails; machines may be busy


class Fault(Enum):
    """What can go wrong with one request."""

    HANG = "nothing is done and no answer comes"
    RESET = "the connection closes before anything is done"
    LOSE_REPLY = "the request is carried out, the connection closes before the answer"
    HOLD_REPLY = "the request is carried out and no answer comes"
    SERVER_ERROR = "the Bot API answers 500, in its own words"
    BAD_GATEWAY = "something before the Bot API answers 502, in HTML"


class Refused(Exception):
    """An answer with ok = false."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.code, self.description, self.parameters = code, description, parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message as it stands in a chat."""

    chat_id: int
    message_id: int
    html: str
    text: str  #: what a reader sees
    is_html: bool
    is_silent: bool
    reply_to: int | None
    at_ms: int
    topic: int | None = None
    has_preview: bool = True  #: of the first link
    buttons: tuple[dict[str, Any], ...] = ()  #: of all rows, as the Bot API takes them
    picture: bytes | None = None

    def press(self, text: str) -> str:
        """Return what pressing the button of this text sends."""
        return str(next(button for button in self.buttons if button["text"] == text)["callback_data"])


class Flood:
    """Telegram's published limits by its own count: a bucket per private chat, windows for groups and overall."""

    def __init__(self) -> None:
        self._person: dict[int, tuple[float, int]] = {}
        self._group: dict[int, deque[int]] = {}
        self._overall: deque[int] = deque()

    def check(self, chat_id: int, now_ms: int) -> None:
        """Count one message, or refuse it with the seconds to wait."""
        wait_ms = max(self._person_wait_ms(chat_id, now_ms), _window_wait_ms(self._overall, 30, 1_000, now_ms))
        group = self._group.setdefault(chat_id, deque())
        if chat_id < 0:
            wait_ms = max(wait_ms, _window_wait_ms(group, 20, 60_000, now_ms))
        if wait_ms > 0:
            seconds = math.ceil(wait_ms / 1000)
            raise Refused(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
        self._overall.append(now_ms)
        group.append(now_ms)
        if chat_id > 0:
            self._person[chat_id] = (self._tokens(chat_id, now_ms) - 1, now_ms)

    def _tokens(self, chat_id: int, now_ms: int) -> float:
        tokens, since_ms = self._person.get(chat_id, (3.0, now_ms))
        return min(3.0, tokens + (now_ms - since_ms) / 1000)

    def _person_wait_ms(self, chat_id: int, now_ms: int) -> float:
        return max(0.0, 1 - self._tokens(chat_id, now_ms)) * 1000 if chat_id > 0 else 0.0


def _window_wait_ms(sent_ms: deque[int], limit: int, span_ms: int, now_ms: int) -> float:
    while sent_ms and sent_ms[0] <= now_ms - span_ms:
        sent_ms.popleft()
    return sent_ms[0] + span_ms - now_ms if len(sent_ms) >= limit else 0.0


class TelegramStandIn:
    """One bot's Telegram: `async with` starts and stops it; the attributes are the world a test arranges."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.people: set[int] = set()  #: chats that exist, by kind
        self.groups: set[int] = set()
        self.channels: set[int] = set()
        self.names: dict[str, int] = {}  #: public ones: "@name" -> id
        self.topics: dict[int, set[int]] = {}  #: of the groups that are forums; 1, the general one, is never named
        self.blocked: set[int] = set()
        self.without_pictures: set[int] = set()  #: groups that forbid them
        self.migrated: dict[int, int] = {}
        self.token = TOKEN
        self.webhook_url = ""
        self.outage: Fault | None = None  #: what every request meets
        self.faults: deque[tuple[str, Fault]] = deque()  #: (method, fault): the next request of that method meets it
        self.messages: list[Received] = []
        self.edits = 0
        self.floods: list[int] = []  #: chats told to wait
        self.too_fast = 0  #: how many of them because the published limits were exceeded
        self.requests: list[str] = []  #: every method called
        self.commands: dict[str, list[dict[str, str]]] = {}  #: by the scope's JSON
        self.answered: dict[str, str] = {}  #: callback query -> text shown
        self.held_until_ms: dict[int, int] = {}  #: chats under a flood wait of the test's choice
        self._flood = Flood()
        self._updates: deque[dict[str, Any]] = deque()
        self._next_update_id = 1
        self._last_message_id: Counter[int] = Counter()  # by chat
        self._said: dict[tuple[int, int], int | None] = {}  # messages of people, and their topics
        self._upload = b""
        self._poll: asyncio.Future[None] | None = None
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """What TELEGRAM_API_URL would be."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Listen, on the port of the last time where there was one."""
        app = web.Application()
        app.router.add_post("/bot{token}/{method}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.05, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Go away: connections are refused from here on."""
        assert self._runner is not None
        await self._runner.cleanup()

    # What people do.

    async def user_sends(
        self,
        text: str,
        *,
        user_id: int,
        chat_id: int | None = None,
        sent_ms: int | None = None,
        thread: int | None = None,
    ) -> None:
        """A person writes, in private unless a group is named; a `thread` that is no topic is one of replies."""
        chat = self._chat(user_id if chat_id is None else chat_id)
        message = {
            "message_id": (message_id := self._new_message_id(chat["id"])),
            "date": (self._now_ms() if sent_ms is None else sent_ms) // 1000,
            "chat": chat,
            "from": _person(user_id),
            "text": text,
        }
        topic = thread if thread in self.topics.get(chat["id"], ()) else None
        if thread is not None:
            message["message_thread_id"] = thread
        if topic is not None:
            message["is_topic_message"] = True
        self._said[chat["id"], message_id] = topic
        if command := re.match(r"/[A-Za-z0-9_@]+", text):
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": command.end()}]
        await self._push("message", message)

    async def user_presses(self, data: str, *, user_id: int, message: Received, is_gone: bool = False) -> str:
        """A person presses what was a button under `message`, which bots may see no more; return the query's id."""
        shown = self._as_json(message)
        if is_gone:
            shown = {"chat": shown["chat"], "message_id": message.message_id, "date": 0}
        query_id = str(self._next_update_id)
        query = {
            "id": query_id,
            "from": _person(user_id),
            "chat_instance": "1",
            "data": data,
            "message": shown,
        }
        await self._push("callback_query", query)
        return query_id

    async def wait_for(self, condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Return once `condition` holds after something happened here."""
        async with asyncio.timeout(patience_s), self._changed:
            await self._changed.wait_for(condition)

    async def wait_for_messages(self, count: int) -> list[Received]:
        """Return all messages once there are at least `count`."""
        await self.wait_for(lambda: len(self.messages) >= count)
        return self.messages

    # The Bot API.

    async def _handle(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        self.requests.append(method)
        await self._notify()
        fields = await request.post()
        parameters = {name: value for name, value in fields.items() if isinstance(value, str)}
        parameters |= {name: PNG for name, value in fields.items() if isinstance(value, web.FileField)}
        self._upload = next((v.file.read() for v in fields.values() if isinstance(v, web.FileField)), b"")
        fault = self._take_fault(method)
        if fault is Fault.HANG:
            await asyncio.Event().wait()
        if fault is Fault.SERVER_ERROR:
            return _reply(500, ok=False, error_code=500, description="Internal Server Error")
        if fault is Fault.BAD_GATEWAY:
            return web.Response(status=502, text="<html>502 Bad Gateway</html>", content_type="text/html")
        if fault is Fault.RESET:
            return _cut(request)
        try:
            result = await self._call(request.match_info["token"], method, parameters)
        except Refused as refused:
            body: dict[str, Any] = {"error_code": refused.code, "description": refused.description}
            if refused.parameters:
                body["parameters"] = refused.parameters
            return _reply(refused.code, ok=False, **body)
        finally:
            await self._notify()
        if fault is Fault.HOLD_REPLY:
            await asyncio.Event().wait()
        return _cut(request) if fault is Fault.LOSE_REPLY else _reply(200, ok=True, result=result)

    async def _call(self, token: str, method: str, parameters: Mapping[str, str]) -> object:
        if not re.fullmatch(r"\d+:.+", token):
            raise Refused(404, "Not Found")
        if token != self.token:
            raise Refused(401, "Unauthorized")
        methods: dict[str, Callable[[Mapping[str, str]], Awaitable[object]]] = {
            "getMe": self._get_me,
            "getUpdates": self._get_updates,
            "deleteWebhook": self._delete_webhook,
            "setMyCommands": self._set_my_commands,
            "getChat": self._get_chat,
            "sendMessage": self._send_message,
            "sendPhoto": self._send_photo,
            "editMessageText": self._edit_message_text,
            "answerCallbackQuery": self._answer_callback_query,
        }
        if method not in methods:
            raise Refused(404, "Not Found: method not found")
        return await methods[method](parameters)

    async def _get_me(self, _parameters: Mapping[str, str]) -> object:
        return BOT | {"can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}

    async def _get_updates(self, parameters: Mapping[str, str]) -> object:
        if self.webhook_url:
            raise Refused(409, WEBHOOK_SET)
        if self._poll is not None and not self._poll.done():
            self._poll.set_exception(Refused(409, CONFLICT))
        offset = int(parameters.get("offset", "0"))
        while self._updates and self._updates[0]["update_id"] < offset:
            self._updates.popleft()
        allowed = json.loads(parameters.get("allowed_updates", "[]"))
        if not self._ready(allowed):
            self._poll = poll = asyncio.get_running_loop().create_future()
            try:
                await asyncio.wait([poll], timeout=float(parameters.get("timeout", "0")))
            finally:
                if not poll.done():
                    poll.cancel()  # the one who asked is gone, and nobody else waits for it
            if not poll.cancelled():
                poll.result()
        return self._ready(allowed)

    def _ready(self, allowed: list[str]) -> list[dict[str, Any]]:
        return [update for update in self._updates if not allowed or any(kind in update for kind in allowed)][:100]

    async def _delete_webhook(self, _parameters: Mapping[str, str]) -> object:
        self.webhook_url = ""
        return True

    async def _set_my_commands(self, parameters: Mapping[str, str]) -> object:
        commands = json.loads(parameters["commands"])
        for command in commands:
            if not re.fullmatch(r"[a-z0-9_]{1,32}", command["command"]):
                raise Refused(400, "Bad Request: BOT_COMMAND_INVALID")
            if not 1 <= length(command["description"]) <= 256:
                raise Refused(400, "Bad Request: BOT_COMMAND_DESCRIPTION_INVALID")
        scope = json.loads(parameters.get("scope", '{"type": "default"}'))
        if "chat_id" in scope:
            self._unmoved(scope["chat_id"])
        if scope["type"] == "chat_member" and int(scope["user_id"]) not in self.people:
            raise Refused(400, "Bad Request: PARTICIPANT_ID_INVALID")
        if len(commands) > 100:
            raise Refused(400, "Bad Request: BOT_COMMANDS_TOO_MUCH")
        self.commands[json.dumps(scope, sort_keys=True)] = commands
        return True

    async def _get_chat(self, parameters: Mapping[str, str]) -> object:
        gifts = dict.fromkeys(
            ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"), False
        )
        chat = self._chat(parameters.get("chat_id", ""))
        return chat | {"accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": gifts}

    async def _send_message(self, parameters: Mapping[str, str]) -> object:
        return self._send(parameters, self._text(parameters, "text", 4096))

    async def _send_photo(self, parameters: Mapping[str, str]) -> object:
        if int(parameters["chat_id"]) in self.without_pictures:
            raise Refused(400, "Bad Request: not enough rights to send photos to the chat")
        if parameters.get("photo") != PNG or not self._upload.startswith(b"\x89PNG"):
            raise Refused(400, "Bad Request: IMAGE_PROCESS_FAILED")
        width, height = (int.from_bytes(self._upload[at : at + 4]) for at in (16, 20))
        if width + height > 10_000 or max(width, height) > 20 * min(width, height):
            raise Refused(400, "Bad Request: PHOTO_INVALID_DIMENSIONS")
        return self._send(parameters, self._text(parameters, "caption", 1024), self._upload)

    def _send(
        self, parameters: Mapping[str, str], shown: tuple[str, str, bool], picture: bytes | None = None
    ) -> object:
        html, text, is_html = shown
        chat_id = self._writable(parameters)
        topic = self._topic(parameters, chat_id)
        buttons = _buttons(parameters)
        reply = json.loads(parameters.get("reply_parameters", "{}"))
        reply_to = reply.get("message_id")
        if reply_to is not None and not self._is_there(chat_id, topic, reply_to):
            if not reply.get("allow_sending_without_reply", False):
                raise Refused(400, "Bad Request: message to be replied not found")
            reply_to = None
        self._count(chat_id)
        message = Received(
            chat_id=chat_id,
            message_id=self._new_message_id(chat_id),
            html=html,
            text=text,
            is_html=is_html,
            is_silent=parameters.get("disable_notification") == "true",
            reply_to=reply_to,
            at_ms=self._now_ms(),
            topic=topic,
            has_preview=not json.loads(parameters.get("link_preview_options", "{}")).get("is_disabled", False),
            buttons=buttons,
            picture=picture,
        )
        self.messages.append(message)
        return self._as_json(message)

    def _topic(self, parameters: Mapping[str, str], chat_id: int) -> int | None:
        if "message_thread_id" not in parameters:
            return None
        topic = int(parameters["message_thread_id"])
        if topic not in self.topics.get(chat_id, ()):
            raise Refused(400, "Bad Request: message thread not found")
        return topic

    def _is_there(self, chat_id: int, topic: int | None, message_id: int) -> bool:
        ours = {(message.chat_id, message.message_id): message.topic for message in self.messages}
        return (self._said | ours).get((chat_id, message_id), 0) == topic

    async def _edit_message_text(self, parameters: Mapping[str, str]) -> object:
        chat_id = self._writable(parameters)
        html, text, is_html = self._text(parameters, "text", 4096)
        buttons = _buttons(parameters)
        message_id = int(parameters["message_id"])
        at = next((i for i, m in enumerate(self.messages) if (m.chat_id, m.message_id) == (chat_id, message_id)), None)
        if at is None:
            raise Refused(400, "Bad Request: message to edit not found")
        if self.messages[at].picture is not None:
            raise Refused(400, "Bad Request: there is no text in the message to edit")
        if (self.messages[at].html, self.messages[at].buttons) == (html, buttons):
            raise Refused(400, NOT_MODIFIED)
        self._count(chat_id)
        self.edits += 1
        self.messages[at] = replace(self.messages[at], html=html, text=text, is_html=is_html, buttons=buttons)
        return self._as_json(self.messages[at])

    async def _answer_callback_query(self, parameters: Mapping[str, str]) -> object:
        query_id = parameters["callback_query_id"]
        if query_id in self.answered or int(query_id) >= self._next_update_id:
            raise Refused(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        if length(parameters.get("text", "")) > 200:
            raise Refused(400, "Bad Request: MESSAGE_TOO_LONG")
        self.answered[query_id] = parameters.get("text", "")
        return True

    def _writable(self, parameters: Mapping[str, str]) -> int:
        chat_id = self._unmoved(parameters.get("chat_id", ""))
        if chat_id in self.blocked:
            raise Refused(
                403,
                "Forbidden: bot was blocked by the user"
                if chat_id > 0
                else "Forbidden: bot was kicked from the group chat",
            )
        return chat_id

    def _unmoved(self, chat: str | int) -> int:
        chat_id = int(self._chat(chat)["id"])
        if chat_id in self.migrated:
            raise Refused(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                migrate_to_chat_id=self.migrated[chat_id],
            )
        return chat_id

    def _text(self, parameters: Mapping[str, str], name: str, longest: int) -> tuple[str, str, bool]:
        mode, given = parameters.get("parse_mode", ""), parameters.get(name, "")
        if mode not in ("", "HTML"):
            raise Refused(400, "Bad Request: unsupported parse_mode")
        try:
            text = read_html(given) if mode else given
        except EntityError as error:
            raise Refused(400, f"Bad Request: can't parse entities: {error}") from error
        if not text.strip() and name == "text":
            raise Refused(400, "Bad Request: message text is empty")
        if length(text.strip()) > longest:
            raise Refused(400, f"Bad Request: message {'' if name == 'text' else name + ' '}is too long")
        return given, text.strip(), bool(mode)

    def _count(self, chat_id: int) -> None:
        now_ms = self._now_ms()
        try:
            if (held_ms := self.held_until_ms.get(chat_id, 0) - now_ms) > 0:
                seconds = math.ceil(held_ms / 1000)
                raise Refused(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
        except Refused:
            self.floods.append(chat_id)
            raise
        try:
            self._flood.check(chat_id, now_ms)
        except Refused:
            self.floods.append(chat_id)
            self.too_fast += 1
            raise

    def _chat(self, chat_id: str | int) -> dict[str, Any]:
        number = int(chat_id) if re.fullmatch(r"-?\d+", str(chat_id)) else self.names.get(str(chat_id).lower(), 0)
        name = next((name for name, named in self.names.items() if named == number), None)
        names = {} if name is None else {"username": name.removeprefix("@")}
        if number in self.people:
            return {"id": number, "type": "private", "first_name": "Ann"}
        if number in self.groups:
            forum = {"is_forum": True} if number in self.topics else {}
            return {"id": number, "type": "supergroup", "title": "Scalps"} | names | forum
        if number in self.channels:
            return {"id": number, "type": "channel", "title": "Calls"} | names
        raise Refused(400, "Bad Request: chat not found")

    def _as_json(self, message: Received) -> dict[str, Any]:
        shown = {"text": message.text}
        if message.picture is not None:
            size = {"file_id": "1", "file_unique_id": "1", "width": 1, "height": 1}
            shown = {"caption": message.text, "photo": [size]}  # type: ignore[dict-item]
        topic = {} if message.topic is None else {"message_thread_id": message.topic, "is_topic_message": True}
        return (
            shown
            | topic
            | {
                "message_id": message.message_id,
                "date": message.at_ms // 1000,
                "chat": self._chat(message.chat_id),
                "from": BOT,
            }
        )

    def _new_message_id(self, chat_id: int) -> int:
        self._last_message_id[chat_id] += 1
        return self._last_message_id[chat_id]

    def _take_fault(self, method: str) -> Fault | None:
        for planned in self.faults:
            if planned[0] == method:
                self.faults.remove(planned)
                return planned[1]
        return self.outage

    async def _push(self, kind: str, content: dict[str, Any]) -> None:
        self._updates.append({"update_id": self._next_update_id, kind: content})
        self._next_update_id += 1
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(None)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _buttons(parameters: Mapping[str, str]) -> tuple[dict[str, Any], ...]:
    """Return the inline buttons, judged as the Bot API does."""
    rows = json.loads(parameters.get("reply_markup", '{"inline_keyboard": []}'))["inline_keyboard"]
    buttons = tuple(button for row in rows for button in row)
    for button in buttons:
        if not button.get("text") or len(button.keys() & {"callback_data", "copy_text", "url"}) != 1:
            raise Refused(400, "Bad Request: can't parse inline keyboard button: Text buttons are unallowed")
        if "callback_data" in button and not 1 <= len(button["callback_data"].encode()) <= 64:
            raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
        if "copy_text" in button and not 1 <= length(button["copy_text"]["text"]) <= 256:
            raise Refused(400, "Bad Request: BUTTON_COPY_TEXT_INVALID")
    return buttons


def _person(user_id: int) -> dict[str, Any]:
    return {"id": user_id, "is_bot": False, "first_name": "Ann"}


def _reply(status: int, **body: object) -> web.Response:
    return web.json_response(body, status=status)


def _cut(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
