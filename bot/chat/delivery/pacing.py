"""How fast Telegram lets a bot write: arithmetic under the caller's clock, no waiting.

Telegram publishes one message a second in a chat with short bursts allowed, 20 a minute in a group, 30 a second overall
(core.telegram.org/bots/faq, "My bot is hitting limits"). Each span here is a tenth longer: Telegram counts at its door,
we count at ours. Answers to questions leave a third of each limit free, so that no question holds up an alert;
what an admin orders is answered at the pace of alerts, else a chat full of them would leave it unanswered.
"""

from collections import deque

from bot.chat.delivery.sender import TERMINAL_CHAT
from bot.config.chat_ids import is_person

LONGEST_SPAN_MS = 66_000
_BURST = 3
_MOST_CHATS = 1000  #: of which windows are kept that hold nothing up


class Window:
    """At most `limit` messages in any `span_ms`."""

    def __init__(self, limit: int, span_ms: int) -> None:
        self._sent_ms: deque[int] = deque(maxlen=limit)
        self._span_ms = span_ms

    def wait_ms(self, now_ms: int, *, is_answer: bool) -> int:
        """Return how long until one more fits, 0 for now."""
        limit = self._sent_ms.maxlen or 0
        if is_answer:
            limit -= limit // 3
        if len(self._sent_ms) < limit:
            return 0
        return min(max(0, self._sent_ms[-limit] + self._span_ms - now_ms), self._span_ms)

    def add(self, now_ms: int) -> None:
        """Count a message."""
        self._sent_ms.append(now_ms)

    def is_idle(self, now_ms: int) -> bool:
        """Return whether what it counts is so long ago that it holds nothing up."""
        return not self._sent_ms or now_ms - self._sent_ms[-1] > self._span_ms


class Pacer:
    """The windows of every chat written to."""

    def __init__(self) -> None:
        self._overall = Window(30, 1_100)
        self._chats: dict[str, tuple[Window, ...]] = {}

    def wait_ms(self, chat_id: str, now_ms: int, *, is_answer: bool = False) -> int:
        """Return how long until the chat may have one more message, 0 for now."""
        return max((window.wait_ms(now_ms, is_answer=is_answer) for window in self._windows(chat_id)), default=0)

    def add(self, chat_id: str, now_ms: int) -> None:
        """Count a message to the chat."""
        if len(self._chats) > _MOST_CHATS:  # any stranger who is refused is written to
            self._chats = {
                chat: windows
                for chat, windows in self._chats.items()
                if not all(window.is_idle(now_ms) for window in windows if window is not self._overall)
            }
        for window in self._windows(chat_id):
            window.add(now_ms)

    def _windows(self, chat_id: str) -> tuple[Window, ...]:
        chat = chat_id.partition(":")[0]  # the topics of a group share its limit
        if chat not in self._chats:
            burst = Window(_BURST, 3_300)  # one a second in the long run, three at once
            minute = () if is_person(chat) else (Window(20, LONGEST_SPAN_MS),)
            self._chats[chat] = () if chat == TERMINAL_CHAT else (self._overall, burst, *minute)
        return self._chats[chat]
