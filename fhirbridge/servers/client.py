"""The one outbound FHIR client: read, search, page, create, update, transact.

Sends nothing to any origin but the connection's own, and follows one redirect of a GET there.
https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, BinaryIO

import requests

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.servers import retry
from fhirbridge.servers.answer import Answer, Redirected, outcome_codes, outcome_text, read
from fhirbridge.servers.auth import Auth
from fhirbridge.servers.manners import Manners, Pace
from fhirbridge.servers.network import Network
from fhirbridge.servers.origin import origin, resolve, same_origin
from fhirbridge.servers.quirks import GENERIC, Quirks
from fhirbridge.servers.retry import ComeBack, OutcomeUnknown
from fhirbridge.servers.wire import Limits, Reply, download, exchange, open_session

__all__ = [
    "Answer",
    "ComeBack",
    "Limits",
    "OutcomeUnknown",
    "Page",
    "PageExpired",
    "Redirected",
    "Server",
    "outcome_text",
]

Params = Mapping[str, str | Sequence[str]] | Sequence[tuple[str, str]]

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ABSOLUTE = re.compile(r"//|[A-Za-z][A-Za-z0-9+.-]*:")
_JSON = {"Content-Type": "application/fhir+json"}
_STRICT = {"Prefer": "handling=strict"}  # https://hl7.org/fhir/R4/search.html#errors
_LONGEST_FILE = 86_400.0  # seconds; how slow it may come, the download itself looks at
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class PageExpired(BridgeError):
    """The server has forgotten this page link (410): the search has to start anew."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search, and where the next one is (None: it was the last)."""

    url: str = field(repr=False)
    raw: bytes = field(repr=False)
    bundle: dict[str, Any] = field(repr=False)
    next_url: str | None = field(repr=False)
    number: int  # counted from 1 in this walk, also where it starts at a stored link


