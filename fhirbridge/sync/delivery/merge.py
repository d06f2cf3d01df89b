"""Read, merge, write: what others added to a resource of ours stays in it when we change ours.

Three resources: `base` as we sent it last, `ours` as it is to be, `theirs` as it is there now. What
is in `base` is ours to change or take away; what is in `theirs` alone belongs to whoever added it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fhirbridge.sync.difference import missing

# Stamped by the server for each version.
_STAMPS = ("versionId", "lastUpdated", "source")


def merged(base: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Any:
    """Ours, with what others added.

    >>> merged({"a": 1, "b": 2}, {"a": 3}, {"a": 1, "b": 2, "note": "x"})
    {'a': 3, 'note': 'x'}
    >>> merged({"l": [{"c": 1}]}, {"l": [{"c": 2}]}, {"l": [{"c": 1, "more": 0}, {"c": 9}]})
    {'l': [{'c': 2, 'more': 0}, {'c': 9}]}
    """
    there = {name: value for name, value in theirs.items() if name != "id"}
    if "text" not in ours:
        there.pop("text", None)  # a server's narrative of the old values would contradict the new
    meta = {n: v for n, v in (there.pop("meta", None) or {}).items() if n not in _STAMPS}
    made: dict[str, Any] = _objects(base, ours, {**there, **({"meta": meta} if meta else {})})
    return made


def _objects(base: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Any:
    added = {
        name: value
        for name, value in theirs.items()
        if name not in ours and name not in base and not _of_a_gone_value(name, base, ours)
    }
    kept = {
        name: _left(base[name], value)
        for name, value in theirs.items()
        if name in base and name not in ours and isinstance(value, list)
    }
    mine = {
        name: _values(base.get(name), value, theirs[name]) if name in theirs else value
        for name, value in ours.items()
    }
    return {**mine, **{name: value for name, value in kept.items() if value}, **added}


def _of_a_gone_value(name: str, base: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """`_birthDate` goes with `birthDate`."""
    value = name.removeprefix("_")
    return value != name and value in base and value not in ours


def _values(base: Any, ours: Any, theirs: Any) -> Any:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return _objects(base if isinstance(base, Mapping) else {}, ours, theirs)
    if isinstance(ours, list) and isinstance(theirs, list):
        return _lists(base if isinstance(base, list) else [], ours, theirs)
    return ours


def _lists(base: Sequence[Any], ours: Sequence[Any], theirs: Sequence[Any]) -> list[Any]:
    """Each item of ours over the one there that holds it, or that held what it replaces; then those
    there that hold nothing of ours."""
    left = list(theirs)
    before = [_taken(left, item) for item in base]
    made: list[Any] = []
    for number, item in enumerate(ours):
        at = next((n for n, old in enumerate(base) if not missing(item, old)), number)
        held = before[at] if at < len(before) else None
        held = held if held is not None else _taken(left, item)
        old = base[at] if at < len(base) else None
        made.append(item if held is None else _values(old, item, held))
    return made + left


def _left(base: Any, theirs: list[Any]) -> list[Any]:
    """What is there beside ours, of a list that we do not write any more."""
    left = list(theirs)
    for item in base if isinstance(base, list) else ():
        _taken(left, item)
    return left


def _taken(left: list[Any], item: Any) -> Any:
    """Out of those there the first that holds the item, if one does."""
    for at, other in enumerate(left):
        if not missing(item, other):
            return left.pop(at)
    return None
