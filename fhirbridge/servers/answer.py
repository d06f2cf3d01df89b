"""What a FHIR server answered, read as R4 JSON (https://hl7.org/fhir/R4/http.html).

Refuses redirects, refused credentials, and a success whose body is no FHIR resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.formats import fhir_json, judged_json
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.servers.origin import origin
from fhirbridge.servers.wire import Lost, Reply

_LONGEST_TEXT = 500
_VERSION = re.compile(r'(?:W/)?"?([A-Za-z0-9.-]{1,64})"?')
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")


class Redirected(BridgeError):
    """A redirect, which is not followed; `location` is where it leads, for a caller who can judge
    that."""

    def __init__(self, issue: Issue, location: str) -> None:
        super().__init__(issue)
        self.location = location


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `body` is None where there was none (204) or an error came without JSON."""

    status: int
    body: dict[str, Any] | None = field(repr=False)
    raw: bytes = field(repr=False)
    etag: str
    location: str
    url: str = field(repr=False)  # with the query: not for logs
    headers: Mapping[str, str] = field(repr=False)

    @property
    def version(self) -> str:
        """Of the ETag (`W/"3"`, also without W/ or quotes), else of `meta`, else empty."""
        if found := _VERSION.fullmatch(self.etag):
            return found[1]
        meta = (self.body or {}).get("meta")
        version = meta.get("versionId") if isinstance(meta, dict) else None
        return version if isinstance(version, str) else ""


def read(reply: Reply, *, body_needed: bool) -> Answer:
    """`body_needed`: an empty success is refused, as for any read.

    Raises `Lost` for JSON that does not parse, a truncated body most often, and `BridgeError`
    (remote) for what trying again cannot mend.
    """
    server = origin(reply.url).server
    _refuse_status(reply, server)
    if reply.status >= 400:
        body = _body_of_error(reply.raw)
    elif reply.raw.strip():
        body = _resource(reply, server)
    elif body_needed:
        raise _remote(f"the server answered {reply.status} without a body", server)
    else:
        body = None
    return Answer(
        status=reply.status,
        body=body,
        raw=reply.raw,
        etag=reply.headers.get("ETag", ""),
        location=reply.headers.get("Location", ""),
        url=reply.url,
        headers=reply.headers,
    )


def _refuse_status(reply: Reply, server: str) -> None:
    if 300 <= reply.status < 400:
        cause = f"the server answered {reply.status}, a redirect{_target(reply)}"
        told = _remote(cause, server, "set the connection's URL to the FHIR server itself")
        raise Redirected(told.issues[0], reply.headers.get("Location", ""))
    if reply.status in (401, 403):
        cause = f"the server answered {reply.status}: it does not accept who we are"
        raise _remote(cause, server, "check the connection's credentials and scopes")
    if reply.status < 200:
        raise _remote(f"the server answered {reply.status}", server)


def _target(reply: Reply) -> str:
    """Where a redirect leads, as far as it can be told without a query string."""
    try:
        there = origin(reply.headers.get("Location", ""), category="remote")
    except BridgeError:  # relative, missing or unreadable: the status alone must do
        return ""
    return f" to {there.scheme}://{there.server}"


def _resource(reply: Reply, server: str) -> dict[str, Any]:
    kind = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    is_json = "json" in kind or reply.raw.lstrip()[:1] == b"{"
    if "html" in kind or not is_json:
        told = kind if re.fullmatch(r"[a-z]+/[a-z0-9.+-]+", kind) else "an unknown kind"
        raise _remote(f"the server answered {reply.status} with {told}, no FHIR JSON", server)
    try:
        body = judged_json.parse(reply.raw)
    except BridgeError as fault:
        found = fault.issues[0]
        cause = f"the server's answer is truncated or no JSON ({found.place or found.category})"
        raise Lost(
            Issue("remote", cause, "try later; look for a proxy that cuts answers", place=server)
        ) from None
    if not (isinstance(body.get("resourceType"), str) and _TYPE.fullmatch(body["resourceType"])):
        raise _remote("the server answered JSON that is no FHIR resource", server)
    return body


def _body_of_error(raw: bytes) -> dict[str, Any] | None:
    """Errors come as HTML or text from every proxy: then the status alone speaks."""
    try:
        return fhir_json.parse(raw)
    except BridgeError:
        return None


def _remote(
    cause: str, server: str, remedy: str = "check that the connection's URL is a FHIR R4 server"
) -> BridgeError:
    return BridgeError(Issue("remote", cause, remedy, place=server))


def outcome_text(answer: Answer) -> str:
    """What an OperationOutcome says, on one line, for display to staff of the site.

    Never for logs or error texts: servers quote the patient's own values in it.
    """
    text = "; ".join(part for issue in _issues(answer) for part in _words(issue))
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"


def outcome_codes(answer: Answer) -> tuple[str, ...]:
    """The FHIR issue codes of an OperationOutcome, which are safe to log."""
    codes = (issue.get("code") for issue in _issues(answer))
    return tuple(c for c in codes if isinstance(c, str) and re.fullmatch(r"[a-z-]{1,40}", c))


def _issues(answer: Answer) -> Iterator[dict[str, Any]]:
    body = answer.body or {}
    found = body.get("issue")
    if body.get("resourceType") == "OperationOutcome" and isinstance(found, list):
        yield from (issue for issue in found if isinstance(issue, dict))


def _words(issue: dict[str, Any]) -> Iterator[str]:
    """`details.text` and `diagnostics`, once where they are equal, else the bare code."""
    details = issue.get("details")
    text = details.get("text") if isinstance(details, dict) else None
    found = [t for t in (text, issue.get("diagnostics")) if isinstance(t, str) and t.strip()]
    if not found and isinstance(issue.get("code"), str):
        found = [issue["code"]]
    yield from dict.fromkeys(" ".join(part.split()) for part in found)
