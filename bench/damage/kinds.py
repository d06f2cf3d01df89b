"""Every kind of planted damage, and the choice of places that keeps a run short and stable."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from bench.damage import (
    bundles,
    extensions,
    invariants,
    profiles,
    references,
    structure,
    terminology,
    texts,
    values,
)
from bench.damage.edits import Path
from bench.damage.mutant import Group, Harm, Kind, Mutant, Pool
from bench.damage.source import Source
from fhirbridge.formats import fhir_json

KINDS: tuple[Kind, ...] = (
    *texts.KINDS,
    *values.KINDS,
    *structure.KINDS,
    *references.KINDS,
    *bundles.KINDS,
    *extensions.KINDS,
    *terminology.KINDS,
    *profiles.KINDS,
    *invariants.KINDS,
)
_LARGEST = 40_000  # bytes: a larger example costs the oracle more than it teaches
_EACH = 8  # of a kind and a source
_MOST: Mapping[Group, int] = {
    "structural": 140,
    "probe": 200,
    "profile": 300,
    "extension": 300,
    "terminology": 200,
}


class _Choice(NamedTuple):
    """A harm that may be planted: its turn in its source, and its rank among those of the turn."""

    turn: int
    rank: str
    source: Source
    number: int
    harm: Harm


def pool(sources: Iterable[Source]) -> Pool:
    """What the sources hold: extensions, profiles and codings, each once, in a stable order."""
    found: dict[str, dict[str, object]] = {}
    codings: dict[str, dict[str, object]] = {}
    claimed: defaultdict[str, set[str]] = defaultdict(set)
    for source in sources:
        claimed[source.type] |= {url for url in source.profiles if "|" not in url}
        for place in source.items:
            if place.type == "Extension" and place.owner != "Extension":
                found.setdefault(place.value.get("url", ""), place.value)
            elif place.type == "Coding" and {"system", "code"} <= place.value.keys():
                codings.setdefault(place.value["system"], place.value)
    urls = [url for url in sorted(found) if "example" not in url]
    return Pool(
        tuple(found[url] for url in urls),
        {name: tuple(sorted(urls)) for name, urls in claimed.items() if urls},
        tuple(codings[system] for system in sorted(codings, key=_rank)),
    )


def mutants(
    sources: Sequence[Source], *, kinds: Sequence[Kind] = KINDS, share: float = 1.0
) -> list[Mutant]:
    """For each kind a spread over all types and sources, up to `share` of the kind's limit.

    Which ones depends on nothing but kind, source and place, so an example more changes little.
    """
    small = [s for s in sources if len(fhir_json.dump(s.resource)) <= _LARGEST]
    shared = pool(sources)
    taken: set[bytes] = {fhir_json.dump(source.resource) for source in sources}
    made: list[Mutant] = []
    for kind in kinds:
        most = max(1, round(share * _MOST[kind.group]))
        made.extend(islice(_of(kind, small, shared, taken), most))
    return made


def _of(kind: Kind, sources: Sequence[Source], shared: Pool, taken: set[bytes]) -> Iterator[Mutant]:
    """Round by round: one of each type, of one source after the other, in the order of ranks."""
    by_type: defaultdict[str, list[_Choice]] = defaultdict(list)
    for source in sources:
        by_type[source.type].extend(_choices(kind, source, shared))
    turns = [
        (turn, choice.rank, choice)
        for choices in by_type.values()
        for turn, choice in enumerate(sorted(choices, key=lambda c: (c.turn, c.rank)))
    ]
    for _, _, choice in sorted(turns, key=lambda t: t[:2]):
        path, harmed = choice.harm
        raw = harmed if isinstance(harmed, bytes) else fhir_json.dump(harmed)
        if raw not in taken:
            taken.add(raw)
            source = choice.source
            name = f"{kind.name}/{source.id}/{choice.number}"
            yield Mutant(name, kind.name, kind.group, source.id, source.told(path), raw)


def _choices(kind: Kind, source: Source, shared: Pool) -> list[_Choice]:
    ranked = sorted(
        (_rank(f"{kind.name}|{source.id}|{number}|{_spelt(harm[0])}"), number, harm)
        for number, harm in enumerate(kind.harm(source, shared))
    )[:_EACH]
    return [
        _Choice(turn, rank, source, number, harm)
        for turn, (rank, number, harm) in enumerate(ranked)
    ]


def _spelt(path: Path) -> str:
    return ".".join(str(step) for step in path)


def _rank(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
