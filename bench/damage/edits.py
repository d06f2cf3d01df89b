"""Changed copies of a resource; the original and all parts that stay the same are shared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Path = tuple[str | int, ...]
GONE = object()
"""In place of a value: take the property or the list's item away."""


def put(value: Any, path: Path, new: Any) -> Any:
    """The value with `new` at the path; an index one past a list's end appends.

    >>> put({"a": [1, 2]}, ("a", 0), GONE)
    {'a': [2]}
    """
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(value, list):
        assert isinstance(step, int)
        copied = list(value)
        if step == len(copied):
            copied.append(put({}, rest, new))
        elif new is GONE and not rest:
            del copied[step]
        else:
            copied[step] = put(copied[step], rest, new)
        return copied
    assert isinstance(step, str)
    made = dict(value)
    if new is GONE and not rest:
        made.pop(step, None)
    else:
        made[step] = put(made.get(step, {}), rest, new)
    return made


def put_all(value: Any, *pairs: tuple[Path, Any]) -> Any:
    """Several changes, one after the other."""
    for path, new in pairs:
        value = put(value, path, new)
    return value


def renamed(value: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """The object with one property under another name, in the same place."""
    return {(new if name == old else name): one for name, one in value.items()}


def got(value: Any, path: Path) -> Any:
    """What stands at the path."""
    for step in path:
        value = value[step]
    return value


def told(root: str, path: Sequence[str | int]) -> str:
    """The path as one writes it.

    >>> told("Patient", ("name", 0, "family"))
    'Patient.name[0].family'
    """
    return root + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in path)
