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
from email.utils import formatdate
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
    SERVER_ERROR = "the Bot API answers 500, in its own words, and did nothing"
    SERVER_ERROR_AFTER = "the request is carried out, then the Bot API answers 500, in its own words"
    GATEWAY_AFTER = "the request is carried out, then Telegram's front answers 502, in JSON"
    BAD_GATEWAY = "something before the Bot API answers 502, in HTML"
    BAD_REQUEST_PAGE = "something before the Bot API answers 400, in HTML"
    UNAUTHORIZED_PAGE = "something before the Bot API answers 401, in HTML"
    FORBIDDEN_PAGE = "something before the Bot API answers 403, in HTML"
    NOT_FOUND_PAGE = "something before the Bot API answers 404, in HTML"
    CONFLICT_PAGE = "something before the Bot API answers 409, in HTML"
    FORBIDDEN_JSON = "something before the Bot API answers 403, in JSON of its own"
    UNAUTHORIZED = "the Bot API answers 401 once, as it has been seen to"
    NOT_FOUND = "the Bot API answers 404 once"
    CONFLICT = "the Bot API answers 409: another program polls"
    REDIRECT = "something before the Bot API sends elsewhere, 301"


_PAGES = {
    Fault.BAD_GATEWAY: 502,
    Fault.BAD_REQUEST_PAGE: 400,
    Fault.UNAUTHORIZED_PAGE: 401,
    Fault.FORBIDDEN_PAGE: 403,
    Fault.NOT_FOUND_PAGE: 404,
    Fault.CONFLICT_PAGE: 409,
}
#: What Telegram itself has been seen to answer: tdlib's Global.h (a request aborted), telegram-bot-api's Client.cpp (a
#: server that ends), telegram-bot-api issue 868 (its front in JSON).
_OWN_WORDS = {
    Fault.SERVER_ERROR: (500, "Internal Server Error"),
    Fault.SERVER_ERROR_AFTER: (500, "Internal Server Error: Request aborted"),
    Fault.GATEWAY_AFTER: (502, "Bad Gateway"),
    Fault.UNAUTHORIZED: (401, "Unauthorized"),
    Fault.NOT_FOUND: (404, "Not Found"),
    Fault.CONFLICT: (409, CONFLICT),
}
ANONYMOUS_ADMIN = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
AS_CHANNEL = {"id": 136817688, "is_bot": True, "first_name": "Channel", "username": "Channel_Bot"}
LINKED_CHANNEL = {"id": 777000, "is_bot": False, "first_name": "Telegram"}
SHARED = {sender["id"]: sender for sender in (ANONYMOUS_ADMIN, AS_CHANNEL, LINKED_CHANNEL)}


