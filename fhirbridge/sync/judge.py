"""Opens a message: R4, then what only our own door refuses, then its entries; says what is wrong
before anything is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fhirbridge.fhir import bundle, verdict
from fhirbridge.fhir.bundle import Entry
from fhirbridge.fhir.capability import MOST_ENTRIES
from fhirbridge.fhir.codings import is_of_name
from fhirbridge.fhir.door import door
from fhirbridge.mapping.decode import Decoded
from fhirbridge.mapping.referring import Refer
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit

_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]")
# Of a page, what says nothing of its entries: for a fault there no resource is given up. Where the
# next page is, the client has judged for itself.
_COVER = re.compile(r"Bundle\.(id|meta|language|identifier|timestamp|total|link)\b")
PUSHED = ("transaction", "batch", "message")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a format that tells its facts itself may look at: the entry's resource, what is known of
    the subject, and how the entry is called (`source`)."""

    resource: Mapping[str, Any]
    unit: Unit
    subject: Subject | None
    source: str
    refer: Refer


@dataclass(frozen=True, slots=True)
class Done:
    """What an entry that is no data did, for the source that sent it: its fate, and why."""

    fate: str
    issues: tuple[Issue, ...] = ()
    subject_id: str | None = None


Tell = Callable[[Asked], list[Decoded]]
Act = Callable[[Unit, str], Done]
Place = Callable[[Issue], Issue]


@dataclass(frozen=True, slots=True)
class Opened:
    """`kind` is `single`, `page`, the type of the Bundle that was pushed, or `rows` where entries
    ask for nothing and stand for themselves; `invalid` are the positions of entries that are no
    valid R4, where each stands for itself.

    `facts` are those, by position, that a format told itself; what it did not is decoded from the
    entry's resource. `partial`: what an entry does not say stays as it was.

    `tells` are facts that the format tells only when it is asked, as they hang on what is known;
    `acts` are entries that are no data (a merge of two numbers), `unread` those that no rule reads.
    `places` says of an entry's issues where they stand in the format's own words.
    """

    kind: str
    entries: list[tuple[Entry, list[Issue]]]
    invalid: frozenset[int] = frozenset()
    facts: Mapping[int, list[Decoded]] = field(default_factory=dict)
    partial: bool = False
    tells: Mapping[int, Tell] = field(default_factory=dict)
    acts: Mapping[int, Act] = field(default_factory=dict)
    unread: Mapping[int, Issue] = field(default_factory=dict)
    places: Mapping[int, Place] = field(default_factory=dict)

    @property
    def asks(self) -> bool:
        """Whether its entries are requests, with conditions."""
        return self.kind not in ("page", "rows")

    @property
    def whole(self) -> bool:
        """Taken all or not at all (https://hl7.org/fhir/R4/http.html#trules)."""
        return self.kind in ("transaction", "message")


def judge(made: Mapping[str, Any], *, kind: str, asked: Mapping[str, str] | None = None) -> Opened:
    """Each entry with its own issues; the header of a message is none. `kind` and `asked` are those
    of `Incoming`.

    Raises `BridgeError` where the message is not of its kind, or a Bundle that is none; of a
    transaction, a message and a single resource also where an entry is no valid R4. What only our
    own door refuses (`fhir.door`) is an issue of its entry alone, and a display that is not the
    code's name a warning: the code counts.
    """
    told = _kind(made, kind)
    found = [issue for issue in verdict.judge(made) if issue.severity in ("fatal", "error")]
    invalid = [issue for issue in found if not is_of_name(issue)]
    names = [replace(issue, severity="warning") for issue in found if is_of_name(issue)]
    strange = [*door(made), *names]
    if told == "single":
        if invalid:
            raise BridgeError(*invalid)
        (entry,) = bundle.entries(made, asked=asked)
        return Opened(told, [(entry, strange)], frozenset())
    apart = told in ("page", "batch")
    wrong, whole = _by_entry(invalid, page=told == "page")
    if whole or (invalid and not apart):
        raise BridgeError(*(whole if apart else invalid))
    odd, _ = _by_entry(strange, page=True)
    entries = bundle.entries(_shaped(made))
    if told == "message":
        entries = entries[1:]
    own = [(e, [*wrong.get(e.position, ()), *odd.get(e.position, ())]) for e in entries]
    return Opened(told, own, frozenset(wrong))


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


def _one(kind: object) -> str:
    return f"{'an' if str(kind).startswith(('A', 'E', 'I', 'O')) else 'a'} {kind}"


def _kind(made: Mapping[str, Any], kind: str) -> str:
    """That of `Opened`; raises where it is another than its sender promised."""
    expected = kind.rpartition("/")[2] if kind != "page" else "Bundle"
    given = made.get("resourceType")
    if given != expected:
        is_one = f"the body is {_one(given)}" if given else "the body names no resourceType"
        cause = f"{is_one}, and {_one(expected)} was expected"
        remedy = f"send {_one(expected)} here, or the body to its own URL"
        raise BridgeError(Issue("structure", cause, remedy, "resourceType"))
    if expected != "Bundle":
        return "single"
    taken = ("message",) if kind.startswith("message/") else PUSHED
    if kind != "page" and made.get("type") not in taken:
        cause = f"a Bundle of the type '{made.get('type')}' is not taken here"
        remedy = f"send a {' or '.join(taken)}"
        raise BridgeError(Issue("not-supported", cause, remedy, "Bundle.type"))
    entries = made.get("entry")
    if isinstance(entries, list) and len(entries) > MOST_ENTRIES:
        cause = f"the Bundle has {len(entries)} entries, {MOST_ENTRIES} are taken at once"
        raise BridgeError(Issue("too-long", cause, "divide it", "Bundle.entry"))
    return "page" if kind == "page" else str(made["type"])
