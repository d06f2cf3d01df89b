"""What the compiled judge remembers from one resource to the next, since real streams repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhirbridge.fhir import codings
from fhirbridge.fhir.definitions import Element
from fhirbridge.fhir.quick import Around, Check, right_code, usual_date, usual_uri
from fhirbridge.outcome import failed

_HL7 = "http://terminology.hl7.org/CodeSystem/"
KNOWN_URIS = frozenset(
    (
        "http://loinc.org",
        "http://snomed.info/sct",
        "http://unitsofmeasure.org",
        "urn:ietf:bcp:47",
        "urn:oid:2.16.840.1.113883.6.238",
        f"{_HL7}condition-category",
        f"{_HL7}condition-clinical",
        f"{_HL7}condition-ver-status",
        f"{_HL7}observation-category",
        f"{_HL7}v2-0203",
    )
)


class Memory:
    """Short texts that were found right, and that real streams repeat: URIs, days, codings.

    Holds `MOST` of each and then begins anew; what it does not hold is judged by its form.
    """

    __slots__ = ("codings", "days", "uris")
    MOST = 4096
    LONGEST = 200

    def __init__(self) -> None:
        self.codings: dict[str, dict[str, str]] = {}  # by code
        self.days: set[str] = set()
        self.uris: set[str] = set(KNOWN_URIS)

    def new_uri(self, text: str) -> bool:
        """A usual URI."""
        if usual_uri(text) is None:
            return False
        if len(text) <= self.LONGEST:
            if len(self.uris) >= self.MOST:
                self.uris.clear()
            self.uris.add(text)
        return True

    def new_day(self, text: str) -> bool:
        """A usual date, as whole as a dateTime."""
        if usual_date(text) is None:
            return False
        if len(self.days) >= self.MOST:
            self.days.clear()
        self.days.add(text)
        return True

    def new_coding(self, coding: Mapping[str, Any]) -> None:
        """It was found right, its code and display too: kept where it has nothing else."""
        names = ("system", "code", "display")[: len(coding)]
        plain: dict[str, str] = {name: coding[name] for name in names if name in coding}
        if len(plain) < max(2, len(coding)) or sum(map(len, plain.values())) > self.LONGEST:
            return
        if not codings.of_omb_name(plain):  # right in a CodeableConcept alone
            return
        if len(self.codings) >= self.MOST:
            self.codings.clear()
        self.codings[plain["code"]] = plain

    def right_alone(self, coding: Any, check: Check, element: Element, s: Around) -> bool:
        """A Coding outside a CodeableConcept, whose system is looked at too."""
        if type(coding) is not dict:
            return False
        code, known = coding.get("code"), coding.get("system")
        known = type(known) is str and known in KNOWN_URIS
        if known and type(code) is str and self.codings.get(code) == coding:
            return True
        if not check(coding, s):
            return False
        if known and right_code(coding) and codings.of_omb_name(coding):
            self.new_coding(coding)
            return True
        return not failed(codings.check_element(element, coding, ""))
