"""YAML text to plain data that remembers its lines, so that every fault can name file and line.

Reads the safe subset only: no tags, no anchors or aliases (and so no alias bombs), no key twice,
one document of at most a million characters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from fhirbridge.outcome import BridgeError, Issue

MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 20

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data, and for each path in it the line on which it stands. Nobody changes it."""

    name: str
    content: Any
    lines: dict[Path, int]

    def place(self, path: Path = ()) -> str:
        """`file:line` of the path, or of its nearest ancestor that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name}:{self.lines.get(path, 1)}"


# A mapping set is loaded anew when a site adds a line; its forty YAML files are then as they were.
@lru_cache(maxsize=128)
def load(text: str, *, name: str) -> Document:
    """Raise `BridgeError` (configuration), with file and line, for what this subset refuses."""
    if len(text) > MAX_CHARACTERS:
        raise _fault(name, 1, f"longer than {MAX_CHARACTERS} characters", "divide the file")
    try:
        depth = 0
        for event in yaml.parse(text, yaml.CSafeLoader):
            _refuse_cleverness(event, name)
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:  # before the recursion of compose
                raise _fault(name, _line(event), "nested too deep", "write it flatter")
        node = yaml.compose(text, yaml.CSafeLoader)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        line = mark.line + 1 if mark else 1
        raise _fault(name, line, f"no YAML: {fault.problem}", "mend the line") from fault
    except yaml.YAMLError as fault:
        raise _fault(name, 1, f"no YAML: {fault}", "save the file as UTF-8 text") from fault
    lines: dict[Path, int] = {}
    content = _plain(node, (), lines, name) if node is not None else None
    return Document(name, content, lines)


def _fault(name: str, line: int, cause: str, remedy: str) -> BridgeError:
    return BridgeError(Issue("configuration", cause, remedy, place=f"{name}:{line}"))


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _refuse_cleverness(event: yaml.Event, name: str) -> None:
    line = _line(event)
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise _fault(name, line, "anchors and aliases are not read here", "write the value out")
    tag = getattr(event, "tag", None)
    if tag:
        raise _fault(name, line, f"the tag {tag} is not read here", "write plain data")


def _plain(node: yaml.Node, path: Path, lines: dict[Path, int], name: str) -> Any:
    line = node.start_mark.line + 1
    lines[path] = line
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines, name)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, i), lines, name) for i, item in enumerate(node.value)]
    try:
        return _Scalars("").construct_object(node)
    except (yaml.YAMLError, ValueError) as fault:  # a lone = or <<, a number of endless digits
        raise _fault(name, line, "this is no plain value", "put it in quotes") from fault


def _mapping(
    node: yaml.MappingNode, path: Path, lines: dict[Path, int], name: str
) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = key_node.value
        if not isinstance(key, str):
            raise _fault(name, key_node.start_mark.line + 1, "a key is no word", "write a word")
        if key in made:
            raise _fault(
                name, key_node.start_mark.line + 1, f"'{key}' is given twice", "keep one of them"
            )
        made[key] = _plain(value_node, (*path, key), lines, name)
        lines[(*path, key)] = key_node.start_mark.line + 1
    return made


class _Scalars(yaml.CSafeLoader):
    """Words, numbers and yes/no; a date stays the text that it is."""


def _as_text(_: _Scalars, node: yaml.Node) -> str:
    return str(node.value)


_Scalars.add_constructor("tag:yaml.org,2002:timestamp", _as_text)
