"""The order of the suite, and of its properties: what takes longest begins first, and no example has a deadline."""

import pytest
from hypothesis import settings

# how long an example takes says how busy the machine is; and the whole suite has six minutes
settings.register_profile("suite", deadline=None, max_examples=50)
settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with long tests first; a file's tests stay together, in their order."""
    long_files = {item.path for item in items if item.get_closest_marker("long") is not None}
    items.sort(key=lambda item: item.path not in long_files)
