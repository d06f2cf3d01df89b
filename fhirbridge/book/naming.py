"""Names of artefacts: ids, canonical URLs, and what all of them say of themselves."""

from __future__ import annotations

import re
from typing import Any

from fhirbridge.mapping.spec import MappingSet

FHIR_VERSION = "4.0.1"
_WORD = re.compile(r"[A-Za-z0-9]+")


def id_of(*words: str) -> str:
    """An id of FHIR (https://hl7.org/fhir/R4/datatypes.html#id).

    >>> id_of("fracture_risk", "mirels_total")
    'fracture-risk-mirels-total'
    """
    return "-".join(part for word in words for part in _WORD.findall(word))


def url_of(mappings: MappingSet, kind: str, id: str) -> str:
    return f"{mappings.study.canonical}/{kind}/{id}"


def head(mappings: MappingSet, kind: str, id: str, *, title: str, purpose: str) -> dict[str, Any]:
    """What every artefact begins with. It carries no date: the version tells all that changes."""
    name = "".join(part[0].upper() + part[1:] for part in _WORD.findall(id))
    return {
        "resourceType": kind,
        "id": id,
        "url": url_of(mappings, kind, id),
        "version": mappings.version,
        "name": name if name[0].isalpha() else f"N{name}",
        "title": title,
        "status": "active",
        **({"description": purpose} if purpose else {}),
    }


def words_url(mappings: MappingSet) -> str:
    """The code system of the study's words, as crosswalks name them."""
    return url_of(mappings, "CodeSystem", id_of(mappings.study.id, "words"))


def value_set_url(mappings: MappingSet, form: str, field: str) -> str:
    return url_of(mappings, "ValueSet", id_of(form, field))


def model_url(mappings: MappingSet, form: str) -> str:
    return url_of(mappings, "StructureDefinition", id_of("form", form))
