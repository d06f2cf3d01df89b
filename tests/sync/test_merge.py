"""What stays of others in a resource of ours, and what goes. All values are synthetic."""

from __future__ import annotations

from typing import Any

import pytest

from fhirbridge.sync.delivery.merge import merged

_A, _B, _X = ({"system": "urn:s", "code": code} for code in "abx")

# why, base, ours, theirs, what is written
CASES: list[tuple[str, Any, Any, Any, Any]] = [
    ("a changed value", {"v": 1}, {"v": 2}, {"v": 1}, {"v": 2}),
    ("an element of others", {"v": 1}, {"v": 2}, {"v": 1, "note": [{"text": "n"}]}, {"v": 2, "note": [{"text": "n"}]}),
    ("an element that we took away", {"v": 1, "w": 2}, {"v": 1}, {"v": 1, "w": 2}, {"v": 1}),
    ("and its companion", {"w": 2}, {}, {"w": 2, "_w": {"id": "1"}}, {}),
    ("a companion of what stays", {"w": 2}, {"w": 3}, {"w": 2, "_w": {"id": "1"}}, {"w": 3, "_w": {"id": "1"}}),
    ("a coding of others", {"c": [_A]}, {"c": [_B]}, {"c": [_A, _X]}, {"c": [_B, _X]}),
    ("a coding of others before ours", {"c": [_A]}, {"c": [_A]}, {"c": [_X, _A]}, {"c": [_A, _X]}),
    ("an item that we took away", {"c": [_A, _B]}, {"c": [_B]}, {"c": [_A, _B, _X]}, {"c": [_B, _X]}),
    ("a list that we took away", {"c": [_A]}, {}, {"c": [_A, _X]}, {"c": [_X]}),
    ("a list of ours alone that we took away", {"c": [_A]}, {}, {"c": [_A]}, {}),
    ("what others wrote into an item", {"c": [_A]}, {"c": [_A]}, {"c": [{**_A, "display": "A"}]}, {"c": [{**_A, "display": "A"}]}),
    ("a narrative of the old values", {"v": 1}, {"v": 2}, {"v": 1, "text": {"div": "1"}}, {"v": 2}),
    ("the stamps of the version", {"v": 1}, {"v": 2}, {"id": "9", "v": 1, "meta": {"versionId": "4", "lastUpdated": "x", "tag": [_X]}}, {"v": 2, "meta": {"tag": [_X]}}),
    ("profiles of both", {"meta": {"profile": ["p"]}}, {"meta": {"profile": ["p"]}}, {"meta": {"profile": ["p", "q"]}}, {"meta": {"profile": ["p", "q"]}}),
    ("one that we do not remember", {}, {"v": 2, "c": [_A]}, {"v": 1, "c": [_A, _X], "note": 1}, {"v": 2, "c": [_A, _X], "note": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("why", "base", "ours", "theirs", "written"), CASES, ids=lambda c: c)
def test_ours_is_written_and_theirs_stays(
    why: str, base: Any, ours: Any, theirs: Any, written: Any
) -> None:
    assert merged(base, ours, theirs) == written


@pytest.mark.parametrize(("why", "base", "ours", "theirs", "written"), CASES, ids=lambda c: c)
def test_merged_again_it_is_the_same(
    why: str, base: Any, ours: Any, theirs: Any, written: Any
) -> None:
    assert merged(ours, ours, written) == written
