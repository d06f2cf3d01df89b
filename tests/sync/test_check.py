"""Checks of a connection against hospitals that do otherwise: each is told, with what to ask for.

Over real sockets; all data are synthetic.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from flask import Request, Response

from fhirbridge.formats import fhir_json
from fhirbridge.sandbox.faults import Hook
from fhirbridge.servers.certificates import certificate
from fhirbridge.servers.network import Network
from fhirbridge.sync.check.coverage import forecast
from fhirbridge.sync.check.examine import examine
from fhirbridge.sync.check.report import Report, coverage_lines, markdown
from fhirbridge.sync.check.step import Examination, Step
from fhirbridge.sync.pull import Pull
from tests.sync.ward import JSON, Ward, chart, patient


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with Ward.open(tmp_path, patient(), chart("e1"), chart("e2")) as made:
        made.enrol()
        yield made


def looked_at(ward: Ward, *, patient: str = "") -> tuple[Examination, dict[str, Step]]:
    hospital = ward.hospital
    seen = Examination(hospital.server, hospital.mappings, datetime.now(UTC), patient=patient)
    return seen, {step.name: step for step in examine(seen)}


def without(parameter: str) -> Hook:
    """The server drops the parameter in silence: its self link has it no more."""

    def answer(request: Request) -> Response | None:
        query = request.query_string.decode()
        if parameter not in query:
            return None
        request.environ["QUERY_STRING"] = re.sub(rf"{parameter}=[^&]*&?", "", query)
        for cached in ("args", "query_string", "full_path", "url"):
            request.__dict__.pop(cached, None)
        request.query_string = request.environ["QUERY_STRING"].encode()
        return None

    return answer


def test_a_hospital_that_does_as_r4_says(ward: Ward) -> None:
    seen, steps = looked_at(ward)
    assert {step.state for name, step in steps.items() if name.startswith("search P")} == {"ok"}
    assert steps["search Observation"].told == (
        "patient honoured; _lastUpdated honoured; category honoured; code honoured; date honoured"
    )
    # Nothing of the type is there, but the self link shows that the parameter was understood.
    assert steps["search Condition"].state == "ok"
    assert steps["paging"].state == "ok"
    assert steps["write Observation"].state == "ok"
    assert ward.writes == []
    strict = [r.headers.get("Prefer") for r in ward.sandbox.requests if "none" in r.path]
    assert {*strict} == {"handling=strict"}
    lacking = {one.why_not for one in forecast(ward.hospital.mappings, seen.lacking)}
    assert lacking == {""}


@pytest.mark.parametrize(
    ("parameter", "state", "told"),
    [
        ("patient", "failed", "patient ignored (it finds what cannot be)"),
        ("_lastUpdated", "warning", "_lastUpdated ignored (it finds what cannot be)"),
    ],
)
def test_a_parameter_that_is_ignored_is_seen(
    ward: Ward, parameter: str, state: str, told: str
) -> None:
    ward.sandbox.fail("GET /fhir/Observation", hook=without(parameter), times=99)
    step = looked_at(ward)[1]["search Observation"]
    assert (step.state, told in step.told) == (state, True)
    assert (
        f"ask for {'the search parameter ' if state == 'failed' else ''}{parameter}" in step.remedy
    )


def test_an_ignored_parameter_of_an_empty_type_is_seen_by_the_self_link(ward: Ward) -> None:
    ward.sandbox.fail("GET /fhir/Condition", hook=without("category"), times=99)
    step = looked_at(ward)[1]["search Condition"]
    assert (step.state, "category ignored (its self link leaves it out)" in step.told) == (
        "warning",
        True,
    )


def test_a_refused_search_costs_its_fields(ward: Ward) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"code": "not-supported"}]}
    raw = fhir_json.dump(outcome)
    ward.sandbox.fail("patient=fhirbridge", status=400, headers=JSON, body=raw, times=99)
    seen, steps = looked_at(ward)
    assert steps["search Observation"].state == "failed"
    assert "patient refused (400 not-supported)" in steps["search Observation"].told
    lost = [one for one in forecast(ward.hospital.mappings, seen.lacking) if one.why_not]
    assert {one.form for one in lost} >= {"assessment", "lesion", "surgery"}
    assert "cannot be searched by patient" in lost[0].why_not


def test_a_server_that_wants_a_patient_is_asked_with_one(ward: Ward) -> None:
    bare = re.compile(r"^(?!.*patient=).*$")

    def only_with(request: Request) -> Response | None:
        if bare.match(request.query_string.decode()):
            return Response(b"{}", 400, JSON)
        return None

    ward.sandbox.fail("GET /fhir/Observation", hook=only_with, times=999)
    assert looked_at(ward)[1]["search Observation"].state == "warning"
    step = looked_at(ward, patient="p1")[1]["search Observation"]
    assert step.state == "ok", step


def test_types_that_are_not_offered_are_forecast(ward: Ward) -> None:
    def fewer(_: Request) -> Response:
        listed = [{"type": "Patient"}, {"type": "Observation", "interaction": [{"code": "read"}]}]
        told = {
            "resourceType": "CapabilityStatement",
            "fhirVersion": "4.0.1",
            "rest": [{"mode": "server", "resource": listed, "operation": [{"name": "export"}]}],
        }
        return Response(fhir_json.dump(told), 200, JSON)

    ward.sandbox.fail("GET /fhir/metadata", hook=fewer, times=9)
    seen, steps = looked_at(ward)
    assert steps["search Procedure"].told.startswith("not offered")
    assert steps["$export"].told == "listed: of system"
    assert steps["write Observation"].told == ("not listed: create, update, conditional create")
    whys = {o.form: o.why_not for o in forecast(ward.hospital.mappings, seen.lacking)}
    assert "Procedure: the server has no such type" in whys["surgery"]


def test_what_is_no_r4_server_and_what_is_not_there_is_told(ward: Ward) -> None:
    old = fhir_json.dump({"resourceType": "CapabilityStatement", "fhirVersion": "3.0.2"})
    ward.sandbox.fail("GET /fhir/metadata", status=200, headers=JSON, body=old)
    step = looked_at(ward)[1]["metadata"]
    assert (step.state, "no R4 server" in step.remedy) == ("failed", True)
    ward.sandbox.stop()
    ward.attempts(1)
    steps = looked_at(ward)[1]
    assert steps["metadata"].told == "the server refused the connection"
    assert steps["the rest"].state == "unknown"


@pytest.mark.parametrize(("minutes", "side"), [(10, "behind"), (-10, "ahead of")])
def test_a_clock_that_is_wrong_is_told(ward: Ward, minutes: int, side: str) -> None:
    """Whose it is cannot be told: both are looked at."""
    hospital, now = ward.hospital, datetime.now(UTC) + timedelta(minutes=minutes)
    steps = examine(Examination(hospital.server, hospital.mappings, now))
    step = next(step for step in steps if step.name == "clock")
    assert (step.state, f"seconds {side} ours" in step.told) == ("warning", True)


def test_a_page_that_is_not_there_fails(ward: Ward) -> None:
    ward.sandbox.fail("_getpages", status=404, times=9)
    assert looked_at(ward)[1]["paging"].state == "failed"


def test_a02_a_pull_does_not_ask_for_what_is_not_granted(ward: Ward) -> None:
    class Narrow:
        def headers(self) -> dict[str, str]:
            return {}

        def renew(self) -> bool:
            return False

        def shut(self) -> None:
            pass

        def granted(self, resource_type: str, letters: str = "rs") -> bool:
            return resource_type in ("Patient", "Observation")

    object.__setattr__(ward.hospital.server, "auth", Narrow())
    run = Pull(ward.hospital, 20).run()
    assert run.state == "incomplete"
    assert "Condition: not granted: our token does not open it" in run.reasons
    assert [r.path for r in ward.sandbox.requests if "/Condition" in r.path] == []
    assert run.counts["received"] == 3


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[str]:
    """A server whose certificate nobody vouches for."""
    key, name = ec.generate_private_key(ec.SECP256R1()), "hospital.example"
    told = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(told).issuer_name(told)
    made = made.public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now).not_valid_after(now + timedelta(days=3))
    file = tmp_path / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    signed = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    file.write_bytes(private + signed)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                context.wrap_socket(plain, server_side=True).close()
            except (ssl.SSLError, ConnectionError):
                plain.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}/fhir"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(timeout=5)


def test_e05_a_certificate_that_nobody_vouches_for_is_told(self_signed: str, ward: Ward) -> None:
    here = Network.of("127.0.0.1/32")
    with pytest.raises(Exception, match="certificate is not trusted"):
        certificate(self_signed, here, seconds=5)
    with pytest.raises(Exception, match="there is no TLS"):
        certificate(ward.hospital.base.replace("http:", "https:"), here, seconds=5)
    assert certificate(ward.hospital.base, here, seconds=5) is None


def test_the_report_says_what_to_ask_for(ward: Ward) -> None:
    ward.sandbox.fail("GET /fhir/Observation", hook=without("_lastUpdated"), times=99)
    seen, steps = looked_at(ward)
    told = forecast(ward.hospital.mappings, seen.lacking)
    made = Report("ward", ward.hospital.base, seen.now, "generic", [*steps.values()], told, 20)
    text = markdown(made)
    asked, _, rest = text.partition("## What was seen")
    assert "**search Observation**" in asked
    assert "ask for _lastUpdated; without it changes are seen by full pulls alone" in asked
    assert "| search Patient | works |" in rest
    assert "| assessment | 40 | 40 |" in rest
    assert "M00001" not in text
    ended = Report("ward", "", seen.now, "generic", [Step("a|b", "failed", "x\ny")], None, 0)
    assert "| a\\|b | does not work | x y |" in markdown(ended)
    assert [*coverage_lines(ended)] == ["coverage: not known, as the check could not go on"]
