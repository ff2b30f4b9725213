"""The README's picture shows what the bot really sends."""

from pathlib import Path

from tests.alert_picture import alert_svg


def test_picture_is_current() -> None:
    """docs/alert.svg is what `python -m tests.alert_picture` draws from the texts of today."""
    assert (Path(__file__).parents[1] / "docs" / "alert.svg").read_text() == alert_svg()
