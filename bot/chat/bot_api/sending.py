"""One message through the Bot API."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from telegram import (
    Bot,
    ChatFullInfo,
    ChatMember,
    ChatMemberAdministrator,
    ChatMemberMember,
    ChatMemberOwner,
    ChatMemberRestricted,
    CopyTextButton,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    ReplyParameters,
)
from telegram.constants import ChatAction, ChatType, ParseMode
from telegram.error import (
    BadRequest,
    TelegramError,
)

from bot.chat.bot_api.translation import LONGEST_WORDS, translate
from bot.chat.delivery.sender import (
    Blocked,
    Content,
    FoundChat,
)
from bot.config.chat_ids import is_person
from storage.messages import Button

_BUTTONS_A_ROW = 2


_GENERAL_TOPIC = "1"  #: Telegram finds no such thread: what goes to it names none


class TelegramSender:
    """Sends one message through the Bot API."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    async def send(
        self, chat_id: str, content: Content, *, reply_to_message_id: int | None = None, is_silent: bool = False
    ) -> int:
        """Return the id of the message in the chat, or raise a SendError."""
        chat, _, topic = chat_id.partition(":")
        reply = None
        if reply_to_message_id is not None:
            reply = ReplyParameters(message_id=reply_to_message_id, allow_sending_without_reply=True)
        shared: dict[str, Any] = {
            "chat_id": chat,
            "parse_mode": ParseMode.HTML,
            "message_thread_id": int(topic) if topic not in ("", _GENERAL_TOPIC) else None,
            "reply_parameters": reply,
            "disable_notification": is_silent,
            "reply_markup": _keyboard(content.buttons),
        }
        try:
            if content.picture is not None:
                message = await self._bot.send_photo(photo=content.picture, caption=content.html, **shared)
            else:
                message = await self._bot.send_message(
                    text=content.html, link_preview_options=LinkPreviewOptions(is_disabled=True), **shared
                )
        except TelegramError as error:
            raise translate(error) from error
        return message.message_id

    async def edit(self, chat_id: str, message_id: int, content: Content) -> None:
        """Change text and buttons of a message without a picture, or raise a SendError."""
        try:
            await self._bot.edit_message_text(
                chat_id=chat_id.partition(":")[0],
                message_id=message_id,
                text=content.html,
                parse_mode=ParseMode.HTML,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
                reply_markup=_keyboard(content.buttons),
            )
        except TelegramError as error:
            if "message is not modified" not in str(error).lower():
                raise translate(error) from error

    async def probe(self) -> None:
        """Ask who the bot is, or raise a SendError."""
        try:
            await self._bot.get_me()
        except TelegramError as error:
            raise translate(error) from error

    async def look_up(self, chat_id: str) -> FoundChat:
        """Return what Telegram knows of a chat, and why the bot could not write there, or raise a SendError."""
        name, _, topic = chat_id.partition(":")
        try:
            chat = await self._bot.get_chat(name)
            if chat.type == ChatType.PRIVATE:
                await self._bot.send_chat_action(chat.id, ChatAction.TYPING)  # refused where the person blocked the bot
                problem = ""
            else:
                member = await self._bot.get_chat_member(chat.id, int(self._bot.token.partition(":")[0]))
                problem = _lack_of_rights(chat, member)
        except BadRequest as error:
            hint = f"; {await self._hint(name)}" if "chat not found" in str(error).lower() else ""
            raise Blocked(f"{str(error)[:LONGEST_WORDS]}{hint}") from error
        except TelegramError as error:
            raise translate(error) from error
        if topic not in ("", _GENERAL_TOPIC) and not is_person(name) and not chat.is_forum and not problem:
            problem = "the group has no topics"
        return FoundChat(id=str(chat.id), title=chat.effective_name or "", problem=problem)

    async def _hint(self, name: str) -> str:
        """Return what may be wrong with the name of a chat that Telegram does not know."""
        if name.startswith("@"):
            return "is the name right, and is the bot in the channel or group?"
        if not name.startswith("-100"):
            whole = f"-100{name.removeprefix('-')}"  # what the web client shows of a supergroup or channel lacks it
            with suppress(TelegramError):
                await self._bot.get_chat(whole)
                return f"did you mean {whole}?"
        if is_person(name):
            return "press Start in the chat with the bot"
        return "add the bot to the group or channel; the ids of channels and most groups begin with -100"


def _lack_of_rights(chat: ChatFullInfo, member: ChatMember) -> str:
    """Return why the bot could not write to a group or channel, "" where it can."""
    match member:
        case ChatMemberOwner():
            return ""
        case ChatMemberAdministrator():
            may_post = chat.type != ChatType.CHANNEL or member.can_post_messages
            return "" if may_post else "the bot may not post messages in the channel"
        case ChatMemberRestricted() if member.is_member and member.can_send_messages:
            return ""
        case ChatMemberRestricted() if member.is_member:
            return "the bot may not write in the group"
        case ChatMemberMember() if chat.type == ChatType.CHANNEL:
            return "the bot is no administrator of the channel"
        case ChatMemberMember():
            may_all = chat.permissions is None or chat.permissions.can_send_messages is not False
            return "" if may_all else "only administrators may write in the group, and the bot is none"
    return "the bot is not in the group or channel"


def _keyboard(buttons: Sequence[Button]) -> InlineKeyboardMarkup | None:
    keys = [
        InlineKeyboardButton(
            button.text,
            callback_data=button.press or None,
            copy_text=CopyTextButton(button.copy) if button.copy else None,
        )
        for button in buttons
    ]
    rows = [keys[at : at + _BUTTONS_A_ROW] for at in range(0, len(keys), _BUTTONS_A_ROW)]
    return InlineKeyboardMarkup(rows) if rows else None
