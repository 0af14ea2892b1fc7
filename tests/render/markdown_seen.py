"""Markdown as a browser would see it: through the renderer that GitHub uses, raw HTML allowed."""

from __future__ import annotations

from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options

HARMLESS = {
    *("h3", "h4", "p", "code", "strong", "em", "ul", "li", "pre", "details", "summary", "span"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}


class Seen(HTMLParser):
    """What there is on a page: its tags with their attributes, its comments, and its text."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.comments: list[str] = []
        self.blocks: list[str] = []
        self.summaries: list[str] = []
        self._in: list[str] = []
        self.words: list[str] = []
        self.html = cmarkgfm.github_flavored_markdown_to_html(markdown, options=Options.CMARK_OPT_UNSAFE)
        self.feed(self.html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in.append(tag)
        if tag == "pre":
            self.blocks.append("")
        elif tag == "summary":
            self.summaries.append("")

    def handle_endtag(self, tag: str) -> None:
        while self._in and self._in.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if "pre" in self._in:
            self.blocks[-1] += data
        elif "summary" in self._in:
            self.summaries[-1] += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)

    def links(self) -> list[str]:
        return [attrs.get("href") or "" for tag, attrs in self.tags if tag == "a"]

    def assert_harmless(self, *links: str) -> None:
        """Nothing but our own tags, without attributes that do anything; links only to those beginnings."""
        for tag, attrs in self.tags:
            if tag == "a":
                assert set(attrs) == {"href"} and (attrs["href"] or "").startswith(links or ("\0",)), attrs
                continue
            assert tag in HARMLESS, (tag, attrs)
            assert not attrs.keys() - {"open", "lang", "align"}, (tag, attrs)
        assert all(comment.startswith(" reconcile:plan {") for comment in self.comments), self.comments
        assert len(self.comments) == 1
