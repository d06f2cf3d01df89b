"""The checker finds what it is for: a state that comes again was worked off twice."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from fhirbridge.registry.records import Revision
from tests.crash.checker import states

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def revision(number: int, changes: dict[str, list[Any]]) -> Revision:
    return Revision("r", number, NOW, "client:engine", "", None, "v", "active", changes)


REST, WALKING, CORRECTED = {"rest": [None, 3]}, {"walking": [None, 5]}, {"rest": [3, 4]}


@pytest.mark.parametrize(
    ("changes", "most"),
    [
        ([REST, WALKING, CORRECTED], 1),
        ([REST, WALKING, CORRECTED, {"rest": [4, 3]}, CORRECTED], 2),  # the first one late, again
        ([REST, WALKING, {}], 2),  # nothing changed, and a revision all the same
        ([{}, REST], 1),  # enrolled, then told of
    ],
)
def test_a_state_that_comes_again_is_found(changes: list[dict[str, Any]], most: int) -> None:
    made = states(revision(number, one) for number, one in enumerate(changes, start=1))
    assert max(Counter(made).values()) == most
