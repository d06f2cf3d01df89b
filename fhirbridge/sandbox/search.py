"""Search of the sandbox hospital (https://hl7.org/fhir/R4/search.html): a few parameters, exactly.

What it does not know it refuses with 400, as HAPI FHIR does; it never answers half a question.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fhirbridge.sandbox.store import Refusal, Resource, Store, Version

# Type, then its search parameters; `=` names the element where it is called otherwise.
# From R4's own SearchParameters (4.0.1). An element stands for all of its choices.
_TABLE = """
AdverseEvent: subject category date
AllergyIntolerance: identifier patient code category date=recordedDate
Binary:
BodyStructure: identifier patient
CarePlan: identifier patient=subject subject category status date=period
CareTeam: identifier patient=subject subject category status date=period
Composition: identifier patient=subject subject category status date
Condition: identifier patient=subject subject code category
Consent: identifier patient category status date=dateTime
Coverage: identifier patient=beneficiary status
Device: identifier patient status
DiagnosticReport: identifier patient=subject subject code category status date=effective
DocumentReference: identifier patient=subject subject category status date
Encounter: identifier patient=subject subject status date=period
EpisodeOfCare: identifier patient status date=period
Flag: identifier patient=subject subject date=period
Goal: identifier patient=subject subject category
Group: identifier code
ImagingStudy: identifier patient=subject subject status
Immunization: identifier patient status date=occurrence
List: identifier patient=subject subject code status date
Location: identifier status
Media: identifier patient=subject subject status
Medication: identifier code status
MedicationAdministration: identifier patient=subject subject code=medication status
MedicationRequest: identifier patient=subject subject code=medication category status
MedicationStatement: identifier patient=subject subject code=medication category status
Observation: identifier patient=subject subject code category status date=effective
Organization: identifier
Patient: identifier
Practitioner: identifier
PractitionerRole: identifier date=period
Procedure: identifier patient=subject subject code category status date=performed
Provenance: patient=target
Questionnaire: identifier status date
QuestionnaireResponse: identifier patient=subject subject status
RelatedPerson: identifier patient
ResearchStudy: identifier category status date=period
ResearchSubject: identifier patient=individual status date=period
ServiceRequest: identifier patient=subject subject code category status
Specimen: identifier patient=subject subject status
"""

_EVERYWHERE = {"_id": "id", "_lastUpdated": "meta"}
_KINDS = {
    "_id": "token",
    "_lastUpdated": "date",
    "date": "date",
    "patient": "reference",
    "subject": "reference",
}
_RESULT = ("_count", "_total", "_format", "_include")
_PREFIXES = ("ge", "gt", "le", "lt", "eq")
_LARGEST_PAGE = 1000
_EVER = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))

_MOMENT = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)"
    r"(T(?P<hour>\d\d):(?P<minute>\d\d)(:(?P<second>\d\d)(?P<fraction>\.\d{1,9})?)?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?"
)

Interval = tuple[datetime, datetime]


def _row(line: str) -> tuple[str, dict[str, str]]:
    kind, _, words = line.partition(":")
    pairs = (word.partition("=") for word in words.split())
    return kind, {**_EVERYWHERE, **{name: element or name for name, _, element in pairs}}


PARAMETERS: dict[str, dict[str, str]] = dict(_row(line) for line in _TABLE.strip().splitlines())


def parameter_type(name: str) -> str:
    return _KINDS.get(name, "token")


@dataclass(frozen=True, slots=True)
class Filter:
    """One parameter as given: any of `wanted` must fit."""

    name: str
    element: str
    wanted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """A search understood: all filters must hold. `count` None: the server's page size."""

    kind: str
    filters: tuple[Filter, ...]
    count: int | None = None
    total: bool = False
    include: str = ""  # the element whose targets come along, after the type and a colon


def understand(kind: str, pairs: Iterable[tuple[str, str]]) -> Search:
    """Raises `Refusal` (400) for a parameter or a value that is not known here."""
    known = PARAMETERS[kind]
    filters, result = [], {}
    for name, text in pairs:
        if name in _RESULT:
            result[name] = text
        elif name in known:
            wanted = tuple(re.sub(r"\\(.)", r"\1", w) for w in re.split(r"(?<!\\),", text))
            if parameter_type(name) == "date":
                wanted = tuple(w.replace(" ", "+") for w in wanted)  # a raw + of the URL
                for w in wanted:
                    _comparison(w)
            filters.append(Filter(name, known[name], wanted))
        else:
            told = f"unknown search parameter '{name}' of {kind}; known: {', '.join(known)}"
            raise Refusal("not-supported", told)
    include = result.get("_include", "").partition(":")[2]
    total = result.get("_total") == "accurate"
    return Search(kind, tuple(filters), _count(result), total, include)


def _count(result: dict[str, str]) -> int | None:
    text = result.get("_count")
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,9}", text):
        raise Refusal("value", f"invalid _count: {text}")
    return min(int(text), _LARGEST_PAGE)


def run(store: Store, search: Search) -> list[Version]:
    """What fits now, in the order of first arrival."""
    ids = _where_to_look(store, search)
    found = store.live(search.kind, ids)
    return [version for version in found if all(_fits(version, f) for f in search.filters)]


def _where_to_look(store: Store, search: Search) -> list[str] | None:
    """Ids that an index names; None: every resource of the type."""
    for given in search.filters:
        if given.name == "_id":
            return [*dict.fromkeys(given.wanted)]
        if given.name == "identifier" and not any(w.endswith("|") for w in given.wanted):
            values = [w.rpartition("|")[2] for w in given.wanted]
            return [*dict.fromkeys(i for v in values for i in store.identified(search.kind, v))]
        if given.name == "patient" and all(_patient(w) for w in given.wanted):
            paths = [_patient(w) for w in given.wanted]
            holders = (key for path in paths for key in store.referrers(path))
            return [*dict.fromkeys(i for kind, i in holders if kind == search.kind)]
    return None


