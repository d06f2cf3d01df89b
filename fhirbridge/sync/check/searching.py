"""Steps about searches: is a parameter honoured, or dropped in silence, and do pages go on.

Each is asked with a value that nothing can have, `handling=strict`, one resource at most. Whatever
comes all the same shows that the parameter is ignored; it is looked at in no other way.
https://hl7.org/fhir/R4/search.html#errors
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fhirbridge.outcome import BridgeError
from fhirbridge.servers.answer import Answer, outcome_codes, outcome_text
from fhirbridge.sync.check.step import Examination, State, Step, Stop, objects

# What nothing has, by parameter.
NOTHING: Mapping[str, str] = {
    "identifier": "urn:fhirbridge:check|none",
    "patient": "fhirbridge-check-none",
    "_lastUpdated": "gt2999-12-31",
    "category": "urn:fhirbridge:check|none",
    "code": "urn:fhirbridge:check|none",
    "date": "gt2999-12-31",
}
# Beside `patient`, or `identifier` of a Patient, without which nothing is pulled.
HELPFUL: Mapping[str, tuple[str, ...]] = {
    "Condition": ("_lastUpdated", "category", "code"),
    "Observation": ("_lastUpdated", "category", "code", "date"),
    "Procedure": ("_lastUpdated", "code", "date"),
}
_EVER = ("_lastUpdated",)
_WITHOUT: Mapping[str, str] = {
    "_lastUpdated": "changes are seen by full pulls alone",
    "category": "more is sent than is needed",
    "code": "more is sent than is needed",
    "date": "more is sent than is needed",
}


def searches(seen: Examination) -> Iterator[Step]:
    for resource_type in seen.types:
        if not seen.offers(resource_type):
            told = "not offered, so a pull does not ask for it"
            yield Step(
                f"search {resource_type}", "warning", told, "ask for the type, if they have it"
            )
        elif not seen.granted.get(resource_type, True):
            told = "our scopes do not open it, so a pull does not ask for it"
            yield Step(f"search {resource_type}", "warning", told, "see the step login")
        else:
            yield from _of_type(seen, resource_type)


def _of_type(seen: Examination, resource_type: str) -> Iterator[Step]:
    name = f"search {resource_type}"
    need = "identifier" if resource_type == "Patient" else "patient"
    try:
        some = _baseline(seen, resource_type)
        verdicts = {need: _verdict(seen, resource_type, need, some=some, alone=True)}
        for helpful in HELPFUL.get(resource_type, _EVER):
            verdicts[helpful] = _verdict(seen, resource_type, helpful, some=some, alone=False)
    except BridgeError as fault:
        seen.refused[resource_type] = fault.issues[0].cause
        yield Step.of(name, fault)
        if fault.issues[0].category == "transient":
            raise Stop from fault
        return
    seen.honours |= {(resource_type, p): verdict for p, (verdict, _) in verdicts.items()}
    yield _told(name, need, verdicts)


def _told(name: str, need: str, verdicts: Mapping[str, tuple[str, str]]) -> Step:
    """The step of a type: the worst of its parameters."""
    words = "; ".join(
        f"{p} {verdict}{f' ({why})' if why else ''}" for p, (verdict, why) in verdicts.items()
    )
    verdict = verdicts[need][0]
    if verdict == "refused":
        return Step(name, "failed", words, f"ask for the search parameter {need}")
    lacking = [p for p, (told, _) in verdicts.items() if told in ("ignored", "refused")]
    losses = dict.fromkeys(_WITHOUT[p] for p in lacking if p in _WITHOUT)
    if verdict == "ignored":
        remedy = (
            f"ask for the search parameter {need}: others' resources come, and are dropped here"
        )
        return Step(name, "failed", words, remedy)
    if lacking:
        remedy = f"ask for {', '.join(lacking)}; without it {', and '.join(losses)}"
        return Step(name, "warning", words, remedy)
    unknown = any(told == "unknown" for told, _ in verdicts.values())
    state: State = "unknown" if unknown else "ok"
    remedy = "name a Patient of theirs: --patient ID" if unknown else ""
    return Step(name, state, words, remedy)


def _baseline(seen: Examination, resource_type: str) -> bool | None:
    """Whether a search without the parameter finds something; None where it is not answered."""
    answer = seen.server.search(resource_type, {**_of_patient(seen, resource_type), "_count": "1"})
    if answer.status >= 400:
        return None
    for link in objects((answer.body or {}).get("link")):
        if link.get("relation") == "next" and isinstance(link.get("url"), str):
            seen.second_pages.setdefault(resource_type, link["url"])
    return matches(answer) > 0


def _of_patient(seen: Examination, resource_type: str) -> dict[str, str]:
    if not seen.patient:
        return {}
    return {"_id" if resource_type == "Patient" else "patient": seen.patient}


def _verdict(
    seen: Examination, resource_type: str, parameter: str, *, some: bool | None, alone: bool
) -> tuple[str, str]:
    """honoured, ignored, refused or unknown, and why. `alone`: without the named Patient."""
    others = {} if alone else _of_patient(seen, resource_type)
    search = {**others, parameter: NOTHING[parameter], "_count": "1"}
    answer = seen.server.search(resource_type, search, strict=True)
    if answer.status >= 400:
        said = outcome_text(answer) or ", ".join(outcome_codes(answer))
        if answer.status == 404 and parameter == "patient":  # there is no such Patient: it looked
            return "honoured", ""
        return "refused", f"{answer.status} {said}".strip()
    if matches(answer):
        return "ignored", "it finds what cannot be"
    echoed = _echoed(answer, parameter)
    if echoed is False:
        return "ignored", "its self link leaves it out"
    if some or echoed:
        return "honoured", ""
    return "unknown", "there is nothing to find without it either"


def matches(answer: Answer) -> int:
    """Entries that are matches: an OperationOutcome among them is none."""
    found = 0
    for entry in objects((answer.body or {}).get("entry")):
        held: Any = entry.get("resource")
        mode = (
            entry.get("search", {}).get("mode") if isinstance(entry.get("search"), dict) else None
        )
        outcome = isinstance(held, dict) and held.get("resourceType") == "OperationOutcome"
        found += mode in (None, "match") and not outcome
    return found


def _echoed(answer: Answer, parameter: str) -> bool | None:
    """Whether the self link has the parameter; None where there is no link to tell by."""
    for link in objects((answer.body or {}).get("link")):
        if link.get("relation") == "self" and isinstance(link.get("url"), str):
            query = dict(parse_qsl(urlsplit(link["url"]).query, keep_blank_values=True))
            names = {name.partition(":")[0] for name in query}
            return parameter in names if names - {"_count"} or "_count" in names else None
    return None


def paging(seen: Examination) -> Iterator[Step]:
    """The second page of the first search that has one."""
    for resource_type, link in seen.second_pages.items():
        try:
            answer = seen.server.get(link)
        except BridgeError as fault:
            yield Step.of("paging", fault)
            return
        is_page = (answer.body or {}).get("resourceType") == "Bundle"
        if answer.status == 200 and is_page:
            yield Step("paging", "ok", f"the next link of {resource_type} leads to a page")
        else:
            told = f"the next link of {resource_type} is answered by {answer.status}"
            yield Step("paging", "failed", told, "ask why: all but the first page would be lost")
        return
    told = "no search had a second page"
    remedy = "" if seen.patient else "name a Patient of theirs with more than one: --patient ID"
    yield Step("paging", "unknown", told, remedy)
