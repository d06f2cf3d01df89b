"""The values of search parameters: tokens, references and dates, as
https://hl7.org/fhir/R4/search.html writes them. A backslash hides `,`, `|`, `$` and itself.
"""

from __future__ import annotations

import re

from fhirbridge.fhir.search_parameters import span
from fhirbridge.fhir.temporal import is_date_time

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
_ESCAPED = re.compile(r"\\([\\,|$])")
_DIVIDED = re.compile(r"((?:[^\\|]|\\.)*)\|", re.DOTALL)
_TIMED = re.compile(r"([\d-]{10}T\d\d:\d\d)(:\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_PREFIX = re.compile(rf"({'|'.join(PREFIXES)})?(.+)", re.DOTALL)


def token(text: str) -> tuple[str | None, str]:
    r"""System and code; the system is None where any will do, and "" where it must have none. The
    code is "" where any of the system will do.

    >>> token("http://loinc.org|72514-3"), token("final"), token("|x"), token("urn:a|")
    (('http://loinc.org', '72514-3'), (None, 'final'), ('', 'x'), ('urn:a', ''))
    >>> token(r"a\|b"), token(r"urn:a|x\,y")
    ((None, 'a|b'), ('urn:a', 'x,y'))
    """
    divided = _DIVIDED.match(text)
    if divided is None:
        return None, _plain(text)
    return _plain(divided[1]), _plain(text[divided.end() :])


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def reference(text: str, base: str = "") -> str:
    """`Type/id`; an id alone is a Patient's. `base` is our own URL.

    >>> reference("p1"), reference("https://us/fhir/Group/1", "https://us/fhir")
    ('Patient/p1', 'Group/1')
    """
    plain = _plain(text).removeprefix(f"{base}/" if base else "")
    return plain if "/" in plain else f"Patient/{plain}"


def date(text: str) -> tuple[str, str, str] | None:
    """Prefix, first and last moment; None where it is no date. A + may have become a space.

    A time may end with its minutes, and lack its zone: then it is in UTC.

    >>> date("ge2026-02-03T04:05")
    ('ge', '2026-02-03T04:05:00.000000Z', '2026-02-03T04:05:59.999999Z')
    """
    found = _PREFIX.fullmatch(text)
    moment = found[2].replace(" ", "+") if found else ""
    timed = _TIMED.fullmatch(moment)
    if timed:
        moment = f"{timed[1]}{timed[2] or ':00'}{timed[3] or 'Z'}"
    if found is None or not is_date_time(moment):
        return None
    low, high = span(moment)
    if timed and not timed[2]:
        high = span(f"{timed[1]}:59{timed[3] or 'Z'}")[1]
    return found[1] or "eq", low, high
