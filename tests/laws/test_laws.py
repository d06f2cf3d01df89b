"""The laws of the mapping language, for every mapping file, with generated records."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhirbridge.mapping.spec import MappingSet
from fhirbridge.sandbox.patients import hospital_resources
from fhirbridge.study.records import Record
from tests.laws import checkers
from tests.laws.strategies import filled
from tests.mapping.files import FOLDER, TEXTS, mappings

LAWS: dict[str, Callable[[MappingSet, Record], None]] = {
    "decoding undoes encoding": checkers.decoding_undoes_encoding,
    "what is written is valid": checkers.what_is_written_is_valid,
    "each recognises its own alone": checkers.each_recognises_its_own_alone,
}
FORMS = sorted(mappings().study.forms)
steady = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_every_mapping_file_is_under_the_laws() -> None:
    files = {p.name for p in FOLDER.glob("*.yaml")} - {"study.yaml", "names.yaml"}
    written = {m.form.name for m in mappings().files.values() if not m.reads_only}
    assert len(files) == len(mappings().files)
    assert files <= TEXTS.keys()
    assert written == set(FORMS)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("form", FORMS)
def test_the_law_holds(form: str, law: str) -> None:
    @steady
    @given(record=filled(mappings().study.forms[form]))
    def holds(record: Record) -> None:
        LAWS[law](mappings(), record)

    holds()


@pytest.mark.parametrize("form", FORMS)
def test_what_we_wrote_is_written_the_same_again(form: str) -> None:
    @steady
    @given(record=filled(mappings().study.forms[form]))
    def holds(record: Record) -> None:
        checkers.encoding_again_changes_nothing(mappings(), record)

    holds()


def test_what_hospitals_write_is_a_fixed_point_after_the_first_step() -> None:
    found = hospital_resources(30)
    whole = [checkers.encoding_is_a_fixed_point(mappings(), resource) for resource in found]
    assert sum(whole) > 50


@pytest.mark.parametrize("form", FORMS)
def test_ids_are_the_same_each_time_and_differ_between_records(form: str) -> None:
    @steady
    @given(records=st.lists(filled(mappings().study.forms[form]), min_size=2, max_size=2))
    def holds(records: list[Record]) -> None:
        one, other = ([e.id for e in checkers.resources(mappings(), r)] for r in records)
        assert one == [e.id for e in checkers.resources(mappings(), records[0])]
        same = records[0].subject == records[1].subject and records[0].key(
            mappings().study.forms[form]
        ) == records[1].key(mappings().study.forms[form])
        assert same or not set(one) & set(other)

    holds()
