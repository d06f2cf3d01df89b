"""Pull: the enrolled subjects' resources from a hospital's server, page by page, through the one
door in.

A page's entries and the cursor that leads behind it are one transaction, so that a run which was
killed is taken up where it stopped. A run ends complete, incomplete with reasons, or failed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fhirbridge.crash import Crash
from fhirbridge.outcome import Issue
from fhirbridge.registry.runs import Run
from fhirbridge.registry.subjects import Subject
from fhirbridge.servers.retry import ComeBack
from fhirbridge.sync.consent import may_read, standing
from fhirbridge.sync.hospital import Hospital
from fhirbridge.sync.offered import not_granted, wanted
from fhirbridge.sync.pulling import asked, export, gone, search
from fhirbridge.sync.pulling.asked import Asked
from fhirbridge.sync.pulling.certificate import as_json, certificate, ties
from fhirbridge.sync.pulling.people import People
from fhirbridge.sync.pulling.round import Round, Tell, repeated
from fhirbridge.sync.replay import Selection, replay

__all__ = ["Pull", "as_json", "certificate", "ties"]

Progress = Callable[[int, int], None]


@dataclass
class Pull:
    """One run over one connection.

    `tell` hears a line for each subject, `tell_each` one for each resource: what it became, or why
    nothing; `progress` how many of how many subjects are read. `full`: all is read once more.
    """

    hospital: Hospital
    page_size: int
    crash: Crash = field(default_factory=Crash)
    tell: Tell = lambda line: None
    tell_each: Tell = lambda line: None
    progress: Progress = lambda done, of: None
    full: bool = False
    round: Round = field(init=False)
    types: list[str] = field(default_factory=list)

    def run(self) -> Run:
        """Begin a run, or take up the one that a crash left; raises nothing that is not final.

        A server that cannot be reached leaves the run open: it is raised, and the next call goes
        on; one that asked to come later is not asked before (`ComeBack`).
        """
        hospital = self.hospital
        with hospital.unit() as unit:
            run = unit.runs.open(hospital.connection.id, "pull")
            run = run or unit.runs.start(hospital.connection.id, "pull")
            withdrew = {s for s in unit.subjects.all() if standing(unit, s.id) == "withdrawn"}
            subjects = [s for s in unit.subjects.all() if s not in withdrew]
            unit.commit()
        _wait(run, hospital.registry.now())
        for subject in sorted(withdrew, key=lambda one: one.study_id):
            self.tell(f"{subject.study_id}: not asked for, as consent was withdrawn")
        self.round = self.begun(run)
        if not subjects:
            self.tell("nobody is enrolled at this site: there is nothing to ask for")
        try:
            self.read(subjects)
        except ComeBack as fault:
            self.told({"not_before": fault.not_before.isoformat() if fault.not_before else None})
            raise
        return self.finish(run)

    def begun(self, run: Run) -> Round:
        """What is known of the server, and whether all is read once more, stay the run's own."""
        hospital = self.hospital
        found = asked.ask(hospital.server)
        facts: dict[str, Any] = dict(run.facts)
        if "moment" not in facts:
            moved = self.clock_moved(found)
            facts |= {
                "way": hospital.options.pull,
                "full": self.full or moved,
                "moment": found.moment.isoformat() if found.moment else None,
                "drift": found.drift,
            }
            if moved:
                facts["remarks"] = ["the server's clock was set: all is read once more"]
        moment = datetime.fromisoformat(facts["moment"]) if facts["moment"] else None
        self.types = self.asked_for(found)
        shut = not_granted(hospital.server, self.types)
        self.types = [name for name in self.types if name not in shut]
        facts |= {
            "not_before": None,
            "not_listed": self.not_listed(found),
            "not_granted": shut,
        }
        made = Round(
            hospital,
            run,
            self.page_size,
            asked=Asked(found.types, found.stamped, found.recorded, moment, facts["drift"]),
            full=bool(facts["full"]),
            crash=self.crash,
            tell=self.tell,
            tell_each=self.tell_each,
            reasons=[f"{name}: not granted: our token does not open it" for name in shut],
            remarks=[*facts.get("remarks", ())],
        )
        self.round = made
        self.told(facts)
        return made

    def clock_moved(self, found: Asked) -> bool:
        """By more than the overlap, measured by ours, since the last run: no mark of before can be
        gone by."""
        with self.hospital.reading() as unit:
            ended = [
                unit.runs.latest(self.hospital.connection.id, "pull", state=state)
                for state in ("complete", "incomplete")
            ]
        runs = sorted((run for run in ended if run), key=lambda run: run.started_at)
        before = runs[-1].facts.get("drift") if runs else None
        if before is None or found.drift is None:
            return False
        return abs(found.drift - int(before)) > max(self.hospital.options.overlap - 2, 2)

    def read(self, subjects: list[Subject]) -> None:
        way = self.hospital.options.pull
        if way.startswith("export") and subjects:
            subjects = export.read(self.round, subjects, self.types)
        for number, subject in enumerate(subjects, start=1):
            before = len(self.round.reasons)
            self.subject(subject)
            if way.startswith("export") and len(self.round.reasons) == before:
                export.known(self.round, subject)
            self.tell(f"{subject.study_id}: read ({number} of {len(subjects)})")
            self.progress(number, len(subjects))
        self.refer()
        if self.hospital.options.deletions == "history":
            for kind in self.types:
                gone.by_history(self.round, kind)

    def refer(self) -> None:
        """Reads again what referred to resources that this run brought after it: a complication
        comes before the operation that it follows."""
        hospital, waits = self.hospital, tuple(self.round.unresolved)
        if not waits:
            return
        replay(
            hospital.registry,
            hospital.site.id,
            lambda unit: hospital.mappings,
            Selection(causes=frozenset({"not-found"}), messages=waits),
            actor=hospital.source,
            units=hospital.unit,
        )

    def subject(self, subject: Subject) -> None:
        round = self.round
        before = len(round.reasons)
        patients = People(round, subject).find()
        round.streams.know(self.streams(subject, self.types, patients))
        everything = self.hospital.options.pull == search.EVERYTHING
        read: list[str] = []
        for kind in self.types:
            if kind != "Consent" and not self.may(subject):
                self.tell(f"{subject.study_id}: withheld: consent is not on record")
                break
            if everything and kind != "Consent":
                for patient in patients:
                    search.read(round, search.everything(round, subject, self.types, patient))
                read = self.types
                break
            for patient in patients:
                search.read(round, search.by_type(round, subject, kind, patient))
            read.append(kind)
        if patients and len(round.reasons) == before:
            # Of an incomplete reading nothing is concluded.
            whole = [kind for kind in read if self.whole(subject, kind, patients)]
            if whole:
                gone.reconcile(round, [subject], whole, stream=f"{subject.study_id}/found")
        round.settle()

    def whole(self, subject: Subject, kind: str, patients: list[str]) -> bool:
        """Whether this run has read all that the subject's Patients have of the type."""
        return all(map(self.round.streams.is_whole, self.streams(subject, [kind], patients)))

    def streams(self, subject: Subject, kinds: list[str], patients: list[str]) -> list[str]:
        everything = self.hospital.options.pull == search.EVERYTHING
        names = {search.EVERYTHING if everything and k != "Consent" else k: None for k in kinds}
        return [search.stream_of(subject, name, patient) for name in names for patient in patients]

    def may(self, subject: Subject) -> bool:
        """Looked at anew before each search: a page may have brought a Consent."""
        with self.hospital.reading() as unit:
            return may_read(unit, self.hospital.site, subject.id)

    def asked_for(self, found: Asked) -> list[str]:
        """The types that the mappings read and the server has; what it has not is told."""
        lacking = self.not_listed(found)
        if lacking:
            self.tell(f"not asked for, as the server lists no such type: {', '.join(lacking)}")
        types = [name for name in wanted(self.hospital.mappings) if name not in lacking]
        return sorted(types, key=lambda name: (name != "Consent", name))  # it may allow the rest

    def not_listed(self, found: Asked) -> list[str]:
        types = wanted(self.hospital.mappings)
        return [name for name in types if found.types is not None and name not in found.types]

    def told(self, facts: dict[str, Any]) -> None:
        def store() -> None:
            with self.hospital.unit() as unit:
                unit.runs.tell(self.round.run.id, facts)
                unit.commit()

        repeated(store)

    def finish(self, run: Run) -> Run:
        hospital, round = self.hospital, self.round
        slow = [kind for kind in self.types if kind not in round.asked.stamped]
        if hospital.options.increments == "auto" and slow and len(slow) == len(self.types):
            round.remark("the server has no _lastUpdated: updates are seen only at a full pull")
        self.told({"remarks": round.remarks})

        def store() -> Run:
            with hospital.unit() as unit:
                ended = hospital.finish(unit, run, {}, round.reasons)
                unit.commit()
                return ended

        return repeated(store)


def _wait(run: Run, now: datetime) -> None:
    """Raises `ComeBack` while the server has not been asked to be left alone for long enough."""
    until = run.facts.get("not_before")
    not_before = datetime.fromisoformat(until) if until else None
    if not_before is not None and now < not_before:
        cause, remedy = "the server asked to come later", f"come again not before {until}"
        raise ComeBack(Issue("transient", cause, remedy), not_before=not_before)
