"""What a value of each FHIR primitive type looks like in JSON.

Every check is linear in the text; judges form, not meaning
(https://hl7.org/fhir/R4/datatypes.html#primitive).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from math import isfinite
from typing import Any, NamedTuple

from fhirbridge.fhir import temporal

_ID = re.compile(r"[A-Za-z0-9.\-]{1,64}")
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+")
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ANY_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*:.")  # schemes are written small (RFC 3986, 3.1)
_BASE64 = re.compile(r"[A-Za-z0-9+/=]+")
BLANK = re.compile(r"\s")
_LARGEST = 2**31 - 1


class Form(NamedTuple):
    """A primitive type: the test of a JSON value, and what to write instead."""

    kind: type | tuple[type, ...]
    test: Callable[[Any], bool]
    remedy: str


def is_absolute(uri: str) -> bool:
    """A URI with a scheme, and with something behind it.

    >>> is_absolute("urn:oid:1.2.3"), is_absolute("Patient/1")
    (True, False)
    """
    return _SCHEME.match(uri) is not None


def has_scheme(text: str) -> bool:
    """It is meant to be absolute, however its scheme is written."""
    return _ANY_SCHEME.match(text) is not None


def is_uuid(uri: str) -> bool:
    return _UUID.fullmatch(uri) is not None


def _is_oid(uri: str) -> bool:
    """Below the top arcs: two short numbers and a third are nobody's, but for those under 1.3."""
    bare = uri.removeprefix("urn:oid:")
    deep = bare.rfind(".") >= 4 or bare.startswith("1.3")
    return deep and _OID.fullmatch(uri) is not None


def is_uri(text: str) -> bool:
    """No blanks; an OID or UUID, where one is promised, must be one, after its urn:."""
    if not text or BLANK.search(text) or text.startswith(("oid:", "uuid:")):
        return False
    if text.startswith("urn:oid:"):
        return _is_oid(text)
    return not text.startswith("urn:uuid:") or is_uuid(text)


def _is_canonical(text: str) -> bool:
    return is_uri(text) and (text[0] == "#" or is_absolute(text))


def _is_code(text: str) -> bool:
    if not BLANK.search(text):
        return bool(text)
    return all(part and not BLANK.search(part) for part in text.split(" "))


def _is_base64(text: str) -> bool:
    """As R4's regex: blanks may stand anywhere between groups, so they do not count."""
    bare = "".join(text.split())
    return len(bare) % 4 == 0 and _BASE64.fullmatch(bare) is not None


def _is_number(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite()
    return not isinstance(value, float) or isfinite(value)


def _between(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: low <= value <= high


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda text: pattern.fullmatch(text) is not None


FORMS: dict[str, Form] = {
    "base64Binary": Form(str, _is_base64, "write base64, padded with ="),
    "boolean": Form(bool, lambda value: True, "write true or false, without quotes"),
    "canonical": Form(str, _is_canonical, "write an absolute URL, or # and a contained id"),
    "code": Form(str, _is_code, "write one code, without blanks around it"),
    "date": Form(str, temporal.is_date, "write a real day as YYYY-MM-DD, or YYYY-MM, or YYYY"),
    "dateTime": Form(
        str,
        temporal.is_date_time,
        "write YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with Z or a zone up to 14:00",
    ),
    "decimal": Form((int, float, Decimal), _is_number, "write a number, without quotes"),
    "id": Form(str, _matches(_ID), "write 1 to 64 letters, digits, dashes and dots"),
    "instant": Form(
        str, temporal.is_instant, "write YYYY-MM-DDThh:mm:ss with Z or a zone up to 14:00"
    ),
    "integer": Form(int, _between(-_LARGEST - 1, _LARGEST), "write a whole number of 32 bits"),
    "markdown": Form(str, bool, "write text, or leave the property out"),
    "oid": Form(str, _is_oid, "write urn:oid: and numbers with dots"),
    "positiveInt": Form(int, _between(1, _LARGEST), "write a whole number from 1"),
    "string": Form(str, bool, "write text, or leave the property out"),
    "time": Form(str, temporal.is_time, "write hh:mm:ss"),
    "unsignedInt": Form(int, _between(0, _LARGEST), "write a whole number from 0"),
    "uri": Form(str, is_uri, "write a URI without blanks"),
    "url": Form(str, is_uri, "write a URL without blanks"),
    "uuid": Form(str, is_uuid, "write urn:uuid: and a UUID in lower case"),
    "xhtml": Form(str, bool, "write one div element of XHTML"),
}


def of_kind(type_name: str, value: Any) -> bool:
    """The JSON kind is right: text, true or false, a number (true is no number)."""
    kind = FORMS[type_name].kind
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def well_formed(type_name: str, value: Any) -> bool:
    """The value, of the right kind, is one of the type."""
    return FORMS[type_name].test(value)
