"""check, encode, decode: the mapping alone, without a database and without a network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from fhirbridge.commands.shared import Workshop, pass_workshop, tell_issues
from fhirbridge.fhir import bundle
from fhirbridge.fhir.validate import validate
from fhirbridge.formats import csv_records, fhir_json
from fhirbridge.mapping.decode import decode as decode_resource
from fhirbridge.mapping.encode import encode as encode_record
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue, Severity, failed
from fhirbridge.study import records
from fhirbridge.study.records import Record

_ENTRY = re.compile(r"Bundle\.entry\[\d+\]")
_SITE = click.option("--site", default="", help="the site whose ids and local codes are used")
_FILES = click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)


@click.command()
@_SITE
@pass_workshop
def check(workshop: Workshop, site: str) -> None:
    """Check the study definition, every mapping file and every crosswalk, of one site or of all."""
    mappings = workshop.library.of_site(site)
    for name in workshop.library.sites if not site else (site,):
        if site and name not in workshop.library.sites:
            click.echo(f"site {name}: no local codes")
            continue
        click.echo(f"site {name}: local codes in {len(workshop.library.sites[name])} files")
        workshop.library.of_site(name)
    fields = sum(len(form.fields) for form in mappings.study.forms.values())
    click.echo(f"{len(mappings.forms)} forms, {fields} fields, mapping version {mappings.version}")


@click.command()
@click.argument("form")
@_FILES
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@_SITE
@pass_workshop
def encode(workshop: Workshop, form: str, files: tuple[Path, ...], out: Path, site: str) -> None:
    """Records (CSV, or JSON) of FORM to transaction Bundles, one a subject, in the folder OUT.

    FORM is 'all' for JSON files, whose records name their own form.
    """
    mappings = workshop.library.of_site(site)
    made: list[Record] = []
    issues: list[Issue] = []
    for file in files:
        if file.suffix == ".json":
            read, wrong = csv_records.read_json(mappings.study, file.read_bytes(), name=file.name)
            read = [record for record in read if form in ("all", record.form)]
        else:
            wanted = mappings.study.form(form)
            raw = file.read_bytes()
            read, wrong = csv_records.read_csv(mappings.study, wanted, raw, name=file.name)
        made += read
        issues += wrong
    out.mkdir(parents=True, exist_ok=True)
    for subject, made_bundle in bundles(mappings, made):
        name = mappings.derived_id("bundle", subject, "")
        (out / f"{form}-{name}.json").write_bytes(fhir_json.dump(made_bundle))
    tell_issues(issues)
    click.echo(f"{len(made)} records of {len({r.subject for r in made})} subjects written to {out}")
    if failed(issues):
        raise SystemExit(1)


def bundles(mappings: MappingSet, made: list[Record]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A transaction Bundle for each subject, the Patient first where its record is among them."""
    by_subject: dict[str, list[Record]] = {}
    for record in made:
        by_subject.setdefault(record.subject, []).append(record)
    for subject, own in by_subject.items():
        yield subject, bundle.transaction(_entries(mappings, subject, own))


def _entries(mappings: MappingSet, subject: str, own: list[Record]) -> Iterator[Mapping[str, Any]]:
    patient: dict[str, Any] = {
        "identifier": {"system": mappings.names["study-id"], "value": subject}
    }
    if any(record.form == "subject" for record in own):
        patient = {"reference": f"urn:uuid:{mappings.derived_id('subject', subject, '')}"}
    for record in sorted(own, key=lambda r: r.form != "subject"):
        for block in encode_record(mappings, record, patient=patient):
            yield bundle.upsert(
                block.resource,
                full_url=f"urn:uuid:{block.id}",
                system=mappings.record_system,
                value=block.id,
            )


