"""Access: who may read, who may steer, and the one refusal that everybody else gets.

Admins may say everything anywhere. Who writes in a chat or group that gets alerts may read. No one else is
answered.
"""

from collections import OrderedDict
from collections.abc import Collection, Sequence

from loguru import logger
from telegram import BotCommandScopeChat, BotCommandScopeChatMember, Chat
from telegram.constants import ChatType

from bot.chat.asking.asker import Asker
from bot.chat.bot_api.polling import Menu
from bot.chat.commands.base import Command
from bot.chat.commands.menu import COMMANDS
from bot.chat.delivery.chat_states import ChatStates
from bot.chat.delivery.sender import Content
from bot.chat.recipients import Recipients

AS_YOURSELF = (
    "You write as the group or as a channel, which others may do too. Write as yourself: "
    "in the group's administrators, switch off that you remain anonymous."
)
_MOST_REFUSED = 1000


class Access:
    """Knows the chats and the admins; refuses everybody else once."""

    def __init__(self, recipients: Recipients, chat_states: ChatStates) -> None:
        self._recipients = recipients
        self._chat_states = chat_states
        self._refused: OrderedDict[tuple[int, int], None] = OrderedDict()  # the latest (user, chat) that were

    @property
    def admin_ids(self) -> Collection[int]:
        """The users who may steer."""
        return self._recipients.admin_ids

    def is_ours(self, chat: Chat) -> bool:
        """Return whether members of the chat may read."""
        if chat.type == ChatType.CHANNEL:
            return False  # all its readers would see an answer to one
        names = {self._chat_states.target(chat_id) for chat_id in self._chats}
        return str(chat.id) in names or f"@{chat.username}".lower() in names

    def is_confidential(self, chat: Chat) -> bool:
        """Whether what is written there is read by admins and the operator only."""
        operator = self._chat_states.target(self._recipients.operator).partition(":")[0].lower()
        return chat.type == ChatType.PRIVATE or operator in (str(chat.id), f"@{chat.username}".lower())

    def refuse(self, asker: Asker, chat: Chat, command: str, words: str) -> Content | None:
        """Return the refusal; None for a user who has had it already."""
        key = (asker.id, chat.id if asker.is_shared else 0)
        if key in self._refused:
            return None
        self._refused[key] = None
        if len(self._refused) > _MOST_REFUSED:
            self._refused.popitem(last=False)
        logger.warning("user {} may not steer the bot and was refused: /{}", asker.id, command)
        if asker.is_shared:
            return Content(text=f"{words} {AS_YOURSELF}")
        return Content(text=f"{words} If that is you, put your id {asker.id} into TELEGRAM_ADMIN_IDS.")

    def menus(self) -> list[Menu]:
        """Return who sees which commands; a narrower scope wins over a wider one."""
        readers = [(command.name, command.help) for command in commands_for(is_admin=False)]
        admins = [(command.name, command.help) for command in commands_for(is_admin=True)]
        private = {str(admin_id) for admin_id in self.admin_ids}
        menus: list[Menu] = [(BotCommandScopeChat(chat), readers) for chat in self._chats if chat not in private]
        for admin_id in sorted(self.admin_ids):
            menus.append((BotCommandScopeChat(admin_id), admins))
            groups = (chat for chat in self._chats if not chat.isdigit())
            menus += [(BotCommandScopeChatMember(group, admin_id), admins) for group in groups]
        return menus

    @property
    def _chats(self) -> Collection[str]:
        """The chats without their topics, as Telegram names them."""
        return dict.fromkeys(chat.partition(":")[0].lower() for chat in self._recipients.chats)


def commands_for(*, is_admin: bool) -> Sequence[Command]:
    """Return the commands that an admin, or a reader, may use."""
    return [command for command in COMMANDS if is_admin or not command.is_steering]
