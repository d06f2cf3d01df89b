"""The links of a page: to itself, and to the next one by a cursor."""

from __future__ import annotations

from urllib.parse import urlencode

from fhirbridge.web import searching, served
from fhirbridge.web.paging import NAME, Page, Pager, Pairs

LONGEST = 7500  # letters of a link; `serve` takes a request line of 8190


def of(pager: Pager, raw: Pairs, given: Pairs, *, last: str, hides: bool) -> dict[str, str]:
    """`raw` as it came, `given` as it was understood; `last` is the key that the page ends with
    where more follows; `hides`: nothing of `given` may stand in a URL.
    """
    hidden = given if hides else None
    visible = () if hides else given
    own = [text for name, text in raw if name == NAME]
    if hides and not own:
        own = [pager.cursor(Page("", hidden), visible)]
    made = {"self": _url(pager, visible, own)}
    if last:
        made["next"] = _url(pager, visible, [pager.cursor(Page(last, hidden), visible)])
    if hides and any(len(url) > LONGEST for url in made.values()):
        cause = "what is asked for is too long for the link to the next page"
        raise searching.refused("*", cause, "ask for fewer values at once")
    return made


def _url(pager: Pager, visible: Pairs, cursors: list[str]) -> str:
    query = urlencode([*visible, *((NAME, cursor) for cursor in cursors)])
    return f"{served.base()}/{pager.path}{'?' if query else ''}{query}"
