"""By which way requests leave: one rule for the venues, Telegram and whatever else the bot asks.

A proxy of the settings goes before those of the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, less NO_PROXY), which
never stand between the bot and its own machine. What a venue counts is the proxy's address.
"""

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp_socks import ProxyConnector

SOCKS, HTTP = ("socks5", "socks5h"), ("http", "https")
SCHEMES = (*HTTP, *SOCKS)
DIRECT = "direct"  #: in place of a proxy: none, whatever the environment says


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The route of requests to one host."""

    proxy: str = field(default="", repr=False)  #: a URL of `SCHEMES`, `DIRECT`, or "": what the environment says
    user_agent: str = "sgnl"  #: some edges refuse what HTTP libraries call themselves


ANY_ROUTE = Route()


def proxy_for(url: str, route: Route) -> str | None:
    """Return the proxy on the way to `url`, None where there is none.

    Raises
    ------
    ValueError
        The environment names a proxy of a scheme that nobody here speaks.
    """
    if route.proxy:
        return None if route.proxy == DIRECT else route.proxy
    parts = urlsplit(url)
    host = parts.hostname or ""
    if _is_here(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    if found and urlsplit(found).scheme not in SCHEMES:
        raise ValueError(
            f"a proxy of the scheme {urlsplit(found).scheme!r} cannot be used: one of {', '.join(SCHEMES)}"
        )
    return found


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


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
