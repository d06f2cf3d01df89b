"""Pull: the enrolled subjects' resources from a hospital's server, page by page, through the one
door in.

A page's entries and the cursor that leads behind it are one transaction, so that a run which was
killed is taken up where it stopped. A run ends complete, incomplete with reasons, or failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from fhirbridge.crash import Crash
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.receipts import Receipt, ReceiptEntry
from fhirbridge.registry.runs import Run
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.servers.client import Page, PageExpired
from fhirbridge.servers.retry import ComeBack
from fhirbridge.sync.consent import may_read, standing
from fhirbridge.sync.hospital import Hospital
from fhirbridge.sync.ingest import FATES, Incoming, ingest
from fhirbridge.sync.offered import not_granted, offered, wanted

Tell = Callable[[str], None]


@dataclass
class Pull:
    """One run over one connection.

    `tell` hears a line for each subject, `tell_each` one for each resource: what it became, or why
    nothing.
    """

    hospital: Hospital
    page_size: int
    crash: Crash = field(default_factory=Crash)
    tell: Tell = lambda line: None
    tell_each: Tell = lambda line: None
    reasons: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    unsure: set[str] = field(default_factory=set)  # study ids of whom no Patient is surely known

    def run(self) -> Run:
        """Begin a run, or take up the one that a crash left; raises nothing that is not final.

        A server that cannot be reached leaves the run open: it is raised, and the next call goes
        on.
        """
        hospital = self.hospital
        with hospital.unit() as unit:
            run = unit.runs.open(hospital.connection.id, "pull")
            run = run or unit.runs.start(hospital.connection.id, "pull")
            withdrew = {s for s in unit.subjects.all() if standing(unit, s.id) == "withdrawn"}
            subjects = [s for s in unit.subjects.all() if s not in withdrew]
            unit.commit()
        for subject in sorted(withdrew, key=lambda one: one.study_id):
            self.tell(f"{subject.study_id}: not asked for, as consent was withdrawn")
        self.types = self.asked_for() if subjects else []
        if not subjects:
            self.tell("nobody is enrolled at this site: there is nothing to ask for")
        for number, subject in enumerate(subjects, start=1):
            self.subject(run, subject)
            self.tell(f"{subject.study_id}: read ({number} of {len(subjects)})")
        return self.finish(run)

    def subject(self, run: Run, subject: Subject) -> None:
        with self.hospital.reading() as unit:
            identities = unit.subjects.identities(subject.id)
        for number, (system, value) in enumerate(identities):
            # The number of identifiers is in the name: one that was added since moves the others.
            name = f"{subject.study_id}/Patient/{number + 1} of {len(identities)}"
            search = {"identifier": f"{system}|{value}", "_count": str(max(self.page_size, 10))}
            self.stream(run, name, "Patient", search)
        for patient in self.patients(run, subject):
            for resource_type in self.types:
                if resource_type != "Consent" and not self.may(subject):
                    self.tell(f"{subject.study_id}: withheld: consent is not on record")
                    break
                search = {"patient": patient, "_count": str(self.page_size)}
                stream = f"{subject.study_id}/{resource_type}/{patient}"
                self.stream(run, stream, resource_type, search)

    def may(self, subject: Subject) -> bool:
        """Looked at anew before each search: a page may have brought a Consent."""
        with self.hospital.reading() as unit:
            return may_read(unit, self.hospital.site, subject.id)

    def asked_for(self) -> list[str]:
        """The types that the mappings read and the server has; what it has not is told."""
        has, types = offered(self.hospital.server), wanted(self.hospital.mappings)
        lacking = [name for name in types if has is not None and name not in has]
        if lacking:
            self.tell(f"not asked for, as the server lists no such type: {', '.join(lacking)}")
        shut = not_granted(self.hospital.server, (name for name in types if name not in lacking))
        self.reasons += [f"{name}: not granted: our token does not open it" for name in shut]
        has_it = [name for name in types if name not in (*lacking, *shut)]
        return sorted(has_it, key=lambda name: (name != "Consent", name))  # it may allow the rest

    def patients(self, run: Run, subject: Subject) -> list[str]:
        """The Patients there that are surely this person, by what this run has seen."""
        hospital = self.hospital
        with hospital.reading() as unit:
            known = hospital.patient_ids(unit, subject, since=None)
            seen = hospital.patient_ids(unit, subject, since=run.started_at)
        gone = sorted({*known} - {*seen})
        if subject.study_id in self.unsure or not known:
            self.reasons.append(f"{subject.study_id}: no Patient there is surely this person")
            return []
        if gone:
            told = ", ".join(f"Patient/{id}" for id in gone)
            self.reasons.append(f"{subject.study_id}: {told} was this person, and is not found now")
        return seen

    def stream(self, run: Run, name: str, resource_type: str, search: dict[str, str]) -> None:
        """All pages of one search, from where an earlier attempt of this run stopped."""
        with self.hospital.reading() as unit:
            cursor = unit.cursors.of_run(run.id).get(name)
        if cursor is not None and cursor.state == "done":
            return
        people = resource_type == "Patient"
        start = cursor.next_url if cursor and not people else None
        try:
            pages = self.walk(resource_type, search, start)
            self.pages(run, name, _sole(pages, search["identifier"]) if people else pages)
        except ComeBack:
            raise
        except BridgeError as fault:
            if fault.issues[0].category == "transient":
                raise
            self.reasons.append(f"{name}: {fault.issues[0].sentence()}")
            if people:
                self.unsure.add(_study_id(name))

    def walk(self, resource_type: str, search: dict[str, str], start: str | None) -> Iterator[Page]:
        """The pages; where the server has forgotten its link, the search anew."""
        try:
            yield from self.hospital.server.pages(resource_type, search, start=start)
        except PageExpired:
            yield from self.hospital.server.pages(resource_type, search)

    def pages(self, run: Run, name: str, pages: Iterable[Page]) -> None:
        hospital = self.hospital
        for page in pages:
            with hospital.unit() as unit:
                receipt = self.page(unit, run, name, page)
                unit.commit()
            for entry in receipt.entries:
                self.tell_each(_line(entry))
            self.crash.reach("pull.after-page")
            if receipt.state == "refused":
                raise BridgeError(*receipt.issues)

    def page(self, unit: Unit, run: Run, name: str, page: Page) -> Receipt:
        """Ingest one page and move the cursor, in the caller's transaction."""
        hospital = self.hospital
        key = f"{run.id}:{unit.new_id()}"
        incoming = Incoming(hospital.source, "page", key, page.raw, hospital.base)
        receipt = ingest(unit, hospital.mappings, incoming).receipt
        unit.runs.add_counts(run.id, {"pages": 1, **receipt.counts})
        if receipt.state == "refused":  # the whole page: the cursor stays before it
            return receipt
        unsure = any(_unsure(entry) for entry in receipt.entries)
        if unsure:
            self.unsure.add(_study_id(name))
        unit.cursors.put(
            run.id,
            name,
            # Left open, it is read again where a crash takes with it what was unsure.
            state="open" if page.next_url or unsure else "done",
            next_url=page.next_url,
            page=page.number,
        )
        return receipt

    def finish(self, run: Run) -> Run:
        hospital = self.hospital
        with hospital.unit() as unit:
            ended = hospital.finish(unit, run, {}, self.reasons)
            unit.commit()
        return ended


