"""The one place where an error becomes an answer: an OperationOutcome with the category's status,
or below `/api` the same issues as plain JSON.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue, operation_outcome
from fhirbridge.web import logs, trail
from fhirbridge.web.issues import IssuesSchema
from fhirbridge.web.throttle import Throttled

FHIR_JSON = "application/fhir+json; charset=utf-8"
_CATEGORIES = {
    400: "structure",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "method",
    413: "too-long",
    415: "media-type",
}


_ISSUES = IssuesSchema()


def answer(body: Any, status: int = 200, /, **headers: str) -> Response:
    """FHIR JSON, or None for no body; header names are written with underscores."""
    raw = b"" if body is None else fhir_json.dump(body)
    made = Response(raw, status, content_type=FHIR_JSON)
    for name, value in headers.items():
        made.headers[name.replace("_", "-")] = value
    return made


def refusal(issues: Sequence[Issue], status: int) -> Response:
    """An OperationOutcome; below `/api` the same as plain JSON."""
    g.category = issues[0].category
    if not request.path.startswith("/api/"):
        return answer(operation_outcome(issues), status)
    body = fhir_json.dump(_ISSUES.dump({"issues": issues}))
    return Response(body, status, content_type="application/json")


def install(app: Flask) -> None:
    app.register_error_handler(BridgeError, failure)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def failure(fault: BridgeError) -> Response:
    fault = _told(fault)
    status = fault.policy.status
    made = refusal(fault.issues, status)
    if status == 401:
        made.headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        made.headers["Retry-After"] = "5"
    if isinstance(fault, Throttled):
        made.headers["Retry-After"] = str(fault.seconds)
    receipt = g.get("receipt_id")
    if receipt:
        made.headers["X-Receipt"] = receipt
    return made


def _told(fault: BridgeError) -> BridgeError:
    """The fault, once the audit trail has it; where it cannot be told there, that is the answer."""
    if fault.policy.status == 403:
        try:
            trail.forbidden()
        except BridgeError as worse:
            return worse
    return fault


def _http_error(fault: HTTPException) -> Response:
    status = fault.code or 500
    category = _CATEGORIES.get(status, "exception" if status >= 500 else "not-supported")
    told = fault.description or fault.name, "see /fhir/metadata"
    if isinstance(fault, RequestEntityTooLarge):
        told = f"the body is longer than {request.max_content_length} bytes", "divide it"
    made = refusal([Issue(category, *told)], status)
    for name, value in fault.get_headers():
        if name.lower() == "allow":
            made.headers[name] = value
    return made


def _unexpected(fault: Exception) -> Response:
    log_unexpected(fault)
    issue = Issue("exception", "fhirbridge failed here", "send it again; tell us if it stays so")
    return refusal([issue], 500)


def log_unexpected(fault: Exception) -> None:
    """A defect of ours: named by its type in the log, for its text may hold a patient's data."""
    frames = []
    trace = fault.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}")
        trace = trace.tb_next
    place = " < ".join(reversed(frames[-6:]))
    logs.tell(logging.ERROR, "unexpected", kind=type(fault).__name__, place=place)
