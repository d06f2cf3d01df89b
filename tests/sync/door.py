"""The world in which a case of a table is played: site A, nine subjects, the real door. Synthetic."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fhirbridge.crash import Crash
from fhirbridge.formats import redcap
from fhirbridge.formats.tabular_text import RawRow
from fhirbridge.library import Library
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.store import Registry
from fhirbridge.study import records
from fhirbridge.study.definition import Form
from fhirbridge.study.fields import DATES
from fhirbridge.sync import additions, tables, visits
from fhirbridge.sync.accept import Context
from fhirbridge.sync.enrol import enrol
from fhirbridge.sync.fates import Fault, RowFate
from fhirbridge.sync.imports import Desk, Limits, Outcome
from fhirbridge.sync.project import project, values_of
from fhirbridge.sync.sent_tables import Sent
from tests import databases

MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"
SITE, SYSTEM = "A", "urn:oid:2.999.1.1"
SUBJECTS = {f"MBD-A-00{n}": "" for n in range(1, 10)} | {
    "MBD-A-001": "0004711",
    "MBD-A-002": "0008150",
    "MBD-A-003": "0012345",
}
INDEX = {"MBD-A-001": "2026-02-10"}  # the index operation, from which visits are counted
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
        """As `fhirbridge record export` tells it, with the visit that the day decides."""
        told = []
        study = self.library.of_site(SITE).study
        with self.registry.read(self.site_id) as unit:
            for subject in unit.subjects.all():
                ids = [f"{s}|{v}" for s, v in unit.subjects.identities(subject.id)]
                held = unit.records.all(subject_id=subject.id)
                course = visits.course(study, held)
                for stored in held:
                    if stored.status == "active":
                        fields = values_of(course.fields(stored))
                        made = records.Record(subject.study_id, stored.form, fields)
                        one = records.to_json(study, made, id=stored.id)
                        told.append({**one, "hospital_ids": ids})
        return told


@contextmanager
def opened(
    folder: Path,
    settings: Mapping[str, Any] | None = None,
    form: str = "redcap",
    *,
    index: Mapping[str, str] = MappingProxyType({}),
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    **files: str,
) -> Iterator[Door]:
    """With the site's files that the settings of a case of the form mean, and those given by
    name; `index` operations by subject."""
    mappings = folder / "mappings"
    shutil.copytree(MAPPINGS, mappings)
    site = mappings / "sites" / SITE
    site.mkdir(parents=True, exist_ok=True)
    base = Library(mappings).of_site(SITE)
    for name, text in {**site_files(base, settings or {}, form), **files}.items():
        (site / f"{name}.csv").write_text(text, encoding="utf-8")
    registry = Registry.open(databases.url(folder), key=b"k" * 32, clock=clock)
    try:
        with registry.unit(None) as unit:
            made = unit.sites.add(SITE, unmatched="hold", consent="enrolment")
            unit.commit()
        library = Library(mappings)
        _people(registry, made.id, library.of_site(SITE), index)
        yield Door(registry, library, made.id)
    finally:
        registry.close()


def _people(
    registry: Registry, site_id: str, mappings: MappingSet, index: Mapping[str, str]
) -> None:
    with registry.unit(site_id) as unit:
        context = Context(unit, mappings, "", "command-line")
        for study_id, number in SUBJECTS.items():
            subject = enrol(context, study_id, [(SYSTEM, number)] if number else [])
            if study_id in index:
                fields = {"surgery_id": "index", "performed_on": index[study_id], "index": True}
                stored = unit.records.save(
                    mappings.derived_id("surgery", study_id, "index"),
                    subject_id=subject.id,
                    form="surgery",
                    key="index",
                    fields={**fields, "procedure": "other"},
                    mapping_version=mappings.version,
                    actor="command-line",
                    reason="the world of the cases",
                )
                project(unit, mappings, stored, subject)
        unit.commit()


_SETTINGS = {
    "absence_words", "column_map", "columns", "crosswalk", "date_order", "decimal",
    "missing_data_codes", "record_id", "charset", "system", "unread",
}  # fmt: skip


def site_files(base: MappingSet, settings: Mapping[str, Any], form: str) -> dict[str, str]:
    """What a case's site has told, as the files in which a site tells it."""
    unknown = {*settings} - _SETTINGS
    assert not unknown, f"these settings are played by nothing: {', '.join(sorted(unknown))}"
    lines = {name: list(told) for name, told in COLUMNS.items()}
    if form in base.study.forms:
        lines[form] = _column_lines(base.study.form(form), lines.get(form, []), settings)
    made = {f"columns-{name}": _map(told) for name, told in lines.items()}
    words = settings.get("absence_words", {})
    if words:
        made["absence"] = _csv([("word", "reason"), *words.items()])
    if "column_map" in settings and form not in base.study.forms:
        made |= _redcap(settings)
    if "missing_data_codes" in settings:
        pairs = [part.split(",", 1) for part in settings["missing_data_codes"].split("|")]
        coded = [(c.strip(), redcap.reason(t)) for c, t in pairs]
        made["absence"] = _csv([("word", "reason"), *words.items(), *coded])
    return made | _walks(base, settings.get("crosswalk", {}), form)


def _target(target: Any) -> dict[str, str]:
    """`form.field (unit)`, or what the column map says of it, by name."""
    if isinstance(target, Mapping):
        return {"field": "", **target}
    name, _, unit = str(target).rstrip(")").partition(" (")
    field_name = name.partition(",")[0].rpartition(".")[2]
    site_key = field_name in ("subject: site key", "site key")
    return {"field": "study_id" if site_key else field_name, **({"unit": unit} if unit else {})}


def _column_lines(
    form: Form, known: list[tuple[str, str, dict[str, str]]], settings: Mapping[str, Any]
) -> list[tuple[str, str, dict[str, str]]]:
    """Of a form: headers and their fields, `columns` with more of each; orders and marks of dates
    and decimals by column."""
    told: dict[str, dict[str, str]] = {}
    for header, target in settings.get("column_map", {}).items():
        told.setdefault(header, {}).update(_target(target))
    for one in settings.get("columns", ()):
        told.setdefault(one.get("header", ""), {}).update(one)
    for setting in ("date_order", "decimal", "system"):
        given = settings.get(setting, {})
        if isinstance(given, str):  # for every column of its kind
            types = ("decimal",) if setting == "decimal" else DATES
            given = {f.name: given for f in form.fields.values() if f.type in types}
        for header, value in given.items():
            told.setdefault(header, {})[setting] = value
    for header in settings.get("unread", ()):
        told[header] = {"field": "-"}
    headers = {h: (f, more) for h, f, more in known if h}
    for header, more in told.items():
        field_name, before = headers.get(header, (header, {}))
        also = {n: v for n, v in more.items() if n in _HEAD[2:]}
        headers[header] = (more.get("field", field_name), {**before, **also})
    return [*((h, f, m) for h, (f, m) in headers.items()), *(one for one in known if not one[0])]


def _walks(base: MappingSet, told: Mapping[str, Any], form: str) -> dict[str, str]:
    """Words of choices, by field."""
    made = {}
    for field_name, pairs in told.items():
        walks = tables.walks_of(base, form)[field_name]
        lines = [(tables.WORDS, word, "", target, "equal", "site A", "") for word, target
                 in pairs.items()]  # fmt: skip
        head = ("source_system", "source_code", "display", "target", "relationship", "source",
                "note")  # fmt: skip
        made[walks[0].name] = _csv([head, *lines])
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
