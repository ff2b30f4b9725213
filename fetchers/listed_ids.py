"""Which of a venue's ids are listed, and which are on their way out; pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from fetchers.listing import Listing

CLOSED = ("not trading", "delisting")  #: what a market list says of a pair that ends
READINGS = 2  #: of the market list before a pair is taken for delisted


@dataclass(slots=True)
class _Leaving:
    """An instrument that a reading of the market list lacks or shows as no longer traded."""

    readings: int = 0  # in a row
    is_confirmed: bool = False  # the venue itself says that it is gone


class ListedIds:
    """The market list of one venue, its last readings, and whether it should be read again."""

    def __init__(self) -> None:
        self.listings: tuple[Listing, ...] | None = None  #: None before the first load
        self.wants_reload = False  #: an instrument showed up or went away
        self._watched: Collection[str] = ()
        self._known: set[str] = set()  # listed, or in the quotes without being listed
        self._leaving: dict[str, _Leaving] = {}

    def watch(self, ids: Collection[str], quoted: Iterable[str]) -> None:
        """Take over the ids of the universe, and forget what is neither listed nor quoted."""
        self._watched = ids
        self._known = {listing.instrument.id for listing in self.listings or ()}
        self._known.update(quoted)

    def note_list(self, listings: tuple[Listing, ...]) -> None:
        """Take over a reading of the market list."""
        self.listings, self.wants_reload = listings, False
        self._known.update(listing.instrument.id for listing in listings)
        self._note_leaving(listings)

    def note_quoted(self, ids: Iterable[str]) -> None:
        """Note the ids of bulk replies; one that is new makes the list worth reading again."""
        new = set(ids) - self._known
        self._known |= new  # once is enough: rows of another market never get listed
        self.wants_reload |= bool(new and self._watched)

    def note_unknown(self, instrument_id: str, *, is_polled: bool = False) -> None:
        """Note that the venue does not know an instrument; a delisting needs the list to confirm it.

        One that is polled makes the list worth reading again, until it is listed anew.
        """
        leaving = self._leaving.setdefault(instrument_id, _Leaving())
        self.wants_reload |= not leaving.is_confirmed
        leaving.is_confirmed = True
        if is_polled and instrument_id in self._known:
            self._known.discard(instrument_id)
            self.wants_reload = True

    def delisted(self) -> set[str]:
        """Return what READINGS readings of the list in a row lack or call closed, and the venue itself calls gone."""
        return {key for key, one in self._leaving.items() if one.readings >= READINGS and one.is_confirmed}

    def _note_leaving(self, listings: Sequence[Listing]) -> None:
        dropped = {listing.instrument.id: listing.dropped for listing in listings}
        for instrument_id in {*self._watched, *self._leaving}:
            if dropped.get(instrument_id, CLOSED[0]) not in CLOSED:
                self._leaving.pop(instrument_id, None)
                continue
            leaving = self._leaving.setdefault(instrument_id, _Leaving())
            leaving.readings += 1
            leaving.is_confirmed |= instrument_id in dropped
        # open signals have seen it by the next reading
        self._leaving = {key: one for key, one in self._leaving.items() if one.readings <= READINGS + 1}
