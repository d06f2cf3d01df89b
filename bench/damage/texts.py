"""Damage to the JSON text itself: what a parser may let pass although JSON forbids it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from bench.damage.mutant import Harm, Kind, Pool
from bench.damage.source import Source
from fhirbridge.formats import fhir_json

_MEMBER = re.compile(r'[{,]"(?P<name>\w+)":(?P<value>"[^"\\]*"|-?\d[\d.eE+-]*|true|false)')
_NUMBER = re.compile(r'(?<=[":\[,])(?P<number>-?\d[\d.]*)(?=[,}\]])')
_END = re.compile(r"[}\]]")


def _each(
    name: str, pattern: re.Pattern[str], change: Callable[[re.Match[str]], str | None]
) -> Kind:
    """The kind that rewrites each match outside of texts by `change`."""

    def harm(source: Source, _: Pool) -> Iterator[Harm]:
        text = fhir_json.dump(source.resource).decode()
        quoted = _quoted(text)
        for found in pattern.finditer(text):
            if any(start < found.start() < end for start, end in quoted):
                continue
            new = change(found)
            if new is not None:
                made = text[: found.start()] + new + text[found.end() :]
                yield (f"character {found.start()}",), made.encode()

    return Kind(name, "structural", harm)


def _whole(name: str, *changes: Callable[[str], str]) -> Kind:
    def harm(source: Source, _: Pool) -> Iterator[Harm]:
        text = fhir_json.dump(source.resource).decode()
        for number, change in enumerate(changes):
            yield (f"text, way {number}",), change(text).encode()

    return Kind(name, "structural", harm)


def _quoted(text: str) -> list[tuple[int, int]]:
    return [found.span() for found in re.finditer(r'"(?:[^"\\]|\\.)*"', text)]


def _leading_zero(found: re.Match[str]) -> str:
    number = found["number"]
    return f"-0{number[1:]}" if number[0] == "-" else f"0{number}"


def _twice(found: re.Match[str]) -> str:
    return f'{found[0]},"{found["name"]}":{found["value"]}'


def _twice_otherwise(found: re.Match[str]) -> str:
    return f'{found[0]},"{found["name"]}":{json.dumps("other")}'


KINDS: tuple[Kind, ...] = (
    _each("property given twice", _MEMBER, _twice),
    _each("property given twice, other value", _MEMBER, _twice_otherwise),
    _each("trailing comma", _END, lambda found: "," + found[0]),
    _each("number with a leading zero", _NUMBER, _leading_zero),
    _each("number with a plus sign", _NUMBER, lambda found: "+" + found[0]),
    _each("number that ends with a point", _NUMBER,
          lambda found: found[0] + "." if "." not in found[0] else None),
    _each("NaN for a number", _NUMBER, lambda found: "NaN"),
    _each("comma missing", re.compile(r',(?=")'), lambda found: " "),
    _each("comment", _END, lambda found: "/* x */" + found[0]),
    _each("line end inside a text", re.compile(r':"'), lambda found: ':"\n'),
    _each("single quotes", re.compile(r'"(\w+)":'), lambda found: f"'{found[1]}':"),
    _each("name without quotes", re.compile(r'"(\w+)":'), lambda found: f"{found[1]}:"),
    _whole("text after the end", lambda t: t + "x", lambda t: t + "{}", lambda t: t + "]",
           lambda t: t + ","),
    _whole("end missing", lambda t: t[:-1], lambda t: t[: len(t) // 2], lambda t: t[:-2]),
    _whole("no object", lambda t: f"[{t}]", lambda t: json.dumps(t), lambda t: "null",
           lambda t: ""),
)  # fmt: skip
