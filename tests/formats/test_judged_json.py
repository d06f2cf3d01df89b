"""Bytes through the fast verdict: the same trees and the same refusals as the exact reader."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fhirbridge.fhir.validate import validate
from fhirbridge.formats import fhir_json, judged_json
from fhirbridge.outcome import BridgeError, failed

EXAMPLES = sorted((Path(__file__).parents[1] / "fhir" / "examples").glob("*.json"))
OBSERVATION = b'{"resourceType":"Observation","status":"final","code":{"text":"a: b"}%s}'


def exact(raw: bytes) -> dict[str, Any] | None:
    try:
        return fhir_json.parse(raw)
    except BridgeError:
        return None


def kinds(value: Any) -> Any:
    """The tree with the type of each leaf: 1, 1.0 and Decimal("1.00") are not the same."""
    if isinstance(value, dict):
        return {name: kinds(one) for name, one in value.items()}
    return [kinds(one) for one in value] if isinstance(value, list) else (type(value), str(value))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("is_compact", [True, False])
def test_an_example_is_accepted_with_the_tree_of_the_exact_reader(
    path: Path, is_compact: bool
) -> None:
    raw = path.read_bytes()
    raw = fhir_json.dump(fhir_json.parse(raw)) if is_compact else raw
    taken = judged_json.accepted(raw)
    assert kinds(taken) == kinds(fhir_json.parse(raw))
    assert judged_json.judge(raw).issues == []


NUMBERS = (
    "6.30",
    "1e400",
    "-0",
    "-0.0",
    "1E5",
    "123456789012345678901234567890",
    "0.1",
    "18446744073709551616",
)


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_keep_their_digits(number: str) -> None:
    raw = OBSERVATION % f',"valueQuantity":{{"value":{number}}}'.encode()
    taken = judged_json.accepted(raw)
    assert taken is not None
    assert kinds(taken) == kinds(fhir_json.parse(raw))
    assert judged_json.accepted(OBSERVATION % f',"valueInteger":{number}0'.encode()) is None


@pytest.mark.parametrize(
    "more",
    [
        b',"status":"final"',
        b',"stat\\u0075s":"final"',
        b',"status"\n :"final"',
        b',"code":{"text":"a:b","text":"a:b"}',
        b',"code":{"text":"\\u003a\\u003A\\u003a"}',
        b',"valueString":"\\ud83d"',
        b',"valueString":"\\ud83d and more text behind it"',
        b',"valueString":"\\uDC00 and more text behind it"',
        b',"valueString":"\\ud83d\\ud83d and more text"',
        b',"\\udfff":"name"',
        b',"valueString":"a\x01"',
        b',"valueString":"\xff"',
        b',"valueInteger":NaN',
        b',"valueInteger":01',
        b",",
    ],
)
def test_what_the_exact_reader_refuses_is_refused(more: bytes) -> None:
    raw = OBSERVATION % more
    assert exact(raw) is None
    assert judged_json.accepted(raw) is None
    with pytest.raises(BridgeError):
        judged_json.judge(raw)


def test_escapes_that_hide_nothing_are_read_fast() -> None:
    taken = judged_json.accepted(OBSERVATION % b',"valueString":"\\u00e9 \\"a\\": b \\n \\/"')
    assert taken is not None
    assert taken["valueString"] == 'é "a": b \n /'


def test_what_is_not_accepted_is_told_with_every_issue() -> None:
    raw = OBSERVATION % b',"valueInteger":"x","colour":1'
    assert judged_json.judge(raw).issues == validate(fhir_json.parse(raw))
    assert judged_json.judge(b"\xef\xbb\xbf" + OBSERVATION % b"").issues == []


def test_profiles_are_asked_for() -> None:
    asked = ("http://hl7.org/fhir/StructureDefinition/bodyweight",)
    assert judged_json.accepted(OBSERVATION % b"") is not None
    assert judged_json.accepted(OBSERVATION % b"", profiles=asked) is None
    assert failed(judged_json.judge(OBSERVATION % b"", profiles=asked).issues)


STRINGS = st.text(alphabet='a:"\\u\n{}é,', max_size=5)
KEYS = st.sampled_from(("id", "text", "a:b", 'q"', "\\", "valueString"))
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | STRINGS | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(KEYS, inner), max_size=4),
    max_leaves=8,
)  # fmt: skip


def written(value: Any, ensure_ascii: bool) -> str:
    """JSON in which a list of pairs is an object, whose keys may come twice."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list) and value and all(isinstance(one, tuple) for one in value):
        pairs = (
            f"{json.dumps(k, ensure_ascii=ensure_ascii)}: {written(v, ensure_ascii)}"
            for k, v in value
        )
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(written(one, ensure_ascii) for one in value) + "]"
    return json.dumps(value, ensure_ascii=ensure_ascii)


@settings(max_examples=500, deadline=None)
@given(TREES, st.booleans())
@example([("id", ":"), ("id", "::")], False)
def test_a_tree_passes_just_where_no_key_is_doubled(tree: Any, ensure_ascii: bool) -> None:
    raw = written([("tree", tree)], ensure_ascii).encode()
    taken = judged_json.faithful(raw)
    made = exact(raw)
    assert taken is None or kinds(taken) == kinds(made)
    if made is not None and not ensure_ascii:
        assert taken is not None


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(EXAMPLES), st.data())
def test_damaged_bytes_are_never_taken_for_better_than_they_are(
    path: Path, data: st.DataObject
) -> None:
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        length = data.draw(st.integers(0, 3))
        piece = st.sampled_from(
            (b":", b'"', b"\\", b",", b"\\u003a", b"1e5", b'"status":"x",', b"\xff", b"}")
        )
        raw[at : at + length] = data.draw(piece)
    taken = judged_json.accepted(bytes(raw))
    if taken is not None:
        made = fhir_json.parse(bytes(raw))
        assert kinds(taken) == kinds(made)
        assert not failed(validate(made))
