"""SMART Backend Services as server: rows A7 to A13, X33 and X36 of what is promised."""

from __future__ import annotations

import hmac
import io
import json
import logging
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey
from werkzeug.test import TestResponse

from fhirbridge.app import OPEN, create_app
from fhirbridge.fhir.validate import validate
from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError
from fhirbridge.registry import Registry, faults
from fhirbridge.registry.smart import Signer
from fhirbridge.registry.vault import key as vault_key
from fhirbridge.settings import Settings
from fhirbridge.web import access, assertions, client_keys
from tests import databases
from tests.web.sender import Sender, bundle, lesion, score
from tests.web.signing import BASE, TOKEN_URL, Signing, ec, jwks, part, rsa, sign


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return databases.settings(tmp_path / "data", max_body=200_000, base_url=BASE, login_rate="")


@pytest.fixture
def lab(door: Sender) -> Signing:
    return Signing.at(door)


def refused(answer: TestResponse, error: str = "invalid_client") -> str:
    """Its description, after the look at what every error must be."""
    told = answer.get_json()
    assert {*told} == {"error", "error_description"}
    assert (told["error"], answer.headers["Cache-Control"]) == (error, "no-store")
    assert answer.status_code == (401 if error == "invalid_client" else 400)
    return str(told["error_description"])


@pytest.mark.parametrize(("make", "alg"), [(rsa, "RS384"), (ec, "ES384")])
def test_a_signed_assertion_gets_a_short_token(lab: Signing, make: Any, alg: str) -> None:
    lab.key, lab.alg = make(), alg
    answer = lab.ask()
    told = answer.get_json()
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert {*told} == {"access_token", "token_type", "expires_in", "scope"}
    assert (told["token_type"], told["scope"]) == ("bearer", "system/*.cruds")
    bearing = Sender(lab.app, lab.site.site, lab.site.site_id, told["access_token"])
    assert bearing("GET", "/fhir/Patient").get_json()["resourceType"] == "Bundle"
    assert bearing.fates(bearing.push(score())) == ["applied"]


def test_a07_an_assertion_is_taken_once(lab: Signing) -> None:
    assertion = lab.assertion()
    assert lab.ask(assertion).status_code == 200
    assert "jti" in refused(lab.ask(assertion))


def test_a07_a_replay_is_refused_after_a_restart_and_on_another_worker(
    lab: Signing, settings: Settings
) -> None:
    assertion = lab.assertion()
    assert lab.ask(assertion).status_code == 200
    lab.site.service.registry.close()
    other = create_app(settings)
    assert "jti" in refused(lab.ask(assertion, app=other))
    assert lab.ask(app=other).status_code == 200
    other.extensions["fhirbridge"].registry.close()


def test_a07_of_the_same_assertion_at_the_same_time_one_is_taken(lab: Signing) -> None:
    assertion = lab.assertion()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: lab.ask(assertion), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7


def test_a07_a_jti_is_the_clients_own_and_forgotten_when_it_is_worthless(lab: Signing) -> None:
    other = Signing.at(lab.site, name="ris")
    assert lab.ask(lab.assertion(jti="1")).status_code == 200
    assert other.ask(other.assertion(jti="1")).status_code == 200
    now = datetime.now(UTC)
    with lab.site.service.registry.unit(lab.site.site_id) as unit:
        assert unit.assertions.use(lab.id, "old", until=now - timedelta(seconds=1))
        assert unit.assertions.use(lab.id, "old", until=now + timedelta(seconds=9))
        assert not unit.assertions.use(lab.id, "old", until=now + timedelta(seconds=9))


def test_a07_an_assertion_that_asked_too_much_is_used_too(lab: Signing) -> None:
    assertion = lab.assertion()
    refused(lab.ask(assertion, scope="patient/*.rs"), "invalid_scope")
    assert "jti" in refused(lab.ask(assertion))


