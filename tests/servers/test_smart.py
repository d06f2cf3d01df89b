"""Logging in by SMART Backend Services and OAuth2, at a sandbox hospital that checks it strictly.

Over real sockets; all data are synthetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Request, Response
from joserfc import jwt
from joserfc.jwk import KeySet

from fhirbridge.formats import fhir_json
from fhirbridge.options import ConnectionOptions
from fhirbridge.outcome import BridgeError
from fhirbridge.sandbox.server import Hospital
from fhirbridge.sandbox.smart import Smart
from fhirbridge.servers.client import ComeBack, Server
from fhirbridge.servers.connecting import Kept, connect
from fhirbridge.servers.discovery import discover, moved, token_url
from fhirbridge.servers.login import Login, key_set, new_pair, sealed
from fhirbridge.servers.network import Network
from fhirbridge.servers.tokens import TokenAuth
from fhirbridge.settings import Settings

HERE = Network.of("127.0.0.0/8")
LIMITS = Settings(retries=3, read_timeout=5.0)
CLIENT = "study-at-north"
PATIENT = {"resourceType": "Patient", "id": "p1", "active": True}
SCORE = {"resourceType": "Observation", "id": "o1", "status": "final", "code": {"text": "x"}}
SCOPES = "system/Patient.rs system/Observation.crus"


@dataclass
class Joined:
    """A hospital where we are registered, and our server there; what its token endpoint heard."""

    hospital: Hospital
    smart: Smart
    base: str
    server: Server
    forms: list[dict[str, str]] = field(default_factory=list)
    seconds: float = 0.0  # of the monotonic clock
    pauses: list[float] = field(default_factory=list)

    def listen(self, request: Request) -> Response | None:
        self.forms.append(request.form.to_dict())
        return None

    def asked_for_tokens(self) -> int:
        return sum(r.path == "/oauth/token" for r in self.hospital.requests)

    def auth(self) -> TokenAuth:
        assert isinstance(self.server.auth, TokenAuth)
        return self.server.auth


@pytest.fixture
def join() -> Iterator[Any]:
    running: list[Joined] = []

    def made(alg: str = "ES384", *, options: dict[str, str] | None = None, **more: Any) -> Joined:
        pair = new_pair(alg, f"key-{len(running)}", signs_from=datetime.now(UTC))
        smart = Smart(CLIENT, lambda: fhir_json.dump(key_set([pair.public])), **more)
        hospital = Hospital([PATIENT, SCORE], smart=smart)
        base = hospital.start()
        found = discover(base, network=HERE, limits=LIMITS)
        assert found is not None
        login = Login(CLIENT, token_url(base, None, base.replace("/fhir", "/oauth/token")), SCOPES)
        login = replace(login, version=found.version, keys=(pair.public,))
        secret = sealed({pair.public.kid: pair.private})
        set_of = ConnectionOptions().changed({"networks": "127.0.0.0/8", **(options or {})})
        kept = Kept(base, "smart", secret, login.kept(), options=set_of)
        one = Joined(hospital, smart, base, connect(kept, limits=LIMITS))
        one.server.auth.monotonic = lambda: one.seconds  # type: ignore[attr-defined]
        one.server.auth.sleep = one.pauses.append  # type: ignore[attr-defined]
        hospital.fail("POST /oauth/token", hook=one.listen, times=99)
        running.append(one)
        return one

    yield made
    for one in running:
        one.server.close()
        one.hospital.stop()


@dataclass
class Stolen:
    """What another hospital was shown."""

    shown: Any

    def form(self) -> Any:
        return self.shown

    def headers(self) -> dict[str, str]:
        return {}


@pytest.mark.parametrize("alg", ["RS384", "ES384"])
def test_a01_the_assertion_is_as_smart_wants_it(join: Any, alg: str) -> None:
    there = join(alg)
    assert there.server.get("Patient/p1").status == 200
    (form,) = there.forms
    assert form["grant_type"] == "client_credentials"
    assert form["scope"] == SCOPES
    keys = KeySet.import_key_set(fhir_json.parse(there.smart.keys()))  # type: ignore[arg-type]
    told = jwt.decode(form["client_assertion"], keys, algorithms=[alg])
    assert told.header == {"alg": alg, "kid": there.auth().login.keys[0].kid, "typ": "JWT"}
    claims = told.claims
    assert claims["iss"] == claims["sub"] == CLIENT
    assert claims["aud"] == there.auth().login.token_url
    assert datetime.now(UTC).timestamp() < claims["exp"] <= datetime.now(UTC).timestamp() + 300
    (sent,) = (r for r in there.hospital.requests if r.path == "/oauth/token")
    assert sent.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in sent.headers


def test_a01_a_repeated_request_has_an_assertion_of_its_own(join: Any) -> None:
    """The first answer is lost when the server has taken the assertion already."""
    there = join()
    there.hospital.fail("POST /oauth/token", served=True)  # waits behind the listening rule
    there.hospital._faults._rules.reverse()
    assert there.server.get("Patient/p1").status == 200
    assert there.asked_for_tokens() == 2
    assert there.smart.refusals == []


def test_a02_narrower_scopes_are_seen_without_asking(join: Any) -> None:
    there = join(most="system/Patient.rs")
    assert there.server.granted("Patient")
    assert not there.server.granted("Observation")
    assert not there.server.granted("Patient", "u")
    assert [r.path for r in there.hospital.requests if r.status == 403] == []


def test_a02_a_scope_that_filters_is_worth_a_request(join: Any) -> None:
    there = join()
    body = {"access_token": "t", "token_type": "Bearer"}
    told = fhir_json.dump({**body, "scope": "system/Observation.rs?category=laboratory"})
    there.hospital._faults._rules.clear()
    there.hospital.fail("POST /oauth/token", status=200, body=told)
    assert there.server.granted("Observation")
    assert not there.server.granted("Patient")


@pytest.mark.parametrize(("lifetime", "good"), [(60, 30), (None, 270), (300, 270), (20, 10)])
def test_a03_a_token_is_renewed_before_it_ends(join: Any, lifetime: int | None, good: int) -> None:
    there = join(lifetime=lifetime)
    for seconds, tokens in ((0, 1), (good - 1, 1), (good, 2), (good * 2 - 1, 2)):
        there.seconds = seconds
        assert there.server.get("Patient/p1").status == 200
        assert there.asked_for_tokens() == tokens


def test_a04_a_server_of_version_1_is_asked_in_its_words(join: Any) -> None:
    there = join(version="v1")
    assert there.server.get("Patient/p1").status == 200
    assert there.forms[0]["scope"] == (
        "system/Patient.read system/Observation.read system/Observation.write"
    )
    assert there.server.granted("Observation", "rscud")
    assert not there.server.granted("Patient", "u")


def test_a05_another_token_url_is_told_and_never_asked(join: Any) -> None:
    there, foreign = join(), join()
    pinned = there.auth().login.token_url
    there.smart.endpoint = foreign.auth().login.token_url
    found = discover(there.base, network=HERE, limits=LIMITS)
    assert "names another token URL, at 127.0.0.1:" in moved(found, pinned)
    assert there.server.get("Patient/p1").status == 200
    assert foreign.asked_for_tokens() == 0


@pytest.mark.parametrize("place", ["https://evil.example/token", "http://127.0.0.1:9/oauth/token"])
def test_x09_another_hospitals_token_url_is_not_pinned_by_the_server(join: Any, place: str) -> None:
    there = join(endpoint=place)
    found = discover(there.base, network=HERE, limits=LIMITS)
    with pytest.raises(BridgeError, match="another origin") as caught:
        token_url(there.base, found, "")
    assert f"--token-url {place}" in caught.value.issues[0].remedy
    assert token_url(there.base, found, place) == place  # a person confirmed it


def test_x09_an_assertion_for_one_hospital_opens_no_other(join: Any) -> None:
    """Neither the audience nor the key fits."""
    ours, other = join(), join()
    other.auth().proof = Stolen(ours.auth().proof.form())
    with pytest.raises(BridgeError, match="invalid_client"):
        other.server.get("Patient/p1")
    assert ours.server.get("Patient/p1").status == 200


def test_a_token_url_in_clear_is_refused_for_a_server_by_https() -> None:
    with pytest.raises(BridgeError, match="not https"):
        token_url("https://hospital.example/fhir", None, "http://hospital.example/token")


def test_e02_a_token_that_ended_is_renewed_once_on_the_same_page(join: Any) -> None:
    there = join()
    there.server.get("Patient/p1")
    there.smart.forget_tokens()
    pages = list(there.server.pages("Observation", {"_count": "1"}))
    assert [page.number for page in pages] == [1]
    searches = [r.status for r in there.hospital.requests if r.path.startswith("/fhir/Observation")]
    assert searches == [401, 200]
    assert there.asked_for_tokens() == 2


def test_e02_a_second_401_stops(join: Any) -> None:
    there = join()
    there.hospital.fail("GET /fhir/Patient/p1", status=401, times=9)
    with pytest.raises(BridgeError, match="401") as caught:
        there.server.get("Patient/p1")
    assert caught.value.issues[0].category == "remote"
    for _ in range(3):  # a run goes on to its next search
        with pytest.raises(BridgeError, match="two tokens were refused"):
            there.server.get("Patient/p1")
    assert sum(r.path == "/fhir/Patient/p1" for r in there.hospital.requests) == 2
    assert there.asked_for_tokens() == 2


@pytest.mark.parametrize("asked", ["18000", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_e01_a_token_endpoint_that_asks_for_hours_gets_what_the_cap_allows(
    join: Any, asked: str
) -> None:
    there = join(options={"longest_wait": "600"})
    there.hospital._faults._rules.clear()
    there.hospital.fail("POST /oauth/token", status=503, headers={"Retry-After": asked}, times=9)
    with pytest.raises(ComeBack) as caught:
        there.server.get("Patient/p1")
    assert caught.value.not_before is not None
    assert caught.value.not_before <= datetime.now(UTC) + timedelta(seconds=600)
    assert (there.asked_for_tokens(), there.pauses) == (1, [])


@pytest.mark.parametrize(("asked", "least"), [("2", 2.0), ("soon", 0.3), ("", 0.3)])
def test_e01_a_token_endpoint_that_asks_for_seconds_gets_them(
    join: Any, asked: str, least: float
) -> None:
    there = join()
    there.hospital._faults._rules.clear()
    there.hospital.fail("POST /oauth/token", status=429, headers={"Retry-After": asked})
    assert there.server.get("Patient/p1").status == 200
    assert len(there.pauses) == 1
    assert there.pauses[0] >= least


ANSWERS = {
    "no token": ({"token_type": "bearer"}, "without a token"),
    "a token of two words": ({"access_token": "a b", "token_type": "bearer"}, "no bearer token"),
    "another kind": ({"access_token": "a", "token_type": "mac"}, "no bearer token"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_no_token_is_refused(join: Any, name: str) -> None:
    there = join()
    body, told = ANSWERS[name]
    there.hospital._faults._rules.clear()
    there.hospital.fail("POST /oauth/token", status=200, body=fhir_json.dump(body))
    with pytest.raises(BridgeError, match=told):
        there.server.get("Patient/p1")


def test_an_unknown_client_is_told_what_to_register(join: Any) -> None:
    there = join()
    there.smart.client_id = "somebody-else"
    with pytest.raises(BridgeError, match="invalid_client") as caught:
        there.server.get("Patient/p1")
    assert "connection key show" in caught.value.issues[0].remedy
    assert "eyJ" not in str(caught.value)


def test_x05_a_redirected_token_request_is_not_followed(join: Any) -> None:
    there, foreign = join(), join()
    there.hospital._faults._rules.clear()
    for status in (302, 307, 308):
        target = {"Location": foreign.auth().login.token_url}
        there.hospital.fail("POST /oauth/token", status=status, headers=target)
        with pytest.raises(BridgeError, match="a redirect"):
            there.server.get("Patient/p1")
    assert foreign.hospital.requests == [foreign.hospital.requests[0]]  # its own discovery


def test_x04_the_token_stays_at_its_origin(join: Any) -> None:
    there, foreign = join(), join()
    stray = {"resourceType": "Bundle", "type": "searchset"}
    link = [{"relation": "next", "url": f"{foreign.base}/Observation?page=2"}]
    body = fhir_json.dump({**stray, "link": link})
    headers = {"Content-Type": "application/fhir+json", "Set-Cookie": "session=1"}
    there.hospital.fail("GET /fhir/Observation", status=200, headers=headers, body=body)
    with pytest.raises(BridgeError, match="another origin"):
        list(there.server.pages("Observation"))
    there.hospital.fail("GET /fhir/Patient", status=302, headers={"Location": link[0]["url"]})
    with pytest.raises(BridgeError, match="a redirect"):
        there.server.get("Patient/p1")
    assert [r.path for r in foreign.hospital.requests] == ["/fhir/.well-known/smart-configuration"]


@pytest.mark.parametrize("in_body", [False, True])
def test_oauth2_sends_its_secret_to_the_token_url_alone(in_body: bool) -> None:
    smart = Smart("id: of/us", secret="s:e c+r%t")
    hospital = Hospital([PATIENT], smart=smart)
    with hospital.running() as base:
        pinned = base.replace("/fhir", "/oauth/token")
        login = Login(smart.client_id, pinned, SCOPES, method="post" if in_body else "basic")
        options = ConnectionOptions().changed({"networks": "127.0.0.1/32"})
        kept = Kept(base, "oauth2", smart.secret, login.kept(), options=options)
        with connect(kept, limits=LIMITS) as server:
            assert server.get("Patient/p1").status == 200
        assert smart.secret not in repr(server) + repr(kept)
    kinds = [r.headers.get("Authorization", "").split(" ")[0] for r in hospital.requests]
    assert kinds == (["", "Bearer"] if in_body else ["Basic", "Bearer"])


def test_a06_keys_of_two_connections_differ_and_a_rotated_one_waits() -> None:
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    first, second = (new_pair("ES384", kid, signs_from=noon) for kid in ("a", "b"))
    assert first.private["d"] != second.private["d"]
    assert "d" not in first.public.jwk
    login = Login("us", "https://h/token", SCOPES, keys=(first.public,))
    later = new_pair("ES384", "c", signs_from=noon + timedelta(hours=1))
    login = login.with_key(later.public, noon)

    def at(minutes: int) -> tuple[str, list[str]]:
        now = noon + timedelta(minutes=minutes)
        return login.signing(now).kid, [key.kid for key in login.published(now)]

    assert at(0) == ("a", ["a", "c"])
    assert at(59) == ("a", ["a", "c"])
    assert at(60) == ("c", ["a", "c"])
    assert at(119) == ("c", ["a", "c"])
    assert at(120) == ("c", ["c"])
    assert Login.of(fhir_json.parse(fhir_json.dump(login.kept()))) == login
