"""Why a feature has no value; a feature is NaN exactly where its code is not PRESENT."""

from enum import IntEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Codes: TypeAlias = NDArray[np.int8]  #: of `Missing`


class Missing(IntEnum):
    """Reasons, kept as small integers in arrays over instruments."""

    PRESENT = 0
    NOT_PUBLISHED = 1  #: the venue does not give it and no other lends it
    NOT_SEEN = 2  #: not polled yet
    STALE = 3
    WARMING_UP = 4  #: its window is not full enough yet
    INCOMPLETE = 5  #: trades may be missing inside the window
    THIN = 6  #: too few levels, prints or books to say
    EMPTY = 7  #: a side of the book has no level inside the band
    CROSSED = 8
    FROZEN = 9
    SHALLOW = 10  #: the book's reply does not reach the narrowest band

    @property
    def text(self) -> str:
        """The words for people, e.g. "warming up"."""
        return self.name.lower().replace("_", " ")
