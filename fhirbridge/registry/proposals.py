"""What the sources propose: a value of a field each, and what became of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select, func, literal_column, select

from fhirbridge.registry import tables
from fhirbridge.registry.gathered import portions
from fhirbridge.registry.scope import Scope, not_found

# Not by a parameter: only so the index of those that wait can be used.
WAITS = tables.proposal.c.status == literal_column("'waiting'")
ProposalStatus = Literal["accepted", "waiting", "refused", "superseded"]
_ADD = 5  # the order in which they are written: after records and origins


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
class Proposals:
    scope: Scope

    def know(self, record_ids: Collection[str], *, none: Collection[str] = ()) -> None:
        """Look up together what will be asked for one by one: all of these records, and that there
        are `none` of others."""
        known = self.scope.gathered.proposals
        for id in none:
            known.setdefault(id, [])
        asked = {id for id in record_ids if id not in known}
        for some in portions(asked):
            known.update((id, []) for id in some)
            for row in self.scope.rows(tables.proposal, Proposal, ("number",), record_id=some):
                known[row.record_id].append(row)

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
        known = self.scope.gathered.proposals.get(record_id)
        if known is not None:
            known.append(made)
            self.scope.add_later(tables.proposal, made.id, _columns(made), order=_ADD)
            return made
        once = ("record_id", "field", "number")
        while not self.scope.add_new(tables.proposal, once=once, **_columns(made)):
            made = replace(made, number=self._next_number(record_id, field))
        return made

    def _next_number(self, record_id: str, field: str) -> int:
        known = self.scope.gathered.proposals.get(record_id)
        if known is not None:
            return max((one.number for one in known if one.field == field), default=0) + 1
        proposal = tables.proposal.c
        latest = select(func.max(proposal.number)).where(
            proposal.site_id == self.scope.site_id,
            proposal.record_id == record_id,
            proposal.field == field,
        )
        return (self.scope.connection.execute(latest).scalar_one() or 0) + 1

    def accepted(self, record_id: str) -> dict[str, Proposal]:
        """The latest accepted proposal of each field."""
        known = self.scope.gathered.proposals.get(record_id)
        if known is not None:  # in the order of their numbers
            return {row.field: row for row in known if row.status == "accepted"}
        named = {"record_id": record_id, "status": "accepted"}
        rows = self.scope.rows(tables.proposal, Proposal, ("field", "number"), **named)
        return {row.field: row for row in rows}

    def waiting(self, record_id: str | None = None) -> list[Proposal]:
        """The longest waiting first; of one record or of all."""
        known = self.scope.gathered.proposals.get(record_id or "")
        if known is not None:
            waits = [one for one in known if one.status == "waiting"]
            return sorted(waits, key=lambda one: (one.at, one.field, one.number))
        proposal = tables.proposal.c
        rows = self._rows().where(WAITS)
        rows = rows if record_id is None else rows.where(proposal.record_id == record_id)
        ordered = rows.order_by(proposal.at, proposal.record_id, proposal.field, proposal.number)
        return self.scope.many(Proposal, ordered)

    def of_message(self, message_id: str) -> list[Proposal]:
        """What a message proposed."""
        rows = self._rows().where(tables.proposal.c.message_id == message_id)
        return self.scope.many(Proposal, rows.order_by(tables.proposal.c.position))

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
