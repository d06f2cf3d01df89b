"""What both halves of the FHIR door need: the service, and resources as they are served."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from flask import current_app, g, request

from fhirbridge.fhir.search_parameters import PARAMETERS
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import project
from fhirbridge.web import searching, trail
from fhirbridge.web.paging import Pager
from fhirbridge.web.service import Service

Body = Mapping[str, Any]
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)


def service() -> Service:
    made: Service = current_app.extensions["fhirbridge"]
    return made


def base() -> str:
    return service().fhir_base(request.host_url)


def mappings() -> MappingSet:
    return service().library.of_site(g.caller.site_name)


def must_hold(type: str) -> None:
    if type not in PARAMETERS:
        cause = f"the registry holds no '{type}'"
        raise BridgeError(Issue("not-found", cause, f"it holds {', '.join(PARAMETERS)}"))


def find(unit: Unit, type: str, id: str) -> ResourceRow | None:
    """The resource, deleted or not; nothing that is no FHIR id is looked for."""
    return unit.resources.get(type, id) if _ID.fullmatch(id) else None


def unknown(type: str) -> BridgeError:
    """The one answer for an id that never was and for an id of another site."""
    cause = f"there is no {type} with this id"
    return BridgeError(Issue("not-found", cause, "search by identifier"))


def body(unit: Unit, row: ResourceRow) -> Body:
    return bodies(unit, [row])[0]


def bodies(unit: Unit, rows: Sequence[ResourceRow]) -> list[Body]:
    """The resources as they are served; as many queries for a page as for one."""
    trail.shows(rows)
    makings = unit.history.makings(rows)
    made: list[Body] = []
    for row, linked in zip(rows, project.linked(unit, mappings(), rows), strict=True):
        making = makings.get((row.record_id, row.revision))
        source = making.message_id if making else None
        meta = {
            **linked.pop("meta", {}),
            "versionId": str(row.version),
            "lastUpdated": instant(row.last_updated),
            **({"source": f"urn:uuid:{source}"} if source else {}),
        }
        linked.pop("resourceType", None)
        made.append({"resourceType": row.type, "id": row.fhir_id, "meta": meta, **linked})
    return made


def instant(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def etag(row: ResourceRow) -> str:
    return f'W/"{row.version}"'


def versioned(row: ResourceRow) -> dict[str, str]:
    return {
        "ETag": etag(row),
        "Location": f"{base()}/{row.type}/{row.fhir_id}/_history/{row.version}",
        "Last_Modified": format_datetime(row.last_updated, usegmt=True),
    }


def is_lenient() -> bool:
    return searching.is_lenient(request.headers.get("Prefer", ""))


def pager(unit: Unit, path: str) -> Pager:
    return Pager(service().registry.vault, g.caller.site_id, path, unit.now())
