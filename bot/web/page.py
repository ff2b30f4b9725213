"""The page and its files, and the login that keeps the token in a cookie no script can read."""

from importlib.resources import files

from aiohttp import web

from bot.web.access import COOKIE, COOKIE_DAYS, Access

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
}
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_DAY_S = 86_400
_SHOWS_LOGOUT = "sgnl_page"  #: a cookie that scripts can read, of no worth by itself


class Page:
    """Serves the files of bot/web/static, read once."""

    def __init__(self, access: Access) -> None:
        self._access = access
        folder = files("bot.web") / "static"
        self._files = {
            one.name: (one.read_bytes(), _TYPES[f".{one.name.rpartition('.')[2]}"])
            for one in folder.iterdir()
            if one.is_file()
        }

    def routes(self) -> list[web.RouteDef]:
        """Return the paths and what answers each."""
        return [
            web.get("/", self.index),
            web.get("/static/{name}", self.file),
            web.get("/login", self.login),
            web.post("/login", self.log_in),
            web.post("/logout", self.log_out),
        ]

    async def index(self, _request: web.Request) -> web.Response:
        """The dashboard."""
        return self._answer("index.html")

    async def file(self, request: web.Request) -> web.Response:
        """A style sheet or a script."""
        name = request.match_info["name"]
        if name not in self._files:
            raise web.HTTPNotFound(text="there is no such file")
        return self._answer(name)

    async def login(self, _request: web.Request) -> web.Response:
        """The form that asks for the token, or for a press where a link of /web has brought a key."""
        return self._answer("login.html")

    async def log_in(self, request: web.Request) -> web.Response:
        """Keep a right token, or a good key of /web, as a cookie."""
        form = await request.post()
        token, key = (str(form.get(name, "")) for name in ("token", "key"))
        if not (self._access.redeem(key) if key else self._access.is_token(token)):
            return _see("/login#used" if key else "/login#wrong")
        answer = _see("/")
        is_secure = request.headers.get("X-Forwarded-Proto", request.scheme) == "https"
        for name, value in ((COOKIE, self._access.session), (_SHOWS_LOGOUT, "1")):
            answer.set_cookie(
                name,
                value,
                max_age=COOKIE_DAYS * _DAY_S,
                httponly=name == COOKIE,
                samesite="Strict",
                secure=is_secure,
            )
        return answer

    async def log_out(self, _request: web.Request) -> web.Response:
        """Forget the cookie."""
        answer = _see("/login")
        for name in (COOKIE, _SHOWS_LOGOUT):
            answer.del_cookie(name, samesite="Strict")
        return answer

    def _answer(self, name: str) -> web.Response:
        body, content_type = self._files[name]
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=PAGE_HEADERS)


def _see(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path})
