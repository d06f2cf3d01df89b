"""What a hospital's server lets us write, by resource type and ability: told by its
CapabilityStatement, or learned from its refusals. No text of the server is kept: it may hold
values.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fhirbridge.registry.delivery_tables import writability
from fhirbridge.registry.scope import Scope


@dataclass(frozen=True, slots=True)
class Ability:
    """`cause` says from what it is known: `declared`, or the status of a refusal."""

    resource_type: str
    ability: str
    allowed: bool
    cause: str
    times: int
    learned_at: datetime


@dataclass(frozen=True, slots=True)
class Writability:
    scope: Scope

    def of_connection(self, connection_id: str) -> list[Ability]:
        order = ("resource_type", "ability")
        return self.scope.rows(writability, Ability, order, connection_id=connection_id)

    def learn(
        self,
        connection_id: str,
        resource_type: str,
        ability: str,
        *,
        allowed: bool,
        cause: str,
        times: int = 1,
    ) -> None:
        self.scope.put(
            writability,
            once=("connection_id", "resource_type", "ability"),
            told=("allowed", "cause", "times", "learned_at"),
            connection_id=connection_id,
            resource_type=resource_type,
            ability=ability,
            allowed=allowed,
            cause=cause,
            times=times,
            learned_at=self.scope.clock(),
        )

    def forget_refusals(self, connection_id: str) -> int:
        """What was learned and not declared; how much that was."""
        learned = writability.c.cause != "declared"
        rows = self.scope.delete(writability).where(learned)
        return self.scope.affected(rows.where(writability.c.connection_id == connection_id))

    def forget(self, connection_id: str) -> int:
        """All of it; how much that was. The next delivery asks the server anew."""
        rows = self.scope.delete(writability)
        return self.scope.affected(rows.where(writability.c.connection_id == connection_id))
