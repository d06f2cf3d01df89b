"""Damage to primitive values: https://hl7.org/fhir/R4/datatypes.html, and base64, ids and URIs."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from bench.damage.mutant import Kind, nulled, replaced
from bench.damage.source import Place
from fhirbridge.fhir import definitions

_DATES = ("date", "dateTime", "instant")
_NUMBERS = ("integer", "positiveInt", "unsignedInt", "decimal")
_WHOLE = ("integer", "positiveInt", "unsignedInt")
_TEXTS = ("string", "markdown", "code", "uri", "url", "canonical", "id", *_DATES, "time")


def of(*types: str) -> Callable[[Place], bool]:
    return lambda place: place.type in types


def primitive(place: Place) -> bool:
    return definitions.primitive(place.type)


def complex_(place: Place) -> bool:
    return isinstance(place.value, dict)


def _timed(old: str) -> str | None:
    return old if "T" in old else None


def _zoneless(old: str) -> str | None:
    return old.split("T")[0] + "T10:00:00" if "T" in old else None


def _seconds_gone(old: str) -> str | None:
    return old.split("T")[0] + "T10:00Z" if "T" in old else None


def _day(old: str) -> str | None:
    return old[:10] if "T" in old else None


def _local(old: str) -> str | None:
    year, *rest = old[:10].split("-")
    return ".".join((*reversed(rest), year)) if rest else None


def _one_digit(old: str) -> str | None:
    return old[:10].replace("-0", "-") if "-0" in old[:10] else None


def _compact(old: str) -> str | None:
    return old[:10].replace("-", "") if "-" in old else None


def _as_text(old: Any) -> Any:
    if isinstance(old, bool):
        return "true" if old else "false"
    return str(old) if isinstance(old, (int, Decimal)) else None


def _as_number(old: Any) -> Any:
    return 5 if isinstance(old, str) else None


def _as_boolean(old: Any) -> Any:
    return None if isinstance(old, bool) else True


def _outer(blank: str) -> Callable[[str], str]:
    return lambda old: old + blank


def _inside(text: str) -> Callable[[str], str]:
    return lambda old: old[: len(old) // 2] + text + old[len(old) // 2 :]


def _hash_wrong(old: dict[str, Any]) -> Any:
    return {**old, "hash": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="} if "data" in old else None


def _size_wrong(old: dict[str, Any]) -> Any:
    return {**old, "size": 7} if "data" in old else None


KINDS: tuple[Kind, ...] = (
    # -- the kind of JSON value
    nulled("null instead of a value", "structural", lambda place: not place.in_list),
    nulled("null in a list", "structural", lambda place: place.in_list),
    replaced("text instead of an object", "structural", complex_, "a text"),
    replaced("number instead of an object", "structural", complex_, 5),
    replaced("array around an object", "structural", lambda p: complex_(p), lambda old: [old]),
    replaced("object instead of a value", "structural", primitive, {"value": "x"}),
    replaced("array around a value", "structural", primitive, lambda old: [old]),
    replaced(
        "list without its brackets",
        "structural",
        lambda p: isinstance(p.value, list),
        lambda old: old[0],
        slots=True,
    ),
    replaced("number or boolean as text", "structural", of(*_NUMBERS, "boolean"), _as_text),
    replaced("number instead of a text", "structural", of(*_TEXTS), _as_number),
    replaced("boolean instead of a value", "structural", primitive, _as_boolean),
    # -- emptiness
    replaced("empty array", "structural", lambda p: p.element.is_list, [], slots=True),
    replaced("empty array for a single value", "structural", primitive, []),
    replaced("empty object", "structural", complex_, {}),
    replaced("empty text", "structural", of(*_TEXTS), ""),
    replaced("blank text", "structural", of(*_TEXTS), "   "),
    replaced("object with an id alone", "structural", complex_, {"id": "x"}),
    # -- dates and times
    replaced("no such day", "structural", of(*_DATES), "2021-02-30", "2023-02-29"),
    replaced("no such month", "structural", of(*_DATES), "2021-13", "2021-00-10"),
    replaced("date in local format", "structural", of(*_DATES), _local),
    replaced("date of one digit", "structural", of(*_DATES), _one_digit),
    replaced("date without hyphens", "structural", of(*_DATES), _compact),
    replaced("time without zone", "structural", of(*_DATES), _zoneless),
    replaced("time without seconds", "structural", of(*_DATES), _seconds_gone),
    replaced("zone beyond 14:00", "structural", of("dateTime", "instant"),
             "2021-02-03T10:00:00+14:30", "2021-02-03T10:00:00-15:00"),
    replaced("hour 24", "structural", of("dateTime", "instant"), "2021-02-03T24:00:00Z"),
    replaced("minute 60", "structural", of("dateTime", "instant"), "2021-02-03T10:60:00Z"),
    replaced("lower-case t and z", "structural", of("dateTime", "instant"), "2021-02-03t10:00:00z"),
    replaced("blank between date and time", "structural", of("dateTime", "instant"),
             "2021-02-03 10:00:00Z"),
    replaced("time on a date", "structural", of("date"), "2021-02-03T10:00:00Z"),
    replaced("instant without time", "structural", of("instant"), _day, "2021"),
    replaced("year far off", "structural", of(*_DATES), "0021", "2999-01-01", "0000"),
    replaced("word as a date", "structural", of(*_DATES), "yesterday", "2021-W05", "202"),
    replaced("time out of format", "structural", of("time"), "10:00", "25:00:00", "10:00:00Z"),
    # -- numbers
    replaced("fraction for an integer", "structural", of(*_WHOLE), Decimal("1.5")),
    replaced("whole number with a fraction of zero", "structural", of(*_WHOLE), Decimal("1.0")),
    replaced("integer beyond 32 bits", "structural", of(*_WHOLE), 2**31, 2**40),
    replaced("zero or less for a positive", "structural", of("positiveInt"), 0, -1),
    replaced("less than zero for an unsigned", "structural", of("unsignedInt"), -1),
    replaced("word as a boolean", "structural", of("boolean"), "yes", "True", 1),
    # -- ids, codes, texts
    replaced("id of wrong characters", "structural", of("id"), "a b", "a_b", "ä", "a/b"),
    replaced("id too long", "structural", of("id"), "a" * 65),
    replaced("code with outer blanks", "structural", of("code"), _outer(" "), _outer("\t")),
    replaced("code with a doubled blank", "structural", of("code"), _inside("  ")),
    replaced("uri with a blank", "structural", of("uri", "url", "canonical"), _inside(" "),
             _outer(" ")),
    replaced("text with outer blanks", "structural", of("string", "markdown"), _outer(" ")),
    replaced("text with a control character", "structural", of("string", "markdown"),
             _inside("\u0001"), _inside("\u0000")),
    replaced("text with line ends", "structural", of("string"), _inside("\n"), _inside("\t")),
    # -- URIs
    replaced("OID malformed", "structural", of("uri", "canonical", "oid"), "urn:oid:1.x.3",
             "urn:oid:", "urn:oid:01.2"),
    replaced("OID of a short root", "structural", of("uri", "oid"), "urn:oid:1.2.3"),
    replaced("UUID malformed", "structural", of("uri", "uuid"), "urn:uuid:1234",
             "urn:uuid:C757873D-EC9A-4326-A141-556F43239520"),
    replaced("canonical is relative", "structural", of("canonical"), "Questionnaire/x", "x"),
    replaced("system is relative", "structural",
             lambda p: p.path[-1] == "system" and p.type == "uri",
             "local", "Coding/x", "snomed.info/sct"),
    replaced("url is relative", "structural", of("url"), "local", "a/b"),
    # -- base64 and attachments
    replaced("base64 with a blank", "structural", of("base64Binary"), _inside(" ")),
    replaced("base64 malformed", "structural", of("base64Binary"), "aGVsbG8", "a%Gb", "====",
             "a"),
    replaced("hash does not fit the data", "structural", of("Attachment"), _hash_wrong),
    replaced("size does not fit the data", "structural", of("Attachment"), _size_wrong),
)  # fmt: skip
