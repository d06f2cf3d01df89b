"""Where a generated function writes: the objects and lists of a resource as far as they are known
while the source is written.

What is certain becomes one dict display; what depends on a field becomes statements after it. What
cannot be told (two items that may or may not be one) is `Unclear`, and left to the interpreter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.mapping.path import Selector, Step

ANY = "*"
"""Among the keys of a value: it may have any."""
Link = tuple[Any, bool, Selector | None]
"""One place on the way: its name or selector, whether it is a list, and the selector of an item."""


class Unclear(Exception):
    """Which item is meant is known only when it is written."""


@dataclass(slots=True)
class Place:
    """An object or a list. `shown`: it stands in the display. `sure`: it is there whatever the
    record holds. `late`: a statement has added to it, so nothing more may stand in its display.
    `foreign`: keys that values may have brought; of a list, that it holds items not known here.
    `content` is source by key, or a place; a tuple as key stands for `**` of a value."""

    is_list: bool
    key: tuple[Any, ...]
    shown: bool = False
    sure: bool = False
    late: bool = False
    variable: str = ""
    content: dict[Any, Any] = field(default_factory=dict)
    below: dict[Any, Place] = field(default_factory=dict)
    selector: Selector | None = None
    foreign: set[str] = field(default_factory=set)

    def text(self) -> str:
        """The display of what is certain."""
        parts = {n: p.text() if isinstance(p, Place) else p for n, p in self.content.items()}
        if len(parts) == 1 and isinstance(next(iter(parts)), tuple):
            made = next(iter(parts.values()))  # a value alone is new already
        elif self.is_list:
            made = f"[{', '.join(parts.values())}]"
        else:
            told = (f"**{t}" if isinstance(n, tuple) else f"{n!r}: {t}" for n, t in parts.items())
            made = f"{{{', '.join(told)}}}"
        return f"({self.variable} := {made})" if self.variable else made

    def entered(self, name: Any, selector: Selector | None) -> Place | None:
        """What a step from here leads into, None where it is not there yet."""
        if self.is_list:
            return self._item(selector)
        if not self.foreign.isdisjoint((name, ANY)):
            raise Unclear
        if name not in self.below and name in self.content:
            raise Unclear
        return self.below.get(name)

    def _item(self, selector: Selector | None) -> Place | None:
        if self.foreign:
            raise Unclear
        items = list(self.below.values())
        if selector is None:
            if len(items) > 1 or (items and items[0].selector and not items[0].sure):
                raise Unclear
            return items[0] if items else None
        found = next((one for one in items if _fits(one, selector)), None)
        if found is None and selector in self.below:
            raise Unclear  # it was made for the selector, and is another one's now
        return found

    def was_told(self) -> None:
        """What it was made with is not certain: it may be made again, for another value."""
        kept = made_for(self.selector)
        told = {n for n, p in self.content.items() if n not in kept or p != kept[n]}
        self.foreign |= {n for n in told if isinstance(n, str) and n not in self.below}

    def may_hold(self, name: str) -> bool:
        """It may have the key from a value that came into it."""
        return name in self.content or not self.foreign.isdisjoint((name, ANY))


def _fits(item: Place, selector: Selector) -> bool:
    """Whether the item is one for the selector, by what is certain of it."""
    own, told = item.selector, item.content.get(selector.key)
    if not item.foreign.isdisjoint((selector.key, ANY)):
        raise Unclear
    if told is None:
        return False
    fits: bool | None = None
    if own is not None and own.key == selector.key and told == made_for(own)[own.key]:
        if (own.system is None) == (selector.system is None):
            fits = (own.value, own.system) == (selector.value, selector.system)
    elif selector.system is None and isinstance(told, str) and told[:1] in ("'", '"'):
        fits = told == repr(selector.value)
    if fits is None or (fits and not item.sure and own != selector):
        raise Unclear
    return fits


def made_for(selector: Selector | None) -> dict[Any, Any]:
    """Source of what a new item holds, by key."""
    return {name: repr(value) for name, value in (selector.made() if selector else {}).items()}


def links(steps: Sequence[Step]) -> list[Link]:
    made: list[Link] = []
    for step in steps:
        made.append((step.name, step.is_list, None))
        if step.is_list:
            made.append((step.selector, False, step.selector))
    return made
