"""Codes of HL7's own systems: is there such a code, is that its display, is it in the value set.

Of a system whose codes are not listed here (SNOMED CT, LOINC, …) nothing is refused
(https://hl7.org/fhir/R4/terminologies.html).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Literal

from fhirbridge.fhir import packages, primitives
from fhirbridge.fhir.definitions import Element
from fhirbridge.outcome import Issue

_HL7 = ("http://hl7.org/fhir/", "http://terminology.hl7.org/")
_FOREIGN = frozenset(("http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"))
# The categories that US Core binds, by the names that CDC Race and Ethnicity gives them.
_OMB = "urn:oid:2.16.840.1.113883.6.238"
_OMB_NAMES = {
    "1002-5": "american indian or alaska native",
    "2028-9": "asian",
    "2054-5": "black or african american",
    "2076-8": "native hawaiian or other pacific islander",
    "2106-3": "white",
    "2135-2": "hispanic or latino",
    "2186-5": "not hispanic or latino",
}
# Foreign systems whose codes a value set lists in full: units, race and ethnicity categories.
_LISTED_WHOLE = frozenset(("http://unitsofmeasure.org", _OMB))
CODED = frozenset(("Age", "Coding", "Count", "Distance", "Duration", "Quantity"))

Membership = Literal["in", "out", "undecided"]
Coding = Mapping[str, Any]


def check_element(element: Element, coding: Coding, path: str) -> Iterator[Issue]:
    """Issues of a Coding or Quantity where it stands: those of `check`, and an odd system.

    Beside an extensible set, a Coding that stands alone gets warnings.
    """
    alone = element.type == "Coding" and element.owner != "CodeableConcept"
    lenient = alone and _listed(element.extensible)
    if alone and not lenient:
        yield from _system(coding.get("system", ""), f"{path}.system")
        if not of_omb_name(coding):
            cause = "display is not what CDC Race and Ethnicity calls the code"
            yield Issue("value", cause, "correct display, or leave it out", f"{path}.display")
    elif element.type != "Coding" and "code" in coding and is_value_set(coding.get("system", "")):
        yield _set_as_system(f"{path}.system")
    for issue in check(coding, path):
        yield replace(issue, severity="warning") if lenient else issue


def _system(system: str, path: str) -> Iterator[Issue]:
    if is_value_set(system):
        yield _set_as_system(path)
    elif system and not primitives.is_absolute(system):
        yield Issue("value", "the URI is not absolute", "write the full URI", path)
    meant = system.replace("https:", "http:", 1)
    if meant.rstrip("/") in _FOREIGN:
        meant = meant.rstrip("/")
    if meant != system and (meant in _FOREIGN or packages.code_system(meant) is not None):
        yield Issue("value", "the system's URI is written otherwise", f"write {meant}", path)


def _set_as_system(path: str) -> Issue:
    cause = "this is the URL of a value set, not of a code system"
    return Issue("value", cause, "name the system that the code is of", path)


_CALLED = "the code is called"


def of_omb_name(coding: Coding) -> bool:
    """The display of a race or ethnicity category, where there is one, is its name."""
    told = coding.get("display")
    if not told or coding.get("system") != _OMB:
        return True
    return bool(_OMB_NAMES.get(coding.get("code", ""), told.lower()) == told.lower())


def _listed(value_set: str) -> bool:
    bound = packages.value_set(value_set) if value_set else None
    return bound is not None and "*" not in bound.get("open", ())


def check(coding: Coding, path: str) -> Iterator[Issue]:
    """Issues of a Coding or Quantity by itself: an unknown code, a wrong display."""
    code, display = coding.get("code"), coding.get("display")  # a Quantity has no display
    known = packages.code_system(coding.get("system", "")) if code else None
    if known is None or code is None:
        return
    listed = known["codes"].get(code)
    if listed is None and known.get("anyCase"):
        listed = _folded(coding["system"]).get(code.lower())
    if listed is None:
        cause = f"there is no such code in {coding['system']}"
        yield Issue("value", cause, "take a code of the system; case counts", f"{path}.code")
    elif display and listed and display.lower() != listed.lower():
        cause = f"{_CALLED} '{listed}'"
        yield Issue("value", cause, "correct display, or leave it out", f"{path}.display")


def is_of_name(issue: Issue) -> bool:
    """Whether it is a display that is not the code's name: it may be another language's."""
    return issue.cause.startswith(_CALLED)


@cache
def _folded(system: str) -> Mapping[str, str]:
    known = packages.code_system(system) or {"codes": {}}
    return {code.lower(): display for code, display in known["codes"].items()}


@cache
def _members(url: str) -> Mapping[str, frozenset[str]]:
    """System -> codes of a value set; of a whole system, its codes."""
    bound = packages.value_set(url) or {"codes": {}}
    made = {}
    for system, codes in bound["codes"].items():
        known = packages.code_system(system) or {"codes": {}}
        made[system] = frozenset(known["codes"] if codes is True else codes)
    return made


@cache
def _folded_members(url: str) -> Mapping[str, frozenset[str]]:
    return {system: frozenset(map(str.lower, codes)) for system, codes in _members(url).items()}


def of_coding(coding: Coding, value_set: str) -> Membership:
    """Whether the coding is in the set; undecided where its system is not listed here."""
    bound = packages.value_set(value_set)
    if bound is None:
        return "undecided"
    system, code = coding.get("system", ""), coding.get("code")
    codes = _members(value_set).get(system, frozenset())
    if code is not None and code in codes:
        return "in"
    if not code and not system:
        return "out"
    known = packages.code_system(system)
    if known is not None and known.get("anyCase") and code:
        return "in" if code.lower() in _folded_members(value_set).get(system, ()) else "out"
    unlisted = _unlisted(value_set)
    half = bool(system) != bool(code)  # what is left out may have been a foreign code
    undecided = "*" in unlisted or system in unlisted or (half and _foreign(value_set))
    return "undecided" if undecided and not is_value_set(system) else "out"


@cache
def _unlisted(value_set: str) -> frozenset[str]:
    """The systems of a set that have codes which nothing here lists, `*` for any.

    Of a foreign system whose codes the set names one by one the reference validator asks a
    terminology server; so a code beside them is not refused here either.
    """
    bound = packages.value_set(value_set) or {"codes": {}}
    foreign = {s for s in bound["codes"] if packages.code_system(s) is None} - _LISTED_WHOLE
    return frozenset((*bound.get("open", ()), *foreign))


@cache
def _foreign(value_set: str) -> bool:
    """The set has codes of systems that are not HL7's own."""
    bound = packages.value_set(value_set) or {"codes": {}}
    return "open" in bound or any(packages.code_system(s) is None for s in bound["codes"])


