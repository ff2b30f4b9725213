"""Silent symbols found for nothing: the 24 h volume of the quotes grew, but no print came. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

APART_MS = 5_000  #: between the first growth without a print and the one that shows silence
GROWTH = 1e-9  #: share of the volume


@dataclass(slots=True)
class _Seen:
    volume: float
    grew_ms: int | None = None  #: first growth since the last print


class VolumeCheck:
    """What a venue's symbols have traded by their quotes, beside what was heard of them."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def heard(self, symbols: Iterable[str]) -> None:
        """Note that a frame of these came."""
        for symbol in symbols:
            seen = self._seen.get(symbol)
            if seen is not None:
                seen.grew_ms = None

    def is_silent(self, symbol: str, volume_24h: float, now_ms: int) -> bool:
        """Take a volume of the quotes; true where it has grown at two looks in a row that no frame came between."""
        seen = self._seen.get(symbol)
        if seen is None:
            self._seen[symbol] = _Seen(volume_24h)
            return False
        grew = volume_24h > seen.volume * (1 + GROWTH)
        seen.volume = volume_24h
        if not grew:
            return False
        if seen.grew_ms is None:
            seen.grew_ms = now_ms
            return False
        if now_ms - seen.grew_ms < APART_MS:
            return False
        seen.grew_ms = None
        return True

    def forget(self, wanted: Collection[str]) -> None:
        """Forget all but these."""
        self._seen = {symbol: seen for symbol, seen in self._seen.items() if symbol in wanted}
