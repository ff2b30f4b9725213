"""A message's text as it leaves: how long it took, how late it is, whether it may repeat, what was lost before."""

from collections.abc import Callable

from bot.chat.texts.marks import mark_late, mark_lost, mark_may_repeat, mark_no_topic, mark_sent, mark_time
from bot.chat.texts.markup import Markup, stored
from bot.chat.texts.phrases import local_time
from bot.clock import Clock
from storage.messages import Kind, NewMessage, OutboxMessage

_LATE_NOTICE_MS = 60_000  #: a notice that leaves later carries the time it is of


class Stamps:
    """Completes the text of a message as it leaves."""

    def __init__(
        self, clock: Clock, current_price: Callable[[int], float | None], *, max_signal_age_s: float, timezone: str
    ) -> None:
        self._clock = clock
        self._current_price = current_price  # of a signal, by its id
        self._max_signal_age_s = max_signal_age_s
        self._timezone = timezone

    def complete(self, message: OutboxMessage, *, has_lost_topic: bool) -> Markup:
        """Return the text with what is only known as it leaves; a message in the chat has that already.

        The message's `created_ms` is on the monotonic clock.
        """
        new = message.message
        if message.message_id is not None:
            return stored(new.html)
        age_ms = self._clock.monotonic_ms() - new.created_ms
        html = mark_sent(stored(new.html), age_ms)
        if new.kind is Kind.ENTRY and age_ms > 1000 * self._max_signal_age_s:
            html = mark_late(html, age_ms / 1000, self._drift_percent(new))
        elif new.kind is not Kind.ENTRY and age_ms > _LATE_NOTICE_MS:
            html = mark_time(html, local_time(self._clock.now_ms() - age_ms, self._timezone), age_ms / 1000)
        if message.may_repeat:
            html = mark_may_repeat(html)
        if has_lost_topic:
            html = mark_no_topic(html)
        return mark_lost(html, message.lost) if message.lost else html

    def _drift_percent(self, entry: NewMessage) -> float | None:
        if entry.signal_id is None or entry.entry_price is None:
            return None
        price = self._current_price(entry.signal_id)
        return None if price is None else 100 * (price / entry.entry_price - 1)
