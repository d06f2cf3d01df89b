"""The Patients there that are surely one subject: found by identifier, or said by a link to be one
and the same person (https://hl7.org/fhir/R4/patient-definitions.html#Patient.link).

No link is followed into another subject's chart, and none in a circle: that waits for a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.servers.client import Answer, Page, Redirected
from fhirbridge.servers.retry import ComeBack
from fhirbridge.sync.pulling import joined, others
from fhirbridge.sync.pulling.joined import links
from fhirbridge.sync.pulling.round import Place, Round, Taken, repeated, unserved
from fhirbridge.sync.pulling.walk import Walk

_PERSON = "conflict"
_REMEDY = "have the hospital say who that is, and enrol its identifier, or have the link corrected"


@dataclass
class People:
    """Of one subject. `shown` are the Patients that came, by id."""

    round: Round
    subject: Subject
    shown: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    at: dict[str, tuple[str, int]] = field(default_factory=dict)  # message and position, by id

    def find(self) -> list[str]:
        """The ids of the subject's Patients there; none, with a reason, where it is not sure."""
        round, hospital = self.round, self.round.hospital
        with hospital.reading() as unit:
            identities = unit.subjects.identities(self.subject.id)
        for number, identity in enumerate(identities, start=1):
            # The number of identifiers is in the name: one that was added since moves the others.
            name = f"{self.subject.study_id}/Patient/{number} of {len(identities)}"
            self.search(name, *identity)
        with hospital.reading() as unit:
            known = hospital.patient_ids(unit, self.subject, since=None)
            seen = hospital.patient_ids(unit, self.subject, since=round.run.started_at)
        for id in sorted({*known} - {*seen}):
            self.look_for(id)
        self.follow()
        self.compare()
        if self.subject.study_id in round.unsure or not known:
            round.reason(f"{self.subject.study_id}: no Patient there is surely this person")
            return []
        with hospital.reading() as unit:
            return hospital.patient_ids(unit, self.subject, since=round.run.started_at)

    def search(self, name: str, system: str, value: str) -> None:
        """All Patients of one identifier, in one piece each page; what goes wrong makes unsure."""
        round = self.round
        if round.done(name):
            return
        token = f"{system}|{value}"
        pairs = [("identifier", token), ("_count", str(max(round.size, 10)))]
        walk = Walk(round.hospital.server, "Patient", pairs)
        try:
            for page in _sole([*walk.pages()], token):
                self.take(name, page)
        except ComeBack:
            raise
        except BridgeError as fault:
            if unserved(fault):
                raise
            round.reason(f"{name}: {fault.issues[0].sentence()}")
            round.unsure.add(self.subject.study_id)
        if walk.ignored:
            round.remark(f"{name}: the server did not look at {', '.join(walk.ignored)}")

    def take(self, name: str, page: Page) -> Taken:
        """Left open where something is to be settled: it is read again where a crash takes that
        with it."""
        patients = [others.resource_of(entry) for entry in others.entries(page.bundle)]
        linked = any(True for one in patients for _ in links(one))
        place = Place(
            name, "open" if page.next_url or linked else "done", page.next_url, page.number
        )
        also = partial(self.reopen, place) if patients else None
        taken = self.round.page(page, place, also=also)
        for told in taken.entries:
            if told.part == 0 and told.resource_type == "Patient" and told.source_id:
                self.at[told.source_id] = (taken.message_id, told.position)
        for one in patients:
            if isinstance(one, Mapping) and one.get("id") in self.at:
                self.shown[one["id"]] = one
        for fault in taken.faults:
            self.round.reason(f"{name}: the server says: {fault}")
        return taken

    def reopen(self, place: Place, unit: Unit, taken: Taken) -> None:
        if any(_unsure(entry) for entry in taken.entries):
            self.round.unsure.add(self.subject.study_id)
            self.round.put(unit, Place(place.stream, "open", place.next_url, place.page))

    def look_for(self, id: str) -> None:
        """A Patient who was this person, and whom no identifier finds now: what does a reading say?
        Nothing of the subject is withdrawn for it."""
        told = f"{self.subject.study_id}: Patient/{id} was this person, and is not found now"
        answer, id_there = self.read(id)
        if id_there and id_there != id:
            self.moved(id, id_there)
        elif answer is not None and answer.status == 410:
            self.round.reason(f"{told}: it was deleted there")
        elif answer is not None and answer.status == 200 and answer.body:
            self.shown[id] = answer.body
            if any(True for _ in links(answer.body)):
                return
            self.round.reason(f"{told}: its identifier is another's now -> {_REMEDY}")
        else:
            self.round.reason(told)

    def read(self, id: str) -> tuple[Answer | None, str]:
        """The answer, and the id that the server has for it."""
        server = self.round.hospital.server
        try:
            answer = server.get(f"Patient/{id}")
        except Redirected as fault:
            path = fault.location.partition("?")[0].partition("/_history/")[0]
            return None, self.patient_id(path)
        except BridgeError as fault:
            if unserved(fault):
                raise
            return None, ""
        body = answer.body if answer.status == 200 else None
        there = (body or {}).get("id")
        person = body is not None and body.get("resourceType") == "Patient"
        return answer, str(there) if person else ""

    def moved(self, id: str, there: str) -> None:
        """A reading of one was answered with another: only its own link makes them one."""
        answer, named = self.read(there)
        body = (answer.body if answer else None) or {}
        back = [self.patient_id(other) for _, other in links(body)]
        if named == there and id in back:
            self.join(id, there, body, (id, there))
        else:
            cause = (
                f"a reading of Patient/{id} is answered with Patient/{there}, and no link says why"
            )
            self.doubt(id, cause)

    def follow(self) -> None:
        """Every link of those who came, and of those whom it leads to."""
        todo, met = [*sorted(self.shown)], set(self.shown)
        while todo:
            id = todo.pop()
            person = self.shown[id]
            for kind, reference in links(person):
                other = self.patient_id(reference)
                if self.circle(id, {id}):
                    self.doubt(id, f"the links of Patient/{id} lead in a circle")
                    continue
                if kind == "replaced-by" and person.get("active") is not False:
                    self.doubt(id, f"Patient/{id} is replaced by another, and still active")
                elif not other:
                    self.doubt(id, f"Patient/{id} is linked to a Patient of another server")
                elif other not in met:
                    met.add(other)
                    self.fetch(id, other, replaced=kind == "replaced-by")
                    todo += [other] if other in self.shown else []

    def compare(self) -> None:
        """Who was one by a link before, and is said to be so no more. Whose the data are that were
        read since, only the hospital knows."""
        round = self.round
        with round.hospital.reading() as unit:
            before = joined.known(unit, round.run.connection_id, self.subject)
        for id, other in before:
            if id in self.shown and other not in self.linked(id) and id not in self.linked(other):
                self.doubt(
                    id, f"Patient/{id} and Patient/{other} were one by a link, which is taken back"
                )

    def linked(self, id: str) -> set[str]:
        return {self.patient_id(reference) for _, reference in links(self.shown.get(id))}

    def circle(self, id: str, before: set[str]) -> bool:
        """Whether what replaces it is in the end replaced by it."""
        for kind, reference in links(self.shown.get(id, {})):
            other = self.patient_id(reference)
            if kind == "replaced-by" and (other in before or self.circle(other, {*before, other})):
                return True
        return False

    def fetch(self, id: str, other: str, *, replaced: bool) -> None:
        answer, there = self.read(other)
        if there == other and answer is not None and answer.body is not None:
            self.join(id, other, answer.body, (id, other) if replaced else (other, id))
        elif replaced:
            cause = f"Patient/{id} is replaced by Patient/{other}, which cannot be read"
            self.doubt(id, cause)

    def join(self, id: str, other: str, body: Mapping[str, Any], join: joined.Join) -> None:
        """Both are the subject, as a link says; its identifiers of the kinds that we know are kept
        beside the others."""
        round, subject = self.round, self.subject

        def store() -> str:
            with round.hospital.unit() as unit:
                known = unit.subjects.identities(subject.id)
                systems = {system for system, _ in known}
                tokens = [one for one in _tokens(body) if one[0] in systems]
                owners = {found.id for t in tokens if (found := unit.subjects.by_identity(*t))}
                if owners - {subject.id}:
                    return f"Patient/{id} is linked to Patient/{other}, who is another subject"
                if not tokens:
                    return (
                        f"Patient/{other}, linked to Patient/{id}, has no identifier that we know"
                    )
                new = [token for token in tokens if token not in known]
                if new:
                    unit.subjects.enrol(subject.study_id, new)
                    named = {"subjects": [subject.id], "connection": round.run.connection_id}
                    actor = round.hospital.source
                    unit.audit.note("U", "pull.merge", actor=actor, entities=named)
                    unit.runs.add_counts(round.run.id, {"merges": 1})
                joined.remember(unit, round.run.connection_id, subject, join)
                unit.commit()
                return ""

        doubt = repeated(store)
        if doubt:
            self.doubt(id, doubt)
            return
        round.tell(f"{subject.study_id}: Patient/{id} and Patient/{other} are one, by their link")
        url = f"{round.hospital.base}/Patient/{other}"
        bundle = {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"fullUrl": url, "resource": body, "search": {"mode": "match"}}],
        }
        page = Page(url, fhir_json.dump(bundle), bundle, None, 1)
        self.take(f"{subject.study_id}/Patient/{other}", page)

    def doubt(self, id: str, cause: str) -> None:
        """Waits for a person, with the Patient where one came; until then nothing is read."""
        round, study_id = self.round, self.subject.study_id
        issue = Issue(_PERSON, cause, _REMEDY)
        if id in self.at:
            message_id, position = self.at[id]

            def store() -> None:
                with round.hospital.unit() as unit:
                    unit.quarantine.hold(
                        message_id,
                        position=position,
                        part=1,
                        resource_type="Patient",
                        source_id=id,
                        issues=[issue],
                    )
                    unit.commit()

            repeated(store)
        round.unsure.add(study_id)
        round.reason(f"{study_id}: {issue.sentence()}")

    def patient_id(self, reference: str) -> str:
        hospital = self.round.hospital
        with hospital.reading() as unit:
            return self.round.whose(unit).patient_id(reference)


