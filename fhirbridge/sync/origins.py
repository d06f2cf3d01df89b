"""The source resource that an entry is, in the version in which it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhirbridge.mapping.spec import MappingSet
from fhirbridge.registry.origins import Origin
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import source


@dataclass(frozen=True, slots=True)
class Origins:
    """Of one source."""

    unit: Unit
    mappings: MappingSet
    source: str

    def of(
        self, resource: Mapping[str, Any], source_id: str, updates: ResourceRow | None
    ) -> Origin | None:
        """None where a newer version of it was seen. `updates` is the resource of ours that the
        request names."""
        meta = resource.get("meta", {})
        stamped = source.instant(meta.get("lastUpdated"))
        seen = self.unit.origins.find(self.source, resource["resourceType"], source_id)
        if seen is None and updates is not None and updates.fhir_id == source_id:
            seen = self._behind(updates)
            stamped = None  # the stamp that it bears is ours
        if seen and seen.last_updated and stamped and stamped < seen.last_updated:
            return None
        if seen and _goes_back(seen.version_id, meta.get("versionId")):
            return None
        return self.unit.origins.put(
            self.source,
            resource["resourceType"],
            seen.source_id if seen else source_id,
            version_id=meta.get("versionId"),
            last_updated=stamped or (seen.last_updated if seen else None),
            sha256=source.content_hash(resource),
        )

    def _behind(self, row: ResourceRow) -> Origin | None:
        """What this source sent, where our view of it comes back changed: it corrects that."""
        record = self.unit.records.get(row.record_id)
        blocks = self.mappings.blocks(record.form) if record else ()
        names = {n for _, block in blocks if block.name == row.block for n in block.fields}
        owners = self.unit.proposals.accepted(row.record_id)
        ids = {one.origin_id for name, one in owners.items() if name in names or not names}
        behind = [
            one
            for one in self.unit.origins.of_record(row.record_id)
            if one.source == self.source and one.resource_type == row.type and one.id in ids
        ]
        return behind[0] if len(behind) == 1 else None


SETTLED, OPEN = "v2-settled", "v2-open"
"""The versions of an HL7 v2 result, which has no other: final, corrected or withdrawn; and what
came before that. A status never goes back."""


def _goes_back(seen: str | None, now: object) -> bool:
    return seen == SETTLED and now == OPEN
