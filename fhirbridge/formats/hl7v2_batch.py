"""Files of HL7 v2: the messages in them, alone or within FHS, BHS, BTS and FTS (HL7 v2.8.2,
2.10.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fhirbridge.formats.hl7v2 import BOM

_LONE_CR = re.compile(rb"\r(?!\n|\Z)")
_HEADS = (b"MSH", b"FHS", b"BHS", b"BTS", b"FTS")


def batch(body: bytes) -> Iterator[tuple[str, bytes]]:
    """The messages of a file, and the headers and trailers around them: each with the name of its
    first segment, the bytes as they came."""
    body = body.removeprefix(BOM)
    end = rb"\r" if _LONE_CR.search(body) else rb"\r?\n"
    starts = re.compile(rb"(?:\A|(?<=[\r\n]))(?:" + b"|".join(_HEADS) + rb")(?=[^\w\s]|[\r\n]|\Z)")
    places = [found.start() for found in starts.finditer(body)]
    if places and body[: places[0]].strip():
        yield "", body[: places[0]]
    if not places and body.strip():
        yield "", body
    for start, stop in zip(places, [*places[1:], len(body)], strict=True):
        name = body[start : start + 3].decode("ascii")
        told = body[start:stop]
        if name != "MSH":  # a header or trailer is one segment; what follows it is of nobody
            line, _, rest = (
                re.split(b"(" + end + b")", told, maxsplit=1)[:3]
                if re.search(end, told)
                else (told, b"", b"")
            )
            yield name, line
            if rest.strip():
                yield "", rest
            continue
        yield name, told
