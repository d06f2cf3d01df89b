"""Imports: a site's table is rehearsed, then applied; every fault at its place, and the file back.

An engine may say `apply=true` and have both at once. What is refused as a whole is kept nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, g, request
from marshmallow import Schema, fields, validate

from fhirbridge.formats.tabular_text import RawRow
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.unit import Unit
from fhirbridge.registry.uploads import Upload
from fhirbridge.sync import additions
from fhirbridge.sync.fates import FATES, Change, Fault, RowFate
from fhirbridge.sync.imports import Desk, Limits, Outcome, must_be_reasoned
from fhirbridge.sync.sent_tables import Sent
from fhirbridge.web import bodies, trail
from fhirbridge.web.api.noun import Noun, Text, caller, here, may_read, no_such, person

noun = Noun("imports", "Tables of a site, rehearsed and applied")
MOST = 1000  # faults, changes and rows of one answer
WRITES = "cu"
_TRUTH: dict[str, Any] = {"truthy": {"true", "1", True}, "falsy": {"false", "0", False}}


class AskedSchema(Schema):
    """Beside the body, which is the file, or a form of the parts `file` and `dictionary`."""

    form = Text(load_default="", metadata={"description": "of the study, or redcap"})
    name = Text(load_default="", most=200, metadata={"description": "of the file"})
    charset = Text(load_default="", metadata={"description": "of a file that is not UTF-8"})
    apply = fields.Boolean(
        load_default=False, metadata={"description": "apply it at once"}, **_TRUTH
    )
    reason = Text(load_default="", metadata={"description": "why values are taken back"})


class ApplySchema(Schema):
    by = Text(required=True, most=200, metadata={"description": "who wants it"})
    reason = Text(load_default="", metadata={"description": "why values are taken back"})


class FaultSchema(Schema):
    """`line` is that of the file, `cell` that of a spreadsheet."""

    line = fields.Integer(required=True)
    cell = fields.String(required=True)
    column = fields.String(required=True)
    value = fields.String(required=True)
    cause = fields.String(required=True)
    remedy = fields.String(required=True)
    category = fields.String(required=True)
    waits = fields.Boolean(required=True, metadata={"description": "false: it is only told"})


class CellChangeSchema(Schema):
    line = fields.Integer(required=True)
    cell = fields.String(required=True)
    subject = fields.String(required=True)
    form = fields.String(required=True)
    field = fields.String(required=True)
    old = fields.Raw(required=True, allow_none=True)
    new = fields.Raw(required=True, allow_none=True)


class RowSchema(Schema):
    line = fields.Integer(required=True)
    fate = fields.String(required=True, validate=validate.OneOf(FATES))
    subject = fields.String(required=True)


class UploadSchema(Schema):
    id = fields.String(required=True)
    form = fields.String(required=True)
    name = fields.String(required=True)
    sha256 = fields.String(required=True)
    mapping_version = fields.String(required=True)
    state = fields.String(required=True)
    counts = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    created_at = fields.AwareDateTime(required=True)
    applied_at = fields.AwareDateTime(required=True, allow_none=True)


class ImportSchema(Schema):
    """`cut`: more faults, changes or rows than are told; the file back has them all."""

    upload = fields.Nested(UploadSchema, required=True)
    counts = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    fresh = fields.Boolean(required=True, metadata={"description": "false: applied before"})
    notes = fields.List(fields.String(), required=True)
    faults = fields.List(fields.Nested(FaultSchema), required=True)
    changes = fields.List(fields.Nested(CellChangeSchema), required=True)
    rows = fields.List(fields.Nested(RowSchema), required=True)
    cut = fields.Boolean(required=True)


class UploadsSchema(Schema):
    items = fields.List(fields.Nested(UploadSchema), required=True)


class FileQuery(Schema):
    format = fields.String(load_default="csv", validate=validate.OneOf(("csv", "xlsx")))


@noun.file("", ImportSchema, query=AskedSchema, refusals=(409, 412, 422))
def take(asked: dict[str, Any]) -> Any:
    """The file, rehearsed; with `apply=true` applied, too. What comes with a rehearsal key is never
    applied nor kept: its upload has no id, and of a change the old value is not told."""
    caller().must(WRITES, "*")
    sent, desk, seen = _sent(asked), _desk(caller().source), _Seen()
    done = desk.rehearse(sent, seen.see)
    if asked["apply"] and not desk.keeps:
        must_be_reasoned(done.upload, asked["reason"])
    if not asked["apply"] or not desk.keeps:
        return seen.told(done)
    seen = _Seen()
    return seen.told(desk.apply(done.upload.id, sent=sent, reason=asked["reason"], see=seen.see))


@noun.route("/<id>/apply", ImportSchema, body=ApplySchema, refusals=(404, 409, 410, 412, 422))
def apply(asked: dict[str, Any], id: str) -> Any:
    """What was rehearsed; refused where the mapping has changed since."""
    caller().must(WRITES, "*")
    seen = _Seen()
    desk = _desk(f"person:{person(asked)}")
    return seen.told(desk.apply(_known(id), reason=asked["reason"], see=seen.see))


@noun.route("", UploadsSchema)
def listed() -> Any:
    """The newest first."""
    may_read()
    with here().registry.read(caller().site_id) as unit:
        found = unit.uploads.all()[:MOST]
    trail.shows(found)
    return {"items": [_upload(one) for one in found]}


@noun.route("/<id>", ImportSchema, refusals=(404, 410, 412))
def one(id: str) -> Any:
    """What became of its rows; of one that was not applied, what would become of them."""
    may_read()
    seen = _Seen()
    upload = _desk(caller().source).tell(_known(id), seen.see)
    trail.shows_of(seen.whose)
    return seen.told(Outcome(upload, dict(upload.counts), (), fresh=False))


@noun.route("/<id>/file", ImportSchema, query=FileQuery, refusals=(404, 410, 412))
def body(asked: dict[str, Any], id: str) -> Any:
    """The site's own file with fate and faults beside its rows; it can be sent again as it is."""
    may_read()
    name, raw, whose = _desk(caller().source).file_back(_known(id), asked["format"])
    trail.shows_of(whose)
    made = Response(raw, content_type=bodies.TABLE_TYPES[asked["format"]])
    kind = name.rpartition(".")[2]
    made.headers["Content-Disposition"] = f'attachment; filename="{id}.{kind}"'
    made.headers["Cache-Control"] = "no-store"
    return made


