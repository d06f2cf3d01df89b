"""What every request passes on its way in and out: a name, the login, the limits; then one line in
the log and its numbers.

The log tells the route's template, never the path or query that was sent.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from functools import partial
from uuid import uuid4

from flask import Flask, Response, g, request

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.receipts import Receipt
from fhirbridge.web import access, logs, rehearsing, trail
from fhirbridge.web.service import Service
from fhirbridge.web.throttle import Throttled

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# A sender's own name of a request goes into our log: only one that cannot be a patient's number.
_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
_PRINTED = re.compile(r"[!-~]{1,128}")


def install(app: Flask, service: Service, *, open_to_all: frozenset[str]) -> None:
    """`open_to_all` are the endpoints that need no credential."""

    @app.before_request
    def come_in() -> None:
        """Nothing of a request is read before this, its headers aside."""
        g.began = time.monotonic()
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _UUID.fullmatch(given) else str(uuid4())
        if request.endpoint not in open_to_all:
            _let_in(service)
        if "\0" in request.path:  # PostgreSQL knows no text with it
            cause = "the URL holds the character U+0000"
            raise BridgeError(Issue("value", cause, "take the URL from an answer"))

    app.after_request(_go_out(service))


def _let_in(service: Service) -> None:
    headers = request.headers
    authorization, api_key = headers.get("Authorization", ""), headers.get("X-API-Key", "")
    try:
        g.caller = access.caller(service.registry, authorization, api_key)
    except BridgeError as fault:
        if isinstance(fault, access.NotIn) and fault.whose:
            g.turned_away = fault.whose
        if fault.issues[0].category == "login":
            login_failed(service)
        raise
    wait = service.requests.wait(f"{g.caller.site_id} {g.caller.client}")
    if wait:
        raise Throttled("this client sends more requests than are taken of one", wait)
    rehearsing.must_be_a_door(request.endpoint)


def login_failed(service: Service) -> None:
    """Counts it; raises `Throttled` where the address failed too often. Who has a valid credential
    is never counted.
    """
    wait = service.logins.wait(request.remote_addr or "unknown")
    if wait:
        raise Throttled("too many logins failed from this address", wait)


def ingested(receipt: Receipt, *, fresh: bool) -> None:
    """For the line in the log and the numbers; called once a message is committed."""
    g.receipt = receipt
    g.fresh = fresh


def _go_out(service: Service) -> Callable[[Response], Response]:
    def go_out(response: Response) -> Response:
        seconds = time.monotonic() - g.began
        method = request.method if request.method in _METHODS else "other"
        route = request.url_rule.rule if request.url_rule else "none"
        receipt: Receipt | None = g.get("receipt")
        service.metrics.answered(method, route, response.status_code, seconds)
        if receipt is not None and g.fresh:
            service.metrics.ingested(receipt.state, receipt.counts)
        _name(response)
        if "turned_away" in g:
            response.call_on_close(
                partial(trail.refused, service.registry, g.turned_away, g.request_id)
            )
        level = logging.ERROR if response.status_code >= 500 else logging.INFO
        caller: access.Caller | None = g.get("caller")
        values = {
            "request": g.request_id,
            "method": method,
            "route": route,
            "status": response.status_code,
            "duration_ms": round(seconds * 1000, 1),
            "site": caller.site_id if caller else None,
            "client": caller.client if caller else None,
            "category": g.get("category"),
            "receipt": receipt.id if receipt else None,
            "message": receipt.message_id if receipt else None,
            "counts": dict(receipt.counts) if receipt else None,
        }
        logs.tell(level, "request", **{k: v for k, v in values.items() if v is not None})
        return response

    return go_out


def _name(response: Response) -> None:
    """https://hl7.org/fhir/R4/http.html#custom: ours, and the sender's where it is another."""
    response.headers["X-Request-Id"] = g.request_id
    rehearsing.mark(response)
    given = request.headers.get("X-Request-Id", "")
    if given != g.request_id and _PRINTED.fullmatch(given):
        response.headers["X-Correlation-Id"] = given
