"""Units in the cells and headers of tables: exact factors between the units of what the study
measures, and nothing that would need a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

# https://ucum.org/ucum, sections 4.2 and 4.4: all exact. To the first unit of each group.
_GROUPS: tuple[Mapping[str, str], ...] = (
    {"m": "1", "mm": "0.001", "cm": "0.01", "dm": "0.1", "km": "1000", "um": "0.000001",
     "[in_i]": "0.0254", "[ft_i]": "0.3048", "[yd_i]": "0.9144", "[mi_i]": "1609.344"},
    {"L": "1", "mL": "0.001", "dL": "0.1", "cL": "0.01", "l": "1", "ml": "0.001", "dl": "0.1",
     "cl": "0.01", "uL": "0.000001", "cm3": "0.001"},
    {"g": "1", "mg": "0.001", "ug": "0.000001", "kg": "1000"},
    {"min": "1", "h": "60", "d": "1440", "wk": "10080"},
    {"Gy": "1", "cGy": "0.01", "mGy": "0.001"},
    {"mg/d": "1", "g/d": "1000", "ug/d": "0.001"},
)  # fmt: skip
_FACTORS: Mapping[str, tuple[int, Decimal]] = MappingProxyType(
    {unit: (n, Decimal(text)) for n, group in enumerate(_GROUPS) for unit, text in group.items()}
)
_IN_HEADER = re.compile(r"(.*\S)\s*(?:\(([^()]*)\)|\[([^\[\]]*)\])")


def factor(given: str, wanted: str) -> Decimal | None:
    """By what a number in the unit given is multiplied; None where that is not exactly known."""
    if given == wanted:
        return Decimal(1)
    one, other = _FACTORS.get(given), _FACTORS.get(wanted)
    if one is None or other is None or one[0] != other[0]:
        return None
    made = one[1] / other[1]
    return made if made * other[1] == one[1] else None


def converted(number: Decimal, by: Decimal) -> Decimal:
    """With no more digits than the number has, and none lost.

    >>> converted(Decimal("3.50"), Decimal(10)), converted(Decimal("1.5"), Decimal("25.4"))
    (Decimal('35.0'), Decimal('38.1'))
    """
    if by == 1:
        return number
    made = number * by
    places = max(-int(number.as_tuple().exponent), 0)
    shift = by.adjusted() if by == Decimal(1).scaleb(by.adjusted()) else 0
    step = Decimal(1).scaleb(-max(places - shift, 0))
    told = made.quantize(step)
    if told == made:
        return told
    short = made.normalize()
    return short if int(short.as_tuple().exponent) <= 0 else short.quantize(Decimal(1))


def in_header(name: str) -> tuple[str, str]:
    """The name without the unit that stands behind it in brackets, and that unit.

    >>> in_header("size (cm)"), in_header("walk [ft]"), in_header("pain_rest")
    (('size', 'cm'), ('walk', 'ft'), ('pain_rest', ''))
    """
    found = _IN_HEADER.fullmatch(name)
    if found is None:
        return name, ""
    return found[1], (found[2] if found[2] is not None else found[3]).strip()


def known(text: str) -> bool:
    return told(text) in _FACTORS


def told(text: str) -> str:
    """A unit as it was written, with its brackets where UCUM has them: `ft_i` is `[ft_i]`."""
    return text if text in _FACTORS else f"[{text}]" if f"[{text}]" in _FACTORS else text
