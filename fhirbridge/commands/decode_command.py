"""decode: FHIR resources to records of the study, and what could not be read and why."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from fhirbridge.commands import inputs, outputs
from fhirbridge.commands.inputs import bodies
from fhirbridge.commands.long_work import Bar, long_work
from fhirbridge.commands.outputs import Listing
from fhirbridge.commands.reading import Batch, merged, one_by_one, read_body
from fhirbridge.commands.shared import Workshop, pass_workshop, tell_issues
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue, failed
from fhirbridge.study import records
from fhirbridge.study.records import Record

KINDS = ("json", "ndjson", "csv")


@click.command()
@inputs.FILES
@click.option("-o", "--out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--format", "kind", type=click.Choice(KINDS), default="json", show_default=True)
@click.option("--form", default="", help="only the records of this form; csv needs it")
@click.option(
    "--merge/--no-merge",
    default=None,
    help="make one record of what a file's resources say of it, in memory; "
    "ndjson does not unless told to",
)
@click.option("--losses", "losing", is_flag=True, help="also tell each element that no row reads")
@inputs.MAX_LINE
@inputs.SITE
@pass_workshop
def decode(
    workshop: Workshop,
    files: tuple[str, ...],
    out: Path | None,
    kind: str,
    form: str,
    merge: bool | None,
    losing: bool,
    max_line: int,
    site: str,
) -> None:
    """FHIR resources to records: .json holds one or a Bundle, .ndjson one a line, - is standard
    input.

    Records go to standard output and issues to standard error, or both into files of the folder
    OUT.
    """
    mappings = workshop.library.of_site(site)
    if kind == "csv" and not form:
        remedy = f"name it by --form: {', '.join(mappings.study.forms)}"
        raise BridgeError(Issue("required", "a CSV file holds one form", remedy))
    if form:
        mappings.study.form(form)
    batches = merged if merge or (merge is None and kind != "ndjson") else one_by_one
    with long_work(files) as bar, ExitStack() as opened:
        sink = _sink(mappings, bar, out, kind, form, opened)
        for file in files:
            given = (
                read_body(mappings, body, losing=losing)
                for body in bodies(file, max_line, bar, short=True)
            )
            for batch in batches(mappings, given):
                sink.take(batch)
        sink.end()
    if out is not None:
        click.echo(f"{sink.made} records, {sink.told} issues written to {out}")
    if sink.faulty:
        raise SystemExit(1)


@dataclass
class Sink:
    """Where records and issues go, and how many. Without a listing issues go to standard error."""

    bar: Bar
    records: Listing
    as_entry: Callable[[Record], Any]
    issues: Listing | None
    form: str  # empty: every form
    made: int = 0
    told: int = 0
    faulty: bool = False

    def take(self, batch: Batch) -> None:
        made, issues = batch
        for record in made:
            if self.form in ("", record.form):
                self.records.add(self.as_entry(record))
                self.made += 1
        self.told += len(issues)
        self.faulty = self.faulty or failed(issues)
        if self.issues is not None:
            for issue in issues:
                self.issues.add({"severity": issue.severity, **issue.as_json()})
        elif issues:
            self.bar.make_way()
            tell_issues(issues)

    def end(self) -> None:
        self.records.end()
        if self.issues is not None:
            self.issues.end()


def _sink(
    mappings: MappingSet, bar: Bar, out: Path | None, kind: str, form: str, opened: ExitStack
) -> Sink:
    def as_json(record: Record) -> dict[str, Any]:
        key = record.key(mappings.study.form(record.form))
        id = mappings.derived_id(record.form, record.subject, key)
        return records.to_json(mappings.study, record, id=id)

    stream = opened.enter_context(outputs.written(out / f"records.{kind}" if out else None))
    listing = outputs.Lines if kind == "ndjson" else outputs.Array
    issues = None
    if out is not None:
        name = "issues.ndjson" if kind == "ndjson" else "issues.json"
        issues = listing(opened.enter_context(outputs.written(out / name)))
    if kind == "csv":
        table = outputs.Table(stream, mappings.study.form(form))
        return Sink(bar, table, lambda record: record, issues, form)
    return Sink(bar, listing(stream), as_json, issues, form)
