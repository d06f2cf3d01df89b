"""Check digits of SNOMED CT and LOINC codes: tell a mistyped code without a terminology server.

A right check digit does not say that the code exists.
"""

from __future__ import annotations

import re

_SCTID = re.compile(r"[1-9][0-9]{5,17}")
_LOINC = re.compile(r"(LA|)([0-9]{1,7})-([0-9])")

# Multiplication in the dihedral group D5, and the permutation by position (SNOMED CT Release File
# Specification, "Check-digit computation").
_TIMES = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_PERMUTED = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)

# LA answer codes: not documented by LOINC; constant over 286 codes seen in HL7's examples.
_ANSWER_OFFSET = {4: 5, 5: 2}


def verhoeff_ok(sctid: str) -> bool:
    """6 to 18 digits, the last of them the Verhoeff check digit.

    >>> verhoeff_ok("94222008"), verhoeff_ok("94222009")
    (True, False)
    """
    if not _SCTID.fullmatch(sctid):
        return False
    state = 0
    for place, digit in enumerate(reversed(sctid)):
        state = int(_TIMES[state][int(_PERMUTED[place % 8][int(digit)])])
    return state == 0


def loinc_ok(code: str) -> bool:
    """A LOINC number, or an LA answer code, whose check digit fits.

    LA codes of a length not seen so far pass, for lack of a known rule.

    >>> loinc_ok("72514-3"), loinc_ok("72514-4"), loinc_ok("LA9622-7"), loinc_ok("LA9622-2")
    (True, False, True, False)
    """
    found = _LOINC.fullmatch(code)
    if not found:
        return False
    answer, number, check = found.groups()
    if not answer:
        return int(check) == _luhn(number)
    offset = _ANSWER_OFFSET.get(len(number))
    return offset is None or int(check) == (_luhn(number) + offset) % 10


def _luhn(number: str) -> int:
    """The Luhn (modulus 10) digit: every second digit from the right doubled."""
    digits = [int(digit) for digit in reversed(number)]
    doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[::2])
    return -(doubled + sum(digits[1::2])) % 10
