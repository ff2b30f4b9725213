"""What the words of all strategies share."""

from features.missing import Missing
from scoring.reasons import missing_parts, window_text
from tests.scoring.frames import UPS, passing


def test_missing_parts() -> None:
    """Parts that the score stands on are named with their reason, others are not its business."""
    features = passing(missing={"sweep": Missing.NOT_PUBLISHED, "book": Missing.CROSSED})
    assert missing_parts(features, UPS.all_parts, 0) == {"sweep": "not published"}


def test_window_text() -> None:
    """Whole minutes are minutes."""
    assert [window_text(seconds) for seconds in (900, 300, 60, 90, 1.5)] == ["15 min", "5 min", "60 s", "90 s", "1.5 s"]
