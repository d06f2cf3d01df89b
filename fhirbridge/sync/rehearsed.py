"""What is kept of a rehearsal: one event of the audit trail, with who, what and how many.

Everything else of it was a transaction that nobody committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fhirbridge.registry.store import Registry

EVENT = "rehearsal"


def note(
    registry: Registry,
    site_id: str,
    *,
    actor: str,
    kind: str,
    counts: Mapping[str, int],
    subjects: Iterable[str],
    request_id: str | None = None,
) -> None:
    """`subjects` are those of the rehearsal; whom it alone enrolled is nobody here."""
    with registry.unit(site_id, request_id=request_id) as unit:
        here = [id for id in sorted({*subjects}) if unit.subjects.by_id(id) is not None]
        told = {name: str(number) for name, number in counts.items() if number}
        unit.audit.note("E", EVENT, actor=actor, entities={"kind": kind, **told, "subjects": here})
        unit.commit()
