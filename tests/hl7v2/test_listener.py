"""The listener on a socket: frames in any pieces, one answer each, and none where nothing is safe."""

from __future__ import annotations

import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fhirbridge.crash import Crash
from fhirbridge.formats import fhir_json, hl7v2, mllp
from fhirbridge.listener.server import Limits, Listener, Secure, fingerprint
from fhirbridge.listener.taking import Desk
from fhirbridge.registry.faults import transient
from fhirbridge.registry.feeds import Feed
from fhirbridge.registry.store import Registry
from fhirbridge.sync.ingest import Incoming, ingest
from tests.hl7v2.conftest import Open
from tests.hl7v2.world import World


def message(
    id: str, *values: int, mode: str = "", code: str = "PREST", name: str = "0004711"
) -> bytes:
    """An ORU with pain at rest; each value a day later."""
    rows = [
        f"MSH|^~\\&|EHR|SITEA|FHIRBRIDGE|MBDSTUDY|20260301101500||ORU^R01^ORU_R01|{id}|P|2.5.1{mode}",
        f"PID|1||{name}^^^SITEA&2.999.1.1&ISO^MR",
        f"OBR|1||F{id}^LAB|PROS^^99SITEA|||20260301093000||||||||||||||||||F",
    ]
    rows += [
        f"OBX|{n}|NM|{code}^^99SITEA||{value}|{{score}}^score^UCUM|||||F|||202603{n:02}093000"
        for n, value in enumerate(values, start=1)
    ]
    return ("\r".join(rows) + "\r").encode()


def ids(answers: list[bytes]) -> list[str]:
    return [hl7v2.decode(one).one("MSA").raw(2) for one in answers]


def codes(answers: list[bytes]) -> list[str]:
    return [hl7v2.decode(one).one("MSA").raw(1) for one in answers]


def raw(here: World, given: bytes, *, pieces: int = 0) -> bytes:
    """All that comes back for these bytes, sent at once or in pieces of so many."""
    with socket.create_connection(("127.0.0.1", here.port), timeout=20) as wire:
        step = pieces or len(given)
        for start in range(0, len(given), step):
            wire.sendall(given[start : start + step])
        wire.shutdown(socket.SHUT_WR)
        told = b""
        while some := wire.recv(65536):
            told += some
    return told


def test_many_messages_in_one_write_are_answered_in_their_order(here: World) -> None:
    sent = b"".join(mllp.frame(message(f"M{n}", n)) for n in range(5))
    answers = [*mllp.Frames().feed(raw(here, sent))]
    assert ids(answers) == [f"M{n}" for n in range(5)]


def test_a_message_comes_byte_by_byte_and_without_the_last_cr(here: World) -> None:
    sent = mllp.frame(message("B1", 4).rstrip(b"\r")).rstrip(b"\r")  # FS, and no CR behind it
    assert ids([*mllp.Frames().feed(raw(here, sent, pieces=1))]) == ["B1"]


def test_a_long_message_is_one(here: World) -> None:
    body = message("L1", *(n % 10 for n in range(28)))
    long = body + b"NTE|1||" + b"x" * 80_000 + b"\r"
    (answer,) = here.send(long)
    assert ids([answer]) == ["L1"]
    assert len([one for one in here.records() if one.form == "assessment"]) == 28


def test_e25_the_same_bytes_get_the_same_answer_and_no_second_revision(here: World) -> None:
    body = message("D1", 4)
    first, second = (codes(here.send(body)) for _ in "12")
    assert first == second == ["AA"]
    (record,) = [one for one in here.records() if one.form == "assessment"]
    assert record.number == 1


def test_e24_a_message_that_is_older_and_comes_late_is_superseded(here: World) -> None:
    newer, older = message("V2", 4), message("V1", 6).replace(b"FV1", b"FV2")
    here.send(newer, older.replace(b"|20260301101500|", b"|20260301100000|"))
    (record,) = [one for one in here.records() if one.form == "assessment"]
    assert record.fields["pain_rest"] == 4


def test_a_waiting_result_is_promoted_by_its_status_alone(here: World) -> None:
    """P, then U without a value: what waits is final; another P behind it is superseded."""
    waits = message("U1", 6).replace(b"|F|||2026", b"|P|||2026")
    final = message("U1", 6).replace(b"||6|", b"|||").replace(b"|F|||2026", b"|U|||2026")
    here.send(waits)
    assert not [one for one in here.records() if "pain_rest" in one.fields]
    here.send(final)
    (record,) = [one for one in here.records() if one.form == "assessment"]
    assert record.fields["pain_rest"] == 6
    here.send(waits.replace(b"|U1|P|", b"|U9|P|").replace(b"||6|", b"||7|"))
    (record,) = [one for one in here.records() if one.form == "assessment"]
    assert record.fields["pain_rest"] == 6


