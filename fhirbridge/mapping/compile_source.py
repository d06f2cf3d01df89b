"""Python source while it is written, and the functions that it becomes.

Knows nothing of FHIR. Constants that have no literal are bound to names beside the source.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

_NO_NAME = re.compile(r"\W")
_LITERALS = (str, int, bool, float, type(None))
T = TypeVar("T")


def identifier(text: str) -> str:
    """
    >>> identifier("lesion.size"), identifier("$study|ecog")
    ('lesion_size', '_study_ecog')
    """
    return _NO_NAME.sub("_", text)


@dataclass(slots=True)
class Source:
    """`constants` are bound to the names in the source, `tables` written above its lines. `names`
    are those that are given, by what they stand for: several sources of one text share them."""

    lines: list[str] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    indent: int = 0
    names: dict[Any, str] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)

    def add(self, *lines: str) -> None:
        self.lines += ["    " * self.indent + line for line in lines]

    @contextmanager
    def block(self, line: str) -> Iterator[None]:
        self.add(line)
        self.indent += 1
        yield
        self.indent -= 1

    def constant(self, name: str, value: Any) -> str:
        """The name under which the source reads the value."""
        return self._named(name, id(value), lambda own: self.constants.update({own: value}))

    def shared(self, name: str, key: object, make: Callable[[], Any]) -> str:
        """The name of what is made once for each `key`."""
        return self._named(name, key, lambda own: self.constants.update({own: make()}))

    def table(self, name: str, key: object, entries: Mapping[str, str]) -> str:
        """The name of a dict of source by text, written once for each `key`."""
        rows = "".join(f"    {word!r}: {text},\n" for word, text in entries.items())
        return self._named(name, key, lambda own: self.tables.update({own: f"{{\n{rows}}}"}))

    def _named(self, name: str, key: object, bind: Callable[[str], None]) -> str:
        known = (identifier(name), key)
        if known not in self.names:
            taken = known[0] in self.names.values()
            self.names[known] = f"{known[0]}_{len(self.names)}" if taken else known[0]
            bind(self.names[known])
        return self.names[known]

    @property
    def text(self) -> str:
        tables = [f"{name} = {text}" for name, text in self.tables.items()]
        return "\n".join([*tables, *self.lines]) + "\n"

    def linked(self, title: str) -> dict[str, Any]:
        """The functions of the source by name."""
        names = dict(self.constants)
        exec(compile(self.text, f"<{title}>", "exec"), names)
        return names


def is_literal(value: Any) -> bool:
    """Its `repr` is source that makes an equal value, new each time."""
    if isinstance(value, dict):
        return all(isinstance(k, str) and is_literal(v) for k, v in value.items())
    if isinstance(value, list):
        return all(is_literal(item) for item in value)
    return type(value) in _LITERALS


def twin(noun: type) -> type:
    """A class of the same slots without the guard of a frozen dataclass, whose own `__init__` sets
    each field through `object.__setattr__`. An instance is filled, and then its class is set to the
    noun's: a fifth of the time.
    """
    return type("Twin", (), {"__slots__": tuple(part.name for part in fields(noun))})


def quick(noun: type[T]) -> Callable[..., T]:
    """Makes the frozen, slotted noun from all its fields in order, by its twin."""
    names = [part.name for part in fields(noun)]  # type: ignore[arg-type]
    source = Source(constants={"Twin": twin(noun), "Noun": noun})
    with source.block(f"def make({', '.join(names)}):"):
        source.add("made = Twin()", *(f"made.{name} = {name}" for name in names))
        source.add("made.__class__ = Noun", "return made")
    made: Callable[..., T] = source.linked(f"makes {noun.__name__}")["make"]
    return made
