"""What `$validate` takes beside the bare resource: R4's Parameters, with a mode and a profile
(https://hl7.org/fhir/R4/resource-operation-validate.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fhirbridge.fhir import packages, verdict
from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue

_MODES = ("create", "update")  # what a push does; nothing is deleted here
_VALUES = {"mode": ("valueCode",), "profile": ("valueUri", "valueCanonical")}
_TAKEN = ("resource", *_VALUES)


def unwrapped(body: bytes, given: Mapping[str, str]) -> tuple[bytes, Sequence[Issue]]:
    """The resource that is asked about, and what the profile says of it that is asked for.

    Raises `BridgeError` where something is asked that is not answered here, which must not be taken
    for a yes.
    """
    made = fhir_json.read(body)
    asked = dict(given)
    if isinstance(made, Mapping) and made.get("resourceType") == "Parameters":
        made, asked = _resource(made), {**asked, **dict(_asked(made))}
        body = fhir_json.dump(made)
    mode, profile = asked.get("mode", "create"), asked.get("profile", "")
    if mode not in _MODES:
        raise _refused("mode", f"the mode '{mode[:40]}' is not answered", "give create or update")
    if not profile or not isinstance(made, Mapping):
        return body, ()
    if packages.profile(profile) is None:
        raise _refused("profile", "this profile is not known here", "leave it out")
    return body, verdict.judge(made, profiles=(profile,))


def _parts(parameters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = parameters.get("parameter")
    return [p for p in listed if isinstance(p, Mapping)] if isinstance(listed, list) else []


def _resource(parameters: Mapping[str, Any]) -> Any:
    found = [
        p["resource"] for p in _parts(parameters) if p.get("name") == "resource" and "resource" in p
    ]
    if len(found) != 1:
        cause = f"the Parameters hold {len(found)} parameters 'resource'"
        raise BridgeError(Issue("structure", cause, "send one", "Parameters.parameter"))
    return found[0]


def _asked(parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for part in _parts(parameters):
        name = str(part.get("name"))
        if name not in _TAKEN:
            raise _refused(name, "it is not read here", f"give {', '.join(_TAKEN)}")
        for value in _VALUES.get(name, ()):
            if isinstance(part.get(value), str):
                yield name, part[value]


def _refused(name: str, cause: str, remedy: str) -> BridgeError:
    return BridgeError(Issue("not-supported", cause, remedy, place=f"parameter {name[:64]}"))
