"""What JSON and FHIR forbid is refused; digits are kept."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError

# reason, bytes, words of the cause
REFUSED = [
    ("a property twice", b'{"a": 1, "a": 1}', "'a' is given twice"),
    ("a property twice, deep inside", b'{"x": [{"a": 1, "b": 2, "a": 3}]}', "'a' is given twice"),
    ("a property twice by an escape", b'{"a": 1, "\\u0061": 2}', "'a' is given twice"),
    ("NaN", b'{"a": NaN}', "NaN is no JSON value"),
    ("Infinity", b'{"a": -Infinity}', "-Infinity is no JSON value"),
    ("half of a surrogate pair", b'{"a": "\\ud800"}', "surrogate"),
    ("half of a surrogate pair as a name", b'{"\\udc00": 1}', "surrogate"),
    ("a depth of a hundred thousand", b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deep"),
    ("objects of that depth", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deep"),
    ("an integer of five thousand digits", b'{"a": ' + b"9" * 5000 + b"}", "too many digits"),
    ("a list", b"[]", "no JSON object"),
    ("a number", b"5", "no JSON object"),
    ("nothing", b"", "broken JSON"),
    ("Latin-1", b'{"a": "\xf8"}', "byte 7 is not UTF-8"),
    ("UTF-16", '{"a": 1}'.encode("utf-16"), "not UTF-8"),
    ("a comma too many", b'{"a": 1,}', "broken JSON"),
    ("two values", b"{} {}", "broken JSON"),
    ("a raw control character", b'{"a": "\x01"}', "broken JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "cause"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_it_is_refused(raw: bytes, cause: str) -> None:
    with pytest.raises(BridgeError) as told:
        fhir_json.parse(raw)
    (issue,) = told.value.issues
    assert issue.category == "structure"
    assert cause in issue.cause


def test_the_place_of_broken_json_is_told() -> None:
    with pytest.raises(BridgeError) as told:
        fhir_json.parse(b'{"a": 1,\n "b" 2}')
    assert told.value.issues[0].place == "line 2, column 6"


@pytest.mark.parametrize(
    "number", ["1.10", "0.0", "38.100", "1E+2", "1.5E-7", "0.1234567890123456789"]
)
def test_the_digits_of_a_decimal_are_kept(number: str) -> None:
    raw = f'{{"a":{number}}}'.encode()
    made = fhir_json.parse(raw)
    assert made["a"] == Decimal(number)
    assert fhir_json.dump(made) == raw


def test_a_whole_surrogate_pair_is_a_letter() -> None:
    assert fhir_json.parse(b'{"a": "\\ud83e\\uddb4"}') == {"a": "\U0001f9b4"}


def test_a_byte_order_mark_is_read_over() -> None:
    assert fhir_json.parse(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_equal_content_has_equal_canonical_bytes() -> None:
    one, other = (
        {"a": 1, "b": [{"c": Decimal("1.10"), "d": 2}]},
        {"b": [{"d": 2, "c": Decimal("1.10")}], "a": 1},
    )
    assert fhir_json.canonical(one) == fhir_json.canonical(other)
    assert fhir_json.dump(one) != fhir_json.dump(other)
    assert fhir_json.canonical({"a": Decimal("1.1")}) != fhir_json.canonical({"a": Decimal("1.10")})


_LETTERS = st.characters(exclude_categories=["Cs"])
_DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=3)
_LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(_LETTERS) | _DECIMALS


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.dictionaries(st.text("ab\u00f8\"\\"), st.recursive(_LEAVES, lambda x: st.lists(x) | st.dictionaries(st.text("xy"), x), max_leaves=10)))  # fmt: skip
def test_what_is_dumped_is_parsed_as_the_same(value: dict[str, object]) -> None:
    assert fhir_json.parse(fhir_json.dump(value)) == value
    assert fhir_json.dump(fhir_json.parse(fhir_json.dump(value))) == fhir_json.dump(value)
