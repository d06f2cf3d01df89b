"""Lists written entry by entry, as NDJSON, as a JSON array or as CSV, so that none is ever whole in
memory.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from fhirbridge.formats import csv_records, fhir_json
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.study.definition import Form
from fhirbridge.study.records import Record


class Listing(Protocol):
    """Takes entries as JSON values, and must be told the end."""

    def add(self, entry: Any) -> None: ...

    def end(self) -> None: ...


@dataclass(slots=True)
class Lines:
    """NDJSON."""

    out: BinaryIO

    def add(self, entry: Any) -> None:
        self.out.write(fhir_json.dump(entry) + b"\n")

    def end(self) -> None:
        self.out.flush()


@dataclass(slots=True)
class Array:
    """A JSON array, an entry a line."""

    out: BinaryIO
    before: bytes = b"[\n"

    def add(self, entry: Any) -> None:
        self.out.write(self.before + fhir_json.dump(entry))
        self.before = b",\n"

    def end(self) -> None:
        self.out.write(b"[]\n" if self.before == b"[\n" else b"\n]\n")
        self.out.flush()


@dataclass(slots=True)
class Table:
    """The records of one form as CSV, after a header line."""

    out: BinaryIO
    form: Form

    def __post_init__(self) -> None:
        self.out.write(csv_records.write_csv(self.form, ()).encode())

    def add(self, entry: Record) -> None:
        header_and_row = csv_records.write_csv(self.form, (entry,))
        self.out.write(header_and_row.partition("\r\n")[2].encode())

    def end(self) -> None:
        self.out.flush()


@contextmanager
def written(path: Path | None) -> Iterator[BinaryIO]:
    """The file to write to, its folder made where it is not there; none: standard output."""
    if path is None:
        yield sys.stdout.buffer
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("wb")
    except OSError as fault:
        cause = f"the file cannot be written: {fault.strerror}"
        place = str(path)
        raise BridgeError(Issue("exception", cause, "name another --out", place=place)) from fault
    with stream:
        yield stream
