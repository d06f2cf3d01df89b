"""The pushing half of the FHIR door (R4 JSON): Bundles and resources in.

https://hl7.org/fhir/R4/http.html. What was pushed is kept as a message, and answered as a record.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, request

from fhirbridge.fhir import messaging
from fhirbridge.outcome import BridgeError, Issue, operation_outcome
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.sync.answers import Answer, Facts, by_entry, issues_of
from fhirbridge.web import (
    access,
    bodies,
    rehearsing,
    searching,
    served,
    speaking,
    taking,
    validating,
)
from fhirbridge.web.errors import answer
from fhirbridge.web.taking import WRITES, Taken

door = Blueprint("fhir_push", __name__, url_prefix="/fhir")

_TAKEN = ("applied", "unchanged")
_CONDITIONS = {
    "If-None-Exist": "ifNoneExist",
    "If-Match": "ifMatch",
    "If-None-Match": "ifNoneMatch",
}
_RETURNS = {word.lower(): word for word in ("minimal", "representation", "OperationOutcome")}


@door.before_request
def must_take_json() -> None:
    """Before anything is stored: who cannot read the answer would not know that it was."""
    speaking.must_take_json(request)


@door.post("/")
@door.post("", strict_slashes=False)
def take_bundle() -> Response:
    """A Bundle, worked off before the answer."""
    return _take_bundle("push/Bundle")


def _take_bundle(kind: str, *also: str) -> Response:
    _some_write()
    _only(*also)
    for name in _CONDITIONS:
        if name in request.headers:
            cause = f"{name} does not belong to a Bundle"
            raise BridgeError(Issue("not-supported", cause, "write it into the entry's request"))
    taken = taking.take(kind)
    if messaging.header_of(taken.made):
        return _answer_message(taken)
    taken.accepted()
    entries = _response_entries(taken)
    made = {"resourceType": "Bundle", "type": f"{taken.made['type']}-response"}
    return answer({**made, "entry": entries} if entries else made, **taken.headers)


@door.post("/$process-message")
def process_message() -> Response:
    """Answered when all is done: who asks for less, or for the answer elsewhere, is not heard."""
    if request.args.get("async", "false") != "false":
        cause = "messages are answered at once"
        raise BridgeError(Issue("not-supported", cause, "leave async out", place="async"))
    return _take_bundle("message/Bundle", "async")


@door.post("/<type>")
def create(type: str) -> Response:
    """One resource, also if none exists; or a Bundle, which some clients post to /Bundle."""
    if type == "Bundle":
        return take_bundle()
    _may_push(type)
    # fhirpy's get_or_create (2.3, November 2026) sends it in the URL, as Aidbox takes it.
    asked = {"method": "POST", "url": type, **_conditions()}
    asked.setdefault("ifNoneExist", _query())
    return _answer_single(taking.take(f"push/{type}", asked).accepted())


@door.put("/<type>/<id>")
def update(type: str, id: str) -> Response:
    """The sender's resource in its present state; `id` is ours, or the sender's own."""
    _may_push(type)
    _only()
    asked = {"method": "PUT", "url": f"{type}/{id}", **_conditions()}
    return _answer_single(taking.take(f"put/{type}", asked).accepted())


@door.put("/<type>")
def update_by_condition(type: str) -> Response:
    _may_push(type)
    asked = {"method": "PUT", "url": f"{type}?{_query()}", **_conditions()}
    return _answer_single(taking.take(f"put/{type}", asked).accepted())


@door.post("/$validate")
@door.post("/<type>/$validate")
@door.post("/<type>/<id>/$validate")
def validate(type: str = "Bundle", id: str = "") -> Response:
    """What a push of the body would do: the same way in, rolled back."""
    if type == "Bundle":
        _some_write()
    else:
        _may_push(type)
    method = "PUT" if id else "POST"
    asked = {"method": method, "url": f"{type}/{id}" if id else type}
    _only("mode", "profile")
    try:
        body, own = validating.unwrapped(bodies.read_body(request), request.args)
        receipt = taking.rehearse(f"{'put' if id else 'push'}/{type}", asked, body)
    except BridgeError as fault:
        if fault.policy.status in (400, 409, 412, 422):  # of what was sent
            return answer(operation_outcome(fault.issues))
        raise
    issues = receipt.issues or [i for facts in by_entry(receipt.entries) for i in _would(facts)]
    return answer(operation_outcome([*own, *(one for one in issues if one not in own)]))


def _header(name: str) -> str:
    return request.headers.get(name, "")


def _conditions() -> dict[str, str]:
    """What the headers ask, as an entry's request says it; one without a word is none, and must not
    be passed over."""
    given = {name: request.headers[name] for name in _CONDITIONS if name in request.headers}
    for name, text in given.items():
        if not text.strip():
            raise BridgeError(Issue("value", f"{name} is empty", "leave it out, or say it"))
    return {_CONDITIONS[name]: text for name, text in given.items()}


def _only(*known: str) -> None:
    """Parameters that nothing here reads are refused: nobody may think that they were heard."""
    for name in request.args:
        if name not in (*known, "_format"):
            raise searching.refused(name, "it is not read here", "leave it out")


def _query() -> str:
    """The URL's parameters; one that asks for the answer's form is none of the condition."""
    given = request.query_string.decode("utf-8", "replace").split("&")
    return "&".join(part for part in given if part.partition("=")[0] != "_format")


def _some_write() -> None:
    if not g.caller.scopes.allow_somewhere(WRITES):
        raise access.forbidden(f"system/TYPE.{WRITES} of any type")


def _may_push(type: str) -> None:
    """What the mappings read may be sent, also where it is never served by itself."""
    g.caller.must(WRITES, type)
    if not served.service().library.of_site(g.caller.site_name).reads(type):
        served.must_hold(type)


def _preferred() -> str:
    """What the sender wants back: one word of `Prefer: return=` (RFC 7240), or nothing."""
    words = [word.partition("=") for word in _header("Prefer").replace(";", ",").split(",")]
    wanted = [value.strip(' "').lower() for name, _, value in words if _is_return(name)]
    return _RETURNS.get(wanted[0], "") if wanted else ""


def _is_return(name: str) -> bool:
    return name.strip().lower() == "return"


def _answer_single(taken: Taken) -> Response:
    facts = tuple(taken.receipt.entries)
    told = Answer.read(facts[0].answer)
    if g.caller.rehearsal:
        return answer(operation_outcome(rehearsing.of_receipt(taken.receipt)), told.status)
    row, body = _represented([told.location]).get(told.location, (None, {}))
    headers = taken.headers
    whole = facts[0].fate in _TAKEN and told.status < 202
    status = told.status
    if not taken.fresh and status == 201 and not _header("Idempotency-Key"):
        status = 200  # it was there
    wanted = _preferred()
    if row is None or row.deleted or not whole:
        return answer(operation_outcome(issues_of(facts)), status, **headers)
    headers |= served.versioned(row)
    if wanted == "minimal":
        return answer(None, status, **headers)
    if wanted == "OperationOutcome" or not g.caller.scopes.allow(row.type, "r"):
        body = operation_outcome(issues_of(facts))  # the resource may hold more than was sent
    return answer(body, status, **headers)


def _represented(locations: list[str]) -> dict[str, tuple[ResourceRow, dict[str, Any]]]:
    """The resources at these locations as they are served now."""
    found: dict[str, tuple[ResourceRow, dict[str, Any]]] = {}
    if not any(locations):
        return found
    with served.service().registry.read(g.caller.site_id) as unit:
        for location in filter(None, locations):
            type, id = location.split("/")[:2]
            row = unit.resources.get(type, id)
            if row is not None:
                found[location] = row, dict(served.body(unit, row))
    return found


def _response_entries(taken: Taken) -> list[dict[str, Any]]:
    wanted = _preferred()
    grouped = by_entry(taken.receipt.entries)
    answers = [Answer.read(facts[0].answer) for facts in grouped]
    asked = [a.location for a in answers] if wanted == "representation" else []
    bodies = _represented([at for at in asked if g.caller.scopes.allow(at.split("/")[0], "r")])
    made = []
    for told, facts in zip(answers, grouped, strict=True):
        always = wanted == "OperationOutcome"
        entry = {"response": _response(told, facts, always=always)}
        held = bodies.get(told.location)
        made.append({"resource": held[1], **entry} if held and not held[0].deleted else entry)
    return made


def _response(told: Answer, facts: Facts, *, always: bool) -> dict[str, Any]:
    issues = rehearsing.told(facts) if g.caller.rehearsal else issues_of(facts)
    made: dict[str, Any] = {"status": told.line}
    if told.location:
        made |= {"location": told.location, "etag": told.etag, "lastModified": told.last_modified}
    if issues or always:
        made["outcome"] = operation_outcome(issues)
    return made


def _answer_message(taken: Taken) -> Response:
    receipt = taken.receipt
    told = [issue for facts in by_entry(receipt.entries) for issue in issues_of(facts)]
    if g.caller.rehearsal:
        told = rehearsing.of_receipt(receipt)
    made = messaging.response(
        taken.made,
        id=receipt.id,
        endpoint=served.base(),
        code="fatal-error" if receipt.issues else "ok",
        outcome=operation_outcome(list(receipt.issues) or told),
        at=receipt.created_at.isoformat().replace("+00:00", "Z"),
    )
    status = receipt.issues[0].policy.status if receipt.issues else 200
    return answer(made, status, **taken.headers)


def _would(facts: Facts) -> list[Issue]:
    """What a rehearsal says of an entry: what it would do, and why not more."""
    told, first = Answer.read(facts[0].answer), facts[0]
    of = f"{told.location.split('/_history')[0]} " if told.location and told.status != 201 else ""
    would = {
        "applied": "would be created" if told.status == 201 else f"{of}would change".strip(),
        "unchanged": f"{of}would stay as it is".strip(),
        "superseded": "would change nothing: a newer version was read before",
        "quarantined": "would wait in quarantine",
        "refused": "would be refused",
    }[first.fate]
    cause = f"entry {first.position} ({first.resource_type}): {would}"
    return [Issue("business-rule", cause, severity="information"), *issues_of(facts)]
