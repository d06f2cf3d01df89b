"""The writability profile of a connection: what its server takes of each resource type.

Declared by the CapabilityStatement (https://hl7.org/fhir/R4/capabilitystatement.html), corrected by
refusals. What is not known is tried. It is asked anew after a week, or when it was forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fhirbridge.outcome import Issue
from fhirbridge.registry.writability import Ability
from fhirbridge.servers.answer import Answer, outcome_codes

CREATE, UPDATE = "create", "update"
CONDITIONAL, VERSIONED = "conditional-create", "versioned-update"
REFUSED = "refused "  # and the block, the status and the expression of it
LIVES = timedelta(days=7)
PATIENCE = 3  # refusals of one kind after which the next resource of the block is not tried
ANY, ASKED = "*", "metadata"  # the row that says when the server was asked
_INDEX = re.compile(r"\[\d+\]")
_EXPRESSION = re.compile(r"[A-Za-z][A-Za-z0-9_.\[\]()]{0,120}")


@dataclass
class Writable:
    """`known` by type and ability; `tried` overrules what was only declared."""

    known: dict[tuple[str, str], Ability] = field(default_factory=dict)
    tried: bool = False

    def know(self, rows: Iterable[Ability]) -> None:
        self.known = {(row.resource_type, row.ability): row for row in rows}

    def stale(self, now: datetime) -> bool:
        asked = self.known.get((ANY, ASKED))
        return asked is None or now - asked.learned_at > LIVES

    def may(self, resource_type: str, ability: str) -> bool | None:
        """None where nobody knows."""
        row = self.known.get((resource_type, ability))
        declared = row is not None and row.cause == "declared"
        if row is None or (declared and not row.allowed and self.tried):
            return None
        return row.allowed

    def forbidden(self, resource_type: str, ability: str) -> Issue | None:
        """Why it is not even tried."""
        if self.may(resource_type, ability) is not False:
            return None
        row = self.known[resource_type, ability]
        told = "its CapabilityStatement does not offer it"
        told = told if row.cause == "declared" else f"it answered {row.cause} to it"
        cause = f"the server takes no {ability} of {resource_type}: {told}"
        remedy = "have the hospital's IT allow it, then forget what was learned and retry"
        return Issue("not-supported", cause, remedy)

    def hopeless(self, resource_type: str, block: str) -> Issue | None:
        """Every one of this block was refused for one reason, several in a row."""
        for (kind, ability), row in self.known.items():
            named = ability.startswith(f"{REFUSED}{block} ")
            if kind == resource_type and named and row.times >= PATIENCE:
                why = ability.removeprefix(f"{REFUSED}{block} ")
                cause = f"the server refused {row.times} like it ({why}); this one was not sent"
                remedy = "change what is sent there (codings, displays, reference), then retry"
                return Issue("not-supported", cause, remedy)
        return None


def declared(statement: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Type, ability, and whether it is offered; of what the statement says nothing, nothing."""
    for rest in _objects(statement.get("rest")):
        if rest.get("mode") != "server":
            continue
        for resource in _objects(rest.get("resource")):
            kind = resource.get("type")
            if not isinstance(kind, str):
                continue
            codes = {one.get("code") for one in _objects(resource.get("interaction"))}
            if codes:
                yield kind, CREATE, "create" in codes
                yield kind, UPDATE, "update" in codes
            if isinstance(resource.get("conditionalCreate"), bool):
                yield kind, CONDITIONAL, resource["conditionalCreate"]
            if isinstance(resource.get("versioning"), str):
                yield kind, VERSIONED, resource["versioning"] == "versioned-update"


def kind_of(answer: Answer, block: str) -> str:
    """The ability that a refusal speaks of: its block, status and elements, no word of the server's
    own."""
    found = (answer.body or {}).get("issue")
    named = [
        _INDEX.sub("", text)
        for issue in _objects(found)
        for text in (issue.get("expression") or issue.get("location") or ())
        if isinstance(text, str) and _EXPRESSION.fullmatch(text)
    ]
    what = ", ".join(dict.fromkeys(named)) or ", ".join(dict.fromkeys(outcome_codes(answer)))
    return f"{REFUSED}{block} {answer.status} {what or 'without a reason'}"


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
