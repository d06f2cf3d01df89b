"""A kind of damage, and a resource with one piece of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bench.damage.edits import GONE, Path, put
from bench.damage.source import Place, Source

Group = Literal["structural", "probe", "profile", "extension", "terminology", "random"]
Harm = tuple[Path, Any]
"""Where, and the whole resource as it is then: a dict, or bytes where the text is what is wrong."""


@dataclass(frozen=True, slots=True)
class Pool:
    """What the other sources hold, to be used in the wrong place."""

    extensions: tuple[Mapping[str, Any], ...]
    profiles: Mapping[str, tuple[str, ...]]  # by resource type
    codings: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """Every way to do one kind of damage to a source."""

    name: str
    group: Group
    harm: Callable[[Source, Pool], Iterable[Harm]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`place` is the path of the damage; `raw` the resource as bytes."""

    id: str
    kind: str
    group: Group
    source: str
    place: str
    raw: bytes


def replaced(
    name: str, group: Group, fits: Callable[[Place], bool], *values: Any, slots: bool = False
) -> Kind:
    """The kind that writes each of the values in place of each value (or slot) that fits.

    A value may be a function of the old value; where that gives `None`, nothing is planted.
    """

    def harm(source: Source, _: Pool) -> Iterator[Harm]:
        for place in source.slots if slots else source.items:
            if not fits(place):
                continue
            for value in values:
                new = value(place.value) if callable(value) else value
                if new is not None and not same(new, place.value):
                    yield place.path, put(source.resource, place.path, new)

    return Kind(name, group, harm)


def nulled(name: str, group: Group, fits: Callable[[Place], bool]) -> Kind:
    def harm(source: Source, _: Pool) -> Iterator[Harm]:
        for place in source.items:
            if fits(place):
                yield place.path, put(source.resource, place.path, None)

    return Kind(name, group, harm)


def removed(name: str, group: Group, fits: Callable[[Place, Source], bool]) -> Kind:
    """The kind that takes slots away, but never the last property of an object."""

    def harm(source: Source, _: Pool) -> Iterator[Harm]:
        for place in source.slots:
            if place.siblings > 1 and fits(place, source):
                yield place.path, put(source.resource, place.path, GONE)

    return Kind(name, group, harm)


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 is not true."""
    return type(one) is type(other) and bool(one == other)
