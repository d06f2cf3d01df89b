"""What the nouns of the API have in common: routes with their schemas, refusals and scopes.

Reading needs `system/*.r`, deciding `system/*.u`. What is sent is read as strictly as FHIR JSON,
and a parameter or property that is not known is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from flask import Request, current_app, g
from flask_smorest import Blueprint  # type: ignore[import-untyped]  # flask-smorest has no types
from marshmallow import RAISE, Schema, ValidationError, fields, validate
from webargs.flaskparser import FlaskParser

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.listings import Page, Wanted
from fhirbridge.web import access, bodies, trail
from fhirbridge.web.api.document import PREFIX
from fhirbridge.web.issues import IssuesSchema
from fhirbridge.web.service import Service
from fhirbridge.web.watched import watch

MOST = 500
FHIR_JSON = "application/fhir+json"
_ALWAYS = (401, 403, 429, 500, 503)
Shown = TypeVar("Shown", bound=trail.Row)
View = TypeVar("View", bound=Callable[..., object])


class Reader(FlaskParser):
    DEFAULT_VALIDATION_STATUS = 400
    DEFAULT_UNKNOWN_BY_LOCATION = {"json": RAISE, "query": RAISE}  # noqa: RUF012

    def load_json(self, req: Request, schema: Schema) -> Any:
        if req.mimetype != "application/json":
            cause = "the body is no JSON by its Content-Type"
            raise BridgeError(Issue("media-type", cause, "send application/json"))
        return fhir_json.parse(req.get_data())

    def handle_error(
        self, error: ValidationError, req: Request, schema: Schema, **_: Any
    ) -> NoReturn:
        """An issue a field; which location it was in is told by the field's name."""
        messages: dict[str, dict[str, list[str]]] = error.normalized_messages()  # type: ignore[no-untyped-call]
        by_name = [pair for located in messages.values() for pair in located.items()]
        remedy = f"see {PREFIX}/openapi.json"
        told = [
            Issue("value", " ".join(map(str, texts)), remedy, place=str(name))
            for name, texts in by_name
        ]
        raise BridgeError(*told)


@dataclass(frozen=True, slots=True)
class Noun:
    """The routes below `/api/v1/{name}`."""

    name: str
    meaning: str
    blueprint: Any = field(init=False)

    def __post_init__(self) -> None:
        prefix = f"{PREFIX}/{self.name}"
        made = Blueprint(f"api-{self.name}", __name__, url_prefix=prefix, description=self.meaning)
        made.ARGUMENTS_PARSER = Reader()
        watch(made, self.name)
        object.__setattr__(self, "blueprint", made)

    def route(
        self,
        path: str,
        answer: type[Schema],
        *,
        refusals: tuple[int, ...] = (),
        query: type[Schema] | None = None,
        body: type[Schema] | None = None,
        status: int = 200,
    ) -> Callable[[View], View]:
        """GET; POST where there is a body, which is given to the view as the query is."""

        def decorate(view: View) -> View:
            made: Any = self.blueprint.response(status, answer)(view)
            wrong = {400} if query else set()
            wrong |= {400, 413, 415} if body else set()
            for refusal in sorted({*_ALWAYS, *refusals, *wrong}):
                made = self.blueprint.alt_response(refusal, schema=IssuesSchema)(made)
            if body:
                made = self.blueprint.arguments(body, location="json")(made)
            if query:
                made = self.blueprint.arguments(query, location="query")(made)
            self.blueprint.route(path, methods=["POST" if body else "GET"])(made)
            return view

        return decorate

    def file(
        self,
        path: str,
        answer: type[Schema],
        *,
        query: type[Schema],
        refusals: tuple[int, ...] = (),
    ) -> Callable[[View], View]:
        """POST of a file, as it is or as the part of a form; what is asked beside it is in the
        query."""

        def decorate(view: View) -> View:
            made: Any = self.blueprint.response(200, answer)(view)
            for refusal in sorted({*_ALWAYS, *refusals, 400, 413, 415}):
                made = self.blueprint.alt_response(refusal, schema=IssuesSchema)(made)
            content = {
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in bodies.TABLE_TYPES.values()
            }
            told = {"requestBody": {"required": True, "content": content}}
            made = self.blueprint.doc(**told)(made)
            made = self.blueprint.arguments(query, location="query")(made)
            self.blueprint.route(path, methods=["POST"])(made)
            return view

        return decorate

    def binary(self, path: str) -> Callable[[View], View]:
        """GET of bytes, of whatever content."""

        def decorate(view: View) -> View:
            content = {"description": "the bytes as they came, also where they are no JSON"}
            made: Any = self.blueprint.response(200, content, content_type=FHIR_JSON)(view)
            for status in (*_ALWAYS, 404):
                made = self.blueprint.alt_response(status, schema=IssuesSchema)(made)
            self.blueprint.route(path, methods=["GET"])(made)
            return view

        return decorate


class Text(fields.String):
    """One line that can be looked up and shown; PostgreSQL refuses NUL."""

    def __init__(self, *, most: int = 500, **more: Any) -> None:
        super().__init__(validate=[validate.Length(1, most), _printed], **more)


def _printed(text: str) -> None:
    if not text.isprintable():
        raise ValidationError("It has characters that cannot be printed.")


class PageQuery(Schema):
    after = Text(metadata={"description": "'next' of the page before"})
    limit = fields.Integer(load_default=50, validate=validate.Range(1, MOST))


class DecisionSchema(Schema):
    """A person decides, not the client; what it says is kept with the client's name."""

    by = Text(required=True, most=200, metadata={"description": "who decides"})
    reason = Text(required=True, metadata={"description": "why; the history keeps it"})


def person(decision: Mapping[str, Any]) -> str:
    """Who decides, and through which client."""
    return f"{decision['by']} by {caller().source}"


def page_of(item: type[Schema]) -> type[Schema]:
    """The schema of a page of such items."""
    return Schema.from_dict(
        {
            "items": fields.List(fields.Nested(item), required=True),
            "next": fields.String(
                required=True, allow_none=True, metadata={"description": "null on the last page"}
            ),
        },
        name=item.__name__.replace("Schema", "PageSchema"),
    )


def wanted(given: dict[str, Any]) -> Wanted:
    """The page that the query asks for, taken out of it: what is left are filters."""
    return Wanted(given.pop("after", None), given.pop("limit"))


def told(page: Page[Any], make: Callable[[Any], Any] = lambda row: row) -> Mapping[str, Any]:
    trail.shows(page.items)
    return {"items": [make(row) for row in page.items], "next": page.next}


def here() -> Service:
    made: Service = current_app.extensions["fhirbridge"]
    return made


def caller() -> access.Caller:
    made: access.Caller = g.caller
    return made


def shown(row: Shown) -> Shown:
    """The row, which the audit trail will tell of."""
    trail.shows([row])
    return row


def may_read() -> None:
    caller().must("r", "*")


def may_decide() -> None:
    caller().must("u", "*")


def no_such(noun: str, remedy: str) -> BridgeError:
    return BridgeError(Issue("not-found", f"there is no {noun} with this id", remedy))
