"""Opens a message: JSON, then R4, then what only our own door refuses, then its entries; says what
is wrong before anything is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fhirbridge.fhir import bundle, verdict
from fhirbridge.fhir.bundle import Entry
from fhirbridge.fhir.door import door
from fhirbridge.formats import judged_json
from fhirbridge.outcome import BridgeError, Issue

_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]")
# Of a page, what says nothing of its entries: for a fault there no resource is given up. Where the
# next page is, the client has judged for itself.
_COVER = re.compile(r"Bundle\.(id|meta|language|identifier|timestamp|total|link)\b")


MOST_ENTRIES = 5_000


def judge(body: bytes, *, kind: str) -> list[tuple[Entry, list[Issue]]]:
    """Each entry with its own issues.

    Raises `BridgeError` where the message is no JSON, not of its kind, or a Bundle that is none; of
    a push also where one entry is no valid R4. What only our own door refuses (`fhir.door`) is an
    issue of its entry alone.
    """
    made = judged_json.parse(body)
    _refuse_other_kind(made, kind)
    invalid = [issue for issue in verdict.judge(made) if issue.severity in ("fatal", "error")]
    strange = door(made)
    alone = made.get("resourceType") != "Bundle"
    if alone:
        own, whole = {0: strange}, invalid
    else:
        own, whole = _by_entry([*invalid, *strange], page=kind == "page")
        if kind != "page" and invalid:
            whole = invalid
    if whole:
        raise BridgeError(*whole)
    entries = bundle.entries(made if alone else _shaped(made))
    return [(entry, own.get(entry.position, [])) for entry in entries]


def _by_entry(issues: Sequence[Issue], *, page: bool) -> tuple[dict[int, list[Issue]], list[Issue]]:
    """By the entry's number, and those of the Bundle."""
    own: dict[int, list[Issue]] = {}
    whole: list[Issue] = []
    for issue in issues:
        found = _ENTRY.match(issue.expression)
        if found:
            own.setdefault(int(found[1]), []).append(issue)
        elif not page or not _COVER.match(issue.expression):
            whole.append(issue)
    return own, whole


def _shaped(made: Mapping[str, Any]) -> dict[str, Any]:
    """A Bundle whose entries can be walked: what is no object in them was found wrong already."""
    given = made.get("entry")
    entries = [
        {
            name: value
            for name, value in (entry if isinstance(entry, Mapping) else {}).items()
            if name == "fullUrl" or isinstance(value, Mapping)
        }
        for entry in (given if isinstance(given, list) else ())
    ]
    return {**made, "entry": entries}


def _refuse_other_kind(made: Mapping[str, Any], kind: str) -> None:
    expected = kind.removeprefix("push/") if kind != "page" else "Bundle"
    given = made.get("resourceType")
    if given != expected:
        cause = f"the body is a {given}, and a {expected} was expected"
        remedy = f"send a {expected} here, or the body to its own URL"
        raise BridgeError(Issue("structure", cause, remedy, "resourceType"))
    if expected != "Bundle":
        return
    if kind != "page" and made.get("type") != "transaction":
        cause = f"a Bundle of the type '{made.get('type')}' is not taken here"
        raise BridgeError(Issue("not-supported", cause, "send a transaction", "Bundle.type"))
    entries = made.get("entry")
    if isinstance(entries, list) and len(entries) > MOST_ENTRIES:
        cause = f"the Bundle has {len(entries)} entries, {MOST_ENTRIES} are taken at once"
        raise BridgeError(Issue("too-long", cause, "divide it", "Bundle.entry"))
