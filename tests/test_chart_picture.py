"""The README's picture of a chart shows what the bot really draws."""

import io

import numpy as np
from matplotlib.image import imread

from tests.chart_picture import PICTURE, chart_png


def test_picture_is_current() -> None:
    """docs/chart.png is what `python -m tests.chart_picture` draws today, but for rounding."""
    drawn, kept = imread(io.BytesIO(chart_png())), imread(PICTURE)
    assert drawn.shape == kept.shape
    assert np.abs(drawn - kept).mean() < 0.01
    assert PICTURE.stat().st_size < 150_000
