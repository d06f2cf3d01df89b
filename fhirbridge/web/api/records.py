"""Records, the study's truth: as they are, and how they came to be so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields, validate

from fhirbridge.registry.origins import Origin
from fhirbridge.registry.proposals import Proposal
from fhirbridge.registry.records import Record
from fhirbridge.registry.unit import Unit
from fhirbridge.web.api.noun import (
    Noun,
    PageQuery,
    Text,
    caller,
    here,
    may_read,
    no_such,
    page_of,
    shown,
    told,
    wanted,
)
from fhirbridge.web.api.proposals import ProposalSchema

noun = Noun("records", "The study's truth, with its history")


class RecordSchema(Schema):
    id = fields.String(required=True)
    subject = fields.String(required=True, metadata={"description": "study id"})
    form = fields.String(required=True)
    key = fields.String(required=True)
    fields_ = fields.Dict(required=True, data_key="fields", keys=fields.String())
    status = fields.String(required=True)
    number = fields.Integer(required=True, metadata={"description": "of its latest revision"})
    mapping_version = fields.String(required=True)
    updated_at = fields.DateTime(format="iso", required=True)


class RevisionSchema(Schema):
    number = fields.Integer(required=True)
    at = fields.DateTime(format="iso", required=True)
    actor = fields.String(required=True)
    reason = fields.String(required=True)
    message_id = fields.String(required=True, allow_none=True)
    mapping_version = fields.String(required=True)
    status = fields.String(required=True)
    changes = fields.Dict(
        required=True,
        keys=fields.String(),
        metadata={"description": "field: [old, new]; null for no value"},
    )


class OriginSchema(Schema):
    """A resource of a source, in the version that was seen last."""

    source = fields.String(required=True)
    resource_type = fields.String(required=True)
    source_id = fields.String(required=True)
    version_id = fields.String(required=True, allow_none=True)
    last_updated = fields.DateTime(format="iso", required=True, allow_none=True)
    seen_at = fields.DateTime(format="iso", required=True)


class HistorySchema(Schema):
    """`proposals` are in the order of fields; `origins` by the `origin_id` that stands in them."""

    revisions = fields.List(fields.Nested(RevisionSchema), required=True)
    proposals = fields.List(fields.Nested(ProposalSchema), required=True)
    origins = fields.Dict(keys=fields.String(), values=fields.Nested(OriginSchema), required=True)


class RecordsQuery(PageQuery):
    form = Text(most=64)
    subject = Text(metadata={"description": "study id"})
    status = fields.String(validate=validate.OneOf(["active", "withdrawn"]))


@noun.route("", page_of(RecordSchema), query=RecordsQuery)
def listed(given: dict[str, Any]) -> Any:
    """By id. A subject that is not known has none."""
    may_read()
    page, study_id = wanted(given), given.pop("subject", None)
    with here().registry.read(caller().site_id) as unit:
        if study_id is not None:
            subject = unit.subjects.by_study_id(study_id)
            given["subject_id"] = subject.id if subject else ""
        found = unit.listings.records(page, **given)
        names = _study_ids(unit, found.items)
    return told(found, lambda record: _shown(record, names[record.subject_id]))


def _study_ids(unit: Unit, records: list[Record]) -> dict[str, str]:
    known = {id: unit.subjects.by_id(id) for id in {record.subject_id for record in records}}
    return {id: subject.study_id for id, subject in known.items() if subject is not None}


def _shown(record: Record, study_id: str) -> Mapping[str, Any]:
    told = {name: getattr(record, name) for name in Record.__slots__}
    return {**told, "fields_": record.fields, "subject": study_id}


@noun.route("/<id>", RecordSchema, refusals=(404,))
def one(id: str) -> Any:
    may_read()
    with here().registry.read(caller().site_id) as unit:
        record = _known(unit, id)
        return _shown(record, _study_ids(unit, [record])[record.subject_id])


@noun.route("/<id>/history", HistorySchema, refusals=(404,))
def history(id: str) -> Any:
    """Who changed what, when and why; and of each field what proposed its values."""
    may_read()
    with here().registry.read(caller().site_id) as unit:
        record = _known(unit, id)
        proposals: list[Proposal] = unit.listings.proposals_of(record.id)
        origins: list[Origin] = unit.origins.of_record(record.id)
        revisions = unit.records.revisions(record.id)
    by_id = {origin.id: origin for origin in origins}
    return {"revisions": revisions, "proposals": proposals, "origins": by_id}


def _known(unit: Unit, id: str) -> Record:
    record = unit.records.get(id)
    if record is None:
        raise no_such("record", "take it from a receipt's record_id")
    return shown(record)
