"""Which Patients a link has made one person, so that a link that is taken back is seen.

A merge adds the other's identifiers to the subject; without a memory of the link both would stay
one person for ever, and what is the other's would go on being read as the subject's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fhirbridge.registry.runs import Reading
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit

SAME = ("replaced-by", "replaces")
Join = tuple[str, str]
"""The Patient who was merged away, and the one who stays, by id."""


def links(patient: Any) -> Iterator[tuple[str, str]]:
    """Kind and reference of the links that make two Patients one person."""
    given = patient.get("link") if isinstance(patient, Mapping) else None
    for link in given if isinstance(given, list) else ():
        if isinstance(link, Mapping) and link.get("type") in SAME:
            other = link.get("other")
            reference = other.get("reference") if isinstance(other, Mapping) else None
            yield str(link["type"]), reference if isinstance(reference, str) else ""


def remember(unit: Unit, connection_id: str, subject: Subject, join: Join) -> None:
    stream, now = f"{_prefix(subject)}{'/'.join(join)}", unit.now()
    unit.readings.put_many([Reading(connection_id, stream, now, None, None, now)])


def known(unit: Unit, connection_id: str, subject: Subject) -> list[Join]:
    """Of the subject, at this connection."""
    prefix = _prefix(subject)
    streams = (one.stream for one in unit.readings.beginning(connection_id, prefix))
    pairs = (stream.removeprefix(prefix).partition("/") for stream in streams)
    return [(id, other) for id, _, other in pairs]


def _prefix(subject: Subject) -> str:
    return f"{subject.study_id}/link/"
