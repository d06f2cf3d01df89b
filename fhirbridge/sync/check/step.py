"""What one step of a check found, and what the steps share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError
from fhirbridge.servers.client import Server
from fhirbridge.servers.login import Login
from fhirbridge.sync.offered import listed, wanted
from fhirbridge.sync.onboard import delivered

State = Literal["ok", "warning", "failed", "unknown"]


class Stop(Exception):
    """What comes after this step cannot be looked at."""


@dataclass(frozen=True, slots=True)
class Step:
    """`remedy` is what to ask the hospital for, or to do here."""

    name: str
    state: State
    told: str
    remedy: str = ""

    @classmethod
    def of(cls, name: str, fault: BridgeError, state: State = "failed") -> Step:
        issue = fault.issues[0]
        return cls(name, state, issue.cause, issue.remedy)


@dataclass(slots=True)
class Examination:
    """What is asked, and what was seen so far. `patient`: the id of a Patient there, which some
    servers want in every search; empty where none is named."""

    server: Server
    mappings: MappingSet
    now: datetime
    login: Login | None = None
    patient: str = ""
    statement: Mapping[str, Any] = field(default_factory=dict)
    date: str = ""  # the Date header of /metadata
    granted: dict[str, bool] = field(default_factory=dict)
    honours: dict[tuple[str, str], str] = field(default_factory=dict)  # of a type's parameter
    second_pages: dict[str, str] = field(default_factory=dict)  # links to a second page, by type
    refused: dict[str, str] = field(default_factory=dict)  # why a type is not searched

    @property
    def types(self) -> list[str]:
        """Those that a pull asks for, the Patient first."""
        return ["Patient", *wanted(self.mappings)]

    @property
    def sent(self) -> list[str]:
        return sorted(delivered(self.mappings))

    def offers(self, resource_type: str) -> bool:
        """A statement that lists no types forbids none."""
        has = listed(self.statement)
        return has is None or resource_type in has

    def lacking(self, resource_type: str) -> str:
        """Why nothing of the type can be had; empty where it can, as far as was seen."""
        if not self.offers(resource_type):
            return "the server has no such type"
        if not self.granted.get(resource_type, True):
            return "our scopes do not open it"
        if resource_type in self.refused:
            return self.refused[resource_type]
        need = "identifier" if resource_type == "Patient" else "patient"
        if self.honours.get((resource_type, need)) == "refused":
            return f"it cannot be searched by {need}"
        return ""


def sides(statement: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The server's sides of a CapabilityStatement that nobody has judged."""
    for side in objects(statement.get("rest")):
        if side.get("mode") in ("server", None):
            yield side


def resource(statement: Mapping[str, Any], resource_type: str) -> Mapping[str, Any]:
    """What the statement says of the type; empty where it says nothing."""
    told = (one for side in sides(statement) for one in objects(side.get("resource")))
    return next((one for one in told if one.get("type") == resource_type), {})


def operations(statement: Mapping[str, Any]) -> set[str]:
    """`export` of the system, `Patient.everything`, `Group.export`: by name or by definition."""
    found: set[str] = set()
    for side in sides(statement):
        found |= {_operation(one) for one in objects(side.get("operation"))}
        for of_type in objects(side.get("resource")):
            names = (_operation(one) for one in objects(of_type.get("operation")))
            found |= {f"{of_type.get('type')}.{name}" for name in names}
    return found


def _operation(one: Mapping[str, Any]) -> str:
    """Bulk's own definitions call them patient-export and group-export."""
    return str(one.get("name", "")).lstrip("$").rpartition("-")[2]


def objects(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
