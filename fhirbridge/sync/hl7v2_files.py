"""Files of HL7 v2: messages with or without the headers of a batch around them.

What BTS-1 and FTS-1 count must tie; where it does not, every message is taken all the same, and the
file is called incomplete. A file is answered by its receipts, not by acknowledgements.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fhirbridge.formats import hl7v2_batch


@dataclass(frozen=True, slots=True)
class Batch:
    """`reasons`: why the file is not complete."""

    messages: tuple[bytes, ...]
    reasons: tuple[str, ...]


def read(body: bytes) -> Batch:
    parts = [*hl7v2_batch.batch(body)]
    messages = tuple(told for name, told in parts if name == "MSH")
    return Batch(messages, tuple(_reasons(parts)))


def _reasons(parts: list[tuple[str, bytes]]) -> Iterator[str]:
    """Each trailer against what stood before it; headers and trailers in pairs."""
    names = [name for name, _ in parts]
    if names.count("MSH") == 0:
        yield "there is no message in it"
    for head, tail in (("BHS", "BTS"), ("FHS", "FTS")):
        if names.count(head) != names.count(tail):
            yield f"{names.count(head)} {head} and {names.count(tail)} {tail}"
    if "" in names:
        yield "bytes before, between or behind the messages"
    messages = batches = 0
    for name, told in parts:
        messages += name == "MSH"
        if name == "BTS":
            yield from _tie("BTS-1", told, messages)
            messages, batches = 0, batches + 1
        elif name == "FTS":
            yield from _tie("FTS-1", told, batches)


def _tie(field: str, told: bytes, found: int) -> Iterator[str]:
    text = told.decode("latin-1").strip()
    said = text[4:].split(text[3:4] or "|")[0].strip()
    if said and said != str(found):
        yield f"{field} says {said}, found {found}"
