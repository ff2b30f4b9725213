"""One wire module a venue, found by the venue's id in `features.facts.venues`.

Each has three names: LISTING (how the venue lists its rows), SETUPS (what the default scenario plants on it) and WIRE
(the class that answers its requests).
"""

from importlib import import_module
from types import ModuleType


def wire_module(venue: str) -> ModuleType:
    """Return the wire module of a venue."""
    return import_module(f"{__name__}.{venue}")
