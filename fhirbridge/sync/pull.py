"""Pull: the enrolled subjects' resources from a hospital's server, page by page, through the one
door in.

A page's entries and the cursor that leads behind it are one transaction, so that a run which was
killed is taken up where it stopped. A run ends complete, incomplete with reasons, or failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from fhirbridge.crash import Crash
from fhirbridge.outcome import BridgeError
from fhirbridge.registry.messages import Receipt, ReceiptEntry
from fhirbridge.registry.runs import Run
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.servers.client import Page, PageExpired
from fhirbridge.servers.retry import ComeBack
from fhirbridge.sync.hospital import Hospital
from fhirbridge.sync.ingest import FATES, Incoming, ingest

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

    def run(self) -> Run:
        """Begin a run, or take up the one that a crash left; raises nothing that is not final.

        A server that cannot be reached leaves the run open: it is raised, and the next call goes
        on.
        """
        hospital = self.hospital
        with hospital.registry.unit(hospital.site.id) as unit:
            run = unit.runs.open(hospital.connection.id, "pull")
            run = run or unit.runs.start(hospital.connection.id, "pull")
            subjects = unit.subjects.all()
            unit.commit()
        for number, subject in enumerate(subjects, start=1):
            self.subject(run, subject)
            self.tell(f"{subject.study_id}: read ({number} of {len(subjects)})")
        return self.finish(run)

    def subject(self, run: Run, subject: Subject) -> None:
        with self.hospital.registry.read(self.hospital.site.id) as unit:
            identities = unit.subjects.identities(subject.id)
        for number, (system, value) in enumerate(identities):
            search = {"identifier": f"{system}|{value}", "_count": str(self.page_size)}
            self.stream(run, f"{subject.study_id}/Patient/{number}", "Patient", search)
        with self.hospital.registry.read(self.hospital.site.id) as unit:
            patients = self.hospital.patient_ids(unit, subject)
        if not patients:
            self.reasons.append(f"{subject.study_id}: no Patient there is surely this person")
        types = [m.resource for m in self.hospital.mappings.forms.values() if m.patient]
        for patient in patients:
            for resource_type in sorted(set(types)):
                search = {"patient": patient, "_count": str(self.page_size)}
                stream = f"{subject.study_id}/{resource_type}/{patient}"
                self.stream(run, stream, resource_type, search)

    def stream(self, run: Run, name: str, resource_type: str, search: dict[str, str]) -> None:
        """All pages of one search, from where an earlier attempt of this run stopped."""
        with self.hospital.registry.read(self.hospital.site.id) as unit:
            cursor = unit.cursors.of_run(run.id).get(name)
        if cursor is not None and cursor.state == "done":
            return
        start = cursor.next_url if cursor else None
        try:
            self.pages(run, name, self.walk(resource_type, search, start))
        except ComeBack:
            raise
        except BridgeError as fault:
            if fault.issues[0].category == "transient":
                raise
            self.reasons.append(f"{name}: {fault.issues[0].sentence()}")

    def walk(self, resource_type: str, search: dict[str, str], start: str | None) -> Iterator[Page]:
        """The pages; where the server has forgotten its link, the search anew."""
        try:
            yield from self.hospital.server.pages(resource_type, search, start=start)
        except PageExpired:
            yield from self.hospital.server.pages(resource_type, search)

    def pages(self, run: Run, name: str, pages: Iterator[Page]) -> None:
        hospital = self.hospital
        for page in pages:
            with hospital.registry.unit(hospital.site.id) as unit:
                receipt = self.page(unit, run, name, page)
                unit.commit()
            for entry in receipt.entries:
                self.tell_each(_line(entry))
            self.crash.reach("pull.after-page")

    def page(self, unit: Unit, run: Run, name: str, page: Page) -> Receipt:
        """Ingest one page and move the cursor, in the caller's transaction."""
        hospital = self.hospital
        key = f"{run.id}:{unit.new_id()}"
        incoming = Incoming(hospital.source, "page", key, page.raw, hospital.base)
        receipt = ingest(unit, hospital.mappings, incoming).receipt
        unit.cursors.put(
            run.id,
            name,
            state="open" if page.next_url else "done",
            next_url=page.next_url,
            page=page.number,
        )
        unit.runs.add_counts(run.id, {"pages": 1, **receipt.counts})
        return receipt

    def finish(self, run: Run) -> Run:
        hospital = self.hospital
        with hospital.registry.unit(hospital.site.id) as unit:
            counted = unit.runs.get(run.id)
            assert counted is not None
            ended = unit.runs.finish(
                run.id,
                "incomplete" if self.reasons else "complete",
                counted.counts,
                self.reasons,
            )
            unit.commit()
        return ended


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