@click.command()
@_FILES
@click.option("-o", "--out", type=click.Path(file_okay=False, path_type=Path))
@_SITE
@pass_workshop
def decode(workshop: Workshop, files: tuple[Path, ...], out: Path | None, site: str) -> None:
    """FHIR resources or Bundles to records (JSON), and what could not be read and why.

    Records go to standard output and issues to standard error, or both into files of the folder
    OUT.
    """
    mappings = workshop.library.of_site(site)
    made: list[Record] = []
    issues: list[Issue] = []
    for file in files:
        try:
            read, wrong = decode_file(mappings, fhir_json.parse(file.read_bytes()), file.name)
        except BridgeError as fault:
            issues += [_placed(issue, file.name) for issue in fault.issues]
            continue
        made += read
        issues += wrong
    ids = (mappings.derived_id(r.form, r.subject, r.key(mappings.study.form(r.form))) for r in made)
    listed = [
        records.to_json(mappings.study, record, id=id) for record, id in zip(made, ids, strict=True)
    ]
    if out is None:
        click.echo(_pretty(listed))
        tell_issues(issues)
    else:
        out.mkdir(parents=True, exist_ok=True)
        (out / "records.json").write_text(_pretty(listed) + "\n", encoding="utf-8")
        told = [{"severity": i.severity, **i.as_json()} for i in issues]
        (out / "issues.json").write_text(_pretty(told) + "\n", encoding="utf-8")
        click.echo(f"{len(made)} records, {len(issues)} issues written to {out}")
    if failed(issues):
        raise SystemExit(1)


def _pretty(value: Any) -> str:
    """Indented JSON whose numbers keep their digits."""
    lines = [fhir_json.dump(item).decode() for item in value]
    return "[\n" + ",\n".join(lines) + "\n]" if lines else json.dumps(value)


def _placed(issue: Issue, name: str) -> Issue:
    return replace(issue, place=f"{name} {issue.place}".strip())


def decode_file(
    mappings: MappingSet, body: dict[str, Any], name: str
) -> tuple[list[Record], list[Issue]]:
    """The records of a resource or Bundle; the scores of one visit together."""
    wrong = validate(body)
    issues = [_placed(issue, name) for issue in wrong]
    places = [_ENTRY.match(issue.expression) for issue in wrong if failed([issue])]
    if not all(places):
        return [], issues  # not an entry is wrong but the whole
    invalid = {place[0] for place in places if place}
    parts: list[Record] = []
    patients: dict[str, str] = {}
    valid = [e for e in bundle.entries(_without(body, invalid)) if e.resource is not None]
    for entry in sorted(valid, key=lambda e: (e.resource or {})["resourceType"] != "Patient"):
        assert entry.resource is not None
        identity = _identity(entry.resource)
        decoded = decode_resource(mappings, entry.resource, source=identity, root=entry.root)[0]
        # What is not for this study is told, and no fault of the file.
        told: Severity | None = "information" if decoded.fate == "refuse" else None
        issues += [
            replace(_placed(issue, name), severity=told or issue.severity)
            for issue in decoded.issues
        ]
        if decoded.fate != "record":
            continue
        subject = _subject(mappings, decoded.fields, decoded.patient, patients)
        if decoded.form == "subject":
            patients[identity] = subject or identity
            if entry.full_url:
                patients[entry.full_url] = subject or identity
        parts.append(Record(subject or identity, decoded.form, decoded.fields, name))
    return list(records.merge(mappings.study, parts)), issues


def _without(body: dict[str, Any], invalid: set[str]) -> dict[str, Any]:
    """The Bundle with nothing in the place of its invalid entries."""
    if not invalid:
        return body
    listed = enumerate(body["entry"])
    return {**body, "entry": [{} if f"Bundle.entry[{n}]" in invalid else e for n, e in listed]}


def _identity(resource: Mapping[str, Any]) -> str:
    for one in resource.get("identifier", ()):
        if "system" in one and "value" in one and resource["resourceType"] != "Patient":
            return f"{one['system']}|{one['value']}"
    return f"{resource['resourceType']}/{resource.get('id', '')}"


def _subject(
    mappings: MappingSet,
    fields: Mapping[str, Any],
    patient: Mapping[str, Any] | None,
    known: Mapping[str, str],
) -> str:
    """The study id where the file says it, else the patient's reference as it stands."""
    if patient is None:
        study_id = fields.get("study_id")
        return study_id if isinstance(study_id, str) else ""
    reference, identifier = str(patient.get("reference", "")), patient.get("identifier", {})
    if identifier.get("system") == mappings.names["study-id"]:
        return str(identifier.get("value"))
    return known.get(reference, reference)
