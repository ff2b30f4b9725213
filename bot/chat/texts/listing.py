"""Lists that may be longer than a message, page by page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from bot.chat.delivery.sender import plain_text
from bot.chat.texts.markup import Markup, escape, lines, monospaced

PAGE_LINES = 10
LONGEST_PAGE = 3_500  #: characters of HTML; Telegram takes 4,096 of text, and counts some signs twice
LONGEST_LINE = 2_000
LONGEST_PIECE = 500  #: at most six times as much once escaped


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list that may be longer than a message: it is shown page by page."""

    title: str  #: text or Markup, as each of the lines
    lines: Sequence[str]
    is_table: bool = False  #: columns stay aligned

    @property
    def pages(self) -> int:
        """How many there are, one where the list is empty."""
        return len(self._pages())

    def _pages(self) -> list[list[Markup]]:
        """Cut the lines into pages by their number and their length, so that Telegram takes each."""
        pages: list[list[Markup]] = [[]]
        left = LONGEST_PAGE - len(escape(self.title))
        for line in map(escape, chain.from_iterable(map(_pieces, self.lines))):
            if pages[-1] and (len(pages[-1]) == PAGE_LINES or len(line) + 1 > left):
                pages.append([])
                left = LONGEST_PAGE - len(escape(self.title))
            pages[-1].append(line)
            left -= len(line) + 1
        return pages

    def page(self, number: int) -> Markup:
        """Return page `number` from 0."""
        pages = self._pages()
        body = lines(pages[number] or ["Nothing yet"])
        parts = [self.title, monospaced(body) if self.is_table and self.lines else body]
        if len(pages) > 1:
            parts.append(f"Page {number + 1} of {len(pages)}")
        return lines(parts)


def _pieces(line: str) -> Iterator[str]:
    """Yield a line as it is, or the pieces of one that is too long, as plain text: a cut could go through a tag."""
    if len(escape(line)) <= LONGEST_LINE:
        yield line
        return
    plain = plain_text(escape(line))
    for at in range(0, len(plain), LONGEST_PIECE):
        yield plain[at : at + LONGEST_PIECE]
