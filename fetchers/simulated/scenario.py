"""Planted events of the simulated market: textbook setups, and decoys that lack one condition each.

A setup builds up for a while (price falls, open interest rises), then holds (wall, drained bids, sweeps, nearly still
price), then meets its fate. Every length follows from the feature settings, so a compressed demo and a full-length run
tell the same story.
"""

from dataclasses import dataclass
from typing import Literal

from features.facts.venues import VENUES
from features.settings import FeatureSettings
from fetchers.simulated.legs import PlantedLeg, default_legs
from fetchers.simulated.wires import wire_module

Fate = Literal["take_profit", "stop_loss", "timeout"]
Lack = Literal["score", "bid_depth", "ask_imbalance", "sweep", "oi_divergence", "spread", "stale_data"]

FIRST_LEG_S = 60.0  #: the candles have come by then
FATE_S = 10.0  #: how long the price takes to its fate


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One setup (or decoy) on one coin.

    The book shows it on `venue`; open interest and trades show it on `flow_venue`, whose own book stays ordinary where
    that is another one. The coin is listed on these venues only. Other coins know nothing of it.
    """

    coin: str
    venue: str
    start_s: float  #: [s] after the market's start
    hold_s: float
    fate: Fate
    lacks: Lack | None = None
    flow_venue: str = ""

    def __post_init__(self) -> None:
        if not self.flow_venue:
            object.__setattr__(self, "flow_venue", self.venue)
        if self.hold_s <= 0:
            raise ValueError(f"{self.coin}: hold_s was {self.hold_s}, expected more than 0")

    @property
    def end_s(self) -> float:
        """When the hold ends and the fate begins [s]."""
        return self.start_s + self.hold_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything planted, and the windows it was planted for."""

    settings: FeatureSettings
    planted: tuple[Planted, ...] = ()
    legs: tuple[PlantedLeg, ...] = ()
    candle_interval_s: int = 900  #: that the legs are made for

    def __post_init__(self) -> None:
        coins = [*(planted.coin for planted in self.planted), *(leg.coin for leg in self.legs)]
        if len(set(coins)) != len(coins):
            raise ValueError(f"a coin was planted twice: {sorted(coins)}")
        for planted in self.planted:
            # the fall and the rise of open interest must stay inside the window until the hold is over
            if planted.hold_s > 0.75 * self.settings.oi_window_s:
                raise ValueError(f"{planted.coin}: hold_s was {planted.hold_s}, expected at most 3/4 of oi_window_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupPlan:
    """One setup or decoy of the default scenario: an entry of SETUPS in its venue's wire module."""

    coin: str
    at: float  #: when it begins, [0...1] between the first and the last possible start
    fate: Fate = "timeout"
    lacks: Lack | None = None  #: None for a setup
    flow_venue: str = ""


def default_scenario(
    settings: FeatureSettings, *, seconds: float, signal_timeout_s: float, candle_interval_s: int = 0
) -> Scenario:
    """Plan a run of `seconds`: every venue's setups, which all end within it, and their decoys.

    The first setup is ready when the open-interest window is full and some; the last leaves time for a signal's
    timeout. A run too short for that has them all begin together. Legs are planted for candles of
    `candle_interval_s`, 0: none, from when on the candles have come.
    """
    hold_s = 0.7 * settings.oi_window_s  # a bot that starts slowly, on a busy machine, still finds the first one
    first_s = 1.1 * settings.oi_window_s
    last_s = max(first_s, seconds - hold_s - max(FATE_S, signal_timeout_s) - 3 * settings.refresh_interval_s)
    plans: list[tuple[str, SetupPlan]] = [(venue, plan) for venue in VENUES for plan in wire_module(venue).SETUPS]
    plans.sort(key=lambda entry: (entry[1].lacks is not None, entry[1].at))
    planted = tuple(
        Planted(
            coin=plan.coin,
            venue=venue,
            start_s=first_s + (last_s - first_s) * plan.at,
            hold_s=hold_s,
            fate=plan.fate,
            lacks=plan.lacks,
            flow_venue=plan.flow_venue,
        )
        for venue, plan in plans
    )
    if not candle_interval_s:
        return Scenario(settings=settings, planted=planted)
    legs = default_legs(first_s=FIRST_LEG_S, seconds=seconds)
    return Scenario(settings=settings, planted=planted, legs=legs, candle_interval_s=candle_interval_s)
