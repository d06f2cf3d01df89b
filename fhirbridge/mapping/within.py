"""Facts inside a resource: the components of an Observation, the answers of a questionnaire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fhirbridge.mapping.codecs import Fault, Remark
from fhirbridge.mapping.recognise import Told
from fhirbridge.mapping.spec import Block, FormMapping, Inside


def items(
    holder: Mapping[str, Any], name: str, expression: str
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Every item of the list of that name, and of those of the same name below its items, each
    with its FHIRPath."""
    given = holder.get(name)
    for number, item in enumerate(given if isinstance(given, list) else ()):
        if not isinstance(item, Mapping):
            continue
        at = f"{expression}.{name}[{number}]"
        yield item, at
        yield from items(item, name, at)
        for below, held in item.items():
            for place, one in enumerate(held if isinstance(held, list) and below != name else ()):
                if isinstance(one, Mapping):
                    yield from items(one, name, f"{at}.{below}[{place}]")


def recognised(
    mapping: FormMapping,
    inside: Inside,
    item: Mapping[str, Any],
    resource: Mapping[str, Any],
    at: str,
) -> tuple[Block | None, Told | None]:
    """The block whose value the item is. Items that are not known are other people's; one that is
    known and does not say which is told."""
    assert mapping.recogniser is not None
    code = item.get(inside.code)
    if inside.system is not None and isinstance(code, str):
        named = next(inside.system.read(resource, root=""), None)
        system = str(named.value).partition("|")[0] if named else ""
        if system and system == inside.own:
            named_so = (b for b in mapping.blocks if b.main == code and b.name in inside.rows)
            return next(named_so, None), None
        code = {"system": system, "code": code}
    word = mapping.recogniser.codec.read(code)
    word = word.value if isinstance(word, Remark) else word
    if isinstance(word, str):
        block = mapping.block_of(word)
        return (block, None) if block is not None and block.name in inside.rows else (None, None)
    known = isinstance(word, Fault) and word.category != "unknown-code"
    return None, (word, f"{at}.{inside.code}") if known and isinstance(word, Fault) else None