def _patient(text: str) -> str:
    return text if text.startswith("Patient/") else f"Patient/{text}" if "/" not in text else ""


def _fits(version: Version, given: Filter) -> bool:
    resource = version.resource or {}
    if given.name == "_id":
        return version.id in given.wanted
    if given.name == "_lastUpdated":
        exact = (version.updated, version.updated + timedelta(microseconds=1))
        return any(_within(exact, w) for w in given.wanted)
    values = list(_values(resource, given.element))
    if parameter_type(given.name) == "date":
        spans = [span for span in map(_span, values) if span]
        return any(_within(span, w) for span in spans for w in given.wanted)
    if parameter_type(given.name) == "reference":
        if given.name == "patient":
            values = [v for v in values if v.get("reference", "").startswith("Patient/")]
        return any(_refers(v, w) for v in values for w in given.wanted)
    return any(_is_token(token, w) for v in values for token in _tokens(v) for w in given.wanted)


def _values(resource: Resource, element: str) -> Iterator[Any]:
    """Values of an element, or of whichever choice of it is there: effective, effectivePeriod."""
    choice = re.compile(rf"{element}([A-Z]\w*)?")
    for name, value in resource.items():
        if choice.fullmatch(name):
            yield from value if isinstance(value, list) else [value]


def _tokens(value: Any) -> Iterator[tuple[str | None, str]]:
    """System and code of a code (None: its system is understood), Identifier or CodeableConcept."""
    if isinstance(value, str):
        yield None, value
    elif isinstance(value, dict) and "coding" in value:
        for coding in value["coding"]:
            yield coding.get("system", ""), coding.get("code", "")
    elif isinstance(value, dict):
        yield value.get("system", ""), value.get("value", "")


def _is_token(token: tuple[str | None, str], wanted: str) -> bool:
    system, bar, code = wanted.rpartition("|")
    return (
        (not bar or token[0] in (None, system)) and (code in ("", token[1])) and bool(bar or code)
    )


def _refers(value: Any, wanted: str) -> bool:
    text = value.get("reference", "") if isinstance(value, dict) else ""
    kind, _, id_ = text.split("/_history/")[0].rpartition("/")
    return wanted in (id_, f"{kind}/{id_}") and bool(id_)


def _within(span: Interval, wanted: str) -> bool:
    prefix, bound = _comparison(wanted)
    contained = bound[0] <= span[0] and span[1] <= bound[1]
    match prefix:
        case "gt":
            return span[1] > bound[1]
        case "lt":
            return span[0] < bound[0]
        case "ge":
            return contained or span[1] > bound[1]
        case "le":
            return contained or span[0] < bound[0]
    return contained


def _comparison(text: str) -> tuple[str, Interval]:
    prefix = text[:2] if text[:2].isalpha() else "eq"
    bound = interval(text.removeprefix(prefix))
    if prefix not in _PREFIXES or bound is None:
        raise Refusal("value", f"'{text}' is no date of this server; prefixes: {_PREFIXES}")
    return prefix, bound


def _span(value: Any) -> Interval | None:
    """The time that a date, dateTime, instant or Period covers; of anything else None."""
    if isinstance(value, str):
        return interval(value)
    if not isinstance(value, dict) or not ("start" in value or "end" in value):
        return None
    first, last = interval(value.get("start", "")), interval(value.get("end", ""))
    return (first or _EVER)[0], (last or _EVER)[1]


def interval(text: str) -> Interval | None:
    """First instant of a FHIR date or dateTime and the first instant after it; without zone: UTC.

    >>> [moment.isoformat() for moment in interval("2024-02")]
    ['2024-02-01T00:00:00+00:00', '2024-03-01T00:00:00+00:00']
    """
    found = _MOMENT.fullmatch(text)
    if not found:
        return None
    part = found.groupdict()
    zone = "+00:00" if part["zone"] in (None, "Z") else part["zone"]
    micro = f"{part['fraction'] or '.0':0<7}"[:7]
    day = f"{part['year']}-{part['month'] or '01'}-{part['day'] or '01'}"
    time = f"{part['hour'] or '00'}:{part['minute'] or '00'}:{part['second'] or '00'}{micro}"
    try:
        first = datetime.fromisoformat(f"{day}T{time}{zone}")
        return first, _after(first, part)
    except (ValueError, OverflowError):  # 30 February, the year 0000 or 9999
        return None


def _after(first: datetime, part: dict[str, str | None]) -> datetime:
    if part["month"] is None:
        return first.replace(year=first.year + 1)
    if part["day"] is None:
        return (first.replace(day=1) + timedelta(days=32)).replace(day=1)
    if part["hour"] is None:
        return first + timedelta(days=1)
    if part["second"] is None:
        return first + timedelta(minutes=1)
    digits = len(part["fraction"] or ".") - 1
    return first + timedelta(microseconds=10 ** max(0, 6 - digits))


def one(store: Store, kind: str, pairs: Sequence[tuple[str, str]]) -> Version | None:
    """The one match of a condition, None without any; several are refused with 412."""
    search = understand(kind, pairs)
    if not search.filters:
        raise Refusal("value", f"a condition on {kind} needs a search parameter")
    found = run(store, search)
    if len(found) > 1:
        raise Refusal("precondition", f"the condition matches {len(found)} resources of {kind}")
    return found[0] if found else None