def _sole(pages: Iterator[Page], token: str) -> list[Page]:
    """All pages of one identifier's Patients. They are judged together on one page only: several
    on several pages are refused, or each of them would look like the only one.
    """
    read = list(pages)
    if sum(_carries(page, token) for page in read) > 1:
        cause = "Patients with one identifier came on several pages"
        raise BridgeError(Issue("conflict", cause, "have the hospital say which of them it is"))
    return read


def _carries(page: Page, token: str) -> bool:
    entries = page.bundle.get("entry")
    return any(
        f"{identifier.get('system')}|{identifier.get('value')}" == token
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict)
        for identifier in entry["resource"].get("identifier") or ()
        if isinstance(identifier, dict)
    )


def _unsure(entry: ReceiptEntry) -> bool:
    """A Patient that waits for another reason than that it is nobody of the study."""
    if entry.resource_type != "Patient" or entry.fate != "quarantined":
        return False
    return not any(issue.category == "unknown-subject" for issue in entry.issues)


def _study_id(stream: str) -> str:
    return stream.partition("/Patient/")[0]


def _line(entry: ReceiptEntry) -> str:
    """What a resource became, and why not."""
    name = f"{entry.resource_type}/{entry.source_id}: {entry.fate}"
    became = f" -> record {entry.record_id} by {entry.rule}" if entry.record_id else ""
    reasons = "; ".join(issue.sentence() for issue in entry.issues)
    return f"{name}{became}{' because ' + reasons if reasons else ''}"


def ties(run: Run) -> bool:
    """The promise of a certificate: received = applied + unchanged + superseded + ... + refused."""
    return run.counts.get("received", 0) == sum(run.counts.get(fate, 0) for fate in FATES)


def certificate(run: Run) -> str:
    """What a pull did, in lines for a terminal."""
    counts = ", ".join(f"{run.counts.get(fate, 0)} {fate}" for fate in FATES)
    tie = "the counts tie" if ties(run) else "THE COUNTS DO NOT TIE"
    lines = [
        f"run {run.id}: {run.state}",
        f"{run.counts.get('pages', 0)} pages, {run.counts.get('received', 0)} resources received",
        f"= {counts} ({tie})",
    ]
    return "\n".join([*lines, *(f"incomplete because {reason}" for reason in run.reasons)])
