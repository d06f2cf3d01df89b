"""What a site says of its HL7 v2 feed: `sites/<site>/hl7v2.yaml`. Data, not code; every fault of it
is told with its line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from fhirbridge import lined_yaml
from fhirbridge.outcome import Issue
from fhirbridge.study.definition import near

_AMONG: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ack": ("commit", "applied"),
        "unknown_patient": ("hold", "discard"),
        "status_from": ("OBX-11", "OBR-25"),
        "busy": ("close", "AR"),
    }
)


@dataclass(frozen=True, slots=True)
class Feed:
    """`charset`: empty, or what is decoded by whatever MSH-18 says. `timezone`: of times without an
    offset. `assigning_authorities`: by the name or OID in CX.4 the identifier system under which
    people are enrolled; `default_authority`: that of numbers without one. `coding_systems`: URIs by
    the names of table 0396, local ones too; `old_coding_systems`: what DG1-2 and PR1-2 mean, by
    their word, as a name of such a system."""

    charset: str = ""
    timezone: str = "UTC"
    sending_facility: tuple[str, ...] = ()
    processing_ids: tuple[str, ...] = ("P",)
    ack: str = "commit"
    busy: str = "close"
    unknown_patient: str = "hold"
    status_from: str = "OBX-11"
    default_authority: str = ""
    assigning_authorities: Mapping[str, str] = field(default_factory=dict)
    coding_systems: Mapping[str, str] = field(default_factory=dict)
    old_coding_systems: Mapping[str, str] = field(default_factory=dict)


WORDS = tuple(f.name for f in fields(Feed))


def load(text: str, *, name: str, faults: list[Issue]) -> Feed:
    """The feed; what is wrong is added to the faults, with its line."""
    document = lined_yaml.load(text, name=name)
    given = document.content if isinstance(document.content, dict) else {}
    values: dict[str, Any] = {}
    for word, value in given.items():
        wrong = next(_wrong(word, value), None)
        if wrong is not None:
            place = document.place((word,))
            faults.append(Issue("configuration", *wrong, place=place))
        else:
            values[word] = _read(value)
    return Feed(**values)


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    if isinstance(value, dict):
        return MappingProxyType({str(k): str(v) for k, v in value.items()})
    return value or ""


def _wrong(word: str, value: Any) -> Iterator[tuple[str, str]]:
    if word not in WORDS:
        yield f"'{word}' is not known here", near(word, WORDS)
        return
    default = getattr(Feed(), word)
    if word == "default_authority" and value is None:
        return
    if isinstance(default, tuple) and not isinstance(value, list):
        yield f"'{word}' takes a list of words", "write [ ... ]"
    elif isinstance(default, dict) and not isinstance(value, dict):
        yield f"'{word}' takes words with values", "write { name: value }"
    elif isinstance(default, str) and not isinstance(value, str):
        yield f"'{word}' takes a word", "write one"
    elif word in _AMONG and value not in _AMONG[word]:
        yield f"'{value}' is no value of {word}", f"write {' or '.join(_AMONG[word])}"
