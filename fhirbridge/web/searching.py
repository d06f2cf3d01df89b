"""A search's URL parameters as filters of the registry: https://hl7.org/fhir/R4/search.html.

What is unknown is refused, or with `Prefer: handling=lenient` dropped and told. A wrong value and
an unknown modifier are refused always: to drop them would find more than was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.fhir import search_values
from fhirbridge.fhir.search_parameters import PARAMETERS, Parameter, includes, written
from fhirbridge.outcome import BridgeError, Issue, operation_outcome
from fhirbridge.registry.search import LAST_UPDATED, DateFilter, TokenFilter
from fhirbridge.study.definition import near
from fhirbridge.web import speaking
from fhirbridge.web.bodies import MOST_FIELDS

DEFAULT_COUNT, MOST = 50, 500
MOST_VALUES, LONGEST = 100, 1000  # of one parameter, and letters of one value
PROVENANCE = "Provenance:target"
_FRACTION = re.compile(r"\.(\d{1,6})(?=Z|[+-])")

Pairs = tuple[tuple[str, str], ...]


@dataclass
class Search:
    """What is asked for. `given` are the parameters that were understood, for the links; `dropped`
    are the names of the others.
    """

    type: str
    base: str = ""
    tokens: list[TokenFilter] = field(default_factory=list)
    dates: list[DateFilter] = field(default_factory=list)
    includes: list[str] = field(default_factory=list)
    count: int = DEFAULT_COUNT
    total: bool = False
    summary: bool = False
    given: Pairs = ()
    dropped: tuple[str, ...] = ()

    @property
    def counts_only(self) -> bool:
        return self.summary or self.count == 0

    def values(self, name: str) -> list[str]:
        """The plain values that a token parameter may have; of none given, none."""
        return [value for n, wanted in self.tokens if n == name for _, value in wanted]


def is_lenient(prefer: str) -> bool:
    """What `Prefer` says: strict where it says nothing.

    >>> is_lenient("return=minimal; handling=lenient")
    True
    """
    words = [word.strip().lower().replace('"', "") for word in re.split("[,;]", prefer)]
    return "handling=lenient" in words and "handling=strict" not in words


def read(
    type: str,
    given: Iterable[tuple[str, str]],
    *,
    base: str = "",
    lenient: bool = False,
    known: Mapping[str, Parameter] | None = None,
) -> Search:
    """`known` are the parameters, where they are not those of a type that the registry holds."""
    search, understood = Search(type, base), []
    dropped: dict[str, None] = {}
    parameters = PARAMETERS[type] if known is None else known
    pairs = tuple(given)
    if len(pairs) > MOST_FIELDS:
        raise refused("*", f"there are more than {MOST_FIELDS} parameters", "ask for less")
    for name in _ONCE:
        if len({text for n, text in pairs if n == name}) > 1:
            raise refused(name, "it is given twice, and not alike", "give it once")
    for name, text in pairs:
        if "\0" in text:
            raise refused(name, "it holds the character U+0000", "search without it")
        fault = _take(search, parameters, name, text)
        if fault is None:
            understood.append((name, text))
        elif not lenient:
            raise fault
        else:
            dropped[name[:64]] = None
    search.given, search.dropped = tuple(understood), tuple(dropped)
    return search


def _take(
    search: Search, known: Mapping[str, Parameter], name: str, text: str
) -> BridgeError | None:
    """Put the parameter into the search; what keeps it from being understood comes back, what is
    wrong with it is raised.
    """
    if name in _RESULT:
        return _RESULT[name](search, text)
    plain, modified, _ = name.partition(":")
    if modified and plain in (*known, *_ALWAYS):
        raise refused(name, f"'{plain}' takes no modifier here", "leave the modifier out")
    if name == "_id":
        search.tokens.append((name, [("", part) for part in _values(name, text)]))
    elif name == LAST_UPDATED and name not in known and search.type in PARAMETERS:
        search.dates.append(_date(name, text))
    elif name not in known:
        remedy = near(name, {*known, *_ALWAYS, *_RESULT})
        return refused(name, f"{search.type} is not searched by '{name[:64]}'", remedy)
    elif known[name].kind == "date":
        search.dates.append(_date(name, text))
    elif known[name].kind == "reference":
        parts = (search_values.reference(part, search.base) for part in _values(name, text))
        search.tokens.append((name, [("", part) for part in parts]))
    else:
        search.tokens.append((name, [_token(search.type, name, v) for v in _values(name, text)]))
    return None


def told(search: Search, new_id: Callable[[], str]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """An entry for what a lenient search has dropped, as (mode, fullUrl, resource)."""
    issues = [
        Issue("not-supported", f"the parameter '{name}' was dropped", severity="warning")
        for name in search.dropped
    ]
    return [("outcome", f"urn:uuid:{new_id()}", operation_outcome(issues))] if issues else []


def refused(name: str, cause: str, remedy: str) -> BridgeError:
    place = f"search parameter {name[:64]}"
    return BridgeError(Issue("not-supported", cause, remedy, place=place))


def take_count(search: Search, text: str) -> None:
    if not text.isascii() or not text.isdigit():
        raise refused("_count", "it is no whole number", f"give 0 to {MOST}")
    search.count = min(int(text[:9]), MOST)


def _total(search: Search, text: str) -> None:
    if text not in ("none", "estimate", "accurate"):
        raise refused("_total", "it is no such word", "give none, estimate or accurate")
    search.total = text != "none"


def _summary(search: Search, text: str) -> BridgeError | None:
    if text not in ("count", "false"):
        return refused("_summary", "resources are served whole", "give count, or leave it out")
    search.summary = text == "count"
    return None


def _format(search: Search, text: str) -> None:
    speaking.must_be_json(text)


def _include(search: Search, text: str) -> BridgeError | None:
    """`Type:parameter` or `Type:parameter:Patient`."""
    wanted = text.removesuffix(":Patient")
    if wanted not in includes(search.type):
        remedy = near(wanted[:64], includes(search.type) or ("_id",))
        return refused("_include", f"{search.type} includes no such thing", remedy)
    search.includes.append(wanted.partition(":")[2])
    return None


def _revinclude(search: Search, text: str) -> BridgeError | None:
    if text != PROVENANCE or search.type not in PARAMETERS:
        return refused("_revinclude", "no such thing is included", f"give {PROVENANCE}")
    search.includes.append(PROVENANCE)
    return None


_ALWAYS = ("_id", LAST_UPDATED)
_ONCE = ("_count", "_total", "_summary")
_RESULT: Mapping[str, Callable[[Search, str], BridgeError | None]] = {
    "_count": take_count,
    "_total": _total,
    "_summary": _summary,
    "_format": _format,
    "_include": _include,
    "_revinclude": _revinclude,
}


def _values(name: str, text: str) -> list[str]:
    """The alternatives, divided by commas that no backslash stands before."""
    parts, start, at = [], 0, 0
    if len(text) <= MOST_VALUES * LONGEST:
        while at < len(text):
            if text[at] == ",":
                parts.append(text[start:at])
                start = at + 1
            at += 2 if text[at] == "\\" else 1
    parts.append(text[start:])
    if len(parts) > MOST_VALUES or any(len(part) > LONGEST for part in parts):
        cause = f"it has more than {MOST_VALUES} values, or one of more than {LONGEST} letters"
        raise refused(name, cause, "ask several times")
    if not all(parts) or "\0" in text:
        raise refused(name, "a value is empty or no text", "give a value, or leave it out")
    return parts


def _token(type: str, name: str, text: str) -> tuple[str | None, str]:
    system, code = search_values.token(text)
    if not system and not code:
        raise refused(name, "it has neither system nor code", "give system|code")
    return written(type, name, system), code


def _date(name: str, text: str) -> DateFilter:
    read = search_values.date(text)
    if read is None:
        raise refused(name, "it is no date", "write a prefix or none, and YYYY-MM-DD")
    prefix, low, high = read
    fraction = _FRACTION.search(text.replace(" ", "+"))
    if fraction and name == LAST_UPDATED:  # it is served to the millisecond and kept more exactly
        digits = len(fraction[1])
        high = f"{low[: 20 + digits]}{'9' * (6 - digits)}Z"
    return name, prefix, low, high
