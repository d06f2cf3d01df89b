"""Check digits, against codes seen in HL7's examples and their misprints."""

from __future__ import annotations

import pytest

from fhirbridge.fhir.terminology import loinc_ok, verhoeff_ok


@pytest.mark.parametrize(
    "code", ["94222008", "128462008", "363346000", "73211009", "900000000000207008"]
)
def test_snomed_codes_with_a_right_check_digit(code: str) -> None:
    assert verhoeff_ok(code)


def test_every_wrong_last_digit_and_every_swap_of_a_snomed_code_is_found() -> None:
    code = "94222008"
    wrong = [code[:-1] + digit for digit in "0123456789" if digit != code[-1]]
    swaps = [code[:i] + code[i + 1] + code[i] + code[i + 2 :] for i in range(len(code) - 1)]
    assert not any(verhoeff_ok(one) for one in wrong)
    assert not any(verhoeff_ok(one) for one in swaps if one != code)


@pytest.mark.parametrize("text", ["", "12345", "094222008", "9422200x", "٩٤٢٢٢٠٠٨", "1" * 19])
def test_what_is_no_snomed_identifier_is_refused(text: str) -> None:
    assert not verhoeff_ok(text)


@pytest.mark.parametrize(
    "code", ["72514-3", "89243-0", "8867-4", "85354-9", "LA9622-7", "LA29176-7", "LA6-8"]
)
def test_loinc_codes_with_a_right_check_digit(code: str) -> None:
    assert loinc_ok(code)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("72514-4", "wrong digit"),
        ("75214-3", "swapped digits"),
        ("LA9622-2", "answer with the plain digit, seen in a published map"),
        ("LA9623-0", "the same"),
        ("72514", "no check digit"),
        ("72514-3 ", "blank"),
        ("LP72514-3", "part number"),
        ("", "nothing"),
    ],
)
def test_mistyped_loinc_codes_are_refused(code: str, reason: str) -> None:
    assert not loinc_ok(code)
