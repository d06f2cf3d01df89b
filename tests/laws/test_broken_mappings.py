"""A mapping that breaks a law is seen: broken copies that load without a fault, and their records."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from fhirbridge.mapping import load
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.study.records import Record
from tests.laws import checkers
from tests.mapping.files import edited, mappings

LESION = Record("S", "lesion", {"lesion_id": "L1", "verification": "provisional"})
SURGERY = {"surgery_id": "O1", "performed_on": "2024-05-01", "procedure": "plate"}
ASSESSMENT = Record(
    "S", "assessment", {"assessed_on": "2024-05-01", "promis_gmh_t": Decimal("38.10")}
)
NOTE = """
  note:
    title: Another form
    key: [note_id]
    fields:
      note_id: { type: text, required: true }
"""
NOTE_FILE = """
form: note
resource: Condition
patient: subject
rows:
  - { field: note_id, at: identifier.value, by: text }
"""

INVENTED = [
    ("lesion.yaml", "{ at: onsetDateTime }", "{ at: meta.lastUpdated }"),
    (
        "lesion.yaml",
        "write only:",
        'write only:\n  - { at: meta.lastUpdated, value: "2024-01-01T00:00:00Z" }',
    ),
]
BROKEN: list[tuple[str, Callable[[MappingSet, Record], None], list[tuple[str, str, str]], Record]]
BROKEN = [
    (
        "law 1: the gate lets not all through that is written",
        checkers.decoding_undoes_encoding,
        [("lesion.yaml", "pass: [confirmed, provisional,", "pass: [confirmed,")],
        LESION,
    ),
    (
        "law 1: an accepted form invents what was not said",
        checkers.decoding_undoes_encoding,
        INVENTED,
        LESION,
    ),
    (
        "law 3: a value that is written only is of the wrong type",
        checkers.what_is_written_is_valid,
        [("assessment.yaml", "value: { coding: [ {", "value: { text: 5, coding: [ {")],
        ASSESSMENT,
    ),
    (
        "law 3: what the profile wants is not written",
        checkers.what_is_written_is_valid,
        [("primary_cancer.yaml", "code: problem-list-item", "code: encounter-diagnosis")],
        Record("S", "primary_cancer", {"primary_id": "P1", "site": "lung"}),
    ),
    (
        "law 2: an accepted form invents what was not said",
        checkers.encoding_again_changes_nothing,
        INVENTED,
        LESION,
    ),
    (
        "law 4: another file takes every Condition for its own",
        checkers.each_recognises_its_own_alone,
        [("study.yaml", "  surgery:\n    title", NOTE.strip("\n") + "\n\n  surgery:\n    title"), ("note.yaml", "", NOTE_FILE)],
        LESION,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("law", "edits", "record"), [row[1:] for row in BROKEN],
                         ids=[row[0] for row in BROKEN])  # fmt: skip
def test_the_law_sees_the_broken_mapping(
    law: Callable[[MappingSet, Record], None], edits: list[tuple[str, str, str]], record: Record
) -> None:
    law(mappings(), record)
    broken = load.load(edited(*edits))
    with pytest.raises(AssertionError):
        law(broken, record)
