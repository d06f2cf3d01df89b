"""Records of files: CSV, a row each; JSON, a list or one; NDJSON, one a line.

Batch by batch, so that no file of lines is ever whole in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fhirbridge.commands.inputs import LINED, STDIN, Body, bodies_of, looked_into, opened
from fhirbridge.commands.long_work import Bar
from fhirbridge.formats import csv_records
from fhirbridge.formats.ndjson import Read
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.study.definition import Study
from fhirbridge.study.records import Record

ALL = "all"
Batch = tuple[list[Record], list[Issue]]


@dataclass(frozen=True, slots=True)
class Source:
    """Reads the records of one form, or of all where they name their own."""

    study: Study
    form: str
    limit: int  # bytes of the longest line, and of a file that has no lines of its own
    bar: Bar

    def batches(self, path: str) -> Iterator[Batch]:
        """Records, and what is wrong beside them."""
        name = Path(path).name
        try:
            with opened(path, self.bar) as read:
                table, read = self._is_table(path, read)
                yield from self._table(read, name) if table else self._json(read, path, name)
        except BridgeError as fault:
            yield [], [i if i.place else replace(i, place=path) for i in fault.issues]

    def _is_table(self, path: str, read: Read) -> tuple[bool, Read]:
        """Standard input does not say by its name what it is, but by how it begins."""
        if path != STDIN:
            table = Path(path).suffix.lower() not in (".json", *LINED)
        else:
            first, read = looked_into(read, self.limit)
            table = first[:1] not in (b"{", b"[", b"")
        if table and self.form == ALL:
            remedy = f"name it instead of '{ALL}': {', '.join(self.study.forms)}"
            raise BridgeError(Issue("required", "a CSV file holds one form", remedy))
        return table, read

    def _table(self, read: Read, name: str) -> Iterator[Batch]:
        form = self.study.form(self.form)
        for record, wrong in csv_records.rows(self.study, form, read, name=name, limit=self.limit):
            yield [record] if record else [], wrong

    def _json(self, read: Read, path: str, name: str) -> Iterator[Batch]:
        for body in bodies_of(read, path, name, self.limit):
            try:
                made, wrong = self._records(body) if body.raw else ([], [])
            except BridgeError as fault:
                made, wrong = [], [_at(body, issue) for issue in fault.issues]
            others = [record for record in made if self.form not in (ALL, record.form)]
            yield (
                [record for record in made if self.form in (ALL, record.form)],
                [*(body.placed(i) for i in body.issues), *wrong, *map(_left_out, others)],
            )

    def _records(self, body: Body) -> Batch:
        made, wrong = csv_records.read_json(self.study, body.raw, name=body.place)
        if body.whole:
            return made, wrong
        # On a line stands one record: its number says nothing.
        return (
            [replace(r, source=body.place) for r in made],
            [replace(issue, place=body.place) for issue in wrong],
        )


def _left_out(record: Record) -> Issue:
    cause, remedy = f"it is a record of the form {record.form}", f"say {ALL} to encode every form"
    return Issue("business-rule", cause, remedy, place=record.source, severity="information")


def _at(body: Body, issue: Issue) -> Issue:
    return issue if issue.place.startswith(body.name) else body.placed(issue)
