"""A sample of what a site would send: what kind of file it is, and its messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from fhirbridge.formats import fhir_json, tabular_xlsx
from fhirbridge.formats.tabular_text import RawRow
from fhirbridge.formats.tabular_told import Told
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.sync import hl7v2_door, hl7v2_files
from fhirbridge.sync.ingest import Incoming
from fhirbridge.sync.sent_tables import Sent, Table

SOURCE = "forecast"
_LINES = 500  # of NDJSON in one message
_HEADS = (b"MSH", b"FHS", b"BHS", b"\x0bMSH")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a sample, with what `Sent` is told beside a table."""

    name: str
    body: bytes
    form: str = ""
    charset: str = ""
    dictionary: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """A message of a sample. `table` is that of its rows, where it is rows."""

    file: str
    kind: str  # table, hl7v2 or fhir
    incoming: Incoming
    table: Table | None = None
    rows: tuple[tuple[RawRow, Told], ...] = ()


def kind_of(file: File) -> str:
    """By its bytes; the name tells only NDJSON."""
    begins = file.body.removeprefix(_BOM).lstrip()[:4]
    if begins.startswith(_HEADS):
        return "hl7v2"
    if begins.startswith(b"{"):
        return "ndjson" if PurePath(file.name).suffix.lower() == ".ndjson" else "fhir"
    if begins.startswith(b"["):
        cause = "a JSON list is no FHIR"
        remedy = "send a Bundle, or one resource a line as .ndjson"
        raise BridgeError(Issue("structure", cause, remedy, place=file.name))
    return "table"


def pieces(mappings: MappingSet, file: File, *, rows: int) -> Iterator[Piece]:
    """The messages of a file. Raises `BridgeError` with every fault for which it is refused
    whole."""
    kind = kind_of(file)
    if kind == "table":
        yield from _table(mappings, file, rows)
    elif kind == "hl7v2":
        for number, body in enumerate(hl7v2_files.read(file.body).messages):
            key = hl7v2_door.key(body)[1]
            named = Incoming(SOURCE, hl7v2_door.KIND, f"{file.name}:{number}:{key}", body)
            yield Piece(file.name, kind, named)
    elif kind == "ndjson":
        lines = [line for line in file.body.removeprefix(_BOM).splitlines() if line.strip()]
        for start in range(0, len(lines), _LINES):
            body = b"\n".join(lines[start : start + _LINES])
            named = Incoming(SOURCE, "ndjson", f"{file.name}:{start}", body)
            yield Piece(file.name, "fhir", named)
    else:
        yield _fhir(file)


def _table(mappings: MappingSet, file: File, most: int) -> Iterator[Piece]:
    sent = Sent(file.name, file.body, file.form, file.charset, file.dictionary)
    try:
        table = Table.open(mappings, sent, most)
    except BridgeError as fault:
        if not tabular_xlsx.is_workbook(file.body) and not re.search(rb"[,;\t|]", file.body[:4096]):
            cause = "it is no table, no HL7 v2 and no FHIR JSON"
            issue = Issue("structure", cause, "see docs/how-to/onboard-a-site.md", place=file.name)
            raise BridgeError(issue, *fault.issues) from fault
        raise
    for number, rows in enumerate(table.chunks()):
        incoming = table.incoming(rows, f"{file.name}:{number}")
        yield Piece(file.name, "table", incoming, table, tuple(rows))


def _fhir(file: File) -> Piece:
    """A searchset or collection is read as a page of a pull is; one that is pushed, as pushed."""
    made = fhir_json.read(file.body)
    type = str(made.get("resourceType", "")) if isinstance(made, dict) else ""
    pushed = made.get("type") in ("transaction", "batch", "message") if type == "Bundle" else True
    if type == "Bundle" and made.get("type") == "collection":
        body = fhir_json.dump({**made, "type": "searchset"})
        return Piece(file.name, "fhir", Incoming(SOURCE, "page", file.name, body))
    kind = f"push/{type}" if pushed else "page"
    asked = {} if type == "Bundle" else {"method": "POST", "url": type}
    return Piece(file.name, "fhir", Incoming(SOURCE, kind, file.name, file.body, asked=asked))
