"""Lists that may be longer than a message, page by page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain

from bot.chat.delivery.sender import plain_text

PAGE_LINES = 10


LONGEST_PAGE = 3_500  #: characters of HTML; Telegram takes 4,096 of text, and counts some signs twice


LONGEST_LINE = 2_000


LONGEST_PIECE = 500  #: at most six times as much once escaped


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list that may be longer than a message: it is shown page by page."""

    title: str  #: HTML, as each of the lines
    lines: Sequence[str]
    is_table: bool = False  #: columns stand under each other

    @property
    def pages(self) -> int:
        """How many there are, one where the list is empty."""
        return len(self._pages())

    def _pages(self) -> list[list[str]]:
        """Cut the lines into pages by their number and their length, so that Telegram takes each."""
        pages: list[list[str]] = [[]]
        left = LONGEST_PAGE - len(self.title)
        for line in chain.from_iterable(map(_pieces, self.lines)):
            if pages[-1] and (len(pages[-1]) == PAGE_LINES or len(line) + 1 > left):
                pages.append([])
                left = LONGEST_PAGE - len(self.title)
            pages[-1].append(line)
            left -= len(line) + 1
        return pages

    def page(self, number: int) -> str:
        """Return page `number` from 0."""
        pages = self._pages()
        lines = "\n".join(pages[number]) or "Nothing yet"
        body = f"<pre>{lines}</pre>" if self.is_table and self.lines else lines
        count = f"\nPage {number + 1} of {len(pages)}" if len(pages) > 1 else ""
        return f"{self.title}\n{body}{count}"


def _pieces(line: str) -> Iterator[str]:
    """Yield a line as it is, or the pieces of one that is too long, as plain text: a cut could go through a tag."""
    if len(line) <= LONGEST_LINE:
        yield line
        return
    plain = plain_text(line)
    for at in range(0, len(plain), LONGEST_PIECE):
        yield escape(plain[at : at + LONGEST_PIECE])
