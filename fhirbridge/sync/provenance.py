"""Who made a version of a resource, when, why, from which message: computed, not stored.

https://hl7.org/fhir/R4/provenance.html, written by the study's own form `provenance`. One for each
version whose revision is known.
"""

from __future__ import annotations

import re
from datetime import UTC
from typing import Any

from fhirbridge.mapping.encode import encode
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.registry.history import Making
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.study.records import Record

TYPE = "Provenance"
_FORM = "provenance"
_ID = re.compile(r"([A-Za-z]{1,32})\.([A-Za-z0-9-]{1,64})\.([1-9][0-9]{0,8})", re.ASCII)


def id_of(row: ResourceRow) -> str:
    """Type, id and version, which fit into the 64 letters of a FHIR id for every type served."""
    return f"{row.type}.{row.fhir_id}.{row.version}"


def target_of(id: str) -> tuple[str, str, int] | None:
    """The type, id and version that a Provenance's id names.

    >>> target_of("Condition.b-1.2")
    ('Condition', 'b-1', 2)
    """
    found = _ID.fullmatch(id)
    return (found[1], found[2], int(found[3])) if found else None


def resource(
    mappings: MappingSet, row: ResourceRow, making: Making, *, site: str
) -> dict[str, Any]:
    fields = {
        "target": f"{row.type}/{row.fhir_id}/_history/{row.version}",
        "recorded": making.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "activity": _activity(row),
        "agent": re.sub(r"^(client|person):", "", making.actor),
        "on_behalf_of": site,
        "source": making.message_id or "",
        "reason": making.reason.strip(),
        "mapping_version": making.mapping_version,
    }
    record = Record("", _FORM, {name: text for name, text in fields.items() if text})
    (made,) = encode(mappings, record, patient={})
    stamp = row.last_updated.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    meta = {**made.resource.get("meta", {}), "lastUpdated": stamp}
    return {**made.resource, "id": id_of(row), "meta": meta}


def _activity(row: ResourceRow) -> str:
    if row.deleted:
        return "withdraw"
    return "create" if row.version == 1 else "update"
