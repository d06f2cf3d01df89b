"""Source of what a codec writes of a value, and of what it reads: the codes of a crosswalk as
literals.
"""

from __future__ import annotations

from fhirbridge.mapping.codecs import (
    UCUM,
    Boolean,
    Codec,
    Codings,
    Date,
    Ids,
    Number,
    NumberWord,
    Quantity,
    Text,
    YesNo,
)
from fhirbridge.mapping.coded import Code, Grade, OneCoding
from fhirbridge.mapping.compile_source import Source
from fhirbridge.mapping.compile_write import Given
from fhirbridge.mapping.referring import Reference

_CONCEPT = frozenset({"coding", "text"})
_CODING = frozenset({"system", "code", "display", "userSelected"})


def written(codec: Codec, value: str, source: Source) -> Given | None:
    """Source of `codec.write(value)`, new each time; None for a codec that is not known here."""
    match codec:
        case Text() | Date() | Number() | Boolean():
            return Given(value)
        case NumberWord():
            return Given(f"str({value})")
        case YesNo(yes=yes):
            return Given(f"{value} == {yes!r}")
        case Quantity(unit=unit):
            text = f"'value': {value}, 'unit': {unit!r}, 'system': {UCUM!r}, 'code': {unit!r}"
            return Given(f"{{{text}}}", frozenset({"value", "unit", "system", "code"}))
        case Reference(resource=kind, system=system):
            key = f"'identifier': {{'system': {system!r}, 'value': {value}}}"
            return Given(f"{{'type': {kind!r}, {key}}}", frozenset({"type", "identifier"}))
        case Code(bare=True):
            return Given(f"{_words(codec, source)}[{value}]")
        case Code():
            return Given(f"{_words(codec, source)}[{value}]()", _CONCEPT)
        case Grade(code=code):
            return Given(f"{_words(code, source)}[str({value})]()", _CONCEPT)
        case OneCoding():
            return Given(f"{_words(codec, source)}[{value}]()", _CODING)
    return None


def written_each(codec: Codec) -> Given | None:
    """Source of one item of what is written of a list of identifiers or codes."""
    names = {Ids: "value", Codings: "code"}
    name = names.get(type(codec))
    if name is None:
        return None
    return Given(f"{{'system': i.system, {name!r}: i.value}}", frozenset({"system", name}))


def _words(codec: Code | OneCoding, source: Source) -> str:
    """The name of the table of what is written for each word of the crosswalk."""
    code = codec.code if isinstance(codec, OneCoding) else codec
    walk = code.crosswalk
    marks = (type(codec), code.bare, code.derived, id(walk))
    texts = {word: repr(codec.write(word)) for word in walk.back}
    if not code.bare:
        texts = {word: f"lambda: {text}" for word, text in texts.items()}
    return source.table(walk.name, marks, texts)
