"""The coverage forecast of a sample: it is ingested by the same code as ever, in one transaction
that nobody commits, and what its receipts say is counted. There is no second reading.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from fhirbridge.formats.tabular_text import column_of
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import Issue
from fhirbridge.registry.proposals import Proposal
from fhirbridge.registry.receipts import Receipt, ReceiptEntry
from fhirbridge.registry.sites import Site
from fhirbridge.registry.store import Registry
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import rehearsed, tables
from fhirbridge.sync.check import coverage
from fhirbridge.sync.fates import fates
from fhirbridge.sync.forecast.people import Strangers
from fhirbridge.sync.forecast.sample import File, Piece, pieces
from fhirbridge.sync.forecast.told import CAUSES, KIND, Block, Having, Told
from fhirbridge.sync.ingest import ingest

_INDEX = re.compile(r"\[\d+\]")
_CELL = re.compile(r"cell ([A-Z]+)\d+")
# As the codecs tell it (`mapping.coded`, `mapping.decode`).
_UNKNOWN = re.compile(
    r"(\S+(?:, \S+)*) is (?:not in the crosswalk ('[^']+')|in none of the crosswalks ([\w, -]+))"
)
_CONSENT = "a record of consent must come first at this site; here it is taken as given"
_PLACES = 3  # that are shown of what blocks
Spot = tuple[str, ...]


@dataclass(slots=True)
class _Found:
    sources: Counter[str] = field(default_factory=Counter)
    spots: set[Spot] = field(default_factory=set)
    waits: set[Spot] = field(default_factory=set)


@dataclass(slots=True)
class _Standing:
    """What blocks, under one cause."""

    remedy: str
    spots: set[Spot] = field(default_factory=set)
    places: list[str] = field(default_factory=list)
    code: str = ""
    add: tuple[str, ...] = ()


@dataclass
class Rehearsal:
    """A sample as it is worked off, and what is counted of it."""

    unit: Unit
    mappings: MappingSet
    found: dict[tuple[str, str], _Found] = field(default_factory=lambda: defaultdict(_Found))
    records: dict[str, set[Spot]] = field(default_factory=lambda: defaultdict(set))
    blocks: dict[tuple[str, str], _Standing] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    kinds: dict[str, str] = field(default_factory=dict)
    forms: set[str] = field(default_factory=set)  # of tables
    subjects: set[str] = field(default_factory=set)

    def take(self, piece: Piece) -> None:
        receipt = ingest(self.unit, self.mappings, piece.incoming).receipt
        self.kinds[piece.file] = piece.kind
        self.counts.update({n: k for n, k in receipt.counts.items() if k})
        self.subjects |= {one.subject_id for one in receipt.entries if one.subject_id}
        if receipt.issues:
            for issue in receipt.issues:
                at = " ".join(part for part in (piece.file, issue.place, issue.expression) if part)
                self._block(issue, (receipt.message_id,), at)
            return
        self._had(piece, receipt)
        if piece.table is None:
            self._waiting(piece, receipt)
        else:
            self._rows(piece, receipt)

    def _had(self, piece: Piece, receipt: Receipt) -> None:
        entries = {one.position: one for one in reversed(receipt.entries)}
        told = [(one, entries.get(one.position or 0)) for one in self._proposals(receipt)]
        for proposal, entry in told:
            record = self.unit.records.get(proposal.record_id)
            if record is None or entry is None:
                continue
            spot = self._spot(piece, receipt, proposal.position or 0, proposal.record_id)
            held = self.found[(record.form, proposal.field)]
            held.sources[_source(piece, proposal, entry)] += 1
            held.spots.add(spot)
            if proposal.status == "waiting":
                held.waits.add(spot)
            self.records[record.form].add(spot)

    def _proposals(self, receipt: Receipt) -> Iterator[Proposal]:
        """Of what was known already, what made it known."""
        yield from self.unit.proposals.of_message(receipt.message_id)
        for entry in receipt.entries:
            if entry.fate == "unchanged" and entry.record_id:
                yield from self.unit.proposals.accepted(entry.record_id).values()

    def _spot(self, piece: Piece, receipt: Receipt, position: int, record: str) -> Spot:
        """A row of a table; of anything else the record."""
        return (receipt.message_id, str(position)) if piece.table else (record,)

    def _waiting(self, piece: Piece, receipt: Receipt) -> None:
        for entry in receipt.entries:
            spot = (receipt.message_id, str(entry.position))
            for issue in entry.issues:
                if issue.severity in ("fatal", "error") and issue.category != "review":
                    at = " ".join(part for part in (issue.place, issue.expression) if part)
                    self._block(issue, spot, f"{piece.file} {at}".strip())

    def _rows(self, piece: Piece, receipt: Receipt) -> None:
        """By cell, column and value, as an import tells them."""
        table = piece.table
        if table is None:
            return
        self.forms.add(table.asked.form)
        rows = [(row, told.study_id) for row, told in piece.rows]
        told = fates(self.unit, receipt, rows, table.known, whole=False)
        for position, fate in enumerate(told):
            spot = (receipt.message_id, str(position))
            if fate.fate in ("quarantined", "refused") and table.asked.form != "redcap":
                self.records[table.asked.form].add(spot)
            for fault in fate.faults:
                if not fault.waits:
                    continue
                issue = Issue(fault.category, f"{fault.column}: {fault.cause}", fault.remedy)
                name = self._field(piece, fault.cell)
                word = fault.value if fault.category == "unknown-code" else ""
                self._block(issue, spot, f"{piece.file} {fault.cell}", word=word, name=name)

    def _field(self, piece: Piece, cell: str) -> str:
        """The field that the cell's column gives."""
        if piece.table is None:
            return ""
        letters = cell.rstrip("0123456789").split(":")[0].rstrip("0123456789")
        index = column_of(letters)
        fields = {i: name for name, i in piece.table.known.columns.items()}
        return fields.get(index, "")

    def _block(self, issue: Issue, spot: Spot, at: str, *, word: str = "", name: str = "") -> None:
        cause = f"{issue.cause} ('{word}')" if word and word not in issue.cause else issue.cause
        known = self.blocks.get((issue.category, cause))
        if known is None:
            known = _Standing(issue.remedy)
            if issue.category == "unknown-code":
                known.code, known.add = self._lets_in(issue, word, name)
            self.blocks[(issue.category, cause)] = known
        known.spots.add(spot)
        if at not in known.places and len(known.places) < _PLACES:
            known.places.append(at)

    def _lets_in(self, issue: Issue, word: str, name: str) -> tuple[str, tuple[str, ...]]:
        """The unknown code, and a command for each crosswalk that could mean it."""
        found = _UNKNOWN.fullmatch(issue.cause)
        if found is not None and "check digit" not in issue.cause:
            walks = [walk.strip("' ") for walk in (found[2] or found[3]).split(",")]
            codes = [code for code in found[1].split(", ") if not code.startswith("(no")]
            return found[1], tuple(self._command(w, code) for code in codes for w in walks)
        if word and name:
            forms = [form for form in self.forms if name in self.mappings.study.form(form).fields]
            walks = [w.name for f in forms for w in tables.walks_of(self.mappings, f).get(name, ())]
            return word, tuple(self._command(walk, f"{tables.WORDS}|{word}") for walk in walks)
        return word, ()

    def _command(self, walk: str, code: str) -> str:
        site = self.mappings.site
        named = shlex.quote(code)
        return f"fhirbridge crosswalk add {walk} {named} TARGET --site {site} --by WHO --reason WHY"


