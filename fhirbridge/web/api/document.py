"""The OpenAPI document of `/api/v1`, made from the routes and schemas that are wired."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from flask import Flask, Response
from flask.json.provider import JSONProvider
from flask_smorest import Api  # type: ignore[import-untyped]  # flask-smorest has no types
from werkzeug.exceptions import HTTPException

from fhirbridge.formats import fhir_json
from fhirbridge.web.issues import IssuesSchema

PREFIX = "/api/v1"
_LOGIN = {"key": {"type": "http", "scheme": "bearer"}}
_OPENAPI = {
    "API_TITLE": "fhirbridge",
    "API_VERSION": "v1",
    "OPENAPI_VERSION": "3.1.0",
    "OPENAPI_URL_PREFIX": PREFIX,
    "OPENAPI_JSON_PATH": "openapi.json",
    "API_SPEC_OPTIONS": {
        "security": [{"key": []}],
        "components": {"securitySchemes": _LOGIN},
    },
}


class ExactJson(JSONProvider):
    """Decimals keep their digits, as everywhere here."""

    def dumps(self, obj: Any, **_: Any) -> str:
        return fhir_json.dump(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return fhir_json.read(s.encode() if isinstance(s, str) else s)


class Document(Api):  # type: ignore[misc]
    ERROR_SCHEMA = IssuesSchema
    DEFAULT_ERROR_RESPONSE_NAME = None  # each route names those that it gives

    def __init__(self, app: Flask) -> None:
        app.config.update(_OPENAPI)
        app.json = ExactJson(app)
        told = {"info": {"description": f"fhirbridge {version('fhirbridge')}"}}
        super().__init__(app, spec_kwargs=told)

    def handle_http_exception(self, error: HTTPException) -> Response:
        """Never asked: `errors.install`, which comes later, is the one error policy."""
        raise error
