"""May we: whether the study may read of a person, by the study's own records of consent.

Who is enrolled may be read until a record of the scope `study_data` says withdrawn or rejected; at
a site of the policy `record` only while one says active. Who was erased is known by a tombstone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from fhirbridge.fhir.bundle import Entry
from fhirbridge.fhir.search_parameters import span
from fhirbridge.outcome import Issue
from fhirbridge.registry.records import Record
from fhirbridge.registry.sites import Site
from fhirbridge.registry.tombstones import Sign
from fhirbridge.registry.unit import Unit
from fhirbridge.sync.mentions import Mention, stands_in, within
from fhirbridge.sync.source import resource_type
from fhirbridge.sync.whose import Whose

SCOPE = "study_data"
Standing = Literal["given", "untold", "withdrawn"]
_WORD = re.compile(r"[^\s\"',:;|<>{}\[\]=&?/\\]{1,256}")
_BEFORE_CONSENT = ("Patient", "Consent")  # without these no consent could ever come


def standing(unit: Unit, subject_id: str) -> Standing:
    """What the subject's records of consent come to today.

    A withdrawal counts until a consent that was surely signed after it. Where none says when it
    was, it counts from when we were told.
    """
    told = [
        one
        for one in unit.records.all("consent", subject_id)
        if one.status == "active" and one.fields.get("scope") == SCOPE
    ]
    ended = [_last(one) for one in told if one.fields.get("status") in ("withdrawn", "rejected")]
    now = span(unit.now().isoformat())[0]
    given = [one.fields for one in told if one.fields.get("status") == "active"]
    if ended:
        given = [one for one in given if _signed(one) > max(ended)]
    if any(_holds(one, now) for one in given):
        return "given"
    return "withdrawn" if ended else "untold"


def may_read(unit: Unit, site: Site, subject_id: str) -> bool:
    told = standing(unit, subject_id)
    return told == "given" or (told == "untold" and site.consent == "enrolment")


def _text(fields: Mapping[str, Any], *names: str) -> str:
    """The first of the fields that has a date; a reason of absence is none."""
    return next((fields[n] for n in names if isinstance(fields.get(n), str)), "")


def _last(record: Record) -> str:
    """The last instant at which it can have been: not after we were told."""
    known = span(record.updated_at.isoformat())[1]
    when = _text(record.fields, "withdrawn_on", "signed_on")
    return min(span(when)[1], known) if when else known


def _signed(fields: Mapping[str, Any]) -> str:
    when = _text(fields, "signed_on", "valid_from")
    return span(when)[0] if when else ""


def _holds(fields: Mapping[str, Any], now: str) -> bool:
    start, end = _text(fields, "valid_from"), _text(fields, "valid_to")
    return (not start or span(start)[0] <= now) and (not end or now <= span(end)[1])


@dataclass(frozen=True, slots=True)
class About:
    """Whose an entry is, as far as that is known, and why nothing of it may be kept."""

    subject_id: str | None = None
    withheld: Issue | None = None


@dataclass
class Gate:
    """The question for each entry of one message; each subject's standing is looked up once."""

    whose: Whose
    known: dict[str, Standing] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)  # of the message's Patients that are withheld
    erased: dict[Mention, bool] = field(default_factory=dict)

    @property
    def needs_record(self) -> bool:
        return self.whose.site is not None and self.whose.site.consent == "record"

    @cached_property
    def has_tombstones(self) -> bool:
        return self.whose.unit.tombstones.any()

    def about(self, entry: Entry) -> About:
        """Asked of what depends on nothing first, of Consent before data."""
        kind = resource_type(entry)
        subjects, why = self._of(self.whose.mentions(entry))
        if kind == "Consent":
            self.known.clear()  # what it says counts for all that follows
        if why == "untold" and kind in _BEFORE_CONSENT:
            why = ""
        if why and kind == "Patient":
            id = (entry.resource or {}).get("id")
            self.names |= {name for name in (entry.full_url, f"Patient/{id}" if id else "") if name}
        if why:
            return About(withheld=_issue(why, entry.root))
        return About(next(iter(subjects), None))

    def bars(self, message: Any) -> bool:
        """Whether somebody of whom nothing may be kept is spoken of anywhere in a message that was
        refused as a whole."""
        return bool(self._of(within(message))[1])

    def bars_bytes(self, body: bytes) -> bool:
        """The same of bytes that are no JSON: by the values that such a person is known by."""
        unit = self.whose.unit
        told = {one.subject_id for one in unit.records.all("consent")}
        for subject_id in sorted(told):
            if standing(unit, subject_id) == "withdrawn":
                values = [value for _, value in unit.subjects.identities(subject_id)]
                if stands_in(body, values):
                    return True
        words = {*_WORD.findall(body.decode("utf-8", "replace"))} if self.has_tombstones else set()
        return bool(words) and unit.tombstones.stand_for([("value", word) for word in words])

    def _of(self, named: Iterable[Mention]) -> tuple[dict[str, None], str]:
        """The subjects, and why they may not be read: `withdrawn` before `untold`."""
        subjects: dict[str, None] = {}
        why = ""
        for mention in named:
            found = self._judged(mention, subjects)
            why = found if found == "withdrawn" or not why else why
        return subjects, why

    def _judged(self, mention: Mention, subjects: dict[str, None]) -> str:
        if mention[0] == "reference" and mention[1] in self.names:
            return "withdrawn"
        subject = self.whose.who(mention)
        if subject is None:
            return "withdrawn" if self.erased_there(mention) else ""
        subjects[subject.id] = None
        if subject.id not in self.known:
            self.known[subject.id] = standing(self.whose.unit, subject.id)
        told = self.known[subject.id]
        return "" if told == "given" or (told == "untold" and not self.needs_record) else told

    def erased_there(self, mention: Mention) -> bool:
        """Whether it names somebody who was erased."""
        signs = self._signs(mention)
        if not signs or not self.has_tombstones:
            return False
        if mention not in self.erased:
            self.erased[mention] = self.whose.unit.tombstones.stand_for(signs)
        return self.erased[mention]

    def _signs(self, mention: Mention) -> list[Sign]:
        if mention[0] == "reference":
            id = self.whose.patient_id(mention[1])
            return [("source", self.whose.source, id)] if id else []
        if mention[0] == "value":
            return [mention]
        _, system, value = mention
        return [("study-id", value) if system == self.whose.study_ids else mention]


def _issue(why: str, at: str) -> Issue:
    if why == "withdrawn":
        cause = "withheld: consent was withdrawn, and nothing of it is kept"
        remedy = "send no more of this person, unless consent is given again"
    else:
        cause = "withheld: consent is not on record, and nothing of it is kept"
        remedy = "send the person's Consent first or with it, then send this again"
    return Issue("consent", cause, remedy, at)
