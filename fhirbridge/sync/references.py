"""What the references of a message lead to: the records that their targets became.

A literal reference is known by what its source showed us before, in this message or in another;
nothing is fetched for it and nothing is guessed (https://hl7.org/fhir/R4/references.html).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from fhirbridge.fhir.bundle import Entry
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.sync.mentions import literals

Named = tuple[str, str]
"""Type and id at the source."""
T = TypeVar("T")


@dataclass
class Targets:
    """The look-ups of one message. `base` is the server that its relative references mean."""

    unit: Unit
    mappings: MappingSet
    source: str
    base: str = ""
    names: dict[str, Named] = field(default_factory=dict)  # of this message, by fullUrl

    def remember(self, entry: Entry, named: Named) -> None:
        if entry.full_url:
            self.names[entry.full_url] = named

    def records(self, reference: str, subject: Subject) -> Mapping[str, str] | None:
        """Of the subject's records that the target became the keys by form: empty where it became
        none, None where that is not known, or it is another's."""
        named = self.named(reference)
        if named is None:
            return None
        if not self.read(named[0]):
            return {}
        ids = self.ids(named)
        found = [self.unit.records.get(id) for id in ids or ()]
        own = {r.form: r.key for r in found if r is not None and r.subject_id == subject.id}
        return own if own or ids == [] else None

    def named(self, reference: str) -> Named | None:
        if reference in self.names:
            return self.names[reference]
        text = reference.partition("/_history/")[0]
        if self.base and text.startswith(f"{self.base}/"):
            text = text[len(self.base) + 1 :]
        kind, divided, id = text.partition("/")
        if not divided or "/" in id or "?" in id or not kind.isalpha():
            return None
        return kind, id

    def read(self, kind: str) -> bool:
        """Whether the study reads the type at all."""
        of_type = self.mappings.of_resource(kind)
        return bool(of_type) or next(self.mappings.inside_of(kind), None) is not None

    def ids(self, named: Named) -> list[str] | None:
        """The records that the source's resource became, or one of our own view was made of; None
        where it was never seen, or waits."""
        origin = self.unit.origins.find(self.source, *named)
        if origin is not None:
            ids = self.unit.origins.records(origin.id)
            waits = not ids and self.unit.quarantine.waits(self.source, *named)
            return None if waits else ids
        own = self.unit.resources.get(*named) if not self.base else None
        return [own.record_id] if own else None


def _literals(entry: Entry) -> list[str]:
    return literals(entry.resource)


def targets_first(
    pairs: Iterable[tuple[Entry, T]], literals_of: Callable[[Entry], list[str]] = _literals
) -> list[tuple[Entry, T]]:
    """What others of the message refer to before them; else, and in a circle, as they come."""
    given = list(pairs)
    if len(given) < 2:
        return given
    places: dict[str, int] = {}
    for number, (entry, _) in enumerate(given):
        places.update((name, number) for name in _names(entry))
    ordered: dict[int, None] = {}
    named = [literals_of(entry) for entry, _ in given]
    for number in range(len(given)):
        _visit(number, named, places, ordered)
    return [given[number] for number in ordered]


def _visit(
    start: int, named: list[list[str]], places: Mapping[str, int], ordered: dict[int, None]
) -> None:
    """Not by recursion: a chain of references may be as long as the message."""
    entered: set[int] = set()
    todo = [start]
    while todo:
        number = todo[-1]
        if number in ordered:
            todo.pop()
        elif number in entered:
            ordered[todo.pop()] = None
        else:
            entered.add(number)
            wanted = dict.fromkeys(places[name] for name in named[number] if name in places)
            todo += [one for one in wanted if one not in ordered and one not in entered]


def _names(entry: Entry) -> Iterator[str]:
    """What a reference in the message may call the entry."""
    if entry.full_url:
        yield entry.full_url
    resource = entry.resource if isinstance(entry.resource, Mapping) else {}
    yield f"{resource.get('resourceType')}/{resource.get('id')}"
