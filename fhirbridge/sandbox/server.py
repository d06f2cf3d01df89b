"""A small FHIR R4 hospital server over real sockets, for demos, tests and site rehearsals.

It answers as HAPI FHIR 8.4.0 does (https://hl7.org/fhir/R4/http.html), keeps all in memory and
judges no content; synthetic patients only. On request it fails: see `Hospital.fail`.
"""

from __future__ import annotations

import hmac
import signal
import ssl
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

import flask
from werkzeug.exceptions import HTTPException
from werkzeug.http import http_date
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue, operation_outcome
from fhirbridge.sandbox import bundles, capability, http, script
from fhirbridge.sandbox.bulk import NDJSON, Bulk
from fhirbridge.sandbox.faults import Fault, Faults, Hook
from fhirbridge.sandbox.interactions import Interactions
from fhirbridge.sandbox.ledger import Ledger
from fhirbridge.sandbox.smart import Smart
from fhirbridge.sandbox.store import Refusal, Resource, Store, instant
from fhirbridge.sandbox.weather import Weather

_CATEGORIES = {404: "not-found", 405: "method", 413: "too-long"}


def _now() -> datetime:
    return datetime.now(UTC)


def _uuid() -> str:
    return str(uuid.uuid4())


class Seen(NamedTuple):
    """One request of the ledger; `path` with its query, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    status: int


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Say nothing: the ledger holds the requests."""


