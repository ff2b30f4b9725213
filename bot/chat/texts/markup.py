"""The one place where text becomes Telegram's HTML.

`Markup` is HTML; any other `str` is text. Text is escaped where it meets `Markup`: as a value of `html`, as a line of
`lines`, as the text of a message. So nobody has to remember to escape, and nothing is escaped twice.
"""

from collections.abc import Iterable

from markupsafe import Markup, escape  # noqa: TID251 - here

__all__ = ["Markup", "bold", "escape", "html", "join", "lines", "link", "monospaced", "stored"]


def html(template: str, *values: object) -> Markup:
    """Return the template, which is HTML, with the values in its braces: text is escaped, Markup is not."""
    return Markup(template).format(*values)  # noqa: S704 - ruff holds that every template is a literal


def lines(parts: Iterable[str]) -> Markup:
    """Join lines, each text or Markup."""
    return join("\n", parts)


def join(separator: str, parts: Iterable[str]) -> Markup:
    """Join parts, each text or Markup."""
    return escape(separator).join(parts)


def bold(text: str) -> Markup:
    """Return the text in bold."""
    return html("<b>{}</b>", text)


def monospaced(text: str) -> Markup:
    """Return lines whose columns stay aligned."""
    return html("<pre>{}</pre>", text)


def link(text: str, url: str) -> Markup:
    """Return the text as a link; `url` is quoted already."""
    return html('<a href="{}">{}</a>', url, text)


def stored(message: str) -> Markup:
    """Return the HTML of a message that comes back from the outbox."""
    return Markup(message)  # noqa: S704 - made by this module before it was stored