def test_a_merge_is_found_by_both_numbers_and_not_turned_round(here: World) -> None:
    def merge(id: str, stays: str, goes: str) -> bytes:
        head = f"MSH|^~\\&|EHR|SITEA|||20260301101500||ADT^A40|{id}|P|2.5.1"
        sides = (f"PID|1||{stays}^^^SITEA", f"MRG|{goes}^^^SITEA")
        return "\r".join((head, "EVN|A40|20260301101500", *sides)).encode()

    told = here.send(
        merge("G1", "0020001", "0012345"),
        merge("G2", "0020001", "0012345"),
        merge("G3", "0012345", "0020001"),
        message("G4", 3, name="0020001"),
        message("G5", 3, name="0012345"),
    )
    assert codes(told) == ["AA"] * 5
    assert [hl7v2.decode(one).one("ERR").text(3) for one in told] == ["", "", "205", "", ""]
    with here.registry.read(here.site_id) as unit:
        (case,) = [one for one in unit.subjects.all() if one.study_id == "MBD-A-003"]
        numbers = {value: old for _, value, old in unit.subjects.told(case.id)}
    assert numbers == {"0012345": True, "0020001": False}
    assert {one.subject_id for one in here.records() if one.form == "assessment"} == {case.id}


def test_a_total_alone_says_which_form_was_filled(here: World) -> None:
    here.send(message("K1", 24, code="MSTSLE"))
    (record,) = [one for one in here.records() if one.form == "assessment"]
    assert (record.fields["msts_total"], record.fields["msts_form"]) == (24, "lower")


def test_a_feed_may_ask_for_ae_where_something_waits(play: Open) -> None:
    with play({"connection": {"ack": "applied"}}) as here:
        waits = message("W1", 3, code="XPAIN")
        assert codes(here.send(waits, message("W2", 3))) == ["AE", "AA"]
        assert codes(here.send(message("W3", 3, code="XPAIN", mode="|||AL|AL"))) == ["CA", "AE"]


@pytest.mark.parametrize(
    ("body", "code", "error"),
    [
        (message("", 3), "AE", "MSH^1^10"),
        (message("T1", 3).replace(b"|P|2.5.1", b"|T|2.5.1"), "AE", "MSH^1^11"),
        (b"no HL7 at all", "AE", "MSH^1"),
    ],
)
def test_what_is_not_for_us_is_told_once_and_not_repeated(
    here: World, body: bytes, code: str, error: str
) -> None:
    (answer,) = here.send(body)
    told = hl7v2.decode(answer)
    assert (told.one("MSA").raw(1), told.one("ERR").raw(2)) == (code, error)
    assert not [one for one in here.records() if one.form == "assessment"]