def _desk(by: str) -> Desk:
    service, site = here(), caller()

    def mappings(unit: Unit) -> Any:
        return additions.mappings(service.library, unit, site.site_name)

    settings = service.settings
    limits = Limits(settings.import_bytes, settings.import_rows, settings.import_days)
    return Desk(
        service.registry,
        site.site_id,
        mappings,
        limits,
        by,
        service.crash,
        g.request_id,
        keeps=not site.rehearsal,
    )


def _known(id: str) -> str:
    with here().registry.read(caller().site_id) as unit:
        found = unit.uploads.get(id)
    if found is None:
        raise no_such("upload", "take it from the answer to the file")
    trail.shows([found])
    return id


def _sent(asked: Mapping[str, Any]) -> Sent:
    name, body, beside = bodies.read_table(request, here().settings.import_bytes)
    if not body:
        raise BridgeError(Issue("structure", "there is no file", "send it as the body"))
    return Sent(
        asked["name"] or name, body, asked["form"], asked["charset"], beside.get("dictionary", "")
    )


def _upload(one: Upload) -> Mapping[str, Any]:
    return {name: getattr(one, name) for name in UploadSchema._declared_fields}


class _Seen:
    """What is told of the rows, up to a limit."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.changes: list[tuple[RowFate, Change]] = []
        self.rows: list[RowFate] = []
        self.whose: set[str] = set()
        self.cut = False

    def see(self, row: RawRow, fate: RowFate) -> None:
        self.whose |= {fate.subject_id} if fate.subject_id else set()
        full = max(len(self.faults), len(self.changes), len(self.rows)) >= MOST
        self.cut = self.cut or full
        if len(self.faults) < MOST:
            self.faults += fate.faults
        if len(self.changes) < MOST:
            self.changes += [(fate, change) for change in fate.changes]
        if len(self.rows) < MOST:
            self.rows.append(fate)

    def told(self, done: Outcome) -> Mapping[str, Any]:
        return {
            "upload": _upload(done.upload),
            "counts": done.counts,
            "fresh": done.fresh,
            "notes": done.notes,
            "faults": self.faults,
            "changes": [
                {
                    "line": fate.line,
                    "cell": change.cell,
                    "subject": fate.subject,
                    "form": change.form,
                    "field": change.field,
                    "old": None if caller().rehearsal else change.old,
                    "new": change.new,
                }
                for fate, change in self.changes
            ],
            "rows": self.rows,
            "cut": self.cut,
        }