_ADMIN_RIGHTS = (
    "can_be_edited",
    "is_anonymous",
    "can_manage_chat",
    "can_delete_messages",
    "can_manage_video_chats",
    "can_restrict_members",
    "can_promote_members",
    "can_change_info",
    "can_invite_users",
    "can_post_stories",
    "can_edit_stories",
    "can_delete_stories",
)
_MEMBER_RIGHTS = (
    "can_change_info",
    "can_invite_users",
    "can_pin_messages",
    "can_manage_topics",
    "can_send_messages",
    "can_send_polls",
    "can_send_other_messages",
    "can_add_web_page_previews",
    "can_send_audios",
    "can_send_documents",
    "can_send_photos",
    "can_send_videos",
    "can_send_video_notes",
    "can_send_voice_notes",
    "can_edit_tag",
    "can_react_to_messages",
)


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
        self.without_rights: set[int] = set()  #: where the bot may not write though it is there
        self.closed_topics: set[tuple[int, int]] = set()
        self.edits_held_until_ms = 0  #: a flood wait of edits alone
        self.ahead_ms = 0  #: of Telegram's clock, against the one it is given
        self.without_pictures: set[int] = set()  #: groups that forbid them
        self.migrated: dict[int, int] = {}
        self.token = TOKEN
        self.webhook_url = ""
        self.outage: Fault | None = None  #: what every request meets
        self.faults: deque[tuple[str, Fault]] = deque()  #: (method, fault): the next request of that method meets it
        self.messages: list[Received] = []
        self.edits = 0
        self.floods: list[int] = []  #: chats told to wait
        self.too_fast_ms: list[int] = []  #: when one of them was because the published limits were exceeded
        self.requests: list[str] = []  #: every method called
        self.commands: dict[str, list[dict[str, str]]] = {}  #: by the scope's JSON
        self.answered: dict[str, str] = {}  #: callback query -> text shown
        self.held_until_ms: dict[int, int] = {}  #: chats under a flood wait of the test's choice
        self._flood = Flood()
        self._updates: deque[dict[str, Any]] = deque()
        self._next_update_id = 1
        self._last_message_id: Counter[int] = Counter()  # by chat
        self._said: dict[tuple[int, int], int | None] = {}  # messages of people, and their topics
        self.fetched: dict[
            str, tuple[int, list[int]]
        ] = {}  #: by text: when it was sent, and each time it was given out
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
        app.router.add_route("*", "/bot{token}/{method}", self._handle)
        app.on_response_prepare.append(self._date)
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
    ) -> int:
        """A person writes, in private unless a group is named; a `thread` that is no topic is one of replies.

        Returns the message's id.
        """
        chat = self._chat(user_id if chat_id is None else chat_id)
        message = {
            "message_id": (message_id := self._new_message_id(chat["id"])),
            "date": (self._telegram_ms() if sent_ms is None else sent_ms) // 1000,
            "chat": chat,
            "from": SHARED.get(user_id, _person(user_id)),
            "text": text,
        }
        if user_id in SHARED:
            message["sender_chat"] = chat if user_id == ANONYMOUS_ADMIN["id"] else {"id": -1009, "type": "channel"}
        topic = thread if thread in self.topics.get(chat["id"], ()) else None
        if thread is not None:
            message["message_thread_id"] = thread
        if topic is not None:
            message["is_topic_message"] = True
        self._said[chat["id"], message_id] = topic
        if command := re.match(r"/[A-Za-z0-9_@]+", text):
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": command.end()}]
        await self.push("message", message)
        return message_id

    async def bot_becomes(self, status: str, chat_id: int, *, by: int) -> None:
        """Somebody removes the bot from a chat ("kicked", "left") or adds it ("member", "administrator")."""
        is_out = status in ("kicked", "left")
        (self.blocked.add if is_out else self.blocked.discard)(chat_id)
        change = {
            "chat": self._chat(chat_id),
            "from": _person(by),
            "date": self._telegram_ms() // 1000,
            "old_chat_member": self._member(chat_id, "member" if is_out else "left"),
            "new_chat_member": self._member(chat_id, status),
        }
        await self.push("my_chat_member", change)

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
        await self.push("callback_query", query)
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
        if fault in (Fault.SERVER_ERROR, Fault.UNAUTHORIZED, Fault.NOT_FOUND, Fault.CONFLICT):
            return _in_own_words(fault)
        if fault in _PAGES:
            page = f"<html>{_PAGES[fault]} nginx</html>"
            return web.Response(status=_PAGES[fault], text=page, content_type="text/html")
        if fault is Fault.FORBIDDEN_JSON:
            return _reply(403, message="Forbidden", documentation_url="https://proxy.test")
        if fault is Fault.REDIRECT:
            return web.Response(status=301, headers={"Location": f"https://api.test{request.path}"})
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
        if fault in (Fault.SERVER_ERROR_AFTER, Fault.GATEWAY_AFTER):
            return _in_own_words(fault)
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
            "getChatMember": self._get_chat_member,
            "sendChatAction": self._send_chat_action,
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
        ready = self._ready(allowed)
        for update in ready:
            message = update.get("message")
            if isinstance(message, dict) and "text" in message:
                times = self.fetched.setdefault(message["text"], (1000 * message["date"], []))[1]
                times.append(self._now_ms())
        return ready

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

    async def _get_chat_member(self, parameters: Mapping[str, str]) -> object:
        chat_id = self._unmoved(parameters.get("chat_id", ""))
        if chat_id in self.blocked:
            return self._member(chat_id, "kicked")
        if chat_id in self.channels:
            return self._member(chat_id, "administrator")
        return self._member(chat_id, "restricted" if chat_id in self.without_rights else "member")

    def _member(self, chat_id: int, status: str) -> dict[str, Any]:
        member: dict[str, Any] = {"user": BOT, "status": status}
        rights = {
            "administrator": (*_ADMIN_RIGHTS, "can_post_messages", "can_edit_messages"),
            "restricted": (*_MEMBER_RIGHTS, "is_member"),
        }
        may = chat_id not in self.without_rights
        member |= {right: right == "is_member" or may for right in rights.get(status, ())}
        return member | ({"until_date": 0} if status in ("restricted", "kicked") else {})

    async def _send_chat_action(self, parameters: Mapping[str, str]) -> object:
        self._writable(parameters)
        return True

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
        if (chat_id, topic) in self.closed_topics:
            raise Refused(400, "Bad Request: TOPIC_CLOSED")
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
        if (held_ms := self.edits_held_until_ms - self._now_ms()) > 0:
            seconds = math.ceil(held_ms / 1000)
            raise Refused(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
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
        if chat_id in self.without_rights:
            channel = "need administrator rights in the channel chat"
            raise Refused(
                400,
                f"Bad Request: {channel if chat_id in self.channels else 'not enough rights to send text messages'}",
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
            self.too_fast_ms.append(now_ms)
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

    def _telegram_ms(self) -> int:
        return self._now_ms() + self.ahead_ms

    async def _date(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(self._telegram_ms() / 1000, usegmt=True)

    def _take_fault(self, method: str) -> Fault | None:
        for planned in self.faults:
            if planned[0] == method:
                self.faults.remove(planned)
                return planned[1]
        return self.outage

    async def push(self, kind: str, content: dict[str, Any]) -> None:
        """Something happens that may be no update as PTB knows them."""
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


def _in_own_words(fault: Fault) -> web.Response:
    code, description = _OWN_WORDS[fault]
    return _reply(code, ok=False, error_code=code, description=description)


def _person(user_id: int) -> dict[str, Any]:
    return {"id": user_id, "is_bot": False, "first_name": "Ann"}


def _reply(status: int, **body: object) -> web.Response:
    return web.json_response(body, status=status)


def _cut(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
