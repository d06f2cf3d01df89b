"""Generated statements put values where `Path.write` puts them, also where places meet."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.mapping.compile_place import Unclear
from fhirbridge.mapping.compile_source import Source
from fhirbridge.mapping.compile_write import Given, Writer, literal
from fhirbridge.mapping.path import Path, Selector, Step
from tests.laws.test_laws import steady

ITEM, ONE, TWO = Step("items", True), *(Step("items", True, Selector("k", k)) for k in ("1", "2"))
CODED = Step("items", True, Selector("code", "1", "urn:x"))
K, X, BELOW, DEEP = Step("k", False), Step("x", False), Step("below", False), Step("deep", True)
WAYS = [
    (X,), (K,), (BELOW, X), (BELOW, BELOW, X), (ITEM, K), (ITEM, X), (ONE, X), (ONE, K), (TWO, X), (TWO, K),
    (CODED, X), (ONE, BELOW, X), (TWO, BELOW, X), (BELOW, ITEM, X), (BELOW, ONE, X), (BELOW, TWO, DEEP, X),
    (ITEM, DEEP, X), (ONE, DEEP, X), (DEEP,), (BELOW, DEEP), (ITEM,), (ONE,), (BELOW,), (ONE, BELOW),
]  # fmt: skip
PATHS = [Path(".".join(step.name for step in way), way, "") for way in WAYS]
VALUES: list[Any] = [
    "1",
    "2",
    {"k": "1"},
    {"x": "2", "k": "2"},
    {"below": {"x": "1"}},
    {"items": [{"k": "1"}]},
]
EACH = [[{"k": "1"}, {"x": "3"}], [{"x": "4"}]]
Write = tuple[Path, Any, bool, bool]


@st.composite
def writes(draw: st.DrawFn) -> list[tuple[Write, bool]]:
    """Path, value, whether it is certain, whether each of the values has an item of its own; and
    whether it takes place."""
    made = []
    for _ in range(draw(st.integers(1, 7))):
        path, certain = draw(st.sampled_from(PATHS)), draw(st.booleans())
        each = draw(st.booleans()) and any(step.is_list for step in path.steps)
        last = path.steps[-1]
        objects = [v for v in VALUES if isinstance(v, dict)]
        plain = [v for v in VALUES if not isinstance(v, dict)]
        value = draw(
            st.sampled_from(EACH if each else objects if last in (ITEM, ONE, BELOW) else plain)
        )
        made.append(((path, value, certain, each), certain or draw(st.booleans())))
    return made


def generated(told: list[Write]) -> str:
    """The function that makes them; where it is unclear, by the path itself."""
    used: frozenset[tuple[Any, ...]] | None = None
    for _ in range(2):
        source = Source(indent=1)
        writer = Writer(source, used)
        for number, (path, value, certain, each) in enumerate(told):
            if certain:
                one(writer, number, path, value, certain=certain, each=each)
            else:
                with source.block(f"if given[{number}]:"):
                    one(writer, number, path, value, certain=certain, each=each)
                    source.add("pass")
        used = frozenset(writer.used)
    unset = [f"    {' = '.join(writer.unset)} = None"] if writer.unset else []
    lines = ["def made(given):", *unset, f"    made = {writer.root.text()}", *source.lines]
    return "\n".join([*lines, "    return made"])


def one(writer: Writer, number: int, path: Path, value: Any, *, certain: bool, each: bool) -> None:
    try:
        if each:
            writer.put_each(path, Given("i", frozenset("kx")), repr(value), certain=certain)
        else:
            writer.put(path, literal(value), certain=certain)
    except Unclear:
        way = "write_each" if each else "write"
        writer.source.add(f"paths[{number}].{way}(made, fresh({value!r}))")
        writer.leave(path)


def outcome(work: Any) -> Any:
    try:
        return work()
    except (TypeError, AttributeError, KeyError, IndexError):
        return "no resource could be so"


def meant(told: list[tuple[Write, bool]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for (path, value, _, each), takes in told:
        if takes and each:
            path.write_each(made, deepcopy(value))
        elif takes:
            path.write(made, deepcopy(value))
    return made


@settings(steady, max_examples=2000)
@given(told=writes())
def test_any_places_in_any_order(told: list[tuple[Write, bool]]) -> None:
    wanted = outcome(lambda: meant(told))
    if isinstance(wanted, str):
        return
    text = generated([write for write, _ in told])
    names: dict[str, Any] = {"paths": [path for (path, *_), _ in told], "fresh": deepcopy}
    exec(text, names)
    given = [takes for _, takes in told]
    assert repr(names["made"](given)) == repr(wanted), text
