"""encode: records to FHIR resources, as a transaction Bundle a subject or as NDJSON.

Writes nothing that is not valid R4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import click

from fhirbridge.commands import inputs
from fhirbridge.commands.long_work import Bar, long_work
from fhirbridge.commands.outputs import written
from fhirbridge.commands.record_files import ALL, Batch, Source
from fhirbridge.commands.shared import Workshop, pass_workshop, tell_issues
from fhirbridge.fhir import bundle, verdict
from fhirbridge.formats import fhir_json
from fhirbridge.mapping.encode import Encoded
from fhirbridge.mapping.encode import encode as encode_record
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue, failed
from fhirbridge.study.records import Record

Patient = Mapping[str, Any]  # a Reference to the subject
Blocks = Callable[[Record, Patient], Iterable[Encoded]]


@click.command()
@click.argument("form")
@inputs.FILES
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(("bundle", "ndjson")),
    default="bundle",
    show_default=True,
    help="a transaction Bundle a subject, or a file a type with a resource a line",
)
@inputs.MAX_LINE
@inputs.SITE
@pass_workshop
def encode(
    workshop: Workshop,
    form: str,
    files: tuple[str, ...],
    out: Path,
    kind: str,
    max_line: int,
    site: str,
) -> None:
    """Records (CSV, .json or .ndjson) of FORM to FHIR resources in the folder OUT.

    FORM is 'all' for JSON, whose records name their own form. Bundles need memory for all records;
    --format ndjson writes as it reads.
    """
    mappings = workshop.library.of_site(site)
    if form != ALL:
        mappings.study.form(form)
    with long_work(files) as bar:
        press = Press(mappings, bar)
        source = Source(mappings.study, form, max_line, bar)
        made = press.told(batch for file in files for batch in source.batches(file))
        if kind == "bundle":
            press.bundles(made, out, form)
        else:
            press.lines(made, out)
    click.echo(f"{press.records} records of {press.whose} written to {out}")
    if press.faulty:
        raise SystemExit(1)


def bundles(
    mappings: MappingSet, made: Iterable[Record], *, blocks: Blocks | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A transaction Bundle for each subject, the Patient first where its record is among them."""

    def encoded(record: Record, patient: Patient) -> Iterable[Encoded]:
        return encode_record(mappings, record, patient=patient)

    by_subject: dict[str, list[Record]] = {}
    for record in made:
        by_subject.setdefault(record.subject, []).append(record)
    for subject, own in by_subject.items():
        entries = list(_entries(mappings, subject, own, blocks or encoded))
        if entries:
            yield subject, bundle.transaction(entries)


def _entries(
    mappings: MappingSet, subject: str, own: list[Record], blocks: Blocks
) -> Iterator[Mapping[str, Any]]:
    patient = by_study_id(mappings, subject)
    for record in sorted(own, key=lambda r: r.form != "subject"):
        for block in blocks(record, patient):
            if block.resource["resourceType"] == "Patient":
                patient = {"reference": f"urn:uuid:{block.id}"}
            yield bundle.upsert(
                block.resource,
                full_url=f"urn:uuid:{block.id}",
                system=mappings.record_system,
                value=block.id,
            )


def by_study_id(mappings: MappingSet, subject: str) -> Patient:
    """A Reference to a Patient that is not in the same message."""
    return {"identifier": {"system": mappings.names["study-id"], "value": subject}}


@dataclass
class Press:
    """Writes what is valid, tells what is not, and counts."""

    mappings: MappingSet
    bar: Bar
    faulty: bool = False
    records: int = 0
    whose: str = "no subjects"
    _last: Record | None = field(default=None, repr=False)

    def tell(self, issues: list[Issue]) -> None:
        if issues:
            self.bar.make_way()
        self.faulty = self.faulty or failed(issues)
        tell_issues(issues)

    def told(self, batches: Iterable[Batch]) -> Iterator[Record]:
        """The records; the issues beside them are told on the way."""
        for made, issues in batches:
            self.tell(issues)
            yield from made

    def blocks(self, record: Record, patient: Patient) -> Iterator[Encoded]:
        """The record's resources that are valid."""
        try:
            made = encode_record(self.mappings, record, patient=patient)
        except BridgeError as fault:
            return self.tell([replace(issue, place=record.source) for issue in fault.issues])
        if not made:
            cause, remedy = "nothing is said but its key: nothing is written", "give another field"
            issue = Issue("required", cause, remedy, place=record.source, severity="warning")
            self.tell([issue])
        for block in made:
            wrong = verdict.judge(block.resource)
            self.tell([replace(issue, place=record.source) for issue in wrong])
            if failed(wrong):
                continue
            self.records += record is not self._last
            self._last = record
            yield block

    def bundles(self, made: Iterable[Record], out: Path, form: str) -> None:
        """A file a subject; a second record of the same key is left out."""
        seen: set[tuple[str, str, str]] = set()

        def once(record: Record, patient: Patient) -> Iterator[Encoded]:
            key = record.key(self.mappings.study.form(record.form))
            if (record.subject, record.form, key) in seen:
                cause = f"another {record.form} of the subject has the same key"
                remedy = "keep one of them"
                return self.tell([Issue("duplicate", cause, remedy, place=record.source)])
            seen.add((record.subject, record.form, key))
            yield from self.blocks(record, patient)

        subjects = 0
        for subject, made_bundle in bundles(self.mappings, made, blocks=once):
            name = self.mappings.derived_id("bundle", subject, "")
            with written(out / f"{form}-{name}.json") as stream:
                stream.write(fhir_json.dump(made_bundle))
            subjects += 1
        self.whose = f"{subjects} subjects"

    def lines(self, made: Iterable[Record], out: Path) -> None:
        """A file a type, written as it is read: who is whose is not remembered."""
        files: dict[str, BinaryIO] = {}
        resources = 0
        with ExitStack() as opened:
            for record in made:
                for block in self.blocks(record, by_study_id(self.mappings, record.subject)):
                    name = block.resource["resourceType"]
                    if name not in files:
                        stream = opened.enter_context(written(out / f"{name}.ndjson"))
                        files[name] = stream
                    files[name].write(fhir_json.dump(block.resource) + b"\n")
                    resources += 1
        self.whose = f"{resources} resources"
