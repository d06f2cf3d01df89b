"""One function of the compiled judge while it is written: its lines, constants and callees.

Knows nothing of FHIR but how a path becomes a Python name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_NO_NAME = re.compile(r"\W")


def identifier(path: str) -> str:
    """
    >>> identifier("Observation.component")
    'Observation_component'
    """
    return _NO_NAME.sub("_", path)


@dataclass(slots=True)
class Unit:
    """`constants` are bound to the names in the source; `callees` are other units by name; `known`
    are conditions that hold at the line to come."""

    lines: list[str] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    callees: dict[str, str] = field(default_factory=dict)
    indent: int = 0
    known: frozenset[str] = frozenset()

    def add(self, line: str) -> None:
        self.lines.append("    " * self.indent + line)

    @contextmanager
    def block(self, line: str) -> Iterator[None]:
        self.add(line)
        self.indent += 1
        yield
        self.indent -= 1

    def refuse_if(self, condition: str) -> None:
        """`condition` is Python; where it holds the slow pass must look closer."""
        if condition.removeprefix("not ") in self.known and condition.startswith("not "):
            return
        with self.block(f"if {condition}:"):
            self.add("return False")

    def constant(self, name: str, value: Any) -> str:
        """The name under which the source reads the value; None: the linker's own function."""
        name = identifier(name)
        self.constants[name] = value
        return name

    def name(self, path: str) -> str:
        """A Python name for what this unit itself defines."""
        return identifier(path)

    def table(self, name: str, entries: Mapping[str, str]) -> None:
        """A dict of this unit's functions by text."""
        with self.block(f"{name} = {{"):
            for key, function in entries.items():
                self.add(f'"{key}": {function},')
        self.add("}")

    def call(self, key: str) -> str:
        """The name of another unit's function."""
        name = identifier(key)
        self.callees[name] = key
        return name

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"
