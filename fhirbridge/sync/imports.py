"""A whole file: what it is, its rehearsal, and its applying in chunks that a crash may interrupt.

The rehearsal is the same code, rolled back. Each chunk is one message and one transaction, with the
progress of the upload in it: a file that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from fhirbridge.crash import Crash
from fhirbridge.formats import fhir_json, tabular_report
from fhirbridge.formats.tabular_report import Line
from fhirbridge.formats.tabular_text import RawRow, column_of
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.store import Registry
from fhirbridge.registry.unit import Unit
from fhirbridge.registry.uploads import Upload
from fhirbridge.sync import overdue, rehearsed
from fhirbridge.sync.fates import RowFate, Tally
from fhirbridge.sync.ingest import ingest, preview
from fhirbridge.sync.rows import KIND
from fhirbridge.sync.sent_tables import SOURCE, Sent, Table, changed_header, fates_of, withdrawals

See = Callable[[RawRow, RowFate], None]
Mappings = Callable[[Unit], MappingSet]
_NO_SYSTEM = "the mappings have no name 'study-id'"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`fresh` is False where the file had been applied before, and nothing was done."""

    upload: Upload
    counts: dict[str, int]
    notes: tuple[str, ...]
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """`days`: for how long the file of a rehearsal is kept that nobody applies."""

    size: int
    rows: int
    days: int = 7


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a site's files are handed in. `by` is who does it. Where it keeps nothing, a file is
    rehearsed and forgotten."""

    registry: Registry
    site_id: str
    mappings: Mappings
    limits: Limits
    by: str
    crash: Crash
    request_id: str | None = None
    keeps: bool = True

    def rehearse(self, sent: Sent, see: See = lambda row, fate: None) -> Outcome:
        """What applying would do; the file is kept for it, and else nothing. Raises `BridgeError`
        with every fault of the file where it is refused whole."""
        self._small(sent)
        if self.keeps:
            overdue.sweep(self.registry, self.site_id, self.limits.days, by=self.by)
        with self.registry.unit(self.site_id) as unit:
            mappings = self.mappings(unit)
            table = Table.open(mappings, sent, self.limits.rows)
            notes = (*table.notes, *changed_header(unit, table))
        known = self._known(table, sent) if self.keeps else None
        again = known is not None and known.state == "applied"
        tally = self._walk(table, see, again=again)
        upload = self._kept(table, sent, tally) if self.keeps else self._noted(table, sent, tally)
        if tally.withheld:
            notes = (*notes, _WITHHELD)
        if again:
            notes = (*notes, f"this file was applied before, as upload {upload.id}")
        return Outcome(upload, tally.told(), notes)

    def _walk(self, table: Table, see: See, *, again: bool) -> Tally:
        """Every row as if it were applied, chunk by chunk, each rolled back."""
        tally = Tally()
        for rows in table.chunks():
            with self.registry.unit(self.site_id) as unit:
                mappings = self._same(unit, table.mappings)
                found = preview(unit, mappings, table.incoming(rows, "preview"))
                for row, fate in fates_of(unit, found, rows, table, whole=True):
                    fate = _overtaken(fate) if again else fate
                    tally.add(fate)
                    see(row, fate)
            tally.withdrawals += withdrawals(rows)
        return tally

    def apply(
        self,
        upload_id: str,
        *,
        sent: Sent | None = None,
        reason: str = "",
        see: See = lambda row, fate: None,
    ) -> Outcome:
        """Apply what was rehearsed, or go on with it; `sent` where the file itself is at hand.
        Raises `BridgeError` (precondition) where the mapping has changed since."""
        with self.registry.unit(self.site_id) as unit:
            upload = self._upload(unit, upload_id)
            if upload.state == "applied":
                return Outcome(upload, dict(upload.counts), (), fresh=False)
            mappings = self.mappings(unit)
            if sent is None:
                overdue.must_be_in_time(self.registry, upload, self.limits.days)
            _unchanged(upload, mappings)
            must_be_reasoned(upload, reason)
            sent = sent or sent_of(upload)
            if upload.state == "rehearsed":
                upload = unit.uploads.begin(upload_id, by=self.by, reason=reason)
            unit.commit()
        return self._apply(upload, sent, mappings, see)

    def _apply(self, upload: Upload, sent: Sent, mappings: MappingSet, see: See) -> Outcome:
        table = Table.open(mappings, replace(sent, form=upload.form), self.limits.rows)
        withheld = False
        for number, rows in enumerate(table.chunks(), start=1):
            if number <= upload.chunks:
                continue
            tally = Tally()
            with self.registry.unit(self.site_id, request_id=self.request_id) as unit:
                incoming = table.incoming(rows, f"upload:{upload.id}:{number}")
                done = ingest(unit, self._same(unit, mappings), incoming).receipt
                for row, fate in fates_of(unit, done, rows, table, whole=False):
                    tally.add(fate)
                    see(row, fate)
                tally.withdrawals = withdrawals(rows)
                upload = unit.uploads.advance(upload, number, tally.told())
                self.crash.reach("import.before-commit")
                unit.commit()
            self.crash.reach("import.after-chunk")
            withheld = withheld or tally.withheld
        with self.registry.unit(self.site_id, request_id=self.request_id) as unit:
            upload = unit.uploads.finish(upload.id, keep=not withheld)
            told = {"upload": upload.id}
            unit.audit.note("U", "import", actor=self.by, entities=told)
            unit.commit()
        return Outcome(upload, dict(upload.counts), table.notes)

    def tell(self, upload_id: str, see: See) -> Upload:
        """Every row of an upload with what became of it: by its receipts where it was applied, by
        another rehearsal where it was not."""
        with self.registry.unit(self.site_id) as unit:
            upload = self._upload(unit, upload_id)
            mappings = self.mappings(unit)
        table = Table.open(mappings, sent_of(upload), self.limits.rows)
        if upload.state != "applied":
            self._walk(table, see, again=False)
            return upload
        for number, rows in enumerate(table.chunks(), start=1):
            with self.registry.read(self.site_id) as unit:
                message = unit.messages.by_key(SOURCE, f"upload:{upload.id}:{number}")
                receipt = unit.receipts.of_message(message.id) if message else None
                if receipt is not None:
                    for row, fate in fates_of(unit, receipt, rows, table, whole=True):
                        see(row, fate)
        return upload

    def file_back(self, upload_id: str, kind: str) -> tuple[str, bytes, set[str]]:
        """The site's own file with what became of its rows beside them, as csv or xlsx; its name,
        its bytes, and the ids of those of whom it tells."""
        with self.registry.read(self.site_id) as unit:
            upload = self._upload(unit, upload_id)
            mappings = self.mappings(unit)
        table = Table.open(mappings, sent_of(upload), self.limits.rows)
        lines: list[Line] = []
        whose: set[str] = set()

        def see(row: RawRow, fate: RowFate) -> None:
            lines.append(_line(row, fate))
            whose.update({fate.subject_id} if fate.subject_id else ())

        self.tell(upload_id, see)
        name = upload.name.rpartition(".")[0] or upload.name
        if kind == "xlsx":
            return f"{name}-checked.xlsx", tabular_report.as_xlsx(table.sheet, lines), whose
        return f"{name}-checked.csv", b"".join(tabular_report.as_csv(table.sheet, lines)), whose

    def _same(self, unit: Unit, before: MappingSet) -> MappingSet:
        """The mappings of now, where they are still those of the file's beginning."""
        now = self.mappings(unit)
        if now.version != before.version:
            raise _other_mapping()
        return now

    def _known(self, table: Table, sent: Sent) -> Upload | None:
        with self.registry.read(self.site_id) as unit:
            return unit.uploads.same(
                table.asked.form, sent.body, sent.beside(), table.mappings.version
            )

    def _kept(self, table: Table, sent: Sent, tally: Tally) -> Upload:
        with self.registry.unit(self.site_id, request_id=self.request_id) as unit:
            upload = unit.uploads.keep(
                table.asked.form,
                sent.name,
                sent.body,
                kept=b"" if tally.withheld else sent.body,
                asked=sent.beside(),
                mapping_version=table.mappings.version,
                header=list(table.sheet.header.cells),
                counts=tally.told(),
                by=self.by,
            )
            told = {"upload": upload.id, "subjects": sorted(tally.subjects)}
            unit.audit.note("R", "import.rehearse", actor=self.by, entities=told)
            unit.commit()
        return upload

    def _noted(self, table: Table, sent: Sent, tally: Tally) -> Upload:
        """As if it had been kept; it has no id by which it could be asked for."""
        kind = f"{KIND}/{table.asked.form}"
        rehearsed.note(self.registry, self.site_id, actor=self.by, kind=kind, counts=tally.told(),
                       subjects=tally.subjects, request_id=self.request_id)  # fmt: skip
        return Upload(
            id="",
            form=table.asked.form,
            name=sent.name,
            sha256=hashlib.sha256(sent.body).hexdigest(),
            asked=sent.beside(),
            asked_sha256=hashlib.sha256(sent.beside().encode()).hexdigest(),
            mapping_version=table.mappings.version,
            state="rehearsed",
            body=b"",
            header=list(table.sheet.header.cells),
            counts=tally.told(),
            chunks=0,
            created_by=self.by,
            created_at=self.registry.now(),
        )

    def _small(self, sent: Sent) -> None:
        if len(sent.body) > self.limits.size:
            cause = f"the file has {len(sent.body)} bytes, {self.limits.size} are taken at once"
            raise BridgeError(Issue("too-long", cause, "divide it", place=sent.name))

    def _upload(self, unit: Unit, upload_id: str) -> Upload:
        found = unit.uploads.get(upload_id)
        if found is None:
            cause = "there is no upload with this id"
            raise BridgeError(Issue("not-found", cause, "rehearse the file first"))
        return found


