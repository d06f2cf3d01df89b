"""A pull by Bulk Data export: of a Group, of all Patients, of the whole server.

The URL to poll is kept before it is polled, and while the server works nobody waits for it. A file
is fetched as a whole and looked through before anything of it is taken; then it goes through the
one door in, some lines and their cursor a transaction.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import BinaryIO

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.runs import Reading
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.servers.bulk import NDJSON, Expired, Export, File, Manifest, Wait
from fhirbridge.servers.retry import ComeBack
from fhirbridge.sync.pulling import gone
from fhirbridge.sync.pulling.files import LINKED, Lines, rejected, remarks_of, tombstones
from fhirbridge.sync.pulling.people import People
from fhirbridge.sync.pulling.round import Place, Round, repeated, unserved
from fhirbridge.sync.pulling.search import stamp

STREAM = "export"
_ORDER = {"Patient": 0, "Consent": 1, "Condition": 2, "Procedure": 3}  # what others depend on first
_FETCHES = 2
_RESTARTS = 1
_MOST_TOLD = 20


def read(round: Round, subjects: list[Subject], types: list[str]) -> list[Subject]:
    """Those subjects whose data the export does not bring, as they are new: it was asked for what
    has changed since the last one."""
    return _Exported(round, subjects, types).read()


def known(round: Round, subject: Subject) -> None:
    """From now on the subject's data comes with the export."""

    def store() -> None:
        with round.hospital.unit() as unit:
            _mark(unit, round, subject)
            unit.commit()

    repeated(store)


def _mark(unit: Unit, round: Round, subject: Subject) -> None:
    unit.readings.put(round.run.connection_id, f"{STREAM}/{subject.study_id}", since=None)


