"""What comes as it came, and was read to the end then: it is counted, and nothing is done with it.

A mark says so. It is made of all that decides what a reading gives: the resource with the server's
stamps, the mappings with their crosswalks, our program, whose it is, what became of it, and the
records that it is about with their numbers. Where any of it is otherwise, it is read.

Never marked is what the reading of which hangs on more than that: Patient and Consent, what refers
to another record or to a medication beside it, what waits, and what had anything to be told. And
whether we may read of the person at all is asked each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fhirbridge
from fhirbridge.fhir.bundle import Entry
from fhirbridge.formats import fhir_json
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.registry.receipts import ReceiptEntry
from fhirbridge.registry.settled import Standing
from fhirbridge.registry.unit import Unit
from fhirbridge.sync.beside import ORDERS
from fhirbridge.sync.consent import Gate

_NEVER = ("Patient", "Consent", "OperationOutcome", "Medication")
_SAME = {"applied": "unchanged", "unchanged": "unchanged", "refused": "refused"}
Name = tuple[str, str]


@cache
def _program() -> str:
    """Of our own source: an update need not bring another version number."""
    root, digest = Path(fhirbridge.__file__).parent, hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Of one piece of a pull, in its unit."""

    unit: Unit
    mappings: MappingSet
    source: str
    gate: Gate

    def among(self, resources: Mapping[int, Any]) -> dict[int, str]:
        """What becomes of those that need not be read, by position."""
        if any(_kind(one) == "Consent" for one in resources.values()):
            return {}  # it counts for what comes with it
        names = {at: name for at, one in resources.items() if (name := _name(one))}
        known = self.unit.settled.known(self.source, names.values())
        marked = {n: o for n, o in known.items() if o.settled}
        if not marked or len(names.values()) != len({*names.values()}):
            return {}
        waits = self.unit.quarantine.among({id for _, id in marked})
        standing = self.unit.settled.standing([one.id for one in marked.values()])
        found: dict[int, str] = {}
        for at, name in names.items():
            origin = marked.get(name)
            if origin is None or name in waits:
                continue
            fate = str(origin.settled).partition(":")[0]
            mark = self.mark(at, resources[at], fate, standing.get(origin.id, ()))
            if mark == origin.settled:
                found[at] = fate
        return found

    def settle(
        self, resources: Mapping[int, Any], told: Iterable[ReceiptEntry], leaning: Collection[int]
    ) -> None:
        """Mark what was read just now; `resources`, what was told of them and those whose reading
        hung on others are by their position in the message."""
        lines: dict[int, list[ReceiptEntry]] = {}
        for one in told:
            lines.setdefault(one.position, []).append(one)
        fates = {
            at: fate
            for at, some in lines.items()
            if at not in leaning and at in resources and (fate := _fate(some))
        }
        names = {at: name for at in fates if (name := _name(resources[at]))}
        known = self.unit.settled.known(self.source, names.values())
        here = {at: known[name] for at, name in names.items() if name in known}
        standing = self.unit.settled.standing([one.id for one in here.values()])
        marks: dict[str, str] = {}
        for at, origin in here.items():
            about = standing.get(origin.id, ())
            # What became a record is about one; what is none of ours is about none.
            if bool(about) == (fates[at] == "unchanged"):
                mark = self.mark(at, resources[at], fates[at], about)
                if mark and mark != origin.settled:
                    marks[origin.id] = mark
        self.unit.settled.settle(marks)

    def mark(self, at: int, resource: Mapping[str, Any], fate: str, standing: Standing) -> str:
        """Empty where nobody's it is, or of somebody of whom nothing may be kept."""
        about = self.gate.about(Entry(at, resource, ""))
        if about.withheld is not None or about.subject_id is None:
            return ""
        made = (_program(), self.mappings.version, about.subject_id, *map(str, standing))
        digest = hashlib.sha256("\0".join(made).encode())
        digest.update(fhir_json.dump(resource))
        return f"{fate}:{digest.hexdigest()}"


def _fate(lines: Iterable[ReceiptEntry]) -> str:
    """What would become of it again; empty where that is not sure, or more was to be told."""
    fates: set[str] = set()
    for line in lines:
        if line.subject_id is None or line.fate not in _SAME:
            return ""
        if line.issues and line.fate != "refused":
            return ""
        fates.add(_SAME[line.fate])
    return fates.pop() if len(fates) == 1 else ""


def _kind(resource: Any) -> str:
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    return kind if isinstance(kind, str) else ""


def _name(resource: Any) -> Name | None:
    """None of what is never marked."""
    kind = _kind(resource)
    id = resource.get("id") if kind else None
    if not isinstance(id, str) or kind in _NEVER:
        return None
    return None if kind in ORDERS and "medicationReference" in resource else (kind, id)
