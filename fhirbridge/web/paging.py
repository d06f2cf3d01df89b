"""The cursor of a page's links: where the next page begins, sealed so that it fits nowhere else.

It opens for the site, the type and the query that it was made for, and for a day. Of a search by
POST it holds the query, too, so that no link brings it into a URL.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.vault import Vault

NAME = "_cursor"
LIFE = timedelta(hours=24)
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """`after` is the last key of the page before, `hidden` the query of a search by POST."""

    after: str
    hidden: Pairs | None = None


@dataclass(frozen=True, slots=True)
class Pager:
    """Makes and reads the cursors of one site's one search: `path` is a type, or what it pages."""

    vault: Vault
    site_id: str
    path: str
    now: datetime

    def cursor(self, page: Page, visible: Pairs) -> str:
        """`visible` are the parameters that stand in the URL beside it."""
        told = {
            "until": (self.now + LIFE).isoformat(),
            "after": page.after,
            "hidden": None if page.hidden is None else [list(pair) for pair in page.hidden],
        }
        return self.vault.ticket(zlib.compress(fhir_json.dump(told)), place=self._place(visible))

    def read(self, given: Iterable[tuple[str, str]]) -> tuple[Pairs, Page | None]:
        """The parameters without the cursor, and the page that the cursor names; those of a
        search by POST where it hides them.
        """
        pairs = tuple(given)
        cursors = [text for name, text in pairs if name == NAME]
        visible = tuple(pair for pair in pairs if pair[0] != NAME)
        if not cursors:
            return visible, None
        raw = self.vault.read_ticket(cursors[0], place=self._place(visible))
        if raw is None or len(cursors) > 1:
            raise _refused("it was not made for this site and this search")
        told = fhir_json.parse(zlib.decompress(raw))
        if datetime.fromisoformat(told["until"]) < self.now:
            raise _refused("it is older than a day")
        hidden = told["hidden"]
        page = Page(told["after"], hidden and tuple((name, text) for name, text in hidden))
        return (visible if page.hidden is None else page.hidden), page

    def _place(self, visible: Pairs) -> str:
        return f"page\n{self.site_id}\n{self.path}\n{urlencode(sorted(visible))}"


def _refused(cause: str) -> BridgeError:
    remedy = "take the link 'next' of an answer as it is, or search anew"
    return BridgeError(Issue("value", f"the cursor is not taken: {cause}", remedy, place=NAME))