def _tokens(patient: Mapping[str, Any]) -> list[tuple[str, str]]:
    given = patient.get("identifier")
    ids = [i for i in (given if isinstance(given, list) else ()) if isinstance(i, Mapping)]
    pairs = [(i.get("system"), i.get("value")) for i in ids]
    return [(s, v) for s, v in pairs if isinstance(s, str) and isinstance(v, str)]


def _sole(pages: list[Page], token: str) -> list[Page]:
    """All pages of one identifier's Patients. They are judged together on one page only: several
    on several pages are refused, or each of them would look like the only one.
    """
    if sum(_carries(page, token) for page in pages) > 1:
        cause = "Patients with one identifier came on several pages"
        raise BridgeError(Issue("conflict", cause, "have the hospital say which of them it is"))
    return pages


def _carries(page: Page, token: str) -> bool:
    found: Iterable[Any] = (others.resource_of(entry) for entry in others.entries(page.bundle))
    people = [one for one in found if isinstance(one, Mapping)]
    return any("|".join(pair) == token for one in people for pair in _tokens(one))


def _unsure(entry: Any) -> bool:
    """A Patient that waits for another reason than that it is nobody of the study."""
    if entry.resource_type != "Patient" or entry.fate != "quarantined":
        return False
    return not any(issue.category == "unknown-subject" for issue in entry.issues)
