"""What to do where an invariant of a profile is broken: key -> remedy, in words.

The rules themselves stand in profile_invariants.py, and their human sentences in profiles.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fhirbridge.fhir.profile_invariants import listed_codes

_MOST = 12  # a longer list of codes helps nobody in a message
_ANSWER = "add a value or dataAbsentReason, or components or members that have one"
_EFFECTIVE = "add an effective date or period, or correct status"
_TO_THE_DAY = "write the day too, for example 2024-03-05, or leave the date out"
_TECHNIQUE = "TechniquesFor"

_REMEDIES: Mapping[str, str] = {
    "ModalityTextRequiredForOther": "add text to the modality, or code it otherwise than UNC",
    "TechniqueTextRequiredForOther": "add text to the technique, or code it otherwise than UNC",
    "clb-1": "write system phone",
    "cnt-3": "write a whole number, code 1 and system http://unitsofmeasure.org",
    "der-1": "add offset, or leave length out",
    "mcode-description-or-id-required": "add description or identifier",
    "mcode-reason-required": "add reasonCode or reasonReference",
    "mqty-1": "add the currency's code, and system urn:iso:std:iso:4217",
    "must-have-focus-or-specimen-invariant": "give focus or specimen, and not both",
    "pd-1": "add telecom or endpoint",
    "provenance-1": "add onBehalfOf",
    "sdcqr-1": "add subject",
    "sdcqr-2": "send one item for each question, with all its answers",
    "sqty-1": "leave comparator out",
    "us-core-1": _TO_THE_DAY,
    "us-core-10": _EFFECTIVE,
    "us-core-13": "add practitioner, organization, healthcareService or location",
    "us-core-14": "add name or relationship",
    "us-core-15": "add subscriberId, or an identifier of the type MB",
    "us-core-16": "write the ten digits of the NPI",
    "us-core-17": "correct the NPI: a digit of it is wrong",
    "us-core-18": "write a CLIA number, for example 12D1234567",
    "us-core-19": "write the five digits of the NAIC number",
    "us-core-2": _ANSWER,
    "us-core-20": "add whenHandedOver, or correct status",
    "us-core-21": "add requester, or correct intent",
    "us-core-6": "add url or data",
    "us-core-6#2": "add family or given, or say by data-absent-reason why there is none; not both",
    "us-core-7": "add when it was performed, or correct status",
    "us-core-8": _EFFECTIVE,
    "us-core-9": "add issued, or correct status",
    "var-1": "name the expression",
    "vs-1": _TO_THE_DAY,
    "vs-1#2": _TO_THE_DAY,
    "vs-2": _ANSWER,
    "vs-3": "add a value, or dataAbsentReason",
}


def remedy(key: str) -> str:
    """Never empty for a key that profile_invariants.py judges."""
    if key in _REMEDIES:
        return _REMEDIES[key]
    codes = listed_codes(key)
    if key.startswith(_TECHNIQUE):
        return f"send one of the modality's techniques: {_joined(codes[1:])}; or another modality"
    if key == "termination-reason-invariant":
        return "write status stopped, or leave statusReason out"
    return f"send one of the reasons {_joined(codes)} of SNOMED CT, or correct status"


def _joined(codes: Sequence[str]) -> str:
    told = list(dict.fromkeys(code.strip() for code in codes))
    return ", ".join(told[:_MOST]) + (" and others" if len(told) > _MOST else "")
