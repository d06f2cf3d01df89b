"""A search's URL parameters as filters of the registry, and the links of its pages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from fhirbridge.fhir.search_parameters import PARAMETERS, span
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.study.definition import near
from fhirbridge.study.records import is_date

DEFAULT_COUNT, MOST = 50, 500
_PREFIX = re.compile(r"(eq|ge|gt|le|lt)?(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Search:
    """`given` are the parameters that were understood, for the self link."""

    type: str
    tokens: list[tuple[str, list[tuple[str | None, str]]]]
    dates: list[tuple[str, str, str, str]]
    count: int
    after: str | None
    total: bool
    given: tuple[tuple[str, str], ...]

    def url(self, base: str, *, after: str | None) -> str:
        pairs = [pair for pair in self.given if pair[0] != "_after"]
        pairs += [("_after", after)] if after else []
        return f"{base}/{self.type}?{urlencode(pairs)}" if pairs else f"{base}/{self.type}"


def _refuse(name: str, cause: str, remedy: str) -> BridgeError:
    return BridgeError(Issue("not-supported", cause, remedy, place=f"search parameter {name}"))


def read(type: str, given: Iterable[tuple[str, str]]) -> Search:
    """Raise `BridgeError` for a parameter that is unknown: nothing is ignored, all of it
    filters.
    """
    pairs = tuple(given)
    known = PARAMETERS[type]
    search = Search(type, [], [], DEFAULT_COUNT, None, total=False, given=pairs)
    values: dict[str, object] = {}
    for name, text in pairs:
        if "\0" in text:
            raise _refuse(name, "it holds the character U+0000", "search without it")
        if name == "_count":
            values["count"] = _count(text)
        elif name == "_after":
            values["after"] = text
        elif name == "_total":
            values["total"] = text == "accurate"
        elif name == "_format":
            _format(text)
        elif name == "_id":
            search.tokens.append((name, [("", part) for part in text.split(",")]))
        elif name not in known:
            remedy = near(name, {*known, "_id", "_count"})
            raise _refuse(name, f"{type} is not searched by '{name}'", remedy)
        elif known[name].kind == "date":
            search.dates.append(_date(name, text))
        elif known[name].kind == "reference":
            search.tokens.append((name, [("", _reference(part)) for part in text.split(",")]))
        else:
            search.tokens.append((name, [_token(part) for part in text.split(",")]))
    fields = {n: getattr(search, n) for n in Search.__slots__}
    return Search(**{**fields, **values})


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise _refuse("_count", "it is no whole number", f"give 1 to {MOST}")
    return min(max(int(text[:6]), 1), MOST)


def _format(text: str) -> None:
    if "json" not in text:
        raise _refuse("_format", "only JSON is spoken here", "leave it out")


def _token(text: str) -> tuple[str | None, str]:
    system, divided, code = text.partition("|")
    return (system, code) if divided else (None, text)


def _reference(text: str) -> str:
    return text if "/" in text else f"Patient/{text}"


def _date(name: str, text: str) -> tuple[str, str, str, str]:
    found = _PREFIX.fullmatch(text)
    if found is None or not is_date(found[2].replace(" ", "+"), time=True):
        raise _refuse(name, "it is no date", "write [eq|ge|gt|le|lt]YYYY-MM-DD")
    low, high = span(found[2].replace(" ", "+"))
    return name, found[1] or "eq", low, high
