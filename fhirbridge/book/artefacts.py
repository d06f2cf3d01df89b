"""Every artefact of a mapping set, and the index that lists them. The same files give the same
bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fhirbridge.book import questionnaires, structures, terminology, views
from fhirbridge.book.contents import Contents
from fhirbridge.outcome import BridgeError, Issue

INDEX = "index.json"


def artefacts(contents: Contents) -> dict[str, dict[str, Any]]:
    """Each artefact by the name of its file. Raises `BridgeError` where two would have one name."""
    made: dict[str, dict[str, Any]] = {}
    for one in _all(contents):
        name = f"{one['resourceType']}-{one['id']}.json"
        if made.setdefault(name, one) is not one:
            remedy = "rename a form, field or crosswalk: in an id - and _ are the same"
            raise BridgeError(
                Issue("configuration", "two artefacts have one id", remedy, place=name)
            )
    return dict(sorted(made.items()))


def _all(contents: Contents) -> Iterator[dict[str, Any]]:
    yield from structures.models(contents.mappings)
    yield from structures.extensions(contents.mappings)
    yield from terminology.code_systems(contents)
    yield from terminology.value_sets(contents)
    yield from terminology.concept_maps(contents)
    for form in contents.mappings.study.forms.values():
        yield questionnaires.questionnaire(contents, form)
    yield from views.views(contents.mappings)


def index(contents: Contents, made: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    mappings = contents.mappings
    listed = [
        {"file": file, **{word: one[word] for word in ("resourceType", "id", "url", "title")}}
        for file, one in made.items()
    ]
    return {
        "study": mappings.study.id,
        "title": mappings.study.title,
        "canonical": mappings.study.canonical,
        "site": mappings.site,
        "version": mappings.version,
        "artefacts": listed,
    }
