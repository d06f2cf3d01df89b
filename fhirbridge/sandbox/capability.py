"""The CapabilityStatement of the sandbox hospital: what is wired, and nothing else.

See https://hl7.org/fhir/R4/capabilitystatement.html.
"""

from __future__ import annotations

from collections.abc import Set

from fhirbridge.sandbox import search
from fhirbridge.sandbox.store import Resource

_INTERACTIONS = (
    "read",
    "vread",
    "update",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)


def statement(*, base: str, moment: str, unlisted: Set[str] = frozenset()) -> Resource:
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": moment,
        "kind": "instance",
        "software": {"name": "fhirbridge sandbox hospital"},
        "implementation": {"description": "a hospital of synthetic patients", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "resource": [_resource(kind, unlisted) for kind in search.PARAMETERS],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
            }
        ],
    }


def _resource(kind: str, unlisted: Set[str]) -> Resource:
    return {
        "type": kind,
        "interaction": [{"code": code} for code in _INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "referencePolicy": ["literal", "logical", "enforced"],
        "searchParam": [
            {"name": name, "type": search.parameter_type(name)}
            for name in search.PARAMETERS[kind]
            if name not in unlisted
        ],
    }
