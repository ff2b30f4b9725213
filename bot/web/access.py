"""Who may read: the right Host and Origin, and the token, as a header or as the cookie of a login.

With a token every path but /health, /login and the page's own files asks for it, and /health then tells strangers (a
container's health check cannot easily carry one) nothing but whether all is well.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bot.config.load import is_loopback
from bot.web.replies import json_response

COOKIE = "sgnl_session"
COOKIE_DAYS = 30
INVITED_MS = 300_000  #: how long a link of /web may be used
_MOST_INVITED = 100
_OPEN = ("/health", "/login", "/static/")
_HOST = re.compile(r"(?:\[(?P<address>[0-9a-fA-F:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::[0-9]{1,5})?", re.ASCII)
_SHOWN = 40  #: characters of a bad value that an answer shows


def short(text: str) -> str:
    """Return as much of a bad value as an answer shows."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


class Access:
    """Checks the token, by whichever way it comes; `token` "" asks nobody for one."""

    def __init__(self, token: str, now_ms: Callable[[], int], page_url: str = "") -> None:
        self.token = token
        self.url = page_url.rstrip("/")  #: where a browser finds the page; "" before anybody listens
        self._now_ms = now_ms
        self._invited: dict[str, int] = {}  # one-time keys, with the time until which each is good

    @property
    def session(self) -> str:
        """The cookie's value: it follows from the token, so that it outlives a restart and ends with the token."""
        return hmac.digest(self.token.encode(), b"the page of SGNL", hashlib.sha256).hex()

    def may_read(self, request: web.Request) -> bool:
        """Whether the request carries the token or the cookie of a login."""
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        cookie = request.cookies.get(COOKIE, "").encode("utf-8", "surrogateescape")
        return (
            not self.token
            or hmac.compare_digest(given, f"Bearer {self.token}".encode())
            or hmac.compare_digest(cookie, self.session.encode())
        )

    def is_token(self, text: str) -> bool:
        """Whether it is the token."""
        return hmac.compare_digest(text.encode("utf-8", "surrogateescape"), self.token.encode())

    def invite(self) -> str:
        """Return a link that logs in once within five minutes, "" while nobody listens."""
        return f"{self.url}/login#{self._new_key()}" if self.url else ""

    def _new_key(self) -> str:
        now_ms = self._now_ms()
        self._invited = {key: until_ms for key, until_ms in self._invited.items() if until_ms > now_ms}
        if len(self._invited) == _MOST_INVITED:
            self._invited.pop(next(iter(self._invited)))
        key = secrets.token_urlsafe(24)
        self._invited[key] = now_ms + INVITED_MS
        return key

    def redeem(self, key: str) -> bool:
        """Use a key up; return whether it was good."""
        return self._invited.pop(key, 0) > self._now_ms()


def token_check(access: Access) -> Middleware:
    """Refuse who has no token; a browser that asks for the page is sent to the login."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(_OPEN) or access.may_read(request):
            return await handler(request)
        if request.path == "/":
            raise web.HTTPSeeOther("/login")
        raise web.HTTPUnauthorized(
            text="expected the header Authorization: Bearer HTTP_TOKEN", headers={"WWW-Authenticate": "Bearer"}
        )

    return check


def host_check(hosts: Collection[str]) -> Middleware:
    """Refuse what a page of another site lets a browser ask for, also by a name that it made lead here."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        if not _is_ours(request, host, hosts):
            raise web.HTTPForbidden(
                text=f'Host: was "{short(host)}", expected localhost, the address of this machine or one of HTTP_HOSTS'
            )
        origin = request.headers.get("Origin")
        if origin is not None and origin.lower() not in {f"http://{host}".lower(), f"https://{host}".lower()}:
            raise web.HTTPForbidden(text="Origin: pages of other sites may not read this")
        return await handler(request)

    return check


def _is_ours(request: web.Request, host: str, hosts: Collection[str]) -> bool:
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = (found["address"] or found["name"]).lower().removesuffix(".")
    if name in hosts or is_loopback(name) or name.endswith(".localhost"):
        return True
    local = request.get_extra_info("sockname")
    return local is not None and name == local[0]  # an address, not a name, so nobody else can make it lead here


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what is refused as JSON; a redirection stays one."""
    try:
        return await handler(request)
    except web.HTTPRedirection:
        raise
    except web.HTTPException as error:
        answer = json_response({"error": error.text}, error.status)
        answer.headers.update(
            {name: error.headers[name] for name in ("Allow", "WWW-Authenticate") if name in error.headers}
        )
        return answer
