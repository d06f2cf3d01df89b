"""The page of promises and the tests that carry their ids are one list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "promises.md").read_text(encoding="utf-8")
_TEST = re.compile(r"^def test((?:_[a-z][0-9]{1,2})+)_", re.MULTILINE)
_ID = re.compile(r"([a-z])([0-9]+)")
PROMISED = frozenset("abeprux")  # other letters begin other lists of cases


def rows() -> dict[str, str]:
    return dict(re.findall(r"^\| `([A-Z][0-9]+)` \| [^|]* \| ([^|]*) \|$", PAGE, re.MULTILINE))


def carried() -> set[str]:
    """`test_x04_r9_...` carries X4 and R9."""
    texts = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    names = [found for text in texts for found in _TEST.findall(text)]
    ids = {(letter, int(number)) for name in names for letter, number in _ID.findall(name)}
    return {f"{letter.upper()}{number}" for letter, number in ids if letter in PROMISED}


@pytest.mark.parametrize("row", [id for id, held in rows().items() if "held" in held])
def test_a_row_that_is_held_has_a_test_of_its_name(row: str) -> None:
    assert row in carried()


def test_no_test_carries_an_id_that_the_page_does_not_know() -> None:
    later = {f"X{n}" for n in re.findall(r"`X([0-9]+)`", PAGE)} | {"U3", "U5"}
    assert carried() - rows().keys() - later == set()


def test_the_page_has_every_row_of_the_door() -> None:
    wanted = {f"R{n}" for n in range(1, 20)} | {f"A{n}" for n in range(7, 14)}
    assert wanted <= rows().keys()
