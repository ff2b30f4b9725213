"""Why a signal, in plain words with the figures: one reason for each sub-score, strongest first."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from features.facts.venues import venue_title
from features.frame import FeatureFrame
from features.missing import Missing
from scoring.score import ScoreFrame

MOST_REASONS = 5


class Phrase(NamedTuple):
    """Words about one figure of a sub-score, said where `speaks` finds that it adds to it (never of a NaN)."""

    sub_score: str
    figure: str
    speaks: Callable[[float], bool]
    words: str


def explain_score(
    scores: ScoreFrame,
    column: int,
    *,
    weights: Mapping[str, float],
    phrases: Sequence[Phrase],
    figures: Mapping[str, Any],
    missing: Mapping[str, str],
) -> tuple[str, ...]:
    """Return what lifts one instrument's score, the largest contribution first, then what is missing; at most five.

    `figures` are the values that the phrases quote, `missing` is of `missing_parts`.
    """
    contributions = scores.contributions[:, column]
    names = list(weights)
    strongest = [names[row] for row in np.argsort(-contributions, kind="stable") if contributions[row] > 0]
    said = [_reason(name, phrases, figures) for name in strongest[: MOST_REASONS - bool(missing)]]
    if missing:
        said.append("without " + ", ".join(f"{part.replace('_', ' ')} ({why})" for part, why in missing.items()))
    return tuple(said)


def missing_parts(features: FeatureFrame, parts: Iterable[str], column: int) -> dict[str, str]:
    """Return why, for each of the frame's parts that one instrument has no data for."""
    codes = {part: features.missing[part][column] for part in parts}
    return {part: Missing(code).text for part, code in codes.items() if code}


def borrowed(features: FeatureFrame, column: int) -> str:
    """Return what one instrument borrows and from whom, e.g. "OI and flow: Bybit"; "" where it borrows nothing."""
    borrows = {"OI": features.borrows_open_interest[column], "flow": features.borrows_flow[column]}
    what = " and ".join(name for name, is_borrowed in borrows.items() if is_borrowed)
    return f"{what}: {lender_title(features, column)}" if what else ""


def lender_title(features: FeatureFrame, column: int) -> str:
    """Return the name of the venue that lends to one instrument."""
    return venue_title(features.instruments[int(features.lender[column])].venue)


def window_text(seconds: float) -> str:
    """Return a window's length in words, e.g. "15 min"."""
    return f"{seconds / 60:g} min" if seconds % 60 == 0 and seconds > 60 else f"{seconds:g} s"


def _reason(sub_score: str, phrases: Sequence[Phrase], figures: Mapping[str, Any]) -> str:
    words = [
        phrase.words for phrase in phrases if phrase.sub_score == sub_score and phrase.speaks(figures[phrase.figure])
    ]
    return ", ".join(words).format_map(figures).replace("%", " %")
