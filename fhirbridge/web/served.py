"""What both halves of the FHIR door need: the service, and a resource as it is served."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import format_datetime
from typing import Any

from flask import current_app, g, request

from fhirbridge.fhir.search_parameters import PARAMETERS
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import project
from fhirbridge.web.service import Service


def service() -> Service:
    made: Service = current_app.extensions["fhirbridge"]
    return made


def base() -> str:
    return service().fhir_base(request.host_url)


def must_hold(type: str) -> None:
    if type not in PARAMETERS:
        cause = f"the registry holds no '{type}'"
        raise BridgeError(Issue("not-found", cause, f"it holds {', '.join(PARAMETERS)}"))


def body(unit: Unit, row: ResourceRow) -> Mapping[str, Any]:
    linked = project.linked(unit, service().library.of_site(g.caller.site_name), row)
    stamp = row.last_updated.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    meta = {**linked.get("meta", {}), "versionId": str(row.version), "lastUpdated": stamp}
    whole = {name: value for name, value in linked.items() if name not in ("resourceType", "meta")}
    return {"resourceType": row.type, "id": row.fhir_id, "meta": meta, **whole}


def versioned(row: ResourceRow) -> dict[str, str]:
    return {
        "ETag": f'W/"{row.version}"',
        "Location": f"{base()}/{row.type}/{row.fhir_id}/_history/{row.version}",
        "Last_Modified": format_datetime(row.last_updated, usegmt=True),
    }
