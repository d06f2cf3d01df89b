"""Statements that put values at paths of a resource, exactly as `Path.write` would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.mapping.compile_place import ANY, Link, Place, Unclear, links, made_for
from fhirbridge.mapping.compile_source import Source, identifier
from fhirbridge.mapping.path import Path, Selector, Step


@dataclass(frozen=True, slots=True)
class Given:
    """Source of a value. An object joins what is there; `keys` are those it may have."""

    text: str
    keys: frozenset[str] | None = None

    @property
    def is_object(self) -> bool:
        return self.keys is not None


def literal(value: Any) -> Given:
    return Given(repr(value), frozenset(value) if isinstance(value, dict) else None)


@dataclass(slots=True)
class Writer:
    """Writes one resource. `named` are the places that need a variable: those that statements
    used when the same was written before with a variable for each."""

    source: Source
    named: frozenset[tuple[Any, ...]] | None
    root: Place = field(default_factory=lambda: Place(False, (), shown=True, sure=True))
    used: set[tuple[Any, ...]] = field(default_factory=set)
    unset: list[str] = field(default_factory=list)
    left: set[str] = field(default_factory=set)
    count: int = 0

    def put(self, path: Path, value: Given, *, certain: bool) -> None:
        """As `path.write(resource, value)`; raises `Unclear` before anything is written."""
        self._open(path)
        last = path.steps[-1]
        way = links(path.steps if value.is_object else path.steps[:-1])
        place, rest = self._walk(way)
        if not rest and not value.is_object and last.name in place.below:
            raise Unclear
        self._enter(place, certain=certain)
        made = self._made(place, rest) if rest else []
        inner = made[-1] if made else place
        if value.is_object:
            self._join(inner, value, new=bool(made), certain=certain)
        else:
            text = f"[{value.text}]" if last.is_list else value.text
            self._set(inner, last.name, text, new=bool(made), certain=certain)
        if made:
            self._attach(place, made, certain=certain)

    def put_each(self, path: Path, item: Given, values: str, *, certain: bool) -> None:
        """As `path.write_each`: `item` is the source of one of `values`, there called `i`."""
        self._open(path)
        number = max(n for n, step in enumerate(path.steps) if step.is_list)
        repeated, rest = path.steps[number], path.steps[number + 1 :]
        place, below = self._walk(links(path.steps[:number]))
        if not below and repeated.name in place.below:
            place.entered(repeated.name, None)
        holds = not below and repeated.name not in place.below and place.may_hold(repeated.name)
        if repeated.name not in place.below or below:
            self._enter(place, certain=certain)
        items = f"[{_item(repeated, rest, item)} for i in {values}]"
        made = self._made(place, below) if below else []
        inner = made[-1] if made else place
        known = inner.below.get(repeated.name)
        if holds:
            self._say(inner, f"{{}}.setdefault({repeated.name!r}, []).extend({items})")
        elif known is None:
            one = self._new(inner, repeated.name, is_list=True, selector=None)
            one.content = {("each",): items}
            inner.content[repeated.name] = one
            if not made:
                self._attach(inner, [one], certain=certain, name=repeated.name)
            known = one
        else:
            self._enter(known, certain=certain)
            self._say(known, f"{{}}.extend({items})")
        if known is not None:
            known.foreign.add(ANY)
        if made:
            self._attach(place, made, certain=certain)

    def leave(self, path: Path) -> None:
        """The interpreter writes there; so it does from now on below the same element."""
        name = path.steps[0].name
        self.left.add(name)
        if name not in self.root.content:
            self.root.late = True

    def _open(self, path: Path) -> None:
        if path.steps[0].name in self.left:
            raise Unclear

    def _walk(self, way: Sequence[Link]) -> tuple[Place, Sequence[Link]]:
        """The last place on the way that is known, and the way that is new."""
        place = self.root
        for number, (name, _, selector) in enumerate(way):
            below = place.entered(name, selector)
            if below is None:
                return place, way[number:]
            place = below
        return place, ()

    def _enter(self, place: Place, *, certain: bool) -> None:
        """The places down to this one are there when the statement after comes."""
        above = self.root
        for number in range(1, len(place.key) + 1):
            above = self._ensured(above, place.key[number - 1], certain=certain)

    def _ensured(self, above: Place, name: Any, *, certain: bool) -> Place:
        place = above.below[name]
        if not place.sure:
            self.used.add(place.key)
            fresh = _fresh(place)
            with self.source.block(f"if {place.variable} is None:"):
                self.source.add(f"{place.variable} = {fresh}")
                self._say(above, _adds(above, name, place.variable))
            if place.variable not in self.unset:
                self.unset.append(place.variable)
            place.sure = certain
        return place

    def _made(self, place: Place, way: Sequence[Link]) -> list[Place]:
        made: list[Place] = []
        for name, is_list, selector in way:
            above = made[-1] if made else place
            made.append(self._new(above, name, is_list=is_list, selector=selector))
            if len(made) > 1:
                above.content[name] = made[-1]
        return made

    def _new(self, above: Place, name: Any, *, is_list: bool, selector: Selector | None) -> Place:
        key = (*above.key, name)
        made = Place(is_list, key, selector=selector, content=made_for(selector))
        self.count += 1
        if self.named is None or key in self.named:
            told = next(step for step in reversed(key) if isinstance(step, str))
            made.variable = f"{identifier(told)}{self.count}"
        above.below[name] = made
        return made

    def _attach(
        self, place: Place, made: Sequence[Place], *, certain: bool, name: Any = None
    ) -> None:
        """What is new comes to its place: into the display where that is still possible."""
        first = made[0]
        shown = certain and place.shown and not place.late
        for one in made:
            one.shown, one.sure = shown, certain and place.sure
        own = first.key[-1] if name is None else name
        if shown:
            place.content[own] = first
            return
        place.content.pop(own, None)
        self._say(place, _adds(place, own, first.text()))
        if not first.sure:
            self.unset += [one.variable for one in made if one.variable]
            for one in made:
                one.was_told()

    def _join(self, place: Place, value: Given, *, new: bool, certain: bool) -> None:
        assert value.keys is not None
        if new or (certain and place.shown and not place.late):
            place.content["**", len(place.content)] = value.text
        else:
            self._say(place, f"{{}}.update({value.text})")
        place.foreign |= value.keys

    def _set(self, place: Place, name: str, text: str, *, new: bool, certain: bool) -> None:
        if new or (certain and place.shown and not place.late):
            place.content[name] = text
        else:
            self._say(place, f"{{}}[{name!r}] = {text}")
            place.foreign.add(name)

    def _say(self, place: Place, statement: str) -> None:
        """A statement about the place, whose variable stands for `{}`."""
        place.late = True
        self.used.add(place.key)
        name = place.variable or "made"
        self.source.add(statement.replace("{}", name, 1))


def _adds(above: Place, name: Any, text: str) -> str:
    return f"{{}}.append({text})" if above.is_list else f"{{}}[{name!r}] = {text}"


def _fresh(place: Place) -> str:
    if place.is_list:
        return "[]"
    made = made_for(place.selector)
    return f"{{{', '.join(f'{name!r}: {text}' for name, text in made.items())}}}"


def _item(repeated: Step, rest: Sequence[Step], item: Given) -> str:
    """Source of one item of a list that holds many."""
    above = Place(False, (), content=made_for(repeated.selector))
    if not rest and not item.is_object:
        return item.text
    inner = above
    for step in rest[: len(rest) if item.is_object else -1]:
        below = Place(False, ())
        inner.content[step.name] = below
        inner = below
    if item.is_object:
        inner.content["**",] = item.text
    else:
        inner.content[rest[-1].name] = item.text
    return above.text()
