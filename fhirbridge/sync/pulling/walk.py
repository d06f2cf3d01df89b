"""One search, page by page: what the server did with the question, and when it goes in circles.

Nothing that it says of itself is believed without a look: `self` against what was asked, `total`
against what came, and pages that bring nothing new.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.servers.client import Page, PageExpired, Server
from fhirbridge.sync.pulling import others
from fhirbridge.sync.source import instant

Pairs = Sequence[tuple[str, str]]
_STALE_PAGES = 3
_FILTERS = ("patient", "identifier", "_lastUpdated", "category", "code", "date", "status")


@dataclass
class Walk:
    """The pages of one search from where it stopped before; `newest` is the latest lastUpdated
    that was seen, `unstamped` whether a resource had none, `ignored` what the server says that it
    did not look at, `total` what it says that there is.
    """

    server: Server
    path: str
    pairs: Pairs
    start: str | None = None
    newest: datetime | None = None
    unstamped: bool = False
    ignored: tuple[str, ...] = ()
    total: int | None = None
    met: set[tuple[Any, Any]] = field(default_factory=set)
    stale: int = 0

    def pages(self) -> Iterator[Page]:
        """Raises `BridgeError` where the pages do not end; where the server has forgotten its link,
        the search is begun anew."""
        try:
            yield from self._pages(self.start)
        except PageExpired:
            self.met.clear()
            self.start, self.stale = None, 0
            yield from self._pages(None)

    def _pages(self, start: str | None) -> Iterator[Page]:
        found = self.server.pages(self.path, self.pairs, start=start, strict=True)
        for page in found:
            if start is None and page.number == 1:
                self.ignored = tuple(ignored(page.bundle, self.pairs))
                total = page.bundle.get("total")
                told = self.server.quirks.totals == "right" and isinstance(total, int)
                self.total = total if told else None
            self.look(page)
            yield page

    def look(self, page: Page) -> None:
        resources = [others.resource_of(entry) for entry in others.entries(page.bundle)]
        data = [r for r in resources if _is(r) and r.get("resourceType") != "OperationOutcome"]
        named = {(one.get("resourceType"), str(one.get("id"))) for one in data}
        new = named - self.met
        self.met |= new
        self.stale = 0 if new or not page.next_url else self.stale + 1
        if self.stale >= _STALE_PAGES:
            cause = f"{_STALE_PAGES} pages in a row brought nothing that had not come before"
            remedy = "tell the server's operator that its next links do not end"
            raise BridgeError(Issue("remote", cause, remedy))
        for one in data:
            self.stamp(one)

    def stamp(self, resource: Mapping[str, Any]) -> None:
        meta = resource.get("meta")
        stamped = instant(meta.get("lastUpdated")) if isinstance(meta, Mapping) else None
        if stamped is None:
            self.unstamped = True
        elif self.newest is None or stamped > self.newest:
            self.newest = stamped

    @property
    def short(self) -> bool:
        """Fewer came than the server says that there are, though all pages were read."""
        return self.start is None and self.total is not None and len(self.met) < self.total


def _is(resource: Any) -> bool:
    return isinstance(resource, Mapping)


def ignored(bundle: Mapping[str, Any], pairs: Pairs) -> Iterator[str]:
    """The filters that the self link does not have, where it has any of what was asked
    (https://hl7.org/fhir/R4/search.html#conformance): one that is opaque says nothing.

    >>> link = {"relation": "self", "url": "http://h/Observation?patient=1&_count=5"}
    >>> [*ignored({"link": [link]}, [("patient", "1"), ("_lastUpdated", "ge2026")])]
    ['_lastUpdated']
    """
    links = bundle.get("link")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, Mapping) and link.get("relation") == "self":
            told = _parameters(str(link.get("url", "")))
            if any(name in told for name, _ in pairs):
                for name in dict.fromkeys(name for name, _ in pairs):
                    meant = {name, "subject"} if name == "patient" else {name}
                    if name in _FILTERS and not meant & told:
                        yield name


def _parameters(url: str) -> set[str]:
    try:
        query = urlsplit(url).query
    except ValueError:
        return set()
    return {name.partition(":")[0] for name, _ in parse_qsl(query, keep_blank_values=True)}
