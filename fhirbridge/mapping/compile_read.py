"""Source of what a codec reads of a usual value, in a generated function.

It leaves the value in `x`, or None there where another reading may have it; or returns None, and
the interpreter looks closer. Whatever is not usual, the codec itself reads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from math import ceil, floor
from typing import Any

from fhirbridge.mapping.codecs import (
    Boolean,
    Codec,
    Date,
    Fault,
    Number,
    NumberWord,
    Quantity,
    Text,
    There,
    YesNo,
)
from fhirbridge.mapping.coded import Code, Grade, OneCoding
from fhirbridge.mapping.compile_place import Unclear
from fhirbridge.mapping.compile_source import Source
from fhirbridge.mapping.crosswalk import Crosswalk, Line
from fhirbridge.mapping.encode import DATA_ABSENT_REASON
from fhirbridge.mapping.referring import Reference
from fhirbridge.study.fields import PRECISIONS, Field

Told = tuple[str, str, str | None]
"""System, code and display of a coding."""
ODD: Any = object()
"""What a reader of codes returns where the interpreter must look closer."""
_SAFE = 10**15


def usual(
    codec: Codec,
    field: Field,
    source: Source,
    *,
    borrowed: Collection[Crosswalk] | None = None,
    key: str = "",
) -> None:
    """From the value `v`, which is there, to `x`, which fits the field. `borrowed`: the place says
    another thing first, by one of these crosswalks. `key`: what `coding_of` said of the place."""
    match codec:
        case Text():
            source.add("if type(v) is not str or not v.strip():", "    return None", "x = v")
            _fit(field, source, done=not field.pattern and not field.many)
        case Date():
            _date(field, source)
        case Number(whole=whole):
            _number(field, source, whole=whole)
        case Quantity():
            _quantity(codec, field, source)
        case NumberWord(whole=whole):
            known = source.constant(f"codec_{field.name}", codec)
            kind = "int" if whole else "Decimal"
            source.add(f"x = {known}.read(v)", f"if type(x) is not {kind}:", "    return None")
            _fit(field, source, done=False)
        case Boolean():
            source.add("if v is not True and v is not False:", "    return None", "x = v")
            _fit(field, source, done=field.type == "boolean")
        case YesNo(yes=yes, no=no):
            source.add("if v is not True and v is not False:", "    return None")
            source.add(f"x = {yes!r} if v else {no!r}")
            _fit(field, source, done=field.type == "choice" and {yes, no} <= set(field.choices))
        case There(word=word):
            source.add(f"x = {word!r}")
            _fit(field, source, done=False)
        case Code() | Grade() | OneCoding():
            _coded(codec, field, source, borrowed=borrowed, key=key)
        case Reference():
            _reference(codec, field, source)
        case _:
            raise Unclear


def _fit(field: Field, source: Source, *, done: bool) -> None:
    """What has a value, as the study wants it; `done`: it can have no other."""
    if not done:
        fits = source.constant(f"fits_{field.name}", field.fits)
        source.add(f"if not {fits}(x):", "    return None")


def _date(field: Field, source: Source) -> None:
    if field.type == "date" and field.precision == "second":
        raise Unclear  # no day is so precise
    least = f"len(v) < {PRECISIONS[field.precision]} or " if field.precision else ""
    real = "(is_day(v) if len(v) == 10 else is_date(v, time=True))"
    source.add(f"if type(v) is not str or {least}not {real}:", "    return None")
    source.add("x = v" if field.type == "datetime" else "x = v[:10]")


def _number(field: Field, source: Source, *, whole: bool) -> None:
    if not whole:
        source.add("x = Decimal(v) if type(v) is int else v")
        source.add("if type(x) is not Decimal or not x.is_finite() or x.adjusted() > 15:")
        source.add("    return None")
        _fit(field, source, done=False)
        return
    low, high = -_SAFE, _SAFE
    if field.range is not None:
        low, high = max(low, ceil(field.range[0])), min(high, floor(field.range[1]))
    source.add(f"if type(v) is not int or not {low} <= v <= {high}:", "    return None", "x = v")
    _fit(field, source, done=field.type == "integer" and not field.only and field.step is None)


def _quantity(codec: Quantity, field: Field, source: Source) -> None:
    spelled = (codec.unit, *sorted(codec.same), "", "1", "{score}")
    units = frozenset(unit for unit in spelled if codec.fits(unit))
    known = source.constant(f"units_{field.name}", units)
    source.add("if type(v) is not dict or 'comparator' in v:", "    return None")
    source.add(f"if (v['code'] if 'code' in v else v.get('unit', '')) not in {known}:")
    source.add("    return None", "v = v.get('value')")
    _number(field, source, whole=codec.whole)


def _coded(
    codec: Code | Grade | OneCoding,
    field: Field,
    source: Source,
    *,
    borrowed: Collection[Crosswalk] | None,
    key: str,
) -> None:
    """`key` is the variable of what `coding_of` says of the value, where it was asked already."""
    code = codec if isinstance(codec, Code) else codec.code
    kind = (id(codec), borrowed is None, *(id(walk) for walk in borrowed or ()))
    name = code.crosswalk.name
    table = source.shared(f"words_{name}", kind, lambda: words(codec, borrowed))
    closer = source.shared(f"closer_{name}", kind, lambda: closely(codec, borrowed))
    if code.bare:
        key = "v"
    elif not key:
        key = "coding_of(v)" if not isinstance(codec, OneCoding) else "coding_of({'coding': [v]})"
    source.add(f"x = {table}.get({key}, ODD)")
    with source.block("if x is ODD:"):
        source.add(f"x = {closer}(v)", "if x is ODD:", "    return None")
    told = {line.target for line in code.crosswalk.forward.values() if line.reads}
    sure = isinstance(codec, Code | OneCoding) and told <= set(field.choices)
    if not (sure and field.type == "choice"):
        with source.block("if x is not None:"):
            _fit(field, source, done=False)


def _reference(codec: Reference, field: Field, source: Source) -> None:
    known = source.constant(f"codec_{field.name}", codec)
    source.add("if type(v) is not dict:", "    return None", "i = v.get('identifier')")
    with source.block(f"if type(i) is dict and i.get('system') == {codec.system!r}:"):
        source.add("x = i.get('value')")
    with source.block("else:"):
        source.add(f"x = {known}.resolve(v, refer)")
    with source.block("if x is not None:"):
        source.add("if type(x) is not str or not x.strip():", "    return None")
        _fit(field, source, done=not field.pattern and not field.many)


# -- codes, at run time


def is_absent(held: Mapping[str, Any]) -> bool:
    """An extension tells why there is no value in the object, or is none."""
    for one in held["extension"]:
        if type(one) is not dict or one.get("url") == DATA_ABSENT_REASON:
            return True
    return False


def coding_of(raw: Any) -> tuple[Any, Any, Any] | None:
    """System, code and display of a concept's one coding; None where it is not so plain."""
    if type(raw) is not dict or "code" in raw or ("extension" in raw and is_absent(raw)):
        return None
    codings = raw.get("coding")
    if type(codings) is not list or len(codings) != 1 or type(codings[0]) is not dict:
        return None
    coding = codings[0]
    return coding.get("system"), coding.get("code"), coding.get("display")