class Hospital:
    """The server and what it holds; one lock around every interaction.

    `stale_status` is the answer to a stale `If-Match`: HAPI's 409, or the 412 of the specification.
    `tls` is its certificate, where it speaks https.
    """

    def __init__(
        self,
        resources: Iterable[Resource] = (),
        *,
        token: str | None = None,
        smart: Smart | None = None,
        page_size: int = 20,
        stale_status: int = 409,
        clock: Callable[[], datetime] = _now,
        new_id: Callable[[], str] = _uuid,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self._lock = threading.RLock()
        self._token = token
        self.smart = smart
        self._store = Store(clock, stale_status=stale_status)
        self._store.load(resources)
        self._interactions = Interactions(self._store, page_size=page_size, new_id=new_id)
        self.bulk = Bulk(self._store)
        self._faults = Faults()
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self.requests: list[Seen] = []
        self.app = self._wired()

    def resources(self) -> list[Resource]:
        """A copy of all that is there now, meta included."""
        with self._lock:
            return self._store.snapshot()

    def fail(
        self,
        match: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
        times: int = 1,
        hook: Hook | None = None,
        served: bool = False,
    ) -> None:
        """Answer so, the next `times` that `match` is part of `METHOD path?query`.

        Neither status nor hook: the connection ends without an answer. `hook` gets the request;
        what it returns is the answer, None lets the request pass (or get `status`). `served`: the
        request is carried out first, and only its answer is replaced or lost.
        """
        raw = body.encode() if isinstance(body, str) else body
        self._faults.add(Fault(match, status, dict(headers or {}), raw, times, hook, served))

    def suffer(self, *lines: str) -> None:
        """Faults and weather as data: `truncate Observation 2`, `clock 600` (see `script`)."""
        for line in lines:
            with self._lock:
                is_weather = self._store.weather.take(line.split())
            if not is_weather:
                self._faults.add(script.fault(line))

    def recover(self) -> None:
        """No fault waits any more; the weather stays."""
        self._faults.clear()

    @property
    def ledger(self) -> Ledger:
        return self._store.ledger

    @property
    def weather(self) -> Weather:
        return self._store.weather

    def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serve in a thread of its own; the base URL."""
        clock = {"date_time_string": lambda *_: http_date(self._store.now())}
        handler = type("_Timed", (_Quiet,), clock)  # the Date header is of its own clock
        self._server = make_server(
            host, port, self.app, threaded=True, request_handler=handler, ssl_context=self._tls
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{host}:{self._server.server_port}/fhir"

    def stop(self) -> None:
        if self._server and self._thread:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = self._thread = None

    @contextmanager
    def running(self) -> Iterator[str]:
        base = self.start()
        try:
            yield base
        finally:
            self.stop()

    def _wired(self) -> flask.Flask:
        app = flask.Flask(__name__)
        app.before_request(self._instead)
        app.before_request(self._refuse_strangers)
        app.after_request(self._entered)
        app.register_error_handler(BridgeError, self._refused)
        app.register_error_handler(HTTPException, self._unrouted)
        for rule, method, view in (
            ("", "GET", self._base),
            ("", "POST", self._bundle),
            ("/metadata", "GET", self._metadata),
            ("/<kind>", "GET", self._search),
            ("/$export", "GET", self._export),
            ("/<kind>/$export", "GET", self._export),
            ("/<kind>/<id_>/$export", "GET", self._export),
            ("/$export-poll-status", "GET", self._export_status),
            ("/$export-poll-status", "DELETE", self._export_status),
            ("/Binary/<id_>", "GET", self._binary),
            ("/<kind>/<id_>/$everything", "GET", self._everything),
            ("/<kind>/_search", "POST", self._search),
            ("/<kind>", "POST", self._create),
            ("/<kind>/<id_>", "GET", self._read),
            ("/<kind>/<id_>", "PUT", self._update),
            ("/<kind>/<id_>", "DELETE", self._delete),
            ("/<kind>/_history", "GET", self._histories),
            ("/<kind>/<id_>/_history", "GET", self._history),
            ("/<kind>/<id_>/_history/<number>", "GET", self._vread),
        ):
            name = f"{method} {rule}".replace(".", "-")
            app.add_url_rule(f"/fhir{rule}", name, view, methods=[method], strict_slashes=False)
        if self.smart is not None:
            self.smart.install(app)
        return app

    def _instead(self) -> flask.Response | None:
        fault = self._faults.take(f"{flask.request.method} {http.path()}")
        flask.g.fault = fault
        return fault.answer(flask.request) if fault and fault.before else None

    def _entered(self, response: flask.Response) -> flask.Response:
        fault = flask.g.get("fault")
        if fault and not fault.before:
            response = fault.after(flask.request, response)
        seen = Seen(
            flask.request.method, http.path(), dict(flask.request.headers), response.status_code
        )
        with self._lock:
            self.requests.append(seen)
        return response

    def _refuse_strangers(self) -> None:
        path = flask.request.path.rstrip("/")
        if path == "/fhir/metadata":
            return
        if self.smart is not None and not self.smart.open_to(path):
            self.smart.check(flask.request)
        if self._token is None:
            return
        given = flask.request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            told = "this token is not known" if given else "a bearer token is needed"
            challenge = 'Bearer error="invalid_token"' if given else "Bearer"
            raise Refusal("login", told, headers={"WWW-Authenticate": challenge})

    def _refused(self, fault: BridgeError) -> flask.Response:
        status = fault.status if isinstance(fault, Refusal) else fault.policy.status
        response = http.response(status, operation_outcome(fault.issues))
        if isinstance(fault, Refusal):
            response.headers.update(fault.headers)
        if location := response.headers.get("Location"):
            response.headers["Location"] = f"{http.base_url()}/{location}"
        return response

    def _unrouted(self, fault: HTTPException) -> flask.Response:
        status = fault.code or 500
        issue = Issue(_CATEGORIES.get(status, "exception"), fault.description or fault.name)
        return http.response(status, operation_outcome([issue]))

    def _base(self) -> flask.Response:
        given = flask.request.args
        if "_getpages" not in given:
            raise Refusal("not-supported", "search over all types is not offered here")
        offset, count = given.get("_getpagesoffset", ""), given.get("_count", "")
        with self._lock:
            return http.dressed(
                self._interactions.page(given["_getpages"], offset, count, http.base_url())
            )

    def _bundle(self) -> flask.Response:
        bundle = http.body()
        echo = http.preference() == "representation"
        with self._lock:
            answer = bundles.answered(
                self._store, self._interactions, bundle, base=http.base_url(), echo=echo
            )
        return http.dressed(answer)

    def _metadata(self) -> flask.Response:
        moment = instant(self._store.now())
        return http.response(200, self._statement(moment))

    def _statement(self, moment: str) -> Resource:
        unlisted = self._store.weather.unlisted
        return capability.statement(base=http.base_url(), moment=moment, unlisted=unlisted)

    def _search(self, kind: str) -> flask.Response:
        request = flask.request
        pairs = [*request.args.items(multi=True), *request.form.items(multi=True)]
        with self._lock:
            return http.dressed(self._interactions.search(kind, pairs, http.base_url()))

    def _everything(self, kind: str, id_: str) -> flask.Response:
        pairs = [*flask.request.args.items(multi=True)]
        with self._lock:
            return http.dressed(self._interactions.everything(kind, id_, pairs, http.base_url()))

    def _export(self, kind: str = "", id_: str = "") -> flask.Response:
        if self._store.weather.no_bulk or kind not in ("", "Patient", "Group"):
            raise Refusal("not-found", "there is no $export here")
        prefer, request = flask.request.headers.get("Prefer", ""), flask.request
        with self._lock:
            name = self.bulk.begin(kind, id_, request.args, prefer=prefer, url=request.url)
        issue = Issue("exception", "the export has begun", severity="information")
        made = http.response(202, operation_outcome([issue]))
        made.headers["Content-Location"] = f"{http.base_url()}/$export-poll-status?_jobId={name}"
        return made

    def _export_status(self) -> flask.Response:
        name = flask.request.args.get("_jobId", "")
        with self._lock:
            job = self.bulk.job(name)
            if flask.request.method == "DELETE":
                del self.bulk.jobs[name]
                return flask.Response(status=202)
            if job.polls > 0:
                job.polls -= 1
                waits = {"X-Progress": "working", "Retry-After": self.bulk.retry_after}
                return flask.Response(status=202, headers=waits)
            manifest = fhir_json.dump(self.bulk.manifest(job, http.base_url()))
        return flask.Response(manifest, 200, content_type="application/json")

    def _binary(self, id_: str) -> flask.Response:
        with self._lock:
            raw = self.bulk.file(id_)
        if raw is None:
            return self._read("Binary", id_)
        return flask.Response(raw, 200, content_type=NDJSON)

    def _create(self, kind: str) -> flask.Response:
        resource = http.body()
        wanted = flask.request.headers.get("If-None-Exist")
        with self._lock:
            return http.written(self._interactions.create(kind, resource, if_none_exist=wanted))

    def _read(self, kind: str, id_: str) -> flask.Response:
        with self._lock:
            return http.dressed(self._interactions.read(kind, id_))

    def _vread(self, kind: str, id_: str, number: str) -> flask.Response:
        with self._lock:
            return http.dressed(self._interactions.vread(kind, id_, number))

    def _history(self, kind: str, id_: str) -> flask.Response:
        with self._lock:
            return http.dressed(self._interactions.history(kind, id_, http.base_url()))

    def _histories(self, kind: str) -> flask.Response:
        since = flask.request.args.get("_since", "")
        with self._lock:
            return http.dressed(self._interactions.histories(kind, since, http.base_url()))

    def _update(self, kind: str, id_: str) -> flask.Response:
        resource = http.body()
        if_match = flask.request.headers.get("If-Match")
        with self._lock:
            return http.written(self._interactions.update(kind, id_, resource, if_match=if_match))

    def _delete(self, kind: str, id_: str) -> flask.Response:
        with self._lock:
            return http.response(200, self._interactions.delete(kind, id_).body)


def run(hospital: Hospital, host: str = "127.0.0.1", port: int = 0) -> None:
    """Serve until SIGTERM or SIGINT; one line on standard output says when and where."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    base = hospital.start(host, port)
    sys.stdout.write(f"ready {base}\n")
    sys.stdout.flush()
    ended.wait()
    hospital.stop()
