"""Reads a page strictly: every element closed in its order, with what the tests ask of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img", "hr", "input"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    parts: list[str | Element] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def below(self) -> list[Element]:
        return [part for part in self.parts if isinstance(part, Element)]

    def all(self, tag: str) -> list[Element]:
        found = []
        for element in self.below:
            found += [element] if element.tag == tag else []
            found += element.all(tag)
        return found

    @property
    def words(self) -> str:
        """Its text and that of everything below it, as it is read."""
        return " ".join(part if isinstance(part, str) else part.words for part in self.parts)


class Page(HTMLParser):
    """`root` holds the page; feeding broken nesting raises."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]
        self.feed(text)
        self.close()
        if len(self.open) > 1:
            raise ValueError(f"{self.open[-1].tag} is not closed")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if len(given) < len(attrs):
            raise ValueError(f"{tag} has an attribute twice: {attrs}")
        element = Element(tag, given)
        self.open[-1].parts.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if self.open[-1].tag != tag:
            raise ValueError(f"{tag} is closed where {self.open[-1].tag} is open")
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)

    def everything(self) -> list[Element]:
        found, rest = [], [self.root]
        while rest:
            element = rest.pop()
            found.append(element)
            rest.extend(reversed(element.below))
        return found
