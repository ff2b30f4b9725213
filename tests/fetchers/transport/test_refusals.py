"""What a refusal probably is."""

import pytest

from fetchers.transport.refusals import explain, guess

CLOUDFRONT = b"<HTML>The Amazon CloudFront distribution is configured to block access from your country.</HTML>"
BINANCE = b'{"code":0,"msg":"Service unavailable from a restricted location according to \'b. Eligibility\' in terms"}'


@pytest.mark.parametrize(
    ("status", "body", "what"),
    [
        (403, CLOUDFRONT, "country"),
        (451, BINANCE, "country"),
        (451, b"", "country"),
        (
            200,
            b'{"retCode":10024,"retMsg":"The product or service you are seeking is not available in your country"}',
            "country",
        ),
        (403, b"<html><head><title>Just a moment...</title></head></html>", "firewall"),
        (403, b"<HTML><HEAD><TITLE>Access Denied</TITLE></HEAD></HTML>", "firewall"),
        (403, b'{"retCode":10006,"retMsg":"access too frequent"}', ""),
        (429, b'{"code":-1003,"msg":"Too many requests"}', ""),
        (510, b'{"success":false,"code":510,"message":"Requests are too frequent"}', ""),
    ],
)
def test_guess(status: int, body: bytes, what: str) -> None:
    """A country, a firewall, or what it says itself."""
    assert guess(status, body) == what


def test_explain() -> None:
    """The other hosts are named where the venue has them, and the setting that takes another way."""
    assert "BYBIT_URL names another of its hosts (api.bybit.eu" in explain("bybit", 403, CLOUDFRONT)
    assert explain("binance", 451, BINANCE).endswith("it looks like a block of your country: BINANCE_PROXY another way")
    assert explain("mexc", 429, b"{}") == ""
