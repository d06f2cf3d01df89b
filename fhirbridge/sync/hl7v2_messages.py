"""Messages in HL7 v2: how their bytes become entries that are read as if they came by FHIR.

One message is of one person, a merge of two: what may not be kept of one takes all of it away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from fhirbridge.fhir.bundle import Entry
from fhirbridge.formats import hl7v2
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.messages import ERASED, Message
from fhirbridge.sync.hl7v2_entries import Entries
from fhirbridge.sync.judge import Opened

BEFORE = "before"
"""Of what is asked beside the bytes: the day on which the control id came with other content."""
_CHARSET = "set the feed's charset and replay; the bytes are kept as they came"


def parse(body: bytes) -> Mapping[str, Any]:
    """Its header, and the bytes: by which charset they are read, a site says."""
    try:
        hl7v2.header(body)
    except ValueError as fault:
        remedy = "send MSH first, in the bar form"
        raise BridgeError(Issue("structure", str(fault), remedy, place="MSH")) from fault
    return {"body": body}


def read(body: bytes) -> Any:
    return {**parse(body)}


def entries(made: Any) -> list[Entry]:
    """One: by whom it is, only its bytes tell before a site's authorities are known."""
    return [Entry(0, None, "")]


def cover(made: Any) -> bytes:
    body: bytes = made["body"]
    return body


def without(message: Message, positions: Collection[int], *, bare: bool) -> Message:
    return replace(message, body=b"", state=ERASED) if positions or bare else message


def open_message(
    made: Mapping[str, Any], *, kind: str, asked: Mapping[str, str], mappings: MappingSet
) -> Opened:
    """Raises `BridgeError` where the message is not for us: no control id, not this processing id.
    What cannot be decoded waits whole."""
    feed = mappings.shapes.feed
    body = made["body"]
    header = hl7v2.header(body)
    _addressed(header, feed.processing_ids)
    try:
        message = hl7v2.decode(body, charset=feed.charset)
    except hl7v2.CharsetError as fault:
        return _waiting(Issue("value", str(fault), _CHARSET, place="MSH-18"))
    facility = header.text(4)
    if feed.sending_facility and facility not in feed.sending_facility:
        cause = f"the sending facility '{facility[:40]}' is none of this feed's"
        remedy = "add it to sending_facility of the site's hl7v2.yaml, or correct the sender"
        return _waiting(Issue("business-rule", cause, remedy, place="MSH-4"))
    try:
        opened = Entries(mappings, message).opened()
    except (ArithmeticError, LookupError, TypeError, ValueError) as fault:
        # A mistake of ours: without an answer its sender would repeat it for ever.
        cause = f"it could not be read ({type(fault).__name__})"
        return _waiting(Issue("exception", cause, "tell us its receipt; replay", place="MSH"))
    return _remarked(opened, [*_remarks(message, asked)])


def _addressed(header: hl7v2.Segment, processing_ids: Collection[str]) -> None:
    if not header.text(10):
        issue = Issue("required", "there is no control id", "send MSH-10", place="MSH-10")
        raise BridgeError(issue)
    told = header.text(11).upper()
    if processing_ids and told not in processing_ids:
        cause = f"the processing id '{told[:3]}' is not taken here"
        remedy = f"send {' or '.join(processing_ids)}"
        raise BridgeError(Issue("not-supported", cause, remedy, place="MSH-11"))


def _waiting(issue: Issue) -> Opened:
    return Opened("rows", [(Entry(0, None, "MSH"), [issue])], partial=True)


def _remarks(message: hl7v2.Message, asked: Mapping[str, str]) -> list[Issue]:
    """What is said of the message as a whole, at its first entry."""
    made = []
    if message.divided != "CR":
        cause = f"segment separator {message.divided}"
        made.append(Issue("structure", cause, "send CR", place="MSH", severity="warning"))
    if asked.get(BEFORE):
        cause = f"control id seen on {asked[BEFORE]} with other content"
        made.append(Issue("duplicate", cause, "use it once", place="MSH-10", severity="warning"))
    return made


def _remarked(opened: Opened, remarks: list[Issue]) -> Opened:
    if not remarks or not opened.entries:
        return opened
    (first, issues), *others = opened.entries
    return replace(opened, entries=[(first, [*remarks, *issues]), *others])
