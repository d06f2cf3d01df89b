"""Ids derived from what they stand for: UUIDs of version 5 (RFC 9562) in the study's name space.

Written out here because `uuid.uuid5` takes four times as long, and every row has one.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import cache
from hashlib import sha1
from types import MappingProxyType

# The first hexadecimal digit of the fourth group -> with the variant's two bits set.
VARIANT: Mapping[str, str] = MappingProxyType(
    dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
)


@cache
def space(canonical: str) -> bytes:
    """The name space of a study, by its canonical URL."""
    return uuid.uuid5(uuid.NAMESPACE_URL, canonical).bytes


def derived(canonical: str, name: str) -> str:
    """The same id for the same name, always.

    >>> derived("https://example.org", "a")
    '246c1f53-8dc1-59cd-ae71-b616b108febf'
    """
    h = sha1(space(canonical) + name.encode(), usedforsecurity=False).hexdigest()
    return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"
