"""The CapabilityStatement (https://hl7.org/fhir/R4/capabilitystatement.html), made from what is
wired. A test calls every claim.
"""

from __future__ import annotations

from typing import Any

from fhirbridge.fhir.search_parameters import PARAMETERS, includes

_SERVICES = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_OPERATIONS = "http://hl7.org/fhir/OperationDefinition"
MOST_ENTRIES = 5_000  # of a Bundle

_INTERACTIONS = ("read", "vread", "history-instance", "create", "update", "search-type")
_TYPE: dict[str, Any] = {
    "versioning": "versioned-update",
    "readHistory": True,
    "updateCreate": True,
    "conditionalCreate": True,
    "conditionalRead": "not-match",
    "conditionalUpdate": True,
    "conditionalDelete": "not-supported",
}


def statement(
    *, base: str, version: str, date: str, max_body: int, token_url: str = ""
) -> dict[str, Any]:
    """What the registry's FHIR door does; `date` is that of the release, and `token_url` empty
    where API keys alone are taken.
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
                "documentation": _limits(max_body),
                "security": _security(token_url),
                "resource": [*map(_resource, sorted(PARAMETERS)), _PROVENANCE],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
                "operation": [_operation("process-message", "MessageHeader-process-message")],
            }
        ],
    }


def _limits(max_body: int) -> str:
    return (
        f"A body has at most {max_body} bytes, also when gzip is unpacked, and a Bundle at most "
        f"{MOST_ENTRIES} entries. A search gives at most 500 matches a page and takes at most 100 "
        "parameters of 100 values each. Content-Encoding and Accept-Encoding gzip are understood. "
        "Unknown search parameters are refused; with Prefer: handling=lenient they are dropped."
    )


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


def _operation(name: str, definition: str) -> dict[str, str]:
    return {"name": name, "definition": f"{_OPERATIONS}/{definition}"}


def _resource(name: str) -> dict[str, Any]:
    parameters = [{"name": "_id", "type": "token"}, {"name": "_lastUpdated", "type": "date"}]
    parameters += [{"name": n, "type": p.kind} for n, p in PARAMETERS[name].items()]
    included = {"searchInclude": list(includes(name))} if includes(name) else {}
    return {
        "type": name,
        "interaction": [{"code": code} for code in _INTERACTIONS],
        **_TYPE,
        **included,
        "searchRevInclude": ["Provenance:target"],
        "searchParam": parameters,
        "operation": [_operation("validate", "Resource-validate")],
    }


_PROVENANCE: dict[str, Any] = {
    "type": "Provenance",
    "documentation": "One for each version of a resource whose making is known; it is computed.",
    "interaction": [{"code": "read"}, {"code": "search-type"}],
    "versioning": "no-version",
    "searchParam": [
        {"name": "_id", "type": "token"},
        {"name": "target", "type": "reference", "documentation": "Type/id, with a version or not"},
        {"name": "patient", "type": "reference"},
    ],
}
