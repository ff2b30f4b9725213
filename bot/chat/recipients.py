"""Recipients: the chats that get messages, and the users who may steer."""

from dataclasses import dataclass

from bot.chat.delivery.sender import TERMINAL_CHAT
from bot.config.settings import TelegramSettings


@dataclass(slots=True, kw_only=True)
class Recipients:
    """The chats as the settings name them; a pairing at the start is the one thing that changes them."""

    chats: tuple[str, ...]  #: that get alerts
    operator: str = ""  #: the chat that gets notices of faults, "" for none
    admin_ids: frozenset[int] = frozenset()  #: users who may steer

    @property
    def everyone(self) -> tuple[str, ...]:
        """The chats and the operator's, each once."""
        return tuple(dict.fromkeys(filter(None, (*self.chats, self.operator))))

    @classmethod
    def of(cls, settings: TelegramSettings) -> "Recipients":
        """Return those of the settings: the terminal where there is no Telegram, none where one is to be paired."""
        if not settings.bot_token:
            return cls(chats=(TERMINAL_CHAT,), operator=TERMINAL_CHAT)
        return cls(chats=settings.chat_ids, operator=settings.operator, admin_ids=settings.steering_ids)

    def become(self, settings: TelegramSettings) -> None:
        """Take those of the settings that a pairing has made."""
        paired = Recipients.of(settings)
        self.chats, self.operator, self.admin_ids = paired.chats, paired.operator, paired.admin_ids
