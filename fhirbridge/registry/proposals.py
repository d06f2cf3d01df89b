"""Where values come from: the resources that a source showed us, and what they propose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select, func, select

from fhirbridge.registry import tables
from fhirbridge.registry.scope import Scope, not_found

ProposalStatus = Literal["accepted", "waiting", "refused", "superseded"]


@dataclass(frozen=True, slots=True)
class Origin:
    """A resource of a source, in the version that we saw last, and whose it is."""

    id: str
    source: str
    resource_type: str
    source_id: str
    version_id: str | None
    last_updated: datetime | None
    sha256: str
    subject_id: str | None
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Proposal:
    """One field's value as an origin has it; `number` counts the proposals of the field."""

    id: str
    record_id: str
    field: str
    number: int
    value: Any
    status: ProposalStatus
    origin_id: str | None
    message_id: str | None
    position: int | None
    path: str | None
    rule: str | None
    mapping_version: str
    at: datetime
    decided_by: str | None = None
    decided_because: str | None = None


@dataclass(frozen=True, slots=True)
class Origins:
    scope: Scope

    def find(self, source: str, resource_type: str, source_id: str) -> Origin | None:
        origin = tables.origin.c
        named = (
            origin.source == source,
            origin.resource_type == resource_type,
            origin.source_id == source_id,
        )
        return self.scope.one(Origin, self._rows().where(*named))

    def put(
        self,
        source: str,
        resource_type: str,
        source_id: str,
        *,
        version_id: str | None,
        last_updated: datetime | None,
        sha256: str,
        subject_id: str | None = None,
    ) -> Origin:
        """The origin in this version. A known subject stays unless another is given."""
        self.scope.put(
            tables.origin,
            once=("source", "resource_type", "source_id"),
            told=("version_id", "last_updated", "sha256", "seen_at"),
            kept=("subject_id",),
            id=self.scope.ids(),
            source=source,
            resource_type=resource_type,
            source_id=source_id,
            version_id=version_id,
            last_updated=last_updated,
            sha256=sha256,
            subject_id=subject_id,
            seen_at=self.scope.clock(),
        )
        found = self.find(source, resource_type, source_id)
        if found is None:
            raise not_found("origin")
        return found

    def link(self, origin_id: str, record_id: str) -> None:
        """The origin is about this record. The record need not be saved yet, but must be when the
        unit commits."""
        self.scope.add_new(
            tables.origin_record,
            once=("origin_id", "record_id"),
            origin_id=origin_id,
            record_id=record_id,
        )

    def unlink(self, origin_id: str, record_id: str) -> bool:
        """False where it is not about the record (any more)."""
        link = tables.origin_record
        named = (link.c.origin_id == origin_id, link.c.record_id == record_id)
        return self.scope.affected(self.scope.delete(link).where(*named)) == 1

    def records(self, origin_id: str) -> list[str]:
        """The ids of the records that the origin is about: a resource may tell several facts."""
        link = tables.origin_record.c
        rows = self.scope.select(tables.origin_record, _Link).where(link.origin_id == origin_id)
        return [one.record_id for one in self.scope.many(_Link, rows.order_by(link.record_id))]

    def forget(self, source: str, resource_type: str, source_id: str) -> bool:
        """A resource that was seen and never read: no record and no proposal is of it. False where
        one is."""
        origin, link = tables.origin, tables.origin_record
        found = self.find(source, resource_type, source_id)
        if found is None or self.records(found.id):
            return False
        proposal = tables.proposal.c
        named = (proposal.site_id == self.scope.site_id, proposal.origin_id == found.id)
        used = select(func.count()).select_from(tables.proposal).where(*named)
        if self.scope.connection.execute(used).scalar_one():
            return False
        self.scope.affected(self.scope.delete(link).where(link.c.origin_id == found.id))
        return self.scope.affected(self.scope.delete(origin).where(origin.c.id == found.id)) == 1

    def of_record(self, record_id: str) -> list[Origin]:
        origin, link = tables.origin.c, tables.origin_record.c
        about = select(link.origin_id).where(
            link.site_id == self.scope.site_id, link.record_id == record_id
        )
        rows = self._rows().where(origin.id.in_(about))
        return self.scope.many(
            Origin, rows.order_by(origin.source, origin.resource_type, origin.source_id)
        )

    def _rows(self) -> Select[Any]:
        return self.scope.select(tables.origin, Origin)


@dataclass(frozen=True, slots=True)
class _Link:
    origin_id: str
    record_id: str


@dataclass(frozen=True, slots=True)
class Proposals:
    scope: Scope

    def add(
        self,
        record_id: str,
        field: str,
        *,
        value: Any,
        status: ProposalStatus,
        mapping_version: str,
        origin_id: str | None = None,
        message_id: str | None = None,
        position: int | None = None,
        path: str | None = None,
        rule: str | None = None,
    ) -> Proposal:
        """The record need not be saved yet, but must be when the unit commits."""
        made = Proposal(
            id=self.scope.ids(),
            record_id=record_id,
            field=field,
            number=self._next_number(record_id, field),
            value=value,
            status=status,
            origin_id=origin_id,
            message_id=message_id,
            position=position,
            path=path,
            rule=rule,
            mapping_version=mapping_version,
            at=self.scope.clock(),
        )
        once = ("record_id", "field", "number")
        while not self.scope.add_new(tables.proposal, once=once, **_columns(made)):
            made = replace(made, number=self._next_number(record_id, field))
        return made

    def _next_number(self, record_id: str, field: str) -> int:
        proposal = tables.proposal.c
        latest = select(func.max(proposal.number)).where(
            proposal.site_id == self.scope.site_id,
            proposal.record_id == record_id,
            proposal.field == field,
        )
        return (self.scope.connection.execute(latest).scalar_one() or 0) + 1

    def accepted(self, record_id: str) -> dict[str, Proposal]:
        """The latest accepted proposal of each field."""
        proposal = tables.proposal.c
        rows = self._rows().where(proposal.record_id == record_id, proposal.status == "accepted")
        ordered = rows.order_by(proposal.field, proposal.number)
        return {row.field: row for row in self.scope.many(Proposal, ordered)}

    def waiting(self, record_id: str | None = None) -> list[Proposal]:
        """The longest waiting first; of one record or of all."""
        proposal = tables.proposal.c
        rows = self._rows().where(proposal.status == "waiting")
        rows = rows if record_id is None else rows.where(proposal.record_id == record_id)
        ordered = rows.order_by(proposal.at, proposal.record_id, proposal.field, proposal.number)
        return self.scope.many(Proposal, ordered)

    def get(self, proposal_id: str) -> Proposal | None:
        return self.scope.one(Proposal, self._rows().where(tables.proposal.c.id == proposal_id))

    def set_status(
        self, proposal_id: str, status: ProposalStatus, *, by: str = "", reason: str = ""
    ) -> None:
        """`by` and `reason` where a person decided."""
        decided = {"decided_by": by, "decided_because": reason} if by else {}
        changed = self.scope.update(tables.proposal).where(tables.proposal.c.id == proposal_id)
        if not self.scope.affected(changed.values(status=status, **decided)):
            raise not_found("proposal")

    def _rows(self) -> Select[Any]:
        return self.scope.select(tables.proposal, Proposal)


def _columns(row: Proposal) -> dict[str, Any]:
    return {name: getattr(row, name) for name in Proposal.__slots__}
