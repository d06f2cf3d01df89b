"""A subject's course: the index operation, the visit to which each dated record is counted, and
what each visit takes of them.

Computed from the records whenever it is asked for, and kept nowhere: when the index operation is
entered anew, every visit follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.registry.records import Record as Stored
from fhirbridge.study.forms import Form, Study
from fhirbridge.study.values import Value
from fhirbridge.study.visits import Candidate, Chosen, Placed, choose, difference, visit_of
from fhirbridge.sync.project import fields_of

VISIT = "visit"  # the field that holds what a source called the visit; the day decides


@dataclass(frozen=True, slots=True)
class Course:
    """`index` is the day that visits are counted from, empty where `reason` says why there is none;
    `placed` by record; `chosen` by form, empty without an index operation."""

    index: str
    reason: str
    placed: Mapping[str, Placed] = field(default_factory=dict)
    chosen: Mapping[str, Chosen] = field(default_factory=dict)

    def fields(self, stored: Stored) -> Mapping[str, Any]:
        """The record's fields as they are kept, with the visit that its day decides."""
        placed = self.placed.get(stored.id)
        return {**stored.fields, VISIT: placed.visit} if placed and placed.visit else stored.fields

    def told(self, stored: Stored) -> dict[str, Any] | None:
        """Visit, day and what is to be said of them; None of a record that is of no visit."""
        placed = self.placed.get(stored.id)
        if placed is None:
            return None
        claims = fields_of(stored).get(VISIT)
        said = placed.reason or difference(placed, claims)
        return {"visit": placed.visit or None, "day": placed.day, "reason": said}


def course(study: Study, records: Iterable[Stored]) -> Course:
    """Of the records of one subject; those that were withdrawn count for nothing."""
    if study.visits is None:
        return Course("", "the study has no visits")
    active = [record for record in records if record.status == "active"]
    index, reason = _index(study, active)
    placed: dict[str, Placed] = {}
    chosen: dict[str, Chosen] = {}
    for form in study.forms.values():
        if VISIT not in form.fields:
            continue
        dated = [_candidate(form, one) for one in active if one.form == form.name]
        for one in dated:
            placed[one.id] = visit_of(study, index, one.on) if index else Placed("", None, reason)
        if index:
            chosen[form.name] = choose(study, form, index, dated)
    return Course(index, reason, placed, chosen)


@dataclass(frozen=True, slots=True)
class Line:
    """What one record is to one visit: `taken` are the fields that the visit has of it, `passed`
    those that it gives and another record's were taken for, with the reason."""

    record_id: str
    form: str
    on: str
    visit: str
    day: int | None
    reason: str
    taken: tuple[str, ...] = ()
    passed: Mapping[str, str] = field(default_factory=dict)


def lines(course: Course, records: Iterable[Stored]) -> list[Line]:
    """Of each dated record, by form and date; no candidate is left out."""
    taken: dict[str, list[str]] = {}
    passed: dict[str, dict[str, str]] = {}
    for chosen in course.chosen.values():
        for fields in chosen.visits.values():
            for name, one in fields.items():
                taken.setdefault(one.candidate.id, []).append(name)
                for other in one.others:
                    passed.setdefault(other.candidate.id, {})[name] = other.reason
    made = [
        Line(
            record.id,
            record.form,
            record.key,
            placed.visit,
            placed.day,
            str((course.told(record) or {})["reason"]),
            tuple(taken.get(record.id, ())),
            passed.get(record.id, {}),
        )
        for record in records
        if (placed := course.placed.get(record.id))
    ]
    return sorted(made, key=lambda line: (line.form, line.on, line.record_id))


def _index(study: Study, active: Sequence[Stored]) -> tuple[str, str]:
    assert study.visits is not None
    anchor = study.visits.anchor
    days: list[Value | None] = [
        fields_of(one).get(anchor.field)
        for one in active
        if one.form == anchor.form and one.fields.get(anchor.where) is True
    ]
    if len(days) == 1:
        return str(days[0]), ""
    if days:
        return "", f"{len(days)} records of {anchor.form} say that they are the index operation"
    return "", "no operation is confirmed as the index operation"


def _candidate(form: Form, record: Stored) -> Candidate:
    values = fields_of(record)
    return Candidate(record.id, str(values[form.key[0]]), values)
