"""What an answer may be written in, as the request says: `_format` before `Accept`; JSON alone.

https://hl7.org/fhir/R4/http.html#mime-type
"""

from __future__ import annotations

from flask import Request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from fhirbridge.outcome import BridgeError, Issue

OURS = ("application/fhir+json", "application/json", "application/json+fhir", "text/json")
_VERSIONS = ("4.0", "4.0.1")


def must_take_json(request: Request) -> None:
    """Raise `BridgeError` (not-acceptable, 406) where the client would not read our answer."""
    wanted = request.args.get("_format")
    if wanted is not None:
        must_be_json(wanted)
    elif request.headers.get("Accept") and not _accepts(request.headers["Accept"]):
        cause = "the header Accept names nothing that is spoken here"
        raise BridgeError(Issue("not-acceptable", cause, "accept application/fhir+json"))


def must_be_json(wanted: str) -> None:
    """The value of a `_format`, in which a URL may have made a blank of the plus."""
    if wanted.strip() != "json" and not _accepts(wanted.strip().replace(" ", "+")):
        cause = "only JSON of FHIR R4 is spoken here"
        issue = Issue("not-acceptable", cause, "leave it out", place="search parameter _format")
        raise BridgeError(issue)


def _accepts(given: str) -> bool:
    accepted = parse_accept_header(given, MIMEAccept)
    return any(_is_ours(kind) for kind, quality in accepted if quality > 0)


def _is_ours(kind: str) -> bool:
    name, *parameters = (part.strip() for part in kind.lower().split(";"))
    told = dict(parameter.partition("=")[::2] for parameter in parameters)
    return name in (*OURS, "*/*", "application/*") and (
        told.get("fhirversion", "4.0").strip('"') in _VERSIONS
    )