def test_where_nothing_could_be_stored_there_is_no_answer_and_it_hangs_up(here: World) -> None:
    """E17: the database is away; an engine repeats what it got no answer to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Registry, "unit", _away)
        assert raw(here, mllp.frame(message("N1", 3))) == b""
    assert codes(here.send(message("N1", 3))) == ["AA"]


def _away(*_: object, **__: object) -> None:
    raise transient("the database cannot be reached")


def drip(wire: socket.socket) -> None:
    for _ in range(100):
        wire.sendall(b"x")
        time.sleep(0.05)


def test_a_frame_that_is_too_long_or_never_ends_is_hung_up_on(here: World) -> None:
    listener = Listener(
        Desk(here.registry, here.library, Crash()), {here.site_id: "A"}, Limits(1000, seconds=0.3)
    )
    port = listener.listen("127.0.0.1", 0, lambda _: here.feed)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
            wire.sendall(mllp.START + b"MSH|" + b"x" * 2000)
            assert b"\rMSA|AE\r" in wire.recv(4096)
            assert wire.recv(1) == b""
        with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
            wire.sendall(mllp.START + b"MSH|^~")
            assert wire.recv(1) == b""
        with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
            wire.sendall(mllp.START)
            with pytest.raises(OSError, match=r"reset|Broken pipe"):  # a drip is hung up on, too
                drip(wire)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
            time.sleep(0.6)  # nothing has begun: a connection may be quiet for days
            wire.sendall(mllp.frame(message("Q1", 3)))
            assert b"MSA|AA|Q1" in wire.recv(4096)
    finally:
        listener.stop()


def test_a_feed_that_has_ended_is_not_answered(here: World) -> None:
    with here.registry.unit(here.site_id) as unit:
        unit.feeds.end(here.feed.name)
        unit.commit()
    assert here.send(message("E1", 3)) == []


def test_a_listener_that_stops_ends_what_it_has_begun(here: World) -> None:
    listener = Listener(Desk(here.registry, here.library, Crash()), {here.site_id: "A"})
    port = listener.listen("127.0.0.1", 0, lambda _: here.feed)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        wire.sendall(mllp.frame(message("S1", 3)))
        assert b"MSA|AA|S1" in wire.recv(4096)
        listener.stop()
        assert wire.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_results_of_a_constant_filler_number_are_not_mixed_between_people(here: World) -> None:
    """A sender put one accession number into every message (reportstream 7677)."""
    one, other = message("C1", 3), message("C1", 7, name="0008150")
    here.send(one, other)
    told = sorted(r.fields["pain_rest"] for r in here.records() if r.form == "assessment")
    assert told == [3, 7]


def test_a_feed_of_the_whole_hospital_keeps_nothing_of_strangers(play: Open) -> None:
    with play({"connection": {"unknown_patient": "discard"}}) as here:
        told = here.send(message("Z1", 3, name="0077777"), message("Z2", 4))
        assert codes(told) == ["AA", "AA"]
        with here.registry.read(here.site_id) as unit:
            assert unit.quarantine.count_waiting() == 0
            ids = [one.message_id for one in unit.ledger.messages()]
            bodies = [found.body for id in ids if (found := unit.messages.get(id))]
        assert sorted(len(body) > 0 for body in bodies) == [False, True]
        assert b"0077777" not in b"".join(bodies)
        assert [r.fields["pain_rest"] for r in here.records() if r.form == "assessment"] == [4]


def test_one_person_by_fhir_and_by_hl7_v2_is_one_truth(play: Open) -> None:
    """What came by one door comes by the other, and changes nothing: the same records."""
    with play() as here:
        here.send(message("F1", 3))
        (before,) = [r for r in here.records() if r.form == "assessment"]
        resource = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "99SITEA", "code": "PREST"}]},
            "subject": {"identifier": {"system": "urn:oid:2.999.1.1", "value": "0004711"}},
            "effectiveDateTime": "2026-03-01T09:30:00+01:00",
            "valueQuantity": {"value": 3, "system": "http://unitsofmeasure.org", "code": "{score}"},
        }
        body = fhir_json.dump(resource)
        with here.registry.unit(here.site_id) as unit:
            mappings = here.library.of_site("A")
            incoming = Incoming("client:engine", "push/Observation", "", body)
            receipt = ingest(unit, mappings, incoming).receipt
            unit.commit()
        assert [entry.fate for entry in receipt.entries] == ["unchanged"]
        assert [r for r in here.records() if r.form == "assessment"] == [before]


def test_a_client_certificate_says_whose_the_messages_are(here: World, tmp_path: Path) -> None:
    authority, ours, theirs = (_certificate(tmp_path, name) for name in ("ca", "ours", "theirs"))
    secure = Secure(*ours, _bundle(tmp_path, authority[0], theirs[0]))

    def whose(connection: socket.socket) -> Feed | None:
        return here.feed if fingerprint(connection) == _printed(theirs[0]) else None

    listener = Listener(Desk(here.registry, here.library, Crash()), {here.site_id: "A"})
    port = listener.listen("127.0.0.1", 0, whose, secure)
    context = ssl.create_default_context(cafile=str(ours[0]))
    context.check_hostname = False
    try:
        assert _refused(context, port)  # no certificate, no entry
        context.load_cert_chain(*theirs)
        with _secured(context, port) as wire:
            wire.sendall(mllp.frame(message("T1", 3)))
            assert b"MSA|AA|T1" in wire.recv(4096)
    finally:
        listener.stop()


def _refused(context: ssl.SSLContext, port: int) -> bool:
    """TLS 1.3 says it only when something is read."""
    try:
        with _secured(context, port) as wire:
            wire.sendall(mllp.frame(message("T0", 3)))
            return wire.recv(1) == b""
    except OSError:
        return True


def _secured(context: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Its certificate, signed by itself, and its key."""
    made, key = folder / f"{name}.pem", folder / f"{name}.key"
    secret = ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(own, own, secret.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(secret, hashes.SHA256())
    )
    made.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made, key


def _bundle(folder: Path, *certificates: Path) -> Path:
    made = folder / "bundle.pem"
    made.write_text("".join(one.read_text() for one in certificates))
    return made


def _printed(certificate: Path) -> str:
    return (
        x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256()).hex()
    )