@dataclass(frozen=True, slots=True)
class _Call:
    """One request before credentials and limits."""

    method: str
    url: str
    repeat: retry.Repeat
    params: Params | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    form: Params | None = None
    reads: bool = False


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Server:
    """A connection to one FHIR base URL. Not for several threads at once: make one for each.

    An answer of 429, 502, 503 or 504 that stays after the allowed repetitions is raised
    (transient), as are 3xx, 401 and 403 (remote); every other 4xx and 5xx is an `Answer`.
    """

    base_url: str
    auth: Auth = field(kw_only=True)
    limits: Limits = field(kw_only=True, repr=False)
    quirks: Quirks = field(kw_only=True, default=GENERIC, repr=False)
    network: Network = field(kw_only=True, default=Network(), repr=False)
    manners: Manners = field(kw_only=True, default=Manners(), repr=False)
    sleep: Callable[[float], None] = field(kw_only=True, default=time.sleep, repr=False)
    clock: Callable[[], datetime] = field(kw_only=True, default=_now, repr=False)
    monotonic: Callable[[], float] = field(kw_only=True, default=time.monotonic, repr=False)
    dice: random.Random = field(kw_only=True, default_factory=random.Random, repr=False)
    session: requests.Session = field(init=False, repr=False)
    pace: Pace = field(init=False, repr=False, default_factory=Pace)

    def __post_init__(self) -> None:
        there = origin(self.base_url)
        self.network.check_literal(there.host, there.server)
        object.__setattr__(self, "session", open_session(self.network, self.limits))
        if "?" in self.base_url or "#" in self.base_url:
            cause = "the connection's URL holds a query or a fragment"
            raise BridgeError(Issue("configuration", cause, "give the FHIR base URL alone"))

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.session.close()

    def get(
        self, path_or_url: str, params: Params | None = None, *, strict: bool = False
    ) -> Answer:
        """A path below the base URL, or an absolute URL of the same origin.

        `strict` asks the server to refuse a parameter that it does not know.
        """
        url, headers = self._own(path_or_url), _STRICT if strict else {}
        return self._ask(
            _Call("GET", url, retry.READING, params=params, headers=headers, reads=True)
        )

    def search(
        self, resource_type: str, params: Params, *, post: bool = False, strict: bool = False
    ) -> Answer:
        """`post` keeps the parameters out of the server's access log; not every server knows it."""
        url = self._url(_checked(_TYPE, resource_type, "resource type"))
        if not post:
            return self.get(url, params, strict=strict)
        headers = {**_FORM, **(_STRICT if strict else {})}
        call = _Call(
            "POST", f"{url}/_search", retry.READING, headers=headers, form=params, reads=True
        )
        return self._ask(call)

    def granted(self, resource_type: str, letters: str = "rs") -> bool:
        """Whether our token opens that, by SMART's letters `cruds`; True where nobody says."""
        return self.auth.granted(resource_type, letters)

    def capability(self) -> Answer:
        """The server's CapabilityStatement; an error status comes back as it is."""
        answer = self.get("metadata")
        if answer.status < 400:
            self._expect("CapabilityStatement", answer)
        return answer

    def exchange(
        self,
        method: str,
        place: str,
        params: Params | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """One request whose answer need not be FHIR, sent once; every status comes back."""
        call = _Call(
            method, self._own(place), retry.ONCE, params=params, headers=headers or {}, body=body
        )
        reply = self._sent(call)
        return self._sent(call) if reply.status == 401 and self.auth.renew() else reply

    def download(
        self, url: str, sink: BinaryIO, *, accept: str, most: int, credentials: bool = True
    ) -> Reply:
        """A file of any size into `sink`. Only without credentials from another origin: which one,
        the caller answers for."""
        if credentials:
            call = _Call("GET", self._own(url), retry.ONCE, headers={"Accept": accept})
            request = self._prepared(call)
        else:
            origin(url, category="remote")
            bare = requests.Request("GET", url, headers={"Accept": accept})
            request = self.session.prepare_request(bare)
        with open_session(self.network, self.limits, seconds=_LONGEST_FILE) as session:
            return download(
                session, request, sink, limits=self.limits, monotonic=self.monotonic, most=most
            )

    def create(self, resource: dict[str, Any], *, if_none_exist: str | None) -> Answer:
        """POST; `if_none_exist` is a percent-encoded search that makes it repeatable, or None.

        200 means that one was there. A 409 that outlasts the repetitions, and 412, come back.
        """
        url = self._url(_checked(_TYPE, resource.get("resourceType"), "resource type"))
        body = fhir_json.dump(resource)
        if if_none_exist is None:
            return self._ask(_Call("POST", url, retry.ONCE, headers=_JSON, body=body))
        condition = _checked(re.compile(r"[!-~]+"), if_none_exist, "If-None-Exist search")
        headers = {**_JSON, "If-None-Exist": condition}
        return self._ask(_Call("POST", url, retry.CONDITIONAL_CREATE, headers=headers, body=body))

    def update(self, resource: dict[str, Any], *, version: str | None) -> Answer:
        """PUT over exactly this version. Overtaken: 412 by R4, 409 by HAPI 8.4; both come back.
        None where the server knows no versions: over whatever is there.
        """
        kind = _checked(_TYPE, resource.get("resourceType"), "resource type")
        url = self._url(f"{kind}/{_checked(_ID, resource.get('id'), 'id')}")
        headers = dict(_JSON)
        if version is not None:
            headers["If-Match"] = f'W/"{_checked(_ID, version, "version")}"'
        body = fhir_json.dump(resource)
        return self._ask(_Call("PUT", url, retry.VERSIONED_UPDATE, headers=headers, body=body))

    def post_bundle(self, bundle: bytes | dict[str, Any]) -> Answer:
        """A transaction or batch to the base URL, sent once."""
        body = bundle if isinstance(bundle, bytes) else fhir_json.dump(bundle)
        return self._ask(_Call("POST", self._url(""), retry.ONCE, headers=_JSON, body=body))

    def pages(
        self,
        path: str,
        params: Params | None = None,
        *,
        start: str | None = None,
        max_pages: int = 10_000,
        strict: bool = False,
    ) -> Iterator[Page]:
        """Every page of a search, or those from `start` on, a `next_url` kept earlier.

        A page whose next link is foreign, unreadable or seen before is refused as a whole.
        """
        answer = self._linked(start) if start else self._first(path, params, strict=strict)
        seen = {answer.url} if start is None else {answer.url, start}
        for number in range(1, max_pages + 1):
            bundle = self._expect("Bundle", answer)
            next_url = self._next(bundle, answer.url)
            if next_url in seen:
                raise self._remote("the server's next link leads back to a page already read")
            yield Page(answer.url, answer.raw, bundle, next_url, number)
            if next_url is None:
                return
            seen.add(next_url)
            answer = self._linked(next_url)
        raise self._remote(f"the search has more than {max_pages} pages")

    def _first(self, path: str, params: Params | None, *, strict: bool) -> Answer:
        return self._refuse_errors(self.get(path, params, strict=strict))

    def _linked(self, link: str) -> Answer:
        answer = self.get(link)
        if answer.status == 410:
            issue = Issue(
                "remote",
                "the page link has expired on the server (410)",
                "start the search anew",
                place=self._server,
            )
            raise PageExpired(issue)
        return self._refuse_errors(answer)

    def _refuse_errors(self, answer: Answer) -> Answer:
        if answer.status >= 400:
            codes = ", ".join(outcome_codes(answer)) or "no reason given"
            cause = f"the server answered {answer.status} to a search ({codes})"
            raise self._remote(cause, "compare the search with the server's CapabilityStatement")
        return answer

    def _next(self, bundle: dict[str, Any], page_url: str) -> str | None:
        links = bundle.get("link") or []
        if not isinstance(links, list):
            raise self._remote("the Bundle's links are no list")
        for link in links:
            if isinstance(link, dict) and link.get("relation") == "next":
                url = link.get("url")
                if not isinstance(url, str) or not url:
                    raise self._remote("the server's next link has no URL")
                return self._same(
                    resolve(page_url, url), "the server's next link leads to another origin"
                )
        return None

    def _expect(self, resource_type: str, answer: Answer) -> dict[str, Any]:
        if answer.body is None or answer.body["resourceType"] != resource_type:
            raise self._remote(f"the server's answer is no {resource_type}")
        return answer.body

    @property
    def _server(self) -> str:
        return origin(self.base_url).server

    def _url(self, path: str) -> str:
        return f"{self.base_url.rstrip('/')}/{path}".rstrip("/")

    def _own(self, place: str) -> str:
        """X7: a reference that names another server is refused, not fetched."""
        if _ABSOLUTE.match(place):
            return self._same(resolve(self.base_url, place), "the URL leads to another origin")
        path, mark, query = place.lstrip("/").partition("?")
        if ".." in path.split("/"):
            raise BridgeError(Issue("value", "the path leaves the server's base URL"))
        return f"{self._url(path)}{mark}{query}"

    def _same(self, url: str, cause: str) -> str:
        if not same_origin(url, self.base_url):
            raise self._remote(cause, "nothing was sent there; correct the server's own base URL")
        return url

    def _ask(self, call: _Call) -> Answer:
        patience = retry.Patience(
            self.limits.retries, self.sleep, self.clock, self.dice, self.manners.longest_wait
        )
        return retry.persist(lambda: self._once(call), call.repeat, patience)

    def _once(self, call: _Call) -> Answer:
        """One attempt; origin and credentials are taken anew for each.

        A 401 renews what can be renewed, once: the server has done nothing of the request. One
        redirect of a GET is followed within the origin: Epic answers the reading of a merged
        Patient with one.
        """
        reply = self._sent(call)
        if reply.status == 401 and self.auth.renew():
            reply = self._sent(call)
            if reply.status == 401:
                self.auth.shut()
        if reply.status in _REDIRECTS and call.method == "GET":
            there = self._redirected(reply)
            reply = self._sent(replace(call, url=there, params=None)) if there else reply
        return read(reply, body_needed=call.reads)

    def _sent(self, call: _Call) -> Reply:
        prepared = self._prepared(call)
        self.pace.keep(self.manners.pause, self.sleep, self.monotonic)
        return exchange(self.session, prepared, limits=self.limits, monotonic=self.monotonic)

    def _redirected(self, reply: Reply) -> str:
        """Where to, within the own origin; else empty, and the redirect is told as it is."""
        try:
            there = resolve(reply.url, reply.headers.get("Location", ""))
            return there if same_origin(there, self.base_url) else ""
        except BridgeError:
            return ""

    def _prepared(self, call: _Call) -> requests.PreparedRequest:
        request = requests.Request(
            call.method, call.url, params=call.params, data=call.body or call.form
        )
        request.headers.update(call.headers)
        prepared = self.session.prepare_request(request)
        self._same(prepared.url or "", "the request leads to another origin")
        prepared.headers.update(self.auth.headers())
        return prepared

    def _remote(self, cause: str, remedy: str = "tell the server's operator") -> BridgeError:
        return BridgeError(Issue("remote", cause, remedy, place=self._server))


def _checked(pattern: re.Pattern[str], value: object, what: str) -> str:
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    raise BridgeError(Issue("value", f"the {what} is missing or has a wrong character"))
