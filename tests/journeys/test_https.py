"""A hospital over https, whose certificate its own authority signs. All persons are made up."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fhirbridge.sandbox.server import Hospital
from tests.journeys.bridge import SITE, Bridge
from tests.sync.ward import chart, patient
from tests.web.sender import MRN

HERE = x509.IPAddress(ip_address("127.0.0.1"))
ELSEWHERE = x509.DNSName("other.hospital.example.org")
Key = ec.EllipticCurvePrivateKey


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """Of one hospital: nobody else believes it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.name = _name("Hospital's own authority")
        basic = x509.BasicConstraints(ca=True, path_length=0)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        made = self._of(self.name, self.key, datetime.now(UTC) - timedelta(days=400), days=800)
        made = made.add_extension(basic, critical=True).add_extension(usage, critical=True)
        own = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        signed = made.add_extension(own, critical=False).sign(self.key, hashes.SHA256())
        self.file = folder / "authority.pem"
        self.file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def _of(
        self, name: x509.Name, key: Key, begin: datetime, *, days: int
    ) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder().subject_name(name).issuer_name(self.name)
        made = made.public_key(key.public_key()).serial_number(x509.random_serial_number())
        return made.not_valid_before(begin).not_valid_after(begin + timedelta(days=days))

    def server(self, place: x509.GeneralName, *, days: int = 90) -> ssl.SSLContext:
        """Valid since 60 days, for so many."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._of(_name("server"), key, datetime.now(UTC) - timedelta(days=60), days=days)
        made = made.add_extension(x509.SubjectAlternativeName([place]), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        signed = made.add_extension(issuer, critical=False).sign(self.key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        file = self.folder / "server.pem"
        file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


@contextmanager
def connected(folder: Path, tls: ssl.SSLContext, *words: str) -> Iterator[tuple[Bridge, str]]:
    bridge = Bridge(folder / "data").found()
    bridge.say("subject", "enrol", "S-1", "--site", SITE, "--identifier", f"{MRN}|4711")
    with Hospital([patient(), chart("e1")], tls=tls).running() as base:
        assert base.startswith("https://")
        bridge.say("connection", "add", "ward", base, "--site", SITE, *words)
        yield bridge, base.split("/")[2]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_a_hospital_with_an_authority_of_its_own_is_checked_and_pulled(
    tmp_path: Path, authority: Authority
) -> None:
    with connected(tmp_path, authority.server(HERE)) as (bridge, server):
        refused = bridge.run("pull", SITE)
        assert refused.returncode != 0
        said = refused.stdout + refused.stderr
        assert server in said
        assert "certificate is not trusted" in said
        assert "option ca_file" in said
        bridge.say("connection", "set", "ward", f"ca_file={authority.file}", "--site", SITE)
        checked = bridge.run("connection", "check", "ward", "--site", SITE)
        assert "Hospital's own authority" in checked.stdout
        pulled = bridge.say("pull", SITE)
        assert "2 resources received" in pulled
        assert [one["fields"]["ecog"] for one in bridge.export() if one["form"] == "assessment"]


@pytest.mark.parametrize(
    ("place", "days", "cause", "remedy"),
    [
        (ELSEWHERE, 90, "mismatch", "ask for a certificate of this"),
        (HERE, 30, "certificate has expired", "have the server's certificate renewed"),
    ],
    ids=["wrong host name", "expired"],
)
def test_e05_a_certificate_that_proves_nothing_is_refused_with_its_remedy(
    tmp_path: Path,
    authority: Authority,
    place: x509.GeneralName,
    days: int,
    cause: str,
    remedy: str,
) -> None:
    tls = authority.server(place, days=days)
    with connected(tmp_path, tls, "--ca-file", str(authority.file)) as (bridge, server):
        check = ("connection", "check", "ward", "--site", SITE)
        for words, at in ((("pull", SITE), server), (check, "certificate: failed")):
            done = bridge.run(*words)
            said = done.stdout + done.stderr
            assert done.returncode != 0
            assert cause in said
            assert remedy in said
            assert at in said


def test_a_file_of_authorities_that_holds_none_is_no_option(
    tmp_path: Path, authority: Authority
) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    with connected(tmp_path, authority.server(HERE)) as (bridge, _):
        for file in (empty, tmp_path / "nowhere.pem"):
            words = ("connection", "set", "ward", f"ca_file={file}", "--site", SITE)
            done = bridge.run(*words)
            assert done.returncode != 0
            assert "holds no certificates in PEM" in done.stdout + done.stderr
