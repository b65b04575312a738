"""Reads a page as a browser's parser would: elements, their attributes, and the text outside of style and script."""

from __future__ import annotations

import re
from html.parser import HTMLParser


class ParsedPage(HTMLParser):
    """Everything that matters of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.code: list[str] = []
        self._inside = ""
        self.feed(page)
        self.close()

    @property
    def text(self) -> str:
        """All visible text, pieces divided by line ends."""
        return "\n".join(self.texts)

    def all(self, tag: str, css: str = "") -> list[dict[str, str | None]]:
        """Attributes of the elements of a tag, all or those of a class."""
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and (not css or css in (attributes.get("class") or "").split())
        ]

    def policy(self) -> dict[str, str]:
        """The content security policy by directive."""
        content = next(meta["content"] for meta in self.all("meta") if "http-equiv" in meta) or ""
        return dict(re.split(r"\s+", part.strip(), maxsplit=1) for part in content.split(";"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        (self.code if self._inside in ("style", "script") else self.texts).append(data)