def words(
    codec: Code | Grade | OneCoding, borrowed: Collection[Crosswalk] | None
) -> dict[Any, Any]:
    """What a known code says, by system, code and display as they are usually sent; a bare code by
    itself. `borrowed`: None for what these crosswalks know and its own does not."""
    code = codec if isinstance(codec, Code) else codec.code
    walk, number = code.crosswalk, isinstance(codec, Grade)
    made: dict[Any, Any] = {}
    for other in borrowed or ():
        made |= {told: None for told in plain(other) if walk.find(*told[:2]) is None}
    own = {k: int(line.target) if number else line.target for k, line in plain(walk).items()}
    if code.bare:
        return {sent: word for (system, sent, _), word in own.items() if system == code.system}
    return made | own


def closely(
    codec: Code | Grade | OneCoding, borrowed: Collection[Crosswalk] | None
) -> Callable[[Any], Any]:
    """Reads what is not so plain, as the codec does. What is not known at a borrowed place is
    nobody's fault."""

    def closer(raw: Any) -> Any:
        if type(raw) is dict and "extension" in raw and is_absent(raw):
            return ODD
        told = codec.read(raw)
        if told is None or isinstance(told, str | int):
            return told
        elsewhere = borrowed is not None and isinstance(told, Fault) and told.elsewhere
        return None if elsewhere else ODD

    return closer


def plain(walk: Crosswalk) -> dict[Told, Line]:
    """The lines that read without a remark, by all that is usually sent of a coding."""
    made: dict[Told, Line] = {}
    for key, line in walk.forward.items():
        if line.reads and line.relationship != "deprecated":
            for pair in ((line.system, line.code), key):
                if walk.systems.normal(*pair) == key:
                    made[*pair, None] = made[*pair, line.display] = line
    return made
