"""What servers of a make do otherwise than R4 says, as data: one entry a make, each with its
evidence.

Nothing here is trusted blindly: `connection check` looks what this server does, and what comes back
is filtered again. https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple


class Evidence(NamedTuple):
    """Where a quirk was seen or read, and when."""

    quirk: str
    told: str
    source: str
    month: str


@dataclass(frozen=True, slots=True)
class Quirks:
    """How a server departs from R4; the defaults are a server that does not."""

    name: str = "generic"
    software: tuple[str, ...] = ()  # how CapabilityStatement.software.name begins, in lower case
    last_updated: bool = True  # `_lastUpdated` filters; else updates are seen by full pulls alone
    ignores: frozenset[str] = frozenset()  # search parameters that are dropped in silence
    ignores_unknown: bool = True  # a parameter that it does not know: dropped; else 400
    page_limit: int = 0  # the most resources of a page, whatever `_count` says; 0: none known
    outcome_entries: bool = False  # an OperationOutcome stands among the entries, also of success
    totals: Literal["right", "missing", "page"] = "right"  # `page`: the size of the page
    relative_links: bool = False
    xml_by_default: bool = False
    everything: bool | None = None  # Patient/$everything; None: as its CapabilityStatement says
    everything_since: bool = True  # ... and its `_since`
    export: tuple[Literal["system", "patient", "group"], ...] | None = None  # None: as it says
    post_search: bool = True
    stale_status: Literal[409, 412] = 412  # the answer to an overtaken If-Match
    evidence: tuple[Evidence, ...] = ()


_EPIC_MAP = "behaviour seen on Epic's sandbox, listed in the study's code book (section 7)"
_SMART_FETCH = "smart-on-fhir/smart-fetch"
_OWN_RUNS = "HAPI FHIR 8.4.0, our own runs"

GENERIC = Quirks()

EPIC = Quirks(
    name="epic",
    software=("epic",),
    last_updated=False,
    ignores=frozenset({"_lastUpdated"}),
    outcome_entries=True,
    totals="page",
    relative_links=True,
    xml_by_default=True,
    page_limit=1000,
    export=("group",),
    evidence=(
        Evidence(
            "last_updated",
            "`_lastUpdated` is not declared, and `meta.lastUpdated` not filled",
            f"{_SMART_FETCH} docs/since.md; smart-on-fhir/cumulus-etl docs/vendors/epic.md",
            "2025-02",
        ),
        Evidence(
            "ignores",
            "parameters that it does not know are dropped in silence",
            _EPIC_MAP,
            "2026-04",
        ),
        Evidence(
            "outcome_entries",
            "a search without a match has an OperationOutcome as its entry",
            _EPIC_MAP,
            "2026-04",
        ),
        Evidence("totals", "Bundle.total is the page's size under `_count`", _EPIC_MAP, "2026-04"),
        Evidence("relative_links", "references are relative only", _EPIC_MAP, "2026-04"),
        Evidence("xml_by_default", "without Accept the answer is XML", _EPIC_MAP, "2026-04"),
        Evidence(
            "page_limit", "a first page of vital signs had 1,000 entries", _EPIC_MAP, "2026-04"
        ),
        Evidence(
            "export",
            "of a Group alone, once a day for a client and group; `$export` of the system is "
            "404 with HTML",
            f"smart-on-fhir/cumulus-etl docs/vendors/epic.md; {_EPIC_MAP}",
            "2026-04",
        ),
    ),
)

ORACLE = Quirks(
    name="oracle",
    software=("cerner", "oracle", "millennium"),
    export=("group",),
    evidence=(
        Evidence(
            "export",
            "of a Group alone; wants `_type` as one list, has sent a Retry-After of five hours",
            f"{_SMART_FETCH} smart_fetch/bulk_utils.py",
            "2025-11",
        ),
        Evidence(
            "page_limit",
            "the most that `_count` gives differs by type, not told in link[self]: none is set",
            "Oracle Health AI Application Suite FHIR APIs change log (docs.oracle.com)",
            "2026-05",
        ),
        Evidence(
            "last_updated",
            "taken by most types of R4 since; not together with `date` for an Observation",
            "cerner/fhir.cerner.com, pull requests 161, 1032 and 1037",
            "2024-02",
        ),
    ),
)

HAPI = Quirks(
    name="hapi",
    software=("hapi fhir",),
    ignores_unknown=False,
    totals="missing",
    everything=True,
    everything_since=False,
    export=("system", "patient", "group"),
    stale_status=409,
    evidence=(
        Evidence(
            "ignores_unknown",
            "an unknown parameter is 400, also with handling=lenient",
            _OWN_RUNS,
            "2026-11",
        ),
        Evidence(
            "totals",
            "absent until the search is complete; `_total=accurate` gives it",
            _OWN_RUNS,
            "2026-11",
        ),
        Evidence("everything", "known", _OWN_RUNS, "2026-11"),
        Evidence("export", "of all three", _OWN_RUNS, "2026-11"),
        Evidence(
            "everything_since",
            "`$everything` pages and knows `_type`, and ignores `_since`",
            _OWN_RUNS,
            "2026-11",
        ),
        Evidence(
            "stale_status",
            "an overtaken If-Match is 409, not 412",
            _OWN_RUNS,
            "2026-11",
        ),
    ),
)

MAKES: Mapping[str, Quirks] = {q.name: q for q in (GENERIC, EPIC, ORACLE, HAPI)}


def named(option: str, software: str = "") -> Quirks:
    """Those of the option, or where it is empty of what the server calls its software.

    >>> named("", "HAPI FHIR Server").name, named("epic", "HAPI FHIR Server").name, named("").name
    ('hapi', 'epic', 'generic')
    """
    if option:
        return MAKES[option]
    told = software.strip().lower()
    found = (q for q in MAKES.values() if any(told.startswith(start) for start in q.software))
    return next(found, GENERIC)


def software_of(statement: Mapping[str, Any]) -> str:
    """`software.name` of a CapabilityStatement that nobody has judged."""
    software = statement.get("software")
    name = software.get("name") if isinstance(software, Mapping) else None
    return name if isinstance(name, str) else ""
