"""The values of search parameters: tokens, references and dates, as
https://hl7.org/fhir/R4/search.html writes them. A backslash hides `,`, `|`, `$` and itself.
"""

from __future__ import annotations

import re

from fhirbridge.fhir.search_parameters import span
from fhirbridge.fhir.temporal import is_date_time

PREFIXES = ("eq", "ge", "gt", "le", "lt")
_ESCAPED = re.compile(r"\\([\\,|$])")
_DIVIDED = re.compile(r"((?:[^\\|]|\\.)*)\|", re.DOTALL)
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
    """Prefix, first and last moment; None where it is no date. A + may have become a space."""
    found = _PREFIX.fullmatch(text)
    moment = found[2].replace(" ", "+") if found else ""
    if found is None or not is_date_time(moment):
        return None
    return found[1] or "eq", *span(moment)
