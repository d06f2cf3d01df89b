"""Faults and weather as data: `truncate Observation 2`, or the same in a JSON file.

One line is the fault, its argument where it takes one, a part of `METHOD path?query`, which of the
requests that match, and how often: `status=429 GET /fhir/Observation 2 times=3 Retry-After=5`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from flask import Request, Response

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.sandbox.faults import Change, Fault

Json = dict[str, Any]
_FOREVER = 1_000_000
_PAIR = re.compile(r"([A-Za-z-]+)=(\S+)")


def fault(line: str) -> Fault:
    """Raises `BridgeError` for a line that names no fault."""
    name, _, rest = line.strip().partition(" ")
    name, _, argument = name.partition("=")
    words = rest.split()
    named = {m[1]: m[2] for w in words if (m := _PAIR.fullmatch(w)) and "?" not in w}
    plain = [w for w in words if not (_PAIR.fullmatch(w) and "?" not in w)]
    nth = int(plain.pop()) if plain and plain[-1].isdigit() else 1
    times = int(named.pop("times", 1))
    match = " ".join(plain)
    if name == "status":
        return Fault(match, int(argument or 500), named, times=times, skip=nth - 1)
    if name == "cut":
        return Fault(match, times=times, skip=nth - 1)
    if name not in CHANGES:
        cause = f"there is no fault '{name}'"
        remedy = f"use one of {', '.join(['status', 'cut', *CHANGES])}, or weather"
        raise BridgeError(Issue("configuration", cause, remedy, place=line))
    change = CHANGES[name](argument)
    times = _FOREVER if name == "endless" else times
    return Fault(match, change=change, times=times, skip=nth - 1)


def lines(raw: bytes) -> list[str]:
    """The lines of a JSON file: a list of texts, or of objects with the members `fault`,
    `argument`, `match`, `nth`, `times` and `headers`."""
    given = fhir_json.read(raw)
    return [one if isinstance(one, str) else _line(one) for one in given]


def _line(one: Mapping[str, Any]) -> str:
    argument = f"={one['argument']}" if "argument" in one else ""
    more = [f"{name}={value}" for name, value in one.get("headers", {}).items()]
    times = [f"times={one['times']}"] if "times" in one else []
    nth = [str(one["nth"])] if "nth" in one else []
    parts = [f"{one['fault']}{argument}", str(one.get("match", "")), *nth, *times, *more]
    return " ".join(part for part in parts if part)


def _bundle(make: Callable[[Json, Request], Json]) -> Change:
    def change(request: Request, response: Response) -> Response:
        body = fhir_json.parse(response.get_data())
        if body.get("resourceType") == "Bundle":
            response.set_data(fhir_json.dump(make(body, request)))
        return response

    return change


def _truncate(argument: str) -> Change:
    def change(request: Request, response: Response) -> Response:
        raw = response.get_data()
        response.set_data(raw[: int(argument or len(raw) // 2)])
        return response

    return change


def _short(argument: str) -> Change:
    """Fewer bytes than Content-Length says."""

    def change(request: Request, response: Response) -> Response:
        raw = response.get_data()

        class Short(Response):
            automatically_set_content_length = False

        headers = {**response.headers, "Content-Length": str(len(raw))}
        return Short(iter([raw[: len(raw) // 2]]), response.status_code, headers)

    return change


def _html(argument: str) -> Change:
    def change(request: Request, response: Response) -> Response:
        return Response("<html><body>Please log in</body></html>", 200, mimetype="text/html")

    return change


def _stall(argument: str) -> Change:
    def change(request: Request, response: Response) -> Response:
        time.sleep(float(argument or 1))
        return response

    return change


def _twice(argument: str) -> Change:
    return _bundle(
        lambda body, _: {**body, "entry": [*body.get("entry", []), *body.get("entry", [])]}
    )


def _next(body: Json, url: str) -> Json:
    links = [one for one in body.get("link", []) if one["relation"] != "next"]
    return {**body, "link": [*links, {"relation": "next", "url": url}]}


def _loop(argument: str) -> Change:
    return _bundle(lambda body, request: _next(body, request.url))


def _endless(argument: str) -> Change:
    """The same page again and again, each time under a new link."""
    turns = count(1)

    def make(body: Json, request: Request) -> Json:
        url = re.sub(r"&turn=\d+", "", request.url)
        return _next(body, f"{url}{'&' if '?' in url else '?'}turn={next(turns)}")

    return _bundle(make)


def _foreign_next(argument: str) -> Change:
    return _bundle(lambda body, _: _next(body, argument or "http://evil.example.org/fhir?page=2"))


def _outcome(argument: str) -> Change:
    issue = {
        "severity": argument or "warning",
        "code": "suppressed",
        "diagnostics": "additional data may be present",
    }
    remark = {"resourceType": "OperationOutcome", "issue": [issue]}
    entry = {"resource": remark, "search": {"mode": "outcome"}}
    return _bundle(lambda body, _: {**body, "entry": [*body.get("entry", []), entry]})


def _invalid(argument: str) -> Change:
    """So many of the entries have a status that is none."""
    number = int(argument or 1)

    def make(body: Json, _: Request) -> Json:
        entries = [
            {**one, "resource": {**one["resource"], "status": ["none"]}} if at < number else one
            for at, one in enumerate(body.get("entry", []))
        ]
        return {**body, "entry": entries}

    return _bundle(make)


def _unstamped(argument: str) -> Change:
    def bare(resource: Json) -> Json:
        meta = {n: v for n, v in resource.get("meta", {}).items() if n != "lastUpdated"}
        return {**resource, "meta": meta}

    return _bundle(
        lambda body, _: {
            **body,
            "entry": [{**e, "resource": bare(e["resource"])} for e in body.get("entry", [])],
        }
    )


def _without(argument: str) -> Change:
    """Entries that stood on the page are not on it, as when others delete while it is read."""
    number = int(argument or 1)
    return _bundle(lambda body, _: {**body, "entry": body.get("entry", [])[number:]})


CHANGES: Mapping[str, Callable[[str], Change]] = {
    "truncate": _truncate,
    "short": _short,
    "html": _html,
    "stall": _stall,
    "twice": _twice,
    "loop": _loop,
    "endless": _endless,
    "foreign-next": _foreign_next,
    "outcome": _outcome,
    "invalid": _invalid,
    "unstamped": _unstamped,
    "without": _without,
}
