"""Search filters as SQL: tokens and dates as https://hl7.org/fhir/R4/search.html has them.

A date is an interval from its first to its last moment. Low and high of both sides are texts of one
form, so that text order is time order; an open side is the lowest or highest such text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, and_, false, not_, or_, select, type_coerce

from fhirbridge.fhir.search_parameters import indexed
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry import tables
from fhirbridge.registry.columns import TEXT

TokenFilter = tuple[str, Sequence[tuple[str | None, str]]]  # name, any of (system, value)
DateFilter = tuple[str, str, str, str]  # name, prefix, low, high
LAST_UPDATED = "_lastUpdated"


def conditions(
    type: str, tokens: Sequence[TokenFilter], dates: Sequence[DateFilter], *, site: str
) -> list[ColumnElement[bool]]:
    """All of these. A token's system None is any system, "" is no system."""
    resource = tables.resource.c
    return [
        resource.site_id == site,
        resource.type == type,
        resource.deleted == false(),
        *(_token(indexed(type, name), wanted, site=site) for name, wanted in tokens),
        *(_date(*wanted, site=site) for wanted in dates),
    ]


def _token(
    name: str, wanted: Sequence[tuple[str | None, str]], *, site: str
) -> ColumnElement[bool]:
    if name == "_id":
        return tables.resource.c.fhir_id.in_([value for _, value in wanted])
    token = tables.resource_token.c
    any_of = [_is(system, value) for system, value in wanted]
    marked = select(token.resource_id).where(
        token.site_id == site, token.name == name, or_(false(), *any_of)
    )
    return tables.resource.c.id.in_(marked)


def _is(system: str | None, value: str) -> ColumnElement[bool]:
    """`system|` is every code of the system."""
    token = tables.resource_token.c
    if system is None:
        return token.value == value
    return and_(token.system == system, *([token.value == value] if value else []))


def _date(name: str, prefix: str, low: str, high: str, *, site: str) -> ColumnElement[bool]:
    if name == LAST_UPDATED:
        return _told(prefix, _moment(low, high))
    date = tables.resource_date.c
    met = _told(prefix, _interval(low, high))
    dated = select(date.resource_id).where(date.site_id == site, date.name == name, met)
    return tables.resource.c.id.in_(dated)


def _interval(low: str, high: str) -> Mapping[str, ColumnElement[bool]]:
    """Section 3.1.1.5.2 of the page: eq contains, gt and lt overlap what lies beyond, sa and eb
    lie there as a whole; ap, where the page leaves the width open, overlaps."""
    date = tables.resource_date.c
    contained = and_(date.low >= low, date.high <= high)
    later, earlier = date.high > high, date.low < low
    return {
        "eq": contained,
        "ne": not_(contained),
        "sa": date.low > high,
        "eb": date.high < low,
        "ap": and_(date.low <= high, date.high >= low),
        "gt": later,
        "lt": earlier,
        "ge": or_(later, contained),
        "le": or_(earlier, contained),
    }


def _moment(low: str, high: str) -> Mapping[str, ColumnElement[bool]]:
    """The same of one moment, in the words that an index is asked in."""
    at = type_coerce(tables.resource.c.last_updated, TEXT)
    return {
        "eq": and_(at >= low, at <= high),
        "ne": or_(at < low, at > high),
        "sa": at > high,
        "eb": at < low,
        "ap": and_(at >= low, at <= high),
        "gt": at > high,
        "lt": at < low,
        "ge": at >= low,
        "le": at <= high,
    }


def _told(prefix: str, told: Mapping[str, ColumnElement[bool]]) -> ColumnElement[bool]:
    if prefix not in told:
        cause = f"the prefix '{prefix}' of a date is not supported"
        raise BridgeError(Issue("not-supported", cause, f"use one of {', '.join(told)}"))
    return told[prefix]
