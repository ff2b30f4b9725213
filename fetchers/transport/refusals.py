"""Guess from a refusal's words whether to wait, to slow down or to use another route."""

import re

from features.facts.venues import VENUES

COUNTRY = re.compile(
    r"your country|restricted location|restricted region|from the u\.?s|u\.?s\.? ip|eligibility|not available in your"
    r"|country/region|jurisdiction",
    re.IGNORECASE,
)
FIREWALL = re.compile(
    r"access denied|just a moment|attention required|captcha|cloudflare|akamai|request blocked|forbidden", re.IGNORECASE
)
LEGAL_REASONS = 451
_PAGE = 4000  #: characters looked through


def guess(status: int, body: bytes) -> str:
    """Return what a refusal probably is: "country", "firewall" or "" where it says itself what it is."""
    text = body[:_PAGE].decode(errors="replace")
    if status == LEGAL_REASONS or COUNTRY.search(text):
        return "country"
    is_page = text.lstrip().startswith("<")
    return "firewall" if is_page and FIREWALL.search(text) else ""


def explain(venue: str, status: int, body: bytes) -> str:
    """Return what to add to a refusal's own words, "" for nothing."""
    match guess(status, body):
        case "country":
            hosts = VENUES[venue].other_hosts if venue in VENUES else ""
            other = f"{venue.upper()}_URL names another of its hosts ({hosts}), or " if hosts else ""
            return f"; refused here, it looks like a block of your country: {other}{venue.upper()}_PROXY another way"
        case "firewall":
            return "; refused by its firewall: it may be this address, or too many requests from it"
    return ""
