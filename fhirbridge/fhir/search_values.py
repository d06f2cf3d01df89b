"""The values of search parameters: tokens, references and dates, as
https://hl7.org/fhir/R4/search.html writes them.
"""

from __future__ import annotations

import re

from fhirbridge.fhir.search_parameters import span
from fhirbridge.fhir.temporal import is_date_time

PREFIXES = ("eq", "ge", "gt", "le", "lt")
_PREFIX = re.compile(rf"({'|'.join(PREFIXES)})?(.+)", re.DOTALL)


def token(text: str) -> tuple[str | None, str]:
    """System and code; the system is None where any will do, and "" where it must have none.

    >>> token("http://loinc.org|72514-3"), token("final"), token("|x")
    (('http://loinc.org', '72514-3'), (None, 'final'), ('', 'x'))
    """
    system, divided, code = text.partition("|")
    return (system, code) if divided else (None, text)


def reference(text: str) -> str:
    """`Type/id`; an id alone is a Patient's."""
    return text if "/" in text else f"Patient/{text}"


def date(text: str) -> tuple[str, str, str] | None:
    """Prefix, first and last moment; None where it is no date. A + may have become a space."""
    found = _PREFIX.fullmatch(text)
    moment = found[2].replace(" ", "+") if found else ""
    if found is None or not is_date_time(moment):
        return None
    return found[1] or "eq", *span(moment)
