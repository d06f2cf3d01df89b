"""A site's records as the filled forms of the study's REDCap project.

An instance is numbered by when its record was first written, withdrawn ones counted in, so that it
keeps its number from one export to the next.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhirbridge.formats.redcap_export import Filled
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.registry.unit import Unit
from fhirbridge.study.definition import Form
from fhirbridge.sync.project import fields_of


def forms(mappings: MappingSet) -> list[Form]:
    """Those that are about a subject; the study itself and the provenance are not."""
    return [
        form
        for form in mappings.study.forms.values()
        if any(mapping.patients for mapping in mappings.of_form(form.name))
    ]


def filled(unit: Unit, wanted: list[Form]) -> Iterator[Filled]:
    """Subject by subject, each with a row of its own even where nothing else is known."""
    names = [form.name for form in wanted]
    for subject in unit.subjects.all():
        begun = unit.records.begun(subject.id)
        held = [one for one in unit.records.all(subject_id=subject.id) if one.form in names]
        numbers: dict[str, int] = {}
        known = False
        made = []
        for stored in sorted(held, key=lambda one: (names.index(one.form), begun[one.id], one.key)):
            numbers[stored.form] = number = numbers.get(stored.form, 0) + 1
            if stored.status == "active":
                known = known or not stored.key
                made.append(Filled(subject.study_id, stored.form, number, fields_of(stored)))
        if made and not known:
            plain = next((form.name for form in wanted if not form.key), names[0])
            yield Filled(subject.study_id, plain, 1, {})
        yield from made
