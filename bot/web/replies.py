"""The common parts of all answers of the web app: headers, and JSON."""

from typing import Any

import orjson
from aiohttp import web

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": "SGNL",  # in place of the versions of aiohttp and Python
    "X-Content-Type-Options": "nosniff",
}


def to_json(body: Any) -> bytes:
    """Return the body as JSON, NaN as null."""
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def json_response(body: Any, status: int = 200) -> web.Response:
    """Return the body as JSON, NaN as null."""
    return web.Response(status=status, body=to_json(body), content_type="application/json")
