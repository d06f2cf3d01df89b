"""The YAML that is read: plain data with its lines; everything clever is refused with its line."""

from __future__ import annotations

import pytest

from fhirbridge import lined_yaml
from fhirbridge.outcome import BridgeError

BOMB = 'a: &a ["x"]\nb: &b [*a, *a]\nc: [*b, *b]\n'

# reason, text, line, words of the cause
REFUSED = [
    ("an anchor, and so an alias bomb", BOMB, 1, "anchors and aliases"),
    ("an alias", "a: 1\nb: *a\n", 2, "anchors and aliases"),
    ("a tag of Python", "a: 1\nb: !!python/object:os.system {}\n", 2, "tag"),
    ("a plain tag", "a: !!int 5\n", 1, "tag"),
    ("a key twice", "a: 1\nb: 2\na: 3\n", 3, "'a' is given twice"),
    ("a key twice, deep inside", "x:\n  - { a: 1, a: 2 }\n", 2, "'a' is given twice"),
    ("a key that is no word", "? [a]\n: 1\n", 1, "no word"),
    ("two documents", "a: 1\n---\nb: 2\n", 2, "no YAML"),
    ("an open bracket", "a: [1, 2\nb: 3\n", 2, "no YAML"),
    ("a tab", "a:\n\tb: 1\n", 2, "no YAML"),
    ("a control character", "a: \x00\n", 1, "no YAML"),
    ("a lone equals sign", "a: 1\nb: =\n", 2, "no plain value"),
    ("a lone merge sign", "a: <<\n", 1, "no plain value"),
    ("a number of endless digits", f"a: {'9' * 5000}\n", 1, "no plain value"),
    ("lists without end", "a: 1\nb: " + "[" * 100_000, 2, "nested too deep"),
    ("mappings without end", "{a: " * 50_000, 1, "nested too deep"),
    ("a million characters", "# " + "x" * lined_yaml.MAX_CHARACTERS, 1, "longer than"),
]


@pytest.mark.parametrize(
    ("text", "line", "cause"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_it_is_refused_with_its_line(text: str, line: int, cause: str) -> None:
    with pytest.raises(BridgeError) as told:
        lined_yaml.load(text, name="x.yaml")
    (issue,) = told.value.issues
    assert cause in issue.cause
    assert issue.place == f"x.yaml:{line}"
    assert issue.remedy


def test_plain_data_comes_with_its_lines() -> None:
    made = lined_yaml.load("a:\n  b: 1\n  c:\n    - x\n    - { d: 2024-05-01 }\n", name="x.yaml")
    assert made.content == {"a": {"b": 1, "c": ["x", {"d": "2024-05-01"}]}}
    places = [made.place(p) for p in (("a",), ("a", "b"), ("a", "c", 1), ("a", "c", 1, "d"))]
    assert places == ["x.yaml:1", "x.yaml:2", "x.yaml:5", "x.yaml:5"]


def test_what_is_not_there_has_the_place_of_what_is_above_it() -> None:
    made = lined_yaml.load("a:\n  b: 1\n", name="x.yaml")
    assert made.place(("a", "b", "c")) == "x.yaml:2"
    assert made.place(("z",)) == "x.yaml:1"


@pytest.mark.parametrize("text", ["", "# nothing\n", "null\n"])
def test_nothing_is_nothing(text: str) -> None:
    assert lined_yaml.load(text, name="x.yaml").content is None
