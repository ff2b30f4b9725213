"""Messages that did not arrive, counted by chat until the operator gets a notice of them."""

from collections import Counter

from loguru import logger

from storage.messages import DeliveryState, Lost


class Losses:
    """Counts them."""

    def __init__(self) -> None:
        self._by_chat: dict[str, Counter[DeliveryState]] = {}

    def count(self, chat_id: str, state: DeliveryState) -> None:
        """Count a message that expired, was refused, or may have arrived."""
        logger.warning("a message to chat {} is {}", chat_id, state)
        self._by_chat.setdefault(chat_id, Counter())[state] += 1

    def take(self, *, but_of: str) -> dict[str, Lost]:
        """Return what was counted since the last call, by chat, and begin anew; `but_of` is left out."""
        counted, self._by_chat = self._by_chat, {}
        return {
            chat_id: Lost(
                expired=states[DeliveryState.EXPIRED],
                uncertain=states[DeliveryState.UNCERTAIN],
                failed=states[DeliveryState.FAILED],
            )
            for chat_id, states in counted.items()
            if chat_id != but_of
        }
