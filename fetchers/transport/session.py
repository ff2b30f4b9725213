"""Sessions of aiohttp that leave by their route."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from aiohttp_socks import ProxyConnector

from fetchers.transport.route import SOCKS, Route, proxy_for


def open_session(
    url: str, route: Route, *, sockets: int, keepalive_s: float = 15.0, **options: Any
) -> aiohttp.ClientSession:
    """Return a session for requests to `url`: no cookies, and no limit on a request's time but its caller's."""
    proxy = proxy_for(url, route)
    limits: dict[str, Any] = {"limit": sockets, "limit_per_host": sockets, "keepalive_timeout": keepalive_s}
    connector: aiohttp.TCPConnector
    if proxy and urlsplit(proxy).scheme in SOCKS:
        # names are looked up by the proxy: who needs one often cannot look them up
        connector = ProxyConnector.from_url(urlunsplit(urlsplit(proxy)._replace(scheme="socks5")), rdns=True, **limits)
        proxy = None
    else:
        connector = aiohttp.TCPConnector(ttl_dns_cache=300, **limits)
    return aiohttp.ClientSession(
        connector=connector,
        proxy=proxy,
        timeout=aiohttp.ClientTimeout(total=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": route.user_agent},
        **options,
    )