_WITHHELD = (
    "the file is not kept: consent of a person in it was withdrawn; take the rows out, and send it"
    " again"
)


def sent_of(upload: Upload) -> Sent:
    """The file of an upload, as it was sent. Raises `BridgeError` where it is not kept any more."""
    if not upload.body:
        raise overdue.gone()
    return Sent(upload.name, upload.body, upload.form, **fhir_json.parse(upload.asked.encode()))


def _other_mapping() -> BridgeError:
    cause = "the mapping has changed since the file was rehearsed"
    return BridgeError(Issue("precondition", cause, "rehearse it again, then apply it"))


def _unchanged(upload: Upload, mappings: MappingSet) -> None:
    if upload.mapping_version != mappings.version:
        raise _other_mapping()


def must_be_reasoned(upload: Upload, reason: str) -> None:
    taken_back = upload.counts.get("withdrawals", 0) if upload.state == "rehearsed" else 0
    if taken_back and not reason:
        cause = f"the file takes back {taken_back} values"
        raise BridgeError(Issue("required", cause, "say why, by a reason"))


def _line(row: RawRow, fate: RowFate) -> Line:
    told = "; ".join(
        f"{one.cell} {one.column}: {one.cause}" + (f" -> {one.remedy}" if one.remedy else "")
        for one in fate.faults
    )
    cells = frozenset(column_of(one.cell.rstrip("0123456789")) for one in fate.faults
                      if ":" not in one.cell)  # fmt: skip
    return Line(row, fate.fate, told, cells)


def _overtaken(fate: RowFate) -> RowFate:
    """Of a file that was applied before: what it would change, somebody has changed since."""
    return replace(fate, fate="superseded") if fate.fate in ("create", "change") else fate
