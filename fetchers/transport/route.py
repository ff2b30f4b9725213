"""By which way requests leave: one rule for the venues, Telegram and whatever else the bot asks.

A proxy of the settings goes before those of the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, less NO_PROXY), which
are never used for the bot's own machine. What a venue counts is the proxy's address.
"""

from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

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
        The environment names a proxy of a scheme that is not supported.
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


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
