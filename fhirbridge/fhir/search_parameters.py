"""The search parameters that the registry answers, and the index entries of a resource for them.

Follows https://hl7.org/fhir/R4/search.html; one table says what is wired, and the
CapabilityStatement is made from it.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple


class Parameter(NamedTuple):
    """`kind` is token, reference or date; `elements` are the JSON names that it looks at."""

    kind: str
    elements: tuple[str, ...]


_SUBJECT = Parameter("reference", ("subject",))
_USUAL = {"patient": _SUBJECT, "subject": _SUBJECT}
# name:kind=element+element; a token, and an element of the parameter's own name, where not said.
_EFFECTIVE = "effectiveDateTime+effectivePeriod+effectiveInstant"
_TABLE = f"""
CareTeam: identifier patient subject category status date:date=period
Condition: identifier patient subject code category clinical-status=clinicalStatus
    verification-status=verificationStatus
Consent: identifier patient:reference category scope status date:date=dateTime
DiagnosticReport: identifier patient subject code category status
    date:date=effectiveDateTime+effectivePeriod
Encounter: identifier patient subject class type status date:date=period
MedicationRequest: identifier patient subject code=medicationCodeableConcept intent status
    authoredon:date=authoredOn
Observation: identifier patient subject code category status date:date={_EFFECTIVE}
Patient: identifier gender birthdate:date=birthDate
Procedure: identifier patient subject code category status
    date:date=performedDateTime+performedPeriod
QuestionnaireResponse: identifier patient subject status authored:date
ResearchSubject: identifier patient:reference=individual individual:reference status
    date:date=period
"""


# What the code of an element of the type `code` belongs to, which it does not say itself
# (https://hl7.org/fhir/R4/search.html#token): the systems of the required value sets.
_STATUSES = {
    "CareTeam": "care-team-status",
    "Consent": "consent-state-codes",
    "DiagnosticReport": "diagnostic-report-status",
    "Encounter": "encounter-status",
    "MedicationRequest": "CodeSystem/medicationrequest-status",
    "Observation": "observation-status",
    "Procedure": "event-status",
    "QuestionnaireResponse": "questionnaire-answers-status",
    "ResearchSubject": "research-subject-status",
}
_IMPLICIT = {
    **{(type, "status"): f"http://hl7.org/fhir/{name}" for type, name in _STATUSES.items()},
    ("MedicationRequest", "intent"): "http://hl7.org/fhir/CodeSystem/medicationrequest-intent",
    ("Patient", "gender"): "http://hl7.org/fhir/administrative-gender",
}


def written(type: str, name: str, system: str | None) -> str | None:
    """The system as it stands in the index: that of a plain code does not.

    >>> written("Observation", "status", "http://hl7.org/fhir/observation-status")
    ''
    """
    return "" if system and system == _IMPLICIT.get((type, name)) else system


def _parameter(word: str) -> tuple[str, Parameter]:
    if word in _USUAL:
        return word, _USUAL[word]
    told, _, elements = word.partition("=")
    name, _, kind = told.partition(":")
    return name, Parameter(kind or "token", tuple((elements or name).split("+")))


def _types() -> Iterator[tuple[str, Mapping[str, Parameter]]]:
    for line in re.sub(r"\n +", " ", _TABLE).strip().splitlines():
        name, _, words = line.partition(":")
        yield name, dict(map(_parameter, words.split()))


PARAMETERS: Mapping[str, Mapping[str, Parameter]] = MappingProxyType(dict(_types()))


def includes(type: str) -> tuple[str, ...]:
    """What `_include` takes for the type: its references, all of which lead to a Patient.

    >>> includes("ResearchSubject")
    ('ResearchSubject:patient', 'ResearchSubject:individual')
    """
    known = PARAMETERS.get(type, {})
    return tuple(f"{type}:{name}" for name, p in known.items() if p.kind == "reference")


_LEAP_SECOND = re.compile(r":60(?=[.Z+-])")

Token = tuple[str, str, str]
Interval = tuple[str, str, str]


def _once() -> Iterator[tuple[str, Mapping[str, str]]]:
    for type, known in PARAMETERS.items():
        first: dict[Parameter, str] = {}
        yield type, {name: first.setdefault(parameter, name) for name, parameter in known.items()}


_INDEXED = dict(_once())


def indexed(type: str, name: str) -> str:
    """The name under which the index holds what the parameter looks at: two that look at the same
    stand there once.

    >>> indexed("Observation", "subject"), indexed("Observation", "code")
    ('patient', 'code')
    """
    return _INDEXED.get(type, {}).get(name, name)


def tokens(resource: Mapping[str, Any]) -> Iterator[Token]:
    """Every (parameter, system, value); a reference's system is empty, its value `Type/id`. Of
    parameters that look at the same the first; `_id` is a column of the resource itself."""
    type = resource["resourceType"]
    for name, parameter in PARAMETERS.get(type, {}).items():
        if _INDEXED[type][name] != name:
            continue
        for element in parameter.elements:
            for item in _items(resource.get(element)):
                if parameter.kind == "token":
                    yield from ((name, system, value) for system, value in _token(item))
                elif parameter.kind == "reference" and item.get("reference"):
                    yield name, "", item["reference"]


def intervals(resource: Mapping[str, Any]) -> Iterator[Interval]:
    """Every (parameter, first instant, last instant), in UTC."""
    for name, parameter in PARAMETERS.get(resource["resourceType"], {}).items():
        if parameter.kind == "date":
            for element in parameter.elements:
                value = resource.get(element)
                if isinstance(value, str):
                    yield name, *span(value)
                elif isinstance(value, Mapping):
                    low, high = value.get("start", "0001"), value.get("end", "9999")
                    yield name, span(low)[0], span(high)[1]


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _token(item: Any) -> Iterator[tuple[str, str]]:
    if isinstance(item, str):
        yield "", item
    elif "coding" in item:
        yield from ((c.get("system", ""), c["code"]) for c in item["coding"] if "code" in c)
    elif "value" in item:
        yield item.get("system", ""), item["value"]
    elif "code" in item:
        yield item.get("system", ""), item["code"]


def span(text: str) -> tuple[str, str]:
    """The first and the last instant of a FHIR date, dateTime or instant, as UTC text that sorts.

    A date without a zone is taken in UTC (https://hl7.org/fhir/R4/search.html#date).

    >>> span("2026-02")
    ('2026-02-01T00:00:00.000000Z', '2026-02-28T23:59:59.999999Z')
    """
    if "T" in text:
        return _moment(text)
    year, month, day = ([int(part) for part in text.split("-")] + [0, 0])[:3]
    first = datetime(year, month or 1, day or 1, tzinfo=UTC)
    last_month = month or 12
    last_day = day or calendar.monthrange(year, last_month)[1]
    last = datetime(year, last_month, last_day, 23, 59, 59, 999_999, tzinfo=UTC)
    return _stamp(first), _stamp(last)


def _moment(text: str) -> tuple[str, str]:
    """The second that is named; a leap second is the one before it, and years end at 1 and 9999."""
    text = _LEAP_SECOND.sub(":59", text).replace("Z", "+00:00")
    moment = datetime.fromisoformat(text)
    try:
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        moment = moment.replace(tzinfo=UTC)
    last = moment if "." in text else moment.replace(microsecond=999_999)
    return _stamp(moment), _stamp(last)


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z".rjust(27, "0")
