"""The world in which a case of a table is played: site A, nine subjects, the real door. Synthetic."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhirbridge.crash import Crash
from fhirbridge.formats import redcap
from fhirbridge.formats.tabular_text import RawRow
from fhirbridge.library import Library
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.store import Registry
from fhirbridge.study import records
from fhirbridge.sync import additions
from fhirbridge.sync.accept import Context
from fhirbridge.sync.enrol import enrol
from fhirbridge.sync.fates import Fault, RowFate
from fhirbridge.sync.imports import Desk, Limits, Outcome, Sent
from fhirbridge.sync.project import fields_of
from tests import databases

MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"
SITE, SYSTEM = "A", "urn:oid:2.999.1.1"
SUBJECTS = {f"MBD-A-00{n}": "" for n in range(1, 10)} | {
    "MBD-A-001": "0004711",
    "MBD-A-002": "0008150",
    "MBD-A-003": "0012345",
}
# What the site says once of all its files: the study asks for it, and the cases' files have no
# columns for it.
COLUMNS = {
    "subject": [
        ("hospital_id", "hospital_ids", {"system": SYSTEM}),
        ("", "status", {"value": "on_study"}),
    ],
    "assessment": [
        ("", "promis_pf_version", {"value": "v2_0"}),
        ("", "msts_form", {"value": "lower"}),
        ("", "tess_form", {"value": "lower"}),
        ("", "promis_pi_version", {"value": "v1_0"}),
    ],
    "surgery": [("", "procedure", {"value": "other"})],
}
_HEAD = ("header", "field", "unit", "date_order", "decimal", "system", "row", "value")


@dataclass
class Door:
    registry: Registry
    library: Library
    site_id: str
    rows: list[RowFate] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    refused: tuple[Issue, ...] = ()
    last: Outcome | None = None
    rehearsed: Outcome | None = None

    @property
    def desk(self) -> Desk:
        return Desk(
            self.registry,
            self.site_id,
            lambda unit: additions.mappings(self.library, unit, SITE),
            Limits(1 << 26, 200_000),
            "command-line",
            Crash(),
        )

    def see(self, row: RawRow, fate: RowFate) -> None:
        self.rows.append(fate)
        self.faults += fate.faults

    def play(self, sent: Sent) -> Door:
        """Rehearse and apply; `rows` and `faults` are those of the rehearsal, which the applying
        must repeat."""
        self.rows, self.faults, self.refused = [], [], ()
        try:
            self.rehearsed = self.desk.rehearse(sent, self.see)
        except BridgeError as fault:
            self.refused = fault.issues
            return self
        again: list[RowFate] = []
        reason = "told by the site"
        self.last = self.desk.apply(
            self.rehearsed.upload.id,
            sent=sent,
            reason=reason,
            see=lambda _, fate: again.append(fate),
        )
        assert [(r.line, r.fate) for r in again] == [(r.line, r.fate) for r in self.rows]
        return self

    def export(self) -> list[dict[str, Any]]:
        """As `fhirbridge record export` tells it."""
        told = []
        study = self.library.of_site(SITE).study
        with self.registry.read(self.site_id) as unit:
            for subject in unit.subjects.all():
                ids = [f"{s}|{v}" for s, v in unit.subjects.identities(subject.id)]
                for stored in unit.records.all(subject_id=subject.id):
                    if stored.status == "active":
                        made = records.Record(subject.study_id, stored.form, fields_of(stored))
                        one = records.to_json(study, made, id=stored.id)
                        told.append({**one, "hospital_ids": ids})
        return told


@contextmanager
def opened(folder: Path, settings: Mapping[str, Any] | None = None, **files: str) -> Iterator[Door]:
    """With the site's files that the settings of a case mean, and those given by name."""
    mappings = folder / "mappings"
    shutil.copytree(MAPPINGS, mappings)
    site = mappings / "sites" / SITE
    site.mkdir(parents=True, exist_ok=True)
    for name, text in {**_files(settings or {}), **files}.items():
        (site / f"{name}.csv").write_text(text, encoding="utf-8")
    registry = Registry.open(databases.url(folder), key=b"k" * 32)
    try:
        with registry.unit(None) as unit:
            made = unit.sites.add(SITE, unmatched="hold", consent="enrolment")
            unit.commit()
        library = Library(mappings)
        _people(registry, made.id, library.of_site(SITE))
        yield Door(registry, library, made.id)
    finally:
        registry.close()


def _people(registry: Registry, site_id: str, mappings: MappingSet) -> None:
    with registry.unit(site_id) as unit:
        for study_id, number in SUBJECTS.items():
            context = Context(unit, mappings, "", "command-line")
            enrol(context, study_id, [(SYSTEM, number)] if number else [])
        unit.commit()


def _files(settings: Mapping[str, Any]) -> dict[str, str]:
    made = {f"columns-{form}": _map(lines) for form, lines in COLUMNS.items()}
    words = settings.get("absence_words", {})
    if words:
        lines = [("word", "reason"), *words.items()]
        made["absence"] = _csv(lines)
    if "column_map" in settings:
        made |= _redcap(settings)
    if "missing_data_codes" in settings:
        pairs = [part.split(",", 1) for part in settings["missing_data_codes"].split("|")]
        lines = [("word", "reason"), *((c.strip(), redcap.reason(t)) for c, t in pairs)]
        made["absence"] = _csv(lines)
    return made


def _redcap(settings: Mapping[str, Any]) -> dict[str, str]:
    """The map of a project from a case's words: `form.field (code word, code word)`."""
    lines = [("variable", "field", "codes", "system")]
    for variable, told in settings["column_map"].items():
        target, _, rest = told.partition(" (")
        target = target.partition(",")[0]
        target = "study_id" if target == "subject: site key" else target
        pairs = [part.split(" ", 1) for part in rest.rstrip(")").split(", ") if part]
        codes = "; ".join(f"{code}={word}" for code, word in pairs)
        system = SYSTEM if target.endswith("hospital_ids") else ""
        lines.append((variable, target, codes, system))
    known = [part.split(" = ") for part in settings.get("record_id", "").split(", ") if part]
    made = {"redcap": _csv(lines)}
    return made | ({"redcap-records": _csv([("record", "study_id"), *known])} if known else {})


def _map(lines: list[tuple[str, str, dict[str, str]]]) -> str:
    rows = [[h, f, *(more.get(n, "") for n in _HEAD[2:])] for h, f, more in lines]
    return _csv([_HEAD, *rows])


def _csv(rows: Any) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def columns(form: str, **more: list[tuple[str, str, dict[str, str]]]) -> str:
    return _map([*COLUMNS.get(form, []), *more.get("lines", [])])


CELLS = re.compile(r"\b([A-Z]{1,2}\d+)\b")
