"""References between records: from one form's record to another's, by the key of that other.

Written as a logical reference (https://hl7.org/fhir/R4/references.html#logical): the identifier
that the other record's resource carries. What a hospital's literal reference leads to, only the
caller can know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fhirbridge.mapping.codecs import Fault, Read

Refer = Callable[[str], Mapping[str, str] | None]
"""A literal reference (`Condition/12`, `urn:uuid:…`) to the records that its target became, their
keys by form; empty where it became none, None where it is not known."""


def unknown(reference: str) -> Mapping[str, str] | None:
    """The `Refer` of a resource that stands alone."""
    return None


@dataclass(frozen=True, slots=True)
class Reference:
    """`form` is the other record's form, `resource` the type that carries it, `system` that of its
    identifiers."""

    form: str
    resource: str
    system: str
    types = frozenset({"Reference"})
    parts = frozenset({"reference", "type", "identifier.system", "identifier.value"})

    def read(self, raw: Any) -> Read:
        return self.resolve(raw, unknown)

    def resolve(self, raw: Any, refer: Refer) -> Read:
        """The key, nothing where the reference leads to no record of the form, or why not."""
        if not isinstance(raw, Mapping):
            return None
        identifier = raw.get("identifier")
        if isinstance(identifier, Mapping) and identifier.get("system") == self.system:
            return identifier.get("value")
        literal = raw.get("reference")
        if not isinstance(literal, str):
            return None
        found = refer(literal)
        if found is None:
            cause = f"{literal} is not known here"
            remedy = "send what it refers to before it, or in the same Bundle"
            return Fault("not-found", cause, remedy)
        return found.get(self.form)

    def write(self, value: str) -> dict[str, Any]:
        return {
            "type": self.resource,
            "identifier": {"system": self.system, "value": value},
        }
