"""HL7's own examples: nothing valid is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhirbridge.formats import fhir_json
from tests.fhir.synthetic import faults

EXAMPLES = sorted((Path(__file__).parent / "examples").glob("*.json"))


def test_the_examples_are_of_all_five_types() -> None:
    kinds = {path.name.split("-")[1] for path in EXAMPLES}
    assert kinds == {"Bundle", "Condition", "Observation", "Patient", "Procedure"}


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_the_example_is_accepted(path: Path) -> None:
    assert faults(fhir_json.parse(path.read_bytes())) == []
