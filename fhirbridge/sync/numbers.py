"""A person's hospital numbers in a row: held against those of the enrolment, and never added to it.

A number that is known as another person's keeps the row waiting; one that nobody has waits alone.
"""

from __future__ import annotations

from dataclasses import replace

from fhirbridge.mapping.decode import Decoded
from fhirbridge.outcome import Issue
from fhirbridge.registry.subjects import Subject
from fhirbridge.study.records import Identifier
from fhirbridge.sync.whose import Whose

FIELD = "hospital_ids"
_MOST_ZEROS = 10


def checked(whose: Whose, fact: Decoded) -> Decoded:
    """The fact, with what is wrong about its numbers."""
    given = fact.fields.get(FIELD)
    if fact.fate != "record" or not isinstance(given, tuple):
        return fact
    at = fact.traces[FIELD].expression
    subject = whose.of_reference(fact.patient, at)
    if not isinstance(subject, Subject):
        return fact
    others = tuple(i for i in given if isinstance(i, Identifier))
    wrong = [told for told in (_wrong(whose, one, subject, at) for one in others) if told]
    if any(issue.category == "conflict" for issue in wrong):
        return replace(fact, fate="hold", issues=(*wrong, *fact.issues))
    return replace(fact, issues=(*wrong, *fact.issues)) if wrong else fact


def _wrong(whose: Whose, one: Identifier, subject: Subject, at: str) -> Issue | None:
    found = whose.by_identifier(one.system, one.value)
    if found is not None and found.id != subject.id:
        cause = "the number is another person's than the study_id"
        return Issue("conflict", cause, "correct one of them; row not applied", at)
    if found is not None:
        return None
    padded = next((p for p in _padded(one.value) if whose.by_identifier(one.system, p)), "")
    if padded:
        cause = f"unknown number; {padded} is known: leading zeros lost?"
        remedy = f"format the column as text, and write {padded}"
        return Issue("unknown-subject", cause, remedy, at)
    cause = "nobody enrolled here has this number"
    return Issue("unknown-subject", cause, "correct it, or enrol the person with it", at)


def _padded(value: str) -> list[str]:
    return [value.rjust(len(value) + n, "0") for n in range(1, _MOST_ZEROS)]
