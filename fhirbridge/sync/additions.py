"""A site's own crosswalk lines, added while the service runs: as lines of its files would be.

A line adds and never contradicts; what it would break is told before it is kept. Every process sees
it with the next message.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

from fhirbridge.library import Addition, Library
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.crosswalk_lines import CrosswalkLine
from fhirbridge.registry.unit import Unit

_NEW = "the new line"


def mappings(library: Library, unit: Unit, site: str) -> MappingSet:
    """The site's mappings with the lines that it has added until now."""
    version = unit.crosswalk_lines.version()
    if version == (0, 0):
        return library.of_site(site)
    return library.of_site(site, version, lambda: _additions(unit))


def add(
    unit: Unit,
    library: Library,
    site: str,
    *,
    crosswalk: str,
    system: str,
    code: str,
    target: str,
    by: str,
    reason: str,
    relationship: str = "equal",
    display: str = "",
) -> CrosswalkLine:
    """The line, kept; the caller commits.

    Raises `BridgeError` with the cause where the crosswalk or the target is unknown, where a line
    exists that says otherwise, or where the line would be no line of a file.
    """
    line = CrosswalkLine(
        id=unit.new_id(),
        crosswalk=crosswalk.strip(),
        system=system.strip(),
        code=code.strip(),
        display=display.strip(),
        target=target.strip(),
        relationship=relationship.strip(),
        added_by=by,
        reason=reason.strip(),
        added_at=unit.now(),
    )
    _refuse_strange(line)
    before = _additions(unit)
    try:
        library.load(site, before)
    except BridgeError as fault:
        _stand_in_the_way(fault)
    try:
        library.load(site, [*before, replace(_addition(line), id=_NEW)])
    except BridgeError as fault:
        wrong = [replace(issue, category="business-rule") for issue in fault.issues]
        raise BridgeError(*wrong) from fault
    unit.crosswalk_lines.add(line)
    unit.audit.note("C", "crosswalk.add", actor=f"person:{by}", entities={"line": line.id})
    return line


def withdraw(unit: Unit, line_id: str, *, by: str, reason: str) -> CrosswalkLine:
    """The line, taken back; the caller commits. Raises `BridgeError` (not-found)."""
    gone = unit.crosswalk_lines.withdraw(line_id, by=by, reason=reason)
    unit.audit.note("U", "crosswalk.withdraw", actor=f"person:{by}", entities={"line": gone.id})
    return gone


def _stand_in_the_way(fault: BridgeError) -> NoReturn:
    """Lines that were right when they were added, and are not with today's files."""
    remedy = "withdraw that line by 'fhirbridge crosswalk withdraw', or correct the file"
    raise BridgeError(*(replace(i, remedy=remedy) for i in fault.issues)) from fault


def _refuse_strange(line: CrosswalkLine) -> None:
    cells = (line.crosswalk, line.system, line.code, line.display, line.target, line.reason)
    if any(not cell.isprintable() for cell in cells):
        cause, remedy = "a cell holds a line break or another control character", "leave it out"
        raise BridgeError(Issue("business-rule", cause, remedy, place=_NEW))
    if line.system.startswith("#"):
        cause, remedy = "a line that begins with # is a comment", "give the system's URI"
        raise BridgeError(Issue("business-rule", cause, remedy, place=_NEW))
    if not line.crosswalk.replace("-", "").isalnum():
        cause, remedy = "that is no name of a crosswalk", "see docs/reference/crosswalks.md"
        raise BridgeError(Issue("business-rule", cause, remedy, place=_NEW))


def _additions(unit: Unit) -> list[Addition]:
    return [_addition(line) for line in unit.crosswalk_lines.active()]


def _addition(line: CrosswalkLine) -> Addition:
    return Addition(
        id=f"crosswalk line {line.id}",
        crosswalk=line.crosswalk,
        system=line.system,
        code=line.code,
        display=line.display,
        target=line.target,
        relationship=line.relationship,
        note=line.reason,
    )
