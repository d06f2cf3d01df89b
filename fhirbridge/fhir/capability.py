"""The CapabilityStatement (https://hl7.org/fhir/R4/capabilitystatement.html), made from what is
wired.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhirbridge.fhir.search_parameters import PARAMETERS

_SERVICES = "http://terminology.hl7.org/CodeSystem/restful-security-service"


def statement(
    resource_types: Iterable[str], *, base: str, version: str, date: str, token_url: str = ""
) -> dict[str, Any]:
    """What the registry's FHIR door does for these types; `date` is that of the release, and
    `token_url` empty where API keys alone are taken.
    """
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": {"name": "fhirbridge", "version": version},
        "implementation": {"description": "Registry of a bone metastasis study", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json", "application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "security": _security(token_url),
                "resource": [_resource(name) for name in sorted(resource_types)],
                "interaction": [{"code": "transaction"}],
            }
        ],
    }


def _security(token_url: str) -> dict[str, Any]:
    """HL7's extension `oauth-uris` is left out: it wants an `authorize` URL too, and there is none;
    clients look into `.well-known/smart-configuration`.
    """
    told = "Authorization: Bearer with an API key of the site"
    if not token_url:
        return {"description": told}
    smart = {"system": _SERVICES, "code": "SMART-on-FHIR", "display": "SMART-on-FHIR"}
    told += f", or with an access token of {token_url} (SMART Backend Services)"
    return {"service": [{"coding": [smart]}], "description": told}


def _resource(name: str) -> dict[str, Any]:
    parameters = [{"name": "_id", "type": "token"}]
    parameters += [{"name": n, "type": p.kind} for n, p in PARAMETERS.get(name, {}).items()]
    return {
        "type": name,
        "interaction": [{"code": "read"}, {"code": "create"}, {"code": "search-type"}],
        "versioning": "versioned",
        "searchParam": parameters,
    }
