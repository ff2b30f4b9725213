"""docs/features.md is complete, and its examples are true."""

import re
from pathlib import Path
from typing import Any

import pytest

from features.frame import FEATURES, Feature
from features.missing import Missing
from scoring.settings import ScoringSettings
from scoring.strategies.ups_short.score import WEIGHTS
from tests.builders import feature_frame
from tests.scoring.frames import UPS

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "features.md").read_text()
GLOSSARY = (ROOT / "ARCHITECTURE.md").read_text().partition("## Words")[2]


def section(name: str) -> str:
    """Return what stands under the heading that names `name`, the last where several do."""
    sections = re.split(r"^### ", TEXT, flags=re.MULTILINE)
    found = [body for body in sections if name in re.split(r",\s*", body.partition("\n")[0])]
    assert found, f"docs/features.md has no section on {name}"
    return found[-1]


@pytest.mark.parametrize("name", [*(feature.name for feature in FEATURES), "btc_return"])
def test_every_feature_has_its_section(name: str) -> None:
    """A feature has a formula, and words on when it is missing."""
    assert re.search(r"Missing|NaN", section(name))


@pytest.mark.parametrize(
    "feature", [feature for feature in FEATURES if ": " in feature.meaning], ids=lambda one: one.name
)
def test_every_symbol_stands_in_the_glossary(feature: Feature) -> None:
    """The letter or short name that formulas use for a feature is a word of ARCHITECTURE.md."""
    symbol = feature.meaning.partition(": ")[0]
    words = re.findall(r"^\| ([^|]+?) \|", GLOSSARY, flags=re.MULTILINE)
    assert symbol in {word for row in words for word in row.split(", ")}


@pytest.mark.parametrize(("name", "weight"), WEIGHTS.items())
def test_every_sub_score_has_its_section_with_its_weight(name: str, weight: float) -> None:
    """A sub-score's section opens with its weight."""
    assert section(name).partition("\n")[2].startswith(f"Weight {weight:.0f}.")


@pytest.mark.parametrize("reason", [reason for reason in Missing if reason])
def test_every_reason_is_explained(reason: Missing) -> None:
    """Each reason for missing has its row."""
    assert f"| {reason.text} |" in TEXT


#: sub-score -> (the example's inputs, its last words, its value)
EXAMPLES: dict[str, tuple[dict[str, Any], str, float]] = {
    "oi_divergence": ({"open_interest_change": 0.005, "price_change": -0.01}, "= 50.", 50),
    "liquidity_pressure": ({"wall_ratio": 7.5, "bid_exhaustion": 0.4}, "= 65.", 65),
    "orderflow_imbalance": ({"ask_share": 0.7, "taker_sell_share": 0.8}, "= 86.", 86),
    "sweep": ({"sweep_multiple": 8.0, "sweep_age_s": 6.0}, "= 64.", 64),
    "btc_microtrend": ({"btc_return": 0.0015}, ": 50.", 50),
    "short_momentum": ({"momentum_z": -1.0, "vwap_distance": 0.02}, "= 47.", 47),
    "funding": ({"funding_rate_8h": 0.0003}, ": 30.", 30),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_every_sub_score_gives_what_its_example_says(name: str) -> None:
    """The worked example of the page comes out of the code."""
    inputs, words, value = EXAMPLES[name]
    assert words in section(name)
    scores = UPS.score(feature_frame(**inputs), ScoringSettings())
    assert scores.sub_scores[list(WEIGHTS).index(name), 0] == pytest.approx(value)