# What is wrong, the claims with it (a function of now), a word of the description.
CLAIMS: list[tuple[str, Callable[[int], dict[str, Any]], str]] = [
    ("exp 310 s ahead, and the skew", lambda now: {"exp": now + 310 + 30}, "exp is more than"),
    ("exp an hour ahead", lambda now: {"exp": now + 3600}, "exp is more than"),
    ("exp past", lambda now: {"exp": now - 1}, "exp is past"),
    ("exp long past", lambda now: {"exp": now - 3600, "iat": now - 3700}, "exp is past"),
    ("no exp", lambda now: {"exp": None}, "exp is missing"),
    ("exp as text", lambda now: {"exp": str(now + 60)}, "exp is no time"),
    ("exp true", lambda now: {"exp": True}, "exp is no time"),
    ("exp below zero", lambda now: {"exp": -1}, "exp is no time"),
    ("exp beyond all time", lambda now: {"exp": 10**30}, "exp is no time"),
    ("nbf in the future", lambda now: {"nbf": now + 60}, "nbf is in the future"),
    ("iat in the future", lambda now: {"iat": now + 60}, "iat is in the future"),
    ("iat an hour ago", lambda now: {"iat": now - 3600}, "iat is more than"),
    ("iat a list", lambda now: {"iat": [now]}, "iat is no time"),
    ("aud another server", lambda now: {"aud": "https://other.example.org/oauth/token"}, "aud"),
    ("aud the FHIR base", lambda now: {"aud": f"{BASE}/fhir"}, "aud"),
    ("aud another server too", lambda now: {"aud": [TOKEN_URL, "https://other.example.org"]}, "aud"),
    ("no aud", lambda now: {"aud": None}, "aud"),
    ("iss a stranger", lambda now: {"iss": "somebody"}, "not known here"),
    ("iss no text", lambda now: {"iss": 5}, "not known here"),
    ("no iss", lambda now: {"iss": None}, "not known here"),
    ("sub another", lambda now: {"sub": "somebody"}, "iss and sub"),
    ("no sub", lambda now: {"sub": None}, "iss and sub"),
    ("no jti", lambda now: {"jti": None}, "jti is missing"),
    ("jti empty", lambda now: {"jti": ""}, "jti is missing"),
    ("jti a number", lambda now: {"jti": 7}, "jti is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("claims", "told"), [c[1:] for c in CLAIMS], ids=[c[0] for c in CLAIMS])
def test_a08_claims_that_are_not_taken(lab: Signing, claims: Any, told: str) -> None:
    assert told in refused(lab.ask(lab.assertion(**claims(int(time.time())))))


def test_a08_claims_at_the_edge_are_taken(lab: Signing) -> None:
    now = int(time.time())
    edges: list[dict[str, Any]] = [
        {"exp": now + 300, "nbf": now, "iat": now - 200},
        {"exp": now + 325},  # a client whose clock is ahead
        {"iat": now + 25, "nbf": now + 25},
        {"iat": None},
        {"exp": now + 60.5},
        {"aud": [TOKEN_URL]},
    ]
    assert [lab.ask(lab.assertion(**edge)).status_code for edge in edges] == [200] * len(edges)


NOW = 1_800_000_000
# The claims, and whether they are taken at NOW; the seconds are those of the documents.
EDGES = [
    ({"exp": NOW + 300 + 30}, True),
    ({"exp": NOW + 301 + 30}, False),
    ({"exp": NOW + 1}, True),
    ({"exp": NOW}, False),
    ({"nbf": NOW + 30}, True),
    ({"nbf": NOW + 31}, False),
    ({"iat": NOW + 30}, True),
    ({"iat": NOW + 31}, False),
    ({"iat": NOW - 330}, True),
    ({"iat": NOW - 331}, False),
]


@pytest.mark.parametrize(("claims", "taken"), EDGES)
def test_a08_to_the_second(claims: dict[str, Any], taken: bool) -> None:
    (key,) = client_keys.read(jwks(ec()), name="keys.json")
    signer = Signer("lab-id", "site", "lab", "system/*.rs", key.alg, key.jwk)
    good = {"iss": "lab-id", "sub": "lab-id", "aud": TOKEN_URL, "exp": NOW + 60, "jti": "1"}
    text = sign({"alg": "ES384", "kid": "ec-0", "typ": "JWT"}, {**good, **claims}, ec())

    def judged() -> assertions.Assertion:
        now = datetime.fromtimestamp(NOW, UTC)
        return assertions.judge(text, lambda *_: signer, audience=TOKEN_URL, now=now)

    if taken:
        assert judged().until.timestamp() == claims.get("exp", NOW + 60) + 30
    else:
        with pytest.raises(assertions.Refused):
            judged()


def test_a08_a_foreign_client_cannot_sign_for_another(lab: Signing) -> None:
    foreign = Signing.at(Sender.at(lab.app, "beta"), name="lab")
    foreign.key = ec(1)
    assert "not known here" in refused(foreign.ask(foreign.assertion(iss=lab.id, sub=lab.id)))


def _hmac(lab: Signing) -> str:
    """The public key as the secret of an HMAC: what a careless check would take."""
    signing_input = f"{part(lab.header(alg='HS384', kid='rsa-0'))}.{part(lab.claims())}"
    secret = rsa().as_pem(private=False)
    return f"{signing_input}.{part(hmac.digest(secret, signing_input.encode(), 'sha384'))}"


def _none(lab: Signing) -> str:
    return f"{part(lab.header(alg='none'))}.{part(lab.claims())}."


def _own_key(lab: Signing) -> str:
    stranger = ec(1)
    header = lab.header(jwk=stranger.as_dict(private=False))
    return sign(header, lab.claims(), stranger)


def _twice(lab: Signing) -> str:
    """A name twice in the header: two readers could see two algorithms."""
    raw = json.dumps(lab.header())[:-1].encode() + b', "alg": "none"}'
    return f"{part(raw)}.{lab.assertion().split('.', 1)[1]}"


def _changed(lab: Signing) -> str:
    head, _, signature = lab.assertion().split(".")
    return f"{head}.{part(lab.claims(jti='changed'))}.{signature}"


# What is wrong, the assertion of it, a word of the description.
HOSTILE: list[tuple[str, Callable[[Signing], str], str]] = [
    ("alg none", _none, "alg is not"),
    ("alg NONE", lambda lab: _none(lab).replace(part(lab.header(alg="none")), part(lab.header(alg="NONE"))), "alg is not"),
    ("HS384 with the public key", _hmac, "alg is not"),
    ("RS256", lambda lab: sign(lab.header(alg="RS256", kid="rsa-0"), lab.claims(), rsa()), "alg is not"),
    ("PS384", lambda lab: sign(lab.header(alg="PS384", kid="rsa-0"), lab.claims(), rsa()), "alg is not"),
    ("no alg", lambda lab: f"{part({'kid': 'ec-0', 'typ': 'JWT'})}.{part(lab.claims())}.AAAA", "alg is not"),
    ("alg a list", lambda lab: f"{part(lab.header(alg=['ES384']))}.{part(lab.claims())}.AAAA", "alg is not"),
    ("an ES384 key with RS384", lambda lab: sign(lab.header(alg="RS384", kid="ec-0"), lab.claims(), rsa()), "not known here"),
    ("an RS384 key with ES384", lambda lab: sign(lab.header(alg="ES384", kid="rsa-0"), lab.claims(), ec()), "not known here"),
    ("unknown crit", lambda lab: lab.assertion({"crit": ["exp"], "exp": 1}), "crit"),
    ("empty crit", lambda lab: lab.assertion({"crit": []}), "crit"),
    ("an embedded jwk", _own_key, "jwk"),
    ("x5u", lambda lab: lab.assertion({"x5u": "https://evil.example.org/x"}), "x5u"),
    ("x5c", lambda lab: lab.assertion({"x5c": ["MIIB"]}), "x5c"),
    ("jku", lambda lab: lab.assertion({"jku": "https://evil.example.org/jwks"}), "jku"),
    ("b64 false", lambda lab: lab.assertion({"b64": False}), "b64"),
    ("no typ", lambda lab: lab.assertion({"typ": None}), "typ is not"),
    ("typ an access token", lambda lab: lab.assertion({"typ": "at+jwt"}), "typ is not"),
    ("no kid", lambda lab: lab.assertion({"kid": None}), "no kid"),
    ("kid a list", lambda lab: lab.assertion({"kid": ["ec-0"]}), "no kid"),
    ("an unknown kid", lambda lab: lab.assertion({"kid": "ec-1"}), "not known here"),
    ("a kid with NUL", lambda lab: lab.assertion({"kid": "ec-0\0"}), "no kid"),
    ("an iss with NUL", lambda lab: lab.assertion(iss=f"{lab.id}\0"), "not known here"),
    ("a kid that is SQL", lambda lab: lab.assertion({"kid": "' OR '1'='1"}), "not known here"),
    ("a kid that is a path", lambda lab: lab.assertion({"kid": "../../dev/null"}), "not known here"),
    ("another key under this kid", lambda lab: sign(lab.header(), lab.claims(), ec(1)), "not known here"),
    ("claims changed after signing", _changed, "not known here"),
    ("no signature", lambda lab: lab.assertion().rsplit(".", 1)[0] + ".", "not known here"),
    ("r and s are zero", lambda lab: lab.assertion().rsplit(".", 1)[0] + "." + part(bytes(96)), "not known here"),
    ("alg twice", _twice, "no base64url JSON object"),
    ("padded base64", lambda lab: "=." + lab.assertion().split(".", 1)[1], "no base64url JSON object"),
    ("nested deep", lambda lab: f"{part(b'[' * 9000)}.e30.AAAA", "no base64url JSON object"),
    ("no object", lambda lab: f"{part([1])}.{part([1])}.AAAA", "no base64url JSON object"),
    ("four parts", lambda lab: lab.assertion() + ".AAAA", "no JWT"),
    ("no JWT", lambda lab: "nonsense", "no JWT"),
    ("no ASCII", lambda lab: "ä.ö.ü", "no base64url JSON object"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "told"), [h[1:] for h in HOSTILE], ids=[h[0] for h in HOSTILE])
def test_a10_x10_assertions_of_an_attacker(
    lab: Signing, make: Callable[[Signing], str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(*_: object) -> None:
        raise AssertionError("nothing is fetched")

    monkeypatch.setattr("socket.socket.connect", fetched)
    assert told in refused(lab.ask(make(lab)))


def test_a09_a_jku_is_refused_and_without_it_the_registered_keys_are_taken(lab: Signing) -> None:
    header = {"jku": "https://lab.example.org/jwks"}
    assert "jku" in refused(lab.ask(lab.assertion(header)))
    assert lab.ask().status_code == 200


def private(**more: Any) -> bytes:
    return json.dumps({"keys": [{**ec().as_dict(private=True), **more}]}).encode()


P256 = ECKey.generate_key("P-256", {"kid": "p"}, auto_kid=False)
# What is wrong with a JWK Set, the set, place, cause, remedy.
SETS: list[tuple[str, bytes, str, str, str]] = [
    ("two keys with one kid", jwks(ec(), rsa(), kid="k"), "keys.json", "same kid", "of its own"),
    ("a private key", private(), "keys.json: keys[0]", "private or secret parts: d", "new key pair"),
    ("a secret", b'{"keys":[{"kty":"oct","k":"AAAA","kid":"k"}]}', "keys.json: keys[0]", "parts: k", "public part"),
    ("a private RSA part alone", jwks(rsa(), qi="AAAA"), "keys.json: keys[0]", "parts: qi", "public part"),
    ("kty RSA with ES384", jwks(rsa(), alg="ES384"), "keys.json: keys[0]", "alg does not fit", "RS384"),
    ("kty EC with RS384", jwks(rsa(), ec()).replace(b'"kid": "ec-0"', b'"kid": "e", "alg": "RS384"'), "keys.json: keys[1]", "alg does not fit", "ES384"),
    ("alg none", jwks(ec(), alg="none"), "keys.json: keys[0]", "alg does not fit", "ES384"),
    ("RS256", jwks(rsa(), alg="RS256"), "keys.json: keys[0]", "alg does not fit", "RS384"),
    ("P-256", jwks(P256), "keys.json: keys[0]", "curve", "P-384"),
    ("P-256 that says P-384", jwks(P256, crv="P-384"), "keys.json: keys[0]", "no key", "export"),
    ("an Edwards curve", b'{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA","kid":"k"}]}', "keys.json: keys[0]", "kty", "RSA, or EC"),
    ("a small RSA key", jwks(rsa(), n="v" * 100), "keys.json: keys[0]", "size", "2048 to 4096"),
    ("a huge RSA key", jwks(rsa(), n="v" * 9000), "keys.json: keys[0]", "size", "2048 to 4096"),
    ("no base64", jwks(rsa(), n="!" * 342), "keys.json: keys[0]", "no key", "export"),
    ("for encryption", jwks(ec(), use="enc"), "keys.json: keys[0]", "signatures", "sig"),
    ("for signing", jwks(ec(), key_ops=["sign"]), "keys.json: keys[0]", "signatures", "sig"),
    ("no kid", jwks(ec(), kid=""), "keys.json: keys[0]", "no kid", "200"),
    ("a part missing", b'{"keys":[{"kty":"EC","crv":"P-384","x":"AA","kid":"k"}]}', "keys.json: keys[0]", "missing", "y as texts"),
    ("a number as key", b'{"keys":[5]}', "keys.json: keys[0]", "no JSON object", "JWK"),
    ("no keys", b'{"keys":[]}', "keys.json", "no JWK Set", "keys"),
    ("a key alone", json.dumps(ec().as_dict(private=False)).encode(), "keys.json", "no JWK Set", "keys"),
    ("PEM", ec().as_pem(private=False), "keys.json line 1, column 1", "broken JSON", "JWK Set"),
    ("too long", b" " * 100_001, "keys.json", "too long", "100000"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "place", "cause", "remedy"), [s[1:] for s in SETS], ids=[s[0] for s in SETS])  # fmt: skip
def test_a09_key_sets_that_are_not_registered(
    raw: bytes, place: str, cause: str, remedy: str
) -> None:
    with pytest.raises(BridgeError) as error:
        client_keys.read(raw, name="keys.json")
    told = error.value.issues[0]
    assert told.place == place
    assert cause in told.cause
    assert remedy in told.remedy


def test_a09_every_key_of_a_set_is_kept_in_its_public_members_alone() -> None:
    kept = client_keys.read(jwks(rsa(), ec(), use="sig", x5u="https://x.example.org"), name="k")
    assert [(key.kid, key.alg, {*key.jwk}) for key in kept] == [
        ("rsa-0", "RS384", {"kty", "n", "e"}),
        ("ec-0", "ES384", {"kty", "crv", "x", "y"}),
    ]


def test_a11_unknown_kids_are_refused_without_a_fetch_however_many(
    lab: Signing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing to fetch: keys are registered as a file, and changed with a new client."""
    calls: list[object] = []
    monkeypatch.setattr("socket.socket.connect", lambda *a: calls.append(a))
    monkeypatch.setattr("socket.getaddrinfo", lambda *a, **_: calls.append(a))
    for number in range(50):
        refused(lab.ask(lab.assertion({"kid": f"unknown-{number}"})))
    assert calls == []


def test_a12_a_reader_may_not_push(door: Sender) -> None:
    reader = Signing.at(door, scope="system/*.rs").bearing("system/*.rs")
    for path, body in (("/fhir", bundle(score())), ("/fhir/Bundle", bundle(score())), ("/fhir/Observation", score()), ("/fhir", b"{broken")):  # fmt: skip
        answer = reader("POST", path, body)
        assert answer.status_code == 403
        assert answer.get_json()["issue"][0]["code"] == "forbidden"
        assert "X-Receipt" not in answer.headers
    assert door.records() == []


def test_a12_a_scope_for_one_type_reads_no_other(door: Sender) -> None:
    door.push(score())
    narrow = Signing.at(door).bearing("system/Observation.rs")
    found = narrow("GET", "/fhir/Observation").get_json()["entry"][0]["resource"]
    assert narrow("GET", f"/fhir/Observation/{found['id']}").status_code == 200
    person = door("GET", "/fhir/Patient").get_json()["entry"][0]["resource"]["id"]
    for method, path in (("GET", f"/fhir/Patient/{person}"), ("GET", "/fhir/Patient/unknown"), ("GET", "/fhir/Patient"), ("POST", "/fhir/Patient/_search")):  # fmt: skip
        answer = narrow(method, path)
        assert (answer.status_code, answer.get_json()["issue"][0]["code"]) == (403, "forbidden")


def test_a12_read_and_search_are_letters_of_their_own(door: Sender) -> None:
    door.push(score())
    id = door("GET", "/fhir/Observation").get_json()["entry"][0]["resource"]["id"]
    lab = Signing.at(door)
    paths = ("/fhir/Observation", f"/fhir/Observation/{id}")
    told = {
        letter: [lab.bearing(f"system/Observation.{letter}")("GET", p).status_code for p in paths]
        for letter in "rs"
    }
    assert told == {"r": [403, 200], "s": [200, 403]}


def test_a12_a_transaction_needs_the_scope_of_every_type_in_it(door: Sender) -> None:
    writer = Signing.at(door).bearing("system/Observation.cud")
    answer = writer.push(score(), lesion())
    assert answer.status_code == 403
    assert "system/Condition.cu" in answer.get_json()["issue"][0]["details"]["text"]
    assert door.records() == []
    assert writer("POST", "/fhir/Condition", lesion()).status_code == 403
    assert writer.fates(writer.push(score())) == ["applied"]


@pytest.mark.parametrize("scope", ["system/Observation.c", "system/Observation.u"])
def test_a12_a_push_creates_or_updates_so_it_needs_both(door: Sender, scope: str) -> None:
    assert Signing.at(door).bearing(scope).push(score()).status_code == 403


def test_a12_who_may_not_read_is_not_told_what_was_made_of_it(door: Sender) -> None:
    writer = Signing.at(door).bearing("system/Observation.cu")
    answer = writer("POST", "/fhir/Observation", score())
    assert answer.status_code == 201
    assert answer.get_json()["resourceType"] == "OperationOutcome"
    assert writer.receipt(answer)["state"] == "done"


def test_a12_receipts_of_others_need_the_scope_of_everything(door: Sender) -> None:
    receipt = f"/receipts/{door.push(score()).headers['X-Receipt']}"
    lab = Signing.at(door)
    assert lab.bearing("system/*.rs")("GET", receipt).status_code == 200
    narrow = lab.bearing("system/Observation.rs")
    other = narrow("GET", receipt)
    assert (other.status_code, other.data) == (404, narrow("GET", "/receipts/unknown").data)


def test_a12_what_is_no_message_is_refused_for_narrow_clients_too(door: Sender) -> None:
    writer = Signing.at(door).bearing("system/Observation.cu")
    wrong = [b"{broken", b"[]", {"resourceType": "Bundle", "entry": 5}, {"resourceType": "Bundle", "entry": [5, {"resource": 5}]}]  # fmt: skip
    assert [writer("POST", "/fhir", body).status_code for body in wrong] == [400] * 4


# What a client may have, what it asks, what it gets.
GRANTS = [
    ("system/*.cruds", "system/*.rs", "system/*.rs"),
    ("system/*.cruds", "system/*.read system/*.write", "system/*.read system/*.write"),
    ("system/*.read", "system/*.rs", "system/*.rs"),
    ("system/*.rs", "system/*.cruds", "system/*.rs"),
    ("system/*.rs", "system/*.*", "system/*.rs"),
    ("system/Observation.rs", "system/*.rs", "system/Observation.rs"),
    ("system/Observation.rs system/Patient.r", "system/*.read", "system/Observation.rs system/Patient.r"),
    ("system/*.r system/Observation.cu", "system/*.cruds", "system/*.r system/Observation.cru"),
    ("system/*.rs system/Observation.cud", "system/Observation.cruds", "system/Observation.cruds"),
    ("system/*.rs", "openid patient/*.rs system/Patient.rs", "system/Patient.rs"),
    ("system/*.rs", "system/Patient.rs system/Patient.rs", "system/Patient.rs"),
    ("system/*.rs", "system/Observation.rs?category=x system/Patient.r", "system/Patient.r"),
]  # fmt: skip


@pytest.mark.parametrize(("held", "asked", "given"), GRANTS)
def test_a12_only_granted_scopes_are_answered(
    door: Sender, held: str, asked: str, given: str
) -> None:
    assert Signing.at(door, scope=held).ask(scope=asked).get_json()["scope"] == given


@pytest.mark.parametrize(
    "asked",
    ["system/*.cud", "patient/*.rs", "system/*.", "system/*.sr", "launch", "system/*.rs?_id=1"],
)
def test_a12_where_nothing_is_granted_there_is_no_token(door: Sender, asked: str) -> None:
    refused(Signing.at(door, scope="system/*.rs").ask(scope=asked), "invalid_scope")


def test_a12_a_token_ends_after_at_most_300_seconds(lab: Signing, settings: Settings) -> None:
    told = lab.ask().get_json()
    assert told["expires_in"] <= 300
    for seconds, taken in ((told["expires_in"] - 5, True), (told["expires_in"] + 1, False)):
        later = datetime.now(UTC) + timedelta(seconds=seconds)
        registry = Registry.open(
            settings.database_url, key=vault_key(settings.vault_key), clock=lambda at=later: at
        )
        bearer = f"Bearer {told['access_token']}"
        if taken:
            assert access.caller(registry, bearer, "").client == "lab"
        else:
            with pytest.raises(BridgeError, match="has ended"):
                access.caller(registry, bearer, "")
        registry.close()


def test_a12_a_revoked_client_gets_no_token_and_its_tokens_end_at_once(lab: Signing) -> None:
    bearing = lab.bearing()
    assert bearing("GET", "/fhir/Patient").status_code == 200
    with lab.site.service.registry.unit(lab.site.site_id) as unit:
        unit.clients.revoke("lab")
        unit.commit()
    assert bearing("GET", "/fhir/Patient").status_code == 401
    assert "not known here" in refused(lab.ask())


def test_a12_a_token_speaks_for_its_site_alone(lab: Signing) -> None:
    lab.site.push(score())
    foreign = Signing.at(Sender.at(lab.app, "beta")).bearing()
    assert foreign("GET", "/fhir/Observation").get_json().get("entry", []) == []


def test_a12_an_api_key_has_every_scope_of_its_site(door: Sender) -> None:
    caller = access.caller(door.service.registry, f"Bearer {door.key}", "")
    assert str(caller.scopes) == "system/*.cruds"


# What is wrong with the request, the form's changes, the error.
FORMS: list[tuple[str, dict[str, Any], str]] = [
    ("no grant type", {"grant_type": None}, "invalid_request"),
    ("a refresh", {"grant_type": "refresh_token"}, "unsupported_grant_type"),
    ("a password", {"grant_type": "password"}, "unsupported_grant_type"),
    ("no assertion", {"client_assertion": ""}, "invalid_request"),
    ("no assertion type", {"client_assertion_type": None}, "invalid_request"),
    ("a SAML assertion", {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}, "invalid_client"),
    ("no scope", {"scope": None}, "invalid_request"),
    ("another client id", {"client_id": "somebody"}, "invalid_client"),
    ("a parameter twice", {"scope": ["system/*.rs", "system/*.cruds"]}, "invalid_request"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "error"), [f[1:] for f in FORMS], ids=[f[0] for f in FORMS])
def test_a13_requests_that_are_wrong_get_oauths_error(
    lab: Signing, form: dict[str, Any], error: str
) -> None:
    refused(lab.ask(**{"client_assertion": lab.assertion(), **form}), error)


def test_a13_only_a_form_of_a_sane_size_is_read(lab: Signing) -> None:
    client = lab.app.test_client()
    refused(client.post("/oauth/token", json={"grant_type": "x"}), "invalid_request")
    long = lab.ask(padding="x" * 20_000)
    assert (long.status_code, long.get_json()["error"]) == (413, "invalid_request")
    in_url = client.post(f"/oauth/token?client_assertion={lab.assertion()}", data={"scope": "x"})
    refused(in_url, "invalid_request")


def test_a13_an_error_shows_nothing_of_what_was_sent_and_no_stack(
    lab: Signing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = "Kanarienvogel-4711"
    tries = [
        lab.assertion(iss=canary),
        lab.assertion(sub=canary),
        lab.assertion(aud=canary),
        lab.assertion(exp=canary),
        lab.assertion({"kid": canary}),
        lab.assertion({"typ": canary}),
        lab.assertion({canary: canary, "crit": [canary]}),
        canary,
    ]
    answers = [lab.ask(assertion) for assertion in tries]
    answers += [lab.ask(scope=canary), lab.ask(grant_type=canary), lab.ask(client_id=canary)]
    for answer in answers:
        assert 400 <= answer.status_code <= 401
        assert canary not in answer.text
        assert "Traceback" not in answer.text
    assert canary not in caplog.text


def test_a13_a_defect_of_ours_is_a_server_error_without_its_text(
    lab: Signing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("Kanarienvogel")

    monkeypatch.setattr(assertions, "judge", broken)
    answer = lab.ask()
    assert (answer.status_code, answer.get_json()["error"]) == (500, "server_error")
    assert "Kanarienvogel" not in answer.text + caplog.text


def test_a13_a_busy_database_is_told_as_such(lab: Signing, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object, **__: object) -> None:
        raise faults.transient("the database is locked")

    monkeypatch.setattr(assertions, "judge", busy)
    answer = lab.ask()
    assert (answer.status_code, answer.get_json()["error"]) == (503, "temporarily_unavailable")


def test_x33_a_token_is_kept_as_its_hash_and_only_taken_as_a_bearer(
    lab: Signing, settings: Settings
) -> None:
    token = lab.bearing().key
    assert lab.site("GET", "/fhir/Patient", Authorization="", X_API_Key=token).status_code == 401
    wrong = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert lab.site("GET", "/fhir/Patient", Authorization=f"Bearer {wrong}").status_code == 401
    lab.site.service.registry.close()
    stored = databases.contents(settings.data)
    assert b"alpha" in stored  # the bytes are there to be searched
    assert token.removeprefix("fbt_").encode() not in stored


def test_x33_a_client_that_signs_has_no_api_key(lab: Signing) -> None:
    for secret in ("", "0" * 48):
        given = f"Bearer fb_{lab.id}_{secret}"
        assert lab.site("GET", "/fhir/Patient", Authorization=given).status_code == 401


class Unread(io.RawIOBase):
    """A body that tells whether somebody looked."""

    looked = False

    def readable(self) -> bool:
        return True

    def readinto(self, _: Any) -> int:
        type(self).looked = True
        return 0


@pytest.fixture
def unread() -> Unread:
    Unread.looked = False
    return Unread()


@pytest.mark.parametrize("authorization", ["", "Bearer fbt_wrong", "Bearer fb_a_b", "Basic eDp5"])
def test_x36_no_route_reads_a_body_before_authentication(
    door: Sender, authorization: str, unread: Unread, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parsed(_: bytes) -> None:
        raise AssertionError("something was parsed")

    monkeypatch.setattr(fhir_json, "read", parsed)
    asked = 0
    for rule in door.app.url_map.iter_rules():
        if rule.endpoint in OPEN:
            continue
        path = re.sub("<[^>]+>", "Observation", rule.rule)
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}:
            answer = door.app.test_client().open(
                path,
                method=method,
                content_type="application/x-www-form-urlencoded",
                headers={"Authorization": authorization},
                environ_overrides={"wsgi.input": unread, "CONTENT_LENGTH": "9"},
            )
            assert answer.status_code == 401
            asked += 1
    assert asked > 20
    assert not Unread.looked


def test_x36_the_token_endpoint_reads_nothing_but_a_form(
    door: Sender, unread: Unread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fhir_json, "read", lambda _: pytest.fail("something was parsed"))
    for kind in ("application/fhir+json", "multipart/form-data; boundary=x", ""):
        answer = door.app.test_client().post(
            "/oauth/token",
            content_type=kind,
            environ_overrides={"wsgi.input": unread, "CONTENT_LENGTH": "9"},
        )
        assert answer.status_code == 400
    assert not Unread.looked


def test_the_configuration_says_what_is_done(lab: Signing) -> None:
    answer = lab.site("GET", "/fhir/.well-known/smart-configuration", Authorization="")
    told = answer.get_json()
    assert answer.content_type == "application/json"
    assert told["token_endpoint"] == TOKEN_URL
    assert told["grant_types_supported"] == ["client_credentials"]
    assert told["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert told["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert "client-confidential-asymmetric" in told["capabilities"]
    for scope in told["scopes_supported"]:
        assert lab.ask(scope=scope).get_json()["scope"] == scope


def test_the_capability_statement_names_the_token_endpoint(door: Sender) -> None:
    statement = door("GET", "/fhir/metadata", Authorization="").get_json()
    security = statement["rest"][0]["security"]
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    assert TOKEN_URL in security["description"]
    assert [issue for issue in validate(statement) if issue.severity == "error"] == []


def test_a_service_that_does_not_know_its_url_gives_no_tokens(tmp_path: Path) -> None:
    """Its URL would be what the request says: an assertion for any other server would be taken."""
    app = create_app(databases.settings(tmp_path / "other"))
    door = Sender.at(app, "alpha")
    lab = Signing.at(door)
    refused(lab.ask(lab.assertion(aud="http://localhost/oauth/token")), "invalid_request")
    assert door("GET", "/fhir/.well-known/smart-configuration").status_code == 404
    assert "service" not in door("GET", "/fhir/metadata").get_json()["rest"][0]["security"]
    door.service.registry.close()
