"""Follow an open signal: a look at the market in, the signal as it is then or its outcome out (docs/exits.md).

LONG and SHORT share one path: `against` is +1 for a SHORT and -1 for a LONG, so a price times `against` rises as the
price moves against the signal.
"""

from scoring.exits.ending import outcome_of
from scoring.exits.gap import judge_gap
from scoring.exits.look import Look
from scoring.exits.open_signal import note_funding, unknown_until
from scoring.exits.sight import judge_sight, judge_silence
from scoring.settings import ScoringSettings
from scoring.signals import OpenSignal, Outcome


def follow(open_signal: OpenSignal, look: Look, settings: ScoringSettings) -> OpenSignal | Outcome:
    """Judge one look: first what candles show of the time that was not watched, then the prints and the quote.

    A stop comes before all else, then the take-profit, trailing, BTC pump, liquidity flip, time-out, and the end of
    the pair. A stop and a trailing stop fill at the worst of their level, the first print at or beyond it, and the exit
    side's quote then seen (the best ask of a SHORT), the first take-profit at itself, the rest at the exit side's
    quote: where there is none they wait for it. Where it cannot be known what happened the outcome has no result.
    """
    judged, ending = judge_gap(note_funding(open_signal, look), look, settings)
    if ending is None:
        judged, ending = judge_sight(judged, look, settings)
    if ending is None:
        ending = judge_silence(judged, look, settings)
    # prices between quotes are not known; an end at the first quote after a gap says so itself
    if look.candles is None and look.gap and (ending is None or not ending.note):
        judged = unknown_until(judged, look.gap_until_ms or look.now_ms)
    if look.candles is None and look.is_provisional and ending is not None:
        judged = unknown_until(judged, ending.exit_ms)
    return judged if ending is None else outcome_of(judged, ending, settings)