def is_value_set(system: str) -> bool:
    """The URL of a value set stands where that of a code system belongs."""
    return "/ValueSet/" in system and system.startswith(_HL7)


def of_concept(concept: Mapping[str, Any], value_set: str) -> Membership:
    """`in` where one coding is; text alone is out of every set."""
    found = [of_coding(coding, value_set) for coding in concept.get("coding", ())]
    return _best(found)


def of_code(code: str, value_set: str) -> Membership:
    """Of a `code`, which has no system."""
    bound = packages.value_set(value_set)
    if bound is None or bound.get("open"):
        return "undecided"
    return "in" if any(code in codes for codes in _members(value_set).values()) else "out"


def _best(found: Sequence[Membership]) -> Membership:
    if "in" in found:
        return "in"
    return "undecided" if "undecided" in found else "out"


def of_value(value: Any, kind: str, value_set: str) -> Membership:
    """Of a value of any type that can be bound; a Quantity by its unit's code."""
    if kind == "CodeableConcept":
        return of_concept(value, value_set)
    if kind in CODED:
        return of_coding(value, value_set)
    return of_code(value, value_set) if isinstance(value, str) else "undecided"


@cache
def told(value_set: str, most: int = 12) -> str:
    """The remedy: the codes of a short set, the name of a long one."""
    listed = [code for codes in _members(value_set).values() for code in codes]
    if not listed or len(listed) > most:
        return f"take a code of {value_set}"
    return f"take one of {_joined(listed)} ({_joined(_members(value_set))})"


def _joined(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
