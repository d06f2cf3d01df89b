"""The composition root: settings in, a Flask application out."""

from __future__ import annotations

from flask import Flask, Response

from fhirbridge.crash import Crash
from fhirbridge.library import Library
from fhirbridge.registry.opening import open_registry
from fhirbridge.settings import Settings
from fhirbridge.web import api, entrance, errors, packed
from fhirbridge.web.health import Readiness, health
from fhirbridge.web.oauth import discovery, oauth
from fhirbridge.web.own_keys import own_keys
from fhirbridge.web.provenances import provenances
from fhirbridge.web.pushing import door
from fhirbridge.web.reading import reading
from fhirbridge.web.receipts import receipts
from fhirbridge.web.searches import searches
from fhirbridge.web.service import Service

# A request for a token brings its credential in its body, and nothing else in it.
OPEN = frozenset(
    {
        "fhir.metadata",
        "healthz",
        "health.ready",
        "health.numbers",
        "smart.configuration",
        "oauth.token",
        "own_keys.published",
    }
)


def create_app(settings: Settings | None = None) -> Flask:
    settings = settings or Settings.from_environment()
    service = Service(
        settings, open_registry(settings), Library(settings.mappings), Crash(settings.crash)
    )
    app = Flask("fhirbridge")
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body
    app.extensions["fhirbridge"] = service
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # else a redirect, as a page in HTML and to the given host
    for half in (reading, searches, provenances):
        app.register_blueprint(half)
    app.register_blueprint(door)
    app.register_blueprint(receipts)
    app.register_blueprint(oauth)
    app.register_blueprint(discovery)
    app.register_blueprint(own_keys)
    app.add_url_rule("/healthz", "healthz", lambda: Response("ok\n", content_type="text/plain"))
    app.register_blueprint(health)
    app.extensions["fhirbridge.readiness"] = Readiness(service)
    api.install(app)
    errors.install(app)
    packed.install(app)
    entrance.install(app, service, open_to_all=OPEN)
    return app
