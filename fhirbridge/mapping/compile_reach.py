"""Where a generated function reads: the objects on the way to the values of a resource, each taken
once, before the values.

The usual shape only: one item in a list, one item for each selector. Where it is another, the
function returns None, and the interpreter looks closer. What no such code can tell is `Unclear`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fhirbridge.mapping.compile_place import Unclear
from fhirbridge.mapping.compile_source import Source, identifier
from fhirbridge.mapping.path import Selector, Step

MOST = 12
"""Items of a list with selectors that are looked through, and so have traces made before."""
NOTHING: dict[str, Any] = {}
"""Stands for an object that is not there, by identity; nobody ever writes to it."""
Steps = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Spot:
    """An object: the variable that holds it (NOTHING where it is missing), its FHIRPath with `{}`
    for each index, and the variables of those."""

    variable: str
    expression: str
    indexes: tuple[str, ...] = ()


@dataclass(slots=True)
class Reach:
    """`keys` are the variables of what `coding_of` says of a concept that several rows read."""

    source: Source
    root: str
    keys: dict[Steps, str] = field(default_factory=dict)
    spots: dict[Steps, Spot] = field(default_factory=dict)
    lists: dict[tuple[Any, ...], tuple[str, str, set[Any]]] = field(default_factory=dict)
    holders: dict[tuple[Steps, str], Spot] = field(default_factory=dict)

    def spot(self, steps: Steps) -> Spot:
        """The object at these steps."""
        if not steps:
            return Spot("r", self.root)
        if steps not in self.spots:
            above, step = self._above(steps), steps[-1]
            if not step.is_list:
                self.spots[steps] = self._object(above, step)
            elif step.selector is None:
                self.spots[steps] = self._only_item(above, step)
            else:
                self.spots[steps] = self._selected(above, step, step.selector)
        return self.spots[steps]

    def _above(self, steps: Steps) -> Spot:
        """What holds the last step: in a plain list the one item that has it, if one has."""
        list_, name = steps[:-1], steps[-1].name
        if not list_ or not list_[-1].is_list or list_[-1].selector is not None:
            return self.spot(list_)
        if (list_, name) not in self.holders:
            self.holders[list_, name] = self._holder(self._above(list_), list_[-1], name)
        return self.holders[list_, name]

    def _holder(self, above: Spot, step: Step, name: str) -> Spot:
        own = self._variable(step.name)
        self.source.add(f"{own} = {above.variable}.get({step.name!r}, NONE)")
        self.refuse_if(f"type({own}) is not list or len({own}) > {MOST}")
        self.source.add(f"n_{own} = None")
        with self.source.block(f"for n, one in enumerate({own}):"):
            self.refuse_if("type(one) is not dict")
            with self.source.block(f"if {name!r} in one or {'_' + name!r} in one:"):
                self.refuse_if(f"n_{own} is not None")
                self.source.add(f"n_{own} = n")
        self.source.add(f"{own} = NOTHING if n_{own} is None else {own}[n_{own}]")
        indexes = (*above.indexes, f"n_{own}")
        return Spot(own, f"{above.expression}.{step.name}[{{}}]", indexes)

    def key(self, steps: Steps) -> str:
        """The variable of what the concept at these steps says, if it is so plain."""
        if steps not in self.keys:
            spot = self.spot(steps)
            self.keys[steps] = f"k_{spot.variable}"
            self.source.add(f"k_{spot.variable} = coding_of({spot.variable})")
        return self.keys[steps]

    def _variable(self, name: str) -> str:
        return f"{identifier(name)}{len(self.spots) + len(self.lists) + len(self.holders) + 1}"

    def refuse_if(self, condition: str) -> None:
        self.source.add(f"if {condition}:", "    return None")

    def _object(self, above: Spot, step: Step) -> Spot:
        own = self._variable(step.name)
        self.source.add(f"{own} = {above.variable}.get({step.name!r}, NOTHING)")
        self.refuse_if(f"type({own}) is not dict")
        return Spot(own, f"{above.expression}.{step.name}", above.indexes)

    def _only_item(self, above: Spot, step: Step) -> Spot:
        own = self._variable(step.name)
        self.source.add(f"{own} = {above.variable}.get({step.name!r}, ONE_NOTHING)")
        self.refuse_if(f"type({own}) is not list or len({own}) != 1")
        self.source.add(f"{own} = {own}[0]")
        self.refuse_if(f"type({own}) is not dict")
        return Spot(own, f"{above.expression}.{step.name}[0]", above.indexes)

    def _selected(self, above: Spot, step: Step, selector: Selector) -> Spot:
        items, places, wanted = self._list(above, step, selector)
        key = selector.value if selector.system is None else (selector.system, selector.value)
        wanted.add(key)
        own = self._variable(step.name)
        self.source.add(f"n_{own} = {places}.get({key!r})")
        self.source.add(f"{own} = NOTHING if n_{own} is None else {items}[n_{own}]")
        expression = f"{above.expression}.{step.name}[{{}}]"
        return Spot(own, expression, (*above.indexes, f"n_{own}"))

    def _list(self, above: Spot, step: Step, selector: Selector) -> tuple[str, str, set[Any]]:
        """The variables of the list and of the places in it by what its items are selected by, and
        the set of those that are wanted, which grows until the source is linked."""
        key = (above.variable, step.name, selector.key, selector.system is None)
        if key not in self.lists:
            own = f"{self._variable(step.name)}s"
            wanted: set[Any] = set()
            name = self.source.constant(f"wanted_{own}", wanted)
            self.lists[key] = own, f"at_{own}", wanted
            self.source.add(f"{own} = {above.variable}.get({step.name!r}, NONE)")
            self.refuse_if(f"type({own}) is not list or len({own}) > {MOST}")
            self.source.add(f"at_{own} = {{}}")
            with self.source.block(f"for n, one in enumerate({own}):"):
                self.refuse_if("type(one) is not dict")
                self._note(selector, f"at_{own}", name)
        return self.lists[key]

    def _note(self, selector: Selector, places: str, wanted: str) -> None:
        if selector.system is None:
            self.source.add(f"k = one.get({selector.key!r})")
            self._note_key(places, wanted)
            return
        self.source.add(f"held = one.get({selector.key!r}, NOTHING)")
        self.refuse_if("type(held) is not dict")
        with self.source.block("for c in held.get('coding', NONE):"):
            self.refuse_if("type(c) is not dict")
            self.source.add("k = c.get('system'), c.get('code')")
            self._note_key(places, wanted)

    def _note_key(self, places: str, wanted: str) -> None:
        with self.source.block(f"if k in {wanted}:"):
            self.refuse_if(f"k in {places}")
            self.source.add(f"{places}[k] = n")


__all__ = ["MOST", "NOTHING", "Reach", "Spot", "Steps", "Unclear"]
