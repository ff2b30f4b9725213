"""Messages to chats: what can be queued, and what becomes of it (storage/outbox.py keeps them)."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Kind(StrEnum):
    """The subject of a message; on / silent / off is chosen per kind."""

    ENTRY = "entry"
    EXIT = "exit"
    NOTICE = "notice"  #: start, stop, venue blind or back, guard, cap
    STORM = "storm"  #: the coins that the burst limit refused, one list edited as it grows
    REPORT = "report"  #: the daily one


class Priority(IntEnum):
    """Lower goes first: exits before entries before notices."""

    EXIT = 0
    ENTRY = 1
    NOTICE = 2
    STORM = 3
    REPORT = 4


class DeliveryState(StrEnum):
    """PENDING -> SENDING -> SENT | UNCERTAIN | FAILED, or PENDING -> EXPIRED; a restart makes SENDING UNCERTAIN."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    UNCERTAIN = "uncertain"  #: the request left, the reply was lost
    EXPIRED = "expired"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A button under a message: a press comes back to the bot as `press`, or puts `copy` on the clipboard."""

    text: str
    press: str = ""  #: at most 64 bytes
    copy: str = ""  #: at most 256 characters


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message to be queued."""

    chat_id: str
    kind: Kind
    html: str  #: once sent, as it was sent
    created_ms: int
    signal_id: int | None = None  #: an exit replies to the entry message of the same signal in the same chat
    entry_price: float | None = None  #: lets a late entry say how far the price has drifted
    buttons: tuple[Button, ...] = ()
    edit_key: str = ""  #: a later message of the same key to the same chat changes this one in place


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """A further line below a signal's alert, in every chat that has it: the alert is edited without a sound."""

    signal_id: int
    html: str
    buttons: tuple[Button, ...] | None = None  #: its buttons from now on; None leaves them


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Messages that a chat did not get, or may not have got, by how they ended."""

    expired: int = 0
    uncertain: int = 0
    failed: int = 0
    ids: tuple[int, ...] = ()  #: in the outbox

    def __bool__(self) -> bool:
        return bool(self.expired or self.uncertain or self.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxMessage:
    """A queued message and how far it has come."""

    id: int
    message: NewMessage
    state: DeliveryState
    attempts: int
    not_before_ms: int
    message_id: int | None  #: Telegram's, once sent; a pending message that has one is to be edited
    reply_to_message_id: int | None  #: Telegram's id of the entry this replies to, where known
    error: str
    revision: int = 0  #: how often its text has been changed
    may_repeat: bool = False  #: an earlier send ended without a reply, so the chat may have it already
    follow_up: str = ""  #: what has been added below it since, each line begun by a line break
    lost: Lost = Lost()  #: messages that its chat did not get and does not know of, where it is due
