"""HTTP's side of the sandbox hospital: what a request says, how an `Answer` looks.

Reads and writes FHIR JSON only (https://hl7.org/fhir/R4/http.html#mime-type).
"""

from __future__ import annotations

import flask
from werkzeug.http import http_date

from fhirbridge.formats import fhir_json
from fhirbridge.sandbox.interactions import Answer
from fhirbridge.sandbox.store import Refusal, Resource

_JSON = ("application/fhir+json", "application/json")


def path() -> str:
    request = flask.request
    query = request.query_string.decode("latin-1")
    return f"{request.path}?{query}" if query else request.path


def base_url() -> str:
    return f"{flask.request.host_url}fhir"


def body() -> Resource:
    if flask.request.mimetype not in _JSON:
        told = f"'{flask.request.mimetype}' is no FHIR JSON"
        raise Refusal("media-type", told, status=400)  # HAPI FHIR 8.4.0, seen November 2026
    return fhir_json.parse(flask.request.get_data())


def preference() -> str:
    given = flask.request.headers.get("Prefer", "")
    return given.partition("return=")[2].partition(";")[0].partition(",")[0].strip()


def response(status: int, content: Resource) -> flask.Response:
    return flask.Response(
        fhir_json.dump(content), status, content_type="application/fhir+json;charset=utf-8"
    )


def dressed(answer: Answer) -> flask.Response:
    made = response(answer.status, answer.body)
    if version := answer.version:
        made.headers["ETag"] = f'W/"{version.number}"'
        made.headers["Last-Modified"] = http_date(version.updated)
        made.headers["Content-Location"] = f"{base_url()}/{version.versioned_path}"
    return made


def written(answer: Answer) -> flask.Response:
    made = dressed(answer)
    made.headers["Location"] = made.headers["Content-Location"]
    if preference() == "minimal":
        made.set_data(b"")
        made.headers.pop("Content-Type", None)
    return made