def _source(piece: Piece, proposal: Proposal, entry: ReceiptEntry) -> str:
    """The column, the segment or the element, without its number."""
    path = proposal.path or ""
    if piece.table is not None:
        found = _CELL.search(path)
        index = column_of(found[1]) if found else -1
        headers = piece.table.known.headers
        return f"column {headers[index]}" if 0 <= index < len(headers) else path
    if piece.kind == "hl7v2":
        return f"{_INDEX.sub('', path)} ({proposal.rule})"
    inside = path.partition(".resource.")[2] or path.rpartition(f"{entry.resource_type}.")[2]
    return f"{entry.resource_type}.{_INDEX.sub('', inside)}"


def forecast(
    registry: Registry,
    site: Site,
    mappings: Callable[[Unit], MappingSet],
    files: Sequence[File],
    *,
    rows: int,
    by: str,
) -> Told:
    """What could be had of what these files are a sample of. Nothing of them is kept but an event
    of the audit trail. Raises `BridgeError` where a file is refused whole."""
    notes: list[str] = []
    with registry.unit(site.id) as unit:
        known = mappings(unit)
        rehearsal, strangers = Rehearsal(unit, known), Strangers(unit, known)
        if site.consent == "record":
            unit.sites.let_enrolment_allow(site.id)
            notes.append(_CONSENT)
        for file in files:
            for piece in pieces(known, file, rows=rows):
                strangers.meet(piece.incoming)
                rehearsal.take(piece)
        told = _told(rehearsal, site, strangers.count, notes)
    counts = {**rehearsal.counts, CAUSES: len(told.blocks)}
    rehearsed.note(registry, site.id, actor=by, kind=KIND, counts=counts,
                   subjects=rehearsal.subjects)  # fmt: skip
    return told


def _told(rehearsal: Rehearsal, site: Site, strangers: int, notes: list[str]) -> Told:
    fields = [*_fields(rehearsal)]
    every = sum(len(form.fields) for form in rehearsal.mappings.study.forms.values())
    ranked = sorted(rehearsal.blocks.items(), key=lambda one: (-len(one[1].spots), one[0]))
    blocks = [
        Block(category, cause, one.remedy, len(one.spots), tuple(one.places), one.code, one.add)
        for (category, cause), one in ranked
    ]
    return Told(
        site=site.name,
        files=rehearsal.kinds,
        counts=rehearsal.counts,
        strangers=strangers,
        notes=notes,
        fields=fields,
        blocks=blocks,
        captured=every - len(fields),
    )


def _fields(rehearsal: Rehearsal) -> Iterator[Having]:
    """Of each field that a hospital is asked for, in the study's order; of a table, those of its
    forms."""
    mappings, tabular = rehearsal.mappings, set(rehearsal.kinds.values()) <= {"table"}
    asked = {(one.form, one.field) for one in coverage.forecast(mappings, lambda _: "")}
    for form in mappings.study.forms.values():
        for name in form.fields:
            found = rehearsal.found.get((form.name, name))
            of = len(rehearsal.records[form.name])
            asks = not tabular and (form.name, name) in asked
            if found is not None:
                sources = tuple(source for source, _ in found.sources.most_common())
                yield Having(form.name, name, sources, len(found.spots), of, len(found.waits))
            elif asks or form.name in rehearsal.forms or (tabular and of):
                why = "nothing in the sample gives it" if of else "no record of the form came of it"
                yield Having(form.name, name, (), 0, of, 0, why)