@dataclass
class _Exported:
    round: Round
    subjects: list[Subject]
    types: list[str]
    seen: set[tuple[str, str]] = field(default_factory=set)
    linked: list[Subject] = field(default_factory=list)
    url: str = ""

    @property
    def server(self) -> Export:
        options = self.round.options
        hosts = frozenset(h.strip().lower() for h in options.file_hosts.split(",") if h.strip())
        return Export(self.round.hospital.server, hosts, options.poll_cap)

    def read(self) -> list[Subject]:
        round, before = self.round, len(self.round.reasons)
        since, new = self.start()
        try:
            manifest = self.taken(since)
        except ComeBack:
            raise
        except BridgeError as fault:
            if unserved(fault):
                raise
            round.reason(f"{STREAM}: {fault.issues[0].sentence()}")
            self.forget()
            return self.to_read(new)
        whole = len(round.reasons) == before
        if whole and since is None:
            gone.reconcile(round, self.subjects, self.types, stream=f"{STREAM}/found")
        if whole:
            self.finish(manifest, new)
        self.server.end(self.url)
        return self.to_read(new)

    def to_read(self, new: list[Subject]) -> list[Subject]:
        """By searches, beside what the export brought."""
        return [*new, *(one for one in self.linked if one not in new)]

    def taken(self, since: str | None) -> Manifest:
        """All files. Of one that is there no more the manifest is asked for again, as it may have
        another URL by now; then the export is begun anew, once."""
        try:
            manifest = self.ready(since)
            self.files(manifest)
        except Expired:
            manifest = self.ready(since)
            try:
                self.files(manifest)
            except Expired:
                manifest = self.again(since)
                self.files(manifest)
        return manifest

    def start(self) -> tuple[str | None, list[Subject]]:
        """From when on it is asked, and who of the subjects is not in that; kept with the run, so
        that a run that is taken up asks for the same."""
        round = self.round
        with round.hospital.reading() as unit:
            last = unit.readings.get(round.run.connection_id, STREAM)
            new = [s for s in self.subjects if not self.is_known(unit, s)]
            facts = (unit.runs.get(round.run.id) or round.run).facts
        if "export_since" in facts:
            since = facts["export_since"]
        else:
            since = stamp(last.since) if last and last.since and not self.due(last) else None
            self.tell(export_since=since)
        return since, new if since else []

    def due(self, last: Reading) -> bool:
        """Whether it is time to export all of it once more."""
        round, days = self.round, timedelta(days=self.round.options.full_days)
        late = last.full_at is None or round.run.started_at - last.full_at >= days
        return round.full or late or round.options.increments == "no"

    def is_known(self, unit: Unit, subject: Subject) -> bool:
        stream = f"{STREAM}/{subject.study_id}"
        return unit.readings.get(self.round.run.connection_id, stream) is not None

    def tell(self, **facts: object) -> None:
        def store() -> None:
            with self.round.hospital.unit() as unit:
                unit.runs.tell(self.round.run.id, facts)
                unit.commit()

        repeated(store)

    def ready(self, since: str | None) -> Manifest:
        """Raises `ComeBack` while the server is not done."""
        cursor = self.round.cursor(STREAM)
        if cursor is None or not cursor.next_url:
            self.keep(self.server.begin(self.path(), self.question(since)), 0)
            cursor = self.round.cursor(STREAM)
        self.url = (cursor.next_url if cursor else None) or ""
        polls = cursor.page if cursor else 0
        try:
            told = self.server.poll(self.url, polls=polls)
        except Expired:
            return self.again(since)
        if isinstance(told, Manifest):
            return told
        self.keep(self.url, polls + 1)
        raise self.later(told)

    def later(self, told: Wait) -> ComeBack:
        until = self.round.hospital.registry.now() + timedelta(seconds=told.seconds)
        issue = Issue("transient", "the export is not ready", f"come again at {stamp(until)}")
        return ComeBack(issue, not_before=until)

    def again(self, since: str | None) -> Manifest:
        """The server has forgotten the export: it is begun anew, once."""
        with self.round.hospital.reading() as unit:
            run = unit.runs.get(self.round.run.id)
        restarts = int((run.facts if run else {}).get("export_restarts", 0))
        if restarts >= _RESTARTS:
            cause = "the server has forgotten the export twice"
            raise BridgeError(Issue("remote", cause, "show this to the hospital's IT"))
        self.tell(export_restarts=restarts + 1)
        self.forget()
        return self.ready(since)

    def path(self) -> str:
        options = self.round.options
        if options.pull == "export-group":
            if not options.group:
                cause, remedy = "no Group is named to export", "set the connection's option group"
                raise BridgeError(Issue("configuration", cause, remedy))
            return f"Group/{options.group}/$export"
        return "Patient/$export" if options.pull == "export-patients" else "$export"

    def question(self, since: str | None) -> list[tuple[str, str]]:
        types = ",".join(sorted({"Patient", *self.types}))
        asked = [("_outputFormat", NDJSON), ("_type", types)]
        return [*asked, ("_since", since)] if since else asked

    def keep(self, url: str, polls: int) -> None:
        def store() -> None:
            with self.round.hospital.unit() as unit:
                self.round.put(unit, Place(STREAM, "open", url, polls))
                unit.commit()

        repeated(store)

    def forget(self) -> None:
        """Its files are those of another manifest then, and are read from their beginning."""

        def store() -> None:
            with self.round.hospital.unit() as unit:
                for stream in unit.cursors.of_run(self.round.run.id):
                    if stream.startswith(f"{STREAM}/file/"):
                        self.round.put(unit, Place(stream, "open", None, 0))
                self.round.put(unit, Place(STREAM, "open", None, 0))
                unit.commit()

        repeated(store)

    def files(self, manifest: Manifest) -> None:
        followed = False
        listed = sorted(enumerate(manifest.output), key=lambda one: _ORDER.get(one[1].kind, 9))
        for number, file in listed:
            if file.kind != "Patient" and not followed:
                self.follow()
                followed = True
            if file.kind in ("Patient", *self.types):
                self.file(number, file, manifest)
        for file in manifest.deleted:
            self.deleted(file, manifest)
        for file in manifest.errors:
            self.errors(file, manifest)

    def file(self, number: int, file: File, manifest: Manifest) -> None:
        stream = f"{STREAM}/file/{number}/{file.kind}"
        cursor = self.round.cursor(stream)
        if cursor is not None and cursor.state == "done":
            return
        with tempfile.TemporaryFile() as spool:
            wrong = self.fetched(file, manifest, spool, kind=file.kind)
            if wrong:
                self.round.reason(f"{stream}: {wrong.sentence()}")
            if wrong and wrong.category != "conflict":  # lines that cannot be read
                return
            lines = Lines(self.round, spool, stream, file.kind, cursor.page if cursor else 0)
            seen = lines.take()
            if manifest.deleted:
                self.seen |= seen

    def follow(self) -> None:
        """By searches of their identifiers, as links lead to Patients whom nobody knows yet. What
        such a one has may be older than what this export brings: the subject is read in full."""
        with self.round.hospital.reading() as unit:
            run = unit.runs.get(self.round.run.id)
        told = {line.partition(":")[0] for line in (run.facts if run else {}).get(LINKED, ())}
        self.linked = [one for one in self.subjects if one.study_id in told]
        for subject in self.linked:
            People(self.round, subject).find()

    def fetched(
        self, file: File, manifest: Manifest, spool: BinaryIO, *, kind: str
    ) -> Issue | None:
        """Fetch it until it is whole; what is wrong with it after the last time."""
        wrong: Issue | None = None
        for number in range(_FETCHES):
            try:
                self.server.fetch(file, spool, token=manifest.token)
                wrong = rejected(spool, kind, file.count)
            except Expired:
                raise
            except BridgeError as fault:
                if _final(fault) or (unserved(fault) and number + 1 == _FETCHES):
                    raise
                wrong = fault.issues[0]
            if wrong is None:
                return None
        return wrong

    def beside(self, file: File, manifest: Manifest, kind: str) -> Iterator[BinaryIO]:
        with tempfile.TemporaryFile() as spool:
            wrong = self.fetched(file, manifest, spool, kind=kind)
            if wrong:
                self.round.reason(f"{STREAM}: {wrong.sentence()}")
            else:
                yield spool

    def deleted(self, file: File, manifest: Manifest) -> None:
        """After what the export brought; one that is in both is told."""
        for spool in self.beside(file, manifest, "Bundle"):
            for kind, id in tombstones(spool):
                if (kind, id) in self.seen:
                    self.round.remark(f"{kind}/{id} is exported, and told as deleted there, too")
                gone.by_name(self.round, kind, id, gone.DELETED)

    def errors(self, file: File, manifest: Manifest) -> None:
        for spool in self.beside(file, manifest, "OperationOutcome"):
            for number, (severity, text) in enumerate(remarks_of(spool)):
                if severity in ("error", "fatal") and number < _MOST_TOLD:
                    self.round.reason(f"{STREAM}: the server says: {text}")

    def finish(self, manifest: Manifest, new: list[Subject]) -> None:
        """The next one is asked from the server's own time on."""
        round = self.round
        with round.hospital.reading() as unit:
            facts = (unit.runs.get(round.run.id) or round.run).facts
        full = facts.get("export_since") is None

        def store() -> None:
            with round.hospital.unit() as unit:
                unit.readings.put(
                    round.run.connection_id,
                    STREAM,
                    since=manifest.moment,
                    full_at=round.run.started_at if full else None,
                    full_in=round.run.id if full else None,
                )
                for subject in self.subjects:
                    if subject not in new:
                        _mark(unit, round, subject)
                unit.runs.tell(round.run.id, {"transaction_time": stamp(manifest.moment)})
                round.put(unit, Place(STREAM, "done", None, 0))
                unit.commit()

        repeated(store)


def _final(fault: BridgeError) -> bool:
    """A host that is not allowed, a file that is too long: once more would be the same."""
    return "file_hosts" in fault.issues[0].remedy or fault.issues[0].category == "too-long"
