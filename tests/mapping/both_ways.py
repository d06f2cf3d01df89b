"""Ways to ask generated code and the interpreter, and resources that are not as they should be."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

from fhirbridge.mapping import compile_decode, decode, encode
from fhirbridge.mapping.referring import unknown
from tests.laws.checkers import SOURCE
from tests.mapping.files import mappings


def exact(value: Any) -> Any:
    """Equal only with the same types, digits and order of keys."""
    if isinstance(value, dict):
        return [(name, exact(held)) for name, held in value.items()]
    if isinstance(value, list):
        return [exact(item) for item in value]
    return type(value), str(value)


def told(decoded: list[decode.Decoded]) -> list[Any]:
    """Everything that was said, equal only with the same types, digits and order."""
    return [(one, exact(dict(one.fields)), list(one.traces)) for one in decoded]


@cache
def _program(resource_type: str) -> compile_decode.ReadType[decode.Decoded] | None:
    return compile_decode.program(mappings(), resource_type, decode.Decoded)


def at_once(resource: dict[str, Any]) -> bool:
    """The generated code has an answer of its own."""
    read = _program(resource.get("resourceType", ""))
    try:
        return read is not None and read(resource, SOURCE, unknown) is not None
    except (TypeError, ValueError):
        return False


def same(resource: dict[str, Any], root: str = "") -> None:
    """Both say the same, or raise the same."""
    given = deepcopy(resource)
    said: list[Any] = []
    for way in (decode.decode, decode.interpret):
        try:
            said.append(told(way(mappings(), resource, source=SOURCE, root=root)))
        except (TypeError, AttributeError, ValueError) as fault:
            said.append(repr(fault))
    assert said[0] == said[1]
    assert resource == given


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything below."""
    below = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [way for key, held in below for way in ((*at, key), *places(held, (*at, key)))]


JUNK: tuple[Any, ...] = (None, "", "x", 7, True, {}, [], {"coding": [{"system": "http://snomed.info/sct", "code": "71341001"}]},
        [{}], {"text": "in words"}, {"value": 3, "code": "mg"}, {"code": ["x"]}, "2024-13-01", "final",
        {"modifierExtension": [{"url": "urn:x"}]}, [1, 2], {"coding": [{"system": ["x"], "code": "y"}]},
        {"coding": "x"}, {"reference": "Condition/1"},
        {"extension": [{"url": encode.DATA_ABSENT_REASON, "valueCode": "masked"}]})  # fmt: skip


def damaged(resource: dict[str, Any], way: tuple[Any, ...], harm: str, junk: Any) -> dict[str, Any]:
    made = deepcopy(resource)
    here: Any = made
    for key in way[:-1]:
        here = here[key]
    last = way[-1]
    if harm == "drop":
        del here[last]
    elif harm == "replace":
        here[last] = deepcopy(junk)
    elif harm == "double" and isinstance(here, list):
        here.append(deepcopy(here[last]))
    elif harm == "shadow" and isinstance(here, dict):
        here[f"_{last}"] = deepcopy(junk)
        here.pop(last)
    elif harm == "beside" and isinstance(here[last], dict):
        here[last]["modifierExtension"] = [{"url": "urn:x"}]
    return made
