"""The answer to an HL7 v2 message, in its sender's own separators (HL7 v2.8.2 chapter 2, 2.9).

MSA-2 is MSH-10 to the letter. Places and codes are told, and nothing of a person.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fhirbridge.formats.hl7v2 import Segment, header

CODES = {
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "202": "Unsupported processing id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "207": "Application internal error",
}
"""Table 0357."""
_PLACE = re.compile(r"([A-Z][A-Z0-9]{2})(?:\[(\d+)\])?(?:-(\d+))?")
_MOST = 20  # ERR segments of an answer; the receipt has all
_EMPTY = b"MSH|^~\\&"


@dataclass(frozen=True, slots=True)
class Told:
    """One ERR: `place` as `OBX[2]-5`, `code` of table 0357, `severity` E, W or I."""

    place: str
    code: str
    severity: str
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Which answers the sender wants: MSH-15 for that it is stored, MSH-16 for what became of it.
    Each is AL, NE, ER or SU (table 0155)."""

    accept: str
    application: str

    @classmethod
    def of(cls, head: Segment) -> Asked:
        """Both empty is original mode, one answer. An empty one beside a valued one is NE."""
        accept, application = head.text(15).upper(), head.text(16).upper()
        if not accept and not application:
            return cls("NE", "AL")
        return cls(accept or "NE", application or "NE")


def answers(body: bytes, *, at: str, id: str, good: bool, stored: bool, errors: Sequence[Told],
            busy: bool = False) -> list[bytes]:  # fmt: skip
    """The messages to be sent back, none where none is wanted, or where it is an answer itself.

    `stored` says that it is safe here, `good` that nothing of it is refused; `busy` that it should
    be sent again later. `at` and `id` are our MSH-7 and MSH-10.
    """
    try:
        head = header(body)
    except ValueError:
        head = header(_EMPTY)
    if head.text(9).upper() in ("ACK", "MCF"):
        return []
    asked = Asked.of(head)
    made = []
    for letter, wish, well in (("C", asked.accept, stored), ("A", asked.application, good)):
        if wish == "AL" or wish == ("SU" if well else "ER"):
            code = letter + ("R" if busy else "A" if well else "E")
            own = f"{id}{letter}" if asked.accept != "NE" and asked.application != "NE" else id
            made.append(_message(head, code, at, own, errors if letter == "A" or not well else ()))
    return made


def _message(head: Segment, code: str, at: str, id: str, errors: Sequence[Told]) -> bytes:
    marks = head.marks
    bar, hat = marks.field, marks.component
    sign = head.raw(2) or "^~\\&"
    event = head.raw(9).split(hat)
    type = hat.join(["ACK", *event[1:2], *(["ACK"] if len(event) > 2 else [])])
    told = ["MSH", sign, head.raw(5), head.raw(6), head.raw(3), head.raw(4), at, "", type, id]
    told += [head.raw(11), head.raw(12)]
    recent = _version(head.text(12)) >= (2, 5)
    msa = ["MSA", code, head.raw(10)]
    if errors and not recent:
        msa.append(_plain(f"{errors[0].place}: {errors[0].text}", marks.escape)[:80])
    segments = [bar.join(told), bar.join(msa)]
    if recent:
        segments += [_error(one, bar, hat, marks.escape) for one in errors[:_MOST]]
    return ("\r".join(segments) + "\r").encode("latin-1", "replace")


def _error(told: Told, bar: str, hat: str, escape: str) -> str:
    name = CODES.get(told.code, "")
    coded = hat.join((told.code, name, "HL70357"))
    text = _plain(told.text, escape)
    return bar.join(("ERR", "", location(told.place, hat), coded, told.severity, "", "", "", text))


def location(place: str, hat: str = "^") -> str:
    """ERR-2 of a place.

    >>> location("OBX[2]-5"), location("MSH-18"), location("PV1[1]")
    ('OBX^2^5', 'MSH^1^18', 'PV1^1')
    """
    found = _PLACE.fullmatch(place)
    if found is None:
        return ""
    name, number, field = found.groups()
    return hat.join((name, number or "1", *((field,) if field else ())))


def _version(text: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (2, 5)


def _plain(text: str, escape: str) -> str:
    """ASCII without a separator of anybody's."""
    ascii = text.encode("ascii", "replace").decode()
    return re.sub(r"[|^~&\\\r\n]", " ", ascii.replace("|", ":").replace(escape, " "))
