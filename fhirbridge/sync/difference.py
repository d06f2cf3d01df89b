"""How a resource there differs from the one that was sent: in elements, and in what it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhirbridge.formats import fhir_json
from fhirbridge.mapping.decode import decode
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import Issue
from fhirbridge.study.records import Value


def unlike(mappings: MappingSet, sent: Mapping[str, Any], there: Mapping[str, Any]) -> list[Issue]:
    """The fields that read otherwise there."""
    ours, theirs = _read(mappings, sent), _read(mappings, there)
    differ = [name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name)]
    return [
        Issue("conflict", f"{name} reads otherwise there", "a person compares", name)
        for name in sorted({name for _, name in differ})
    ]


def _read(mappings: MappingSet, body: Mapping[str, Any]) -> dict[tuple[str, str], Value]:
    """What the resource says, by form and field."""
    facts = decode(mappings, body, source="")
    return {(f.form, name): value for f in facts for name, value in f.fields.items()}


def missing(sent: Any, there: Any, at: str = "") -> list[str]:
    """The paths of what was sent and is not there; the server may add whatever it likes.

    >>> missing({"a": [{"b": 1}], "c": 2}, {"a": [{"x": 0}, {"b": 1, "d": 3}]})
    ['c']
    """
    if isinstance(sent, Mapping):
        if not isinstance(there, Mapping):
            return [at]
        found = [missing(v, there.get(k), f"{at}.{k}" if at else k) for k, v in sent.items()]
        return [path for paths in found for path in paths]
    if isinstance(sent, list):
        others = there if isinstance(there, list) else []
        return [
            f"{at}[{number}]"
            for number, item in enumerate(sent)
            if not any(not missing(item, other) for other in others)
        ]
    return [] if fhir_json.canonical(sent) == fhir_json.canonical(there) else [at]
