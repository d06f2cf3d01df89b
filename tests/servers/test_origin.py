"""Origins: equal spellings are equal, ambiguous ones are refused."""

from __future__ import annotations

import pytest

from fhirbridge.outcome import BridgeError
from fhirbridge.servers.origin import Origin, origin, resolve, same_origin


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h/fhir", Origin("http", "h", 80)),
        ("https://H.Example/fhir?x=1", Origin("https", "h.example", 443)),
        ("https://h:443/", Origin("https", "h", 443)),
        ("http://127.0.0.1:8081/fhir", Origin("http", "127.0.0.1", 8081)),
        ("http://[::1]:8080/fhir", Origin("http", "::1", 8080)),
        (r"https://h/fhir?name=a\,b", Origin("https", "h", 443)),  # FHIR's escape in a query
    ],
)
def test_origin_is_scheme_host_and_port(url: str, expected: Origin) -> None:
    assert origin(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h/fhir",
        "//h/fhir",
        "ftp://h/fhir",
        "file:///etc/hosts",
        "http:///fhir",
        "http://user@h/",
        "http://user:word@h/",
        "http://@h/",
        "http://h./",  # a trailing dot is another name to a certificate and a cookie jar
        "http://.h/",
        "http://a..b/",
        "http://h:443:443/",  # HAPI behind a proxy
        "http://h:0/",
        "http://h:99999/",
        "http://h:port/",
        "http://evil\\@h/",
        "http:\\\\h/",
        "http://h\t/",
        "http://h/\r\nX: y",
        " http://h/",
        "http://h%2eevil/",
        "http://h evil/",
        "http://hôpital.example/",  # to be given as xn--
        "http://[::1/",
        "http://[fe80::1%eth0]/",
    ],
)
def test_ambiguous_or_foreign_spelling_is_refused(url: str) -> None:
    with pytest.raises(BridgeError):
        origin(url)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("https://h/else", True),
        ("https://H:443/fhir", True),
        ("http://h/fhir", False),
        ("https://h:8443/fhir", False),
        ("https://h.evil/fhir", False),
        ("https://evil/h", False),
    ],
)
def test_same_origin(other: str, same: bool) -> None:
    assert same_origin("https://h/fhir", other) is same


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("?page=2", "https://h/fhir/Patient?page=2"),
        ("Patient?page=2", "https://h/fhir/Patient?page=2"),
        ("/fhir?page=2", "https://h/fhir?page=2"),
        ("https://h/fhir?page=2", "https://h/fhir?page=2"),
        ("HTTPS://H:443/fhir?page=2", "https://h/fhir?page=2"),
        ("http://[::1]:80/fhir?page=2", "http://[::1]/fhir?page=2"),
        ("http://[::1]:8080/fhir?page=2", "http://[::1]:8080/fhir?page=2"),
        ("//evil/fhir", "https://evil/fhir"),  # resolved; who follows it is the client's decision
    ],
)
def test_links_are_resolved_against_their_page(link: str, expected: str) -> None:
    assert resolve("https://h/fhir/Patient?name=x", link) == expected


@pytest.mark.parametrize("link", ["javascript:x", "http://h:443:443/", "/a\tb", "//[", "\\\\evil"])
def test_unusable_links_are_the_remote_servers_fault(link: str) -> None:
    with pytest.raises(BridgeError) as caught:
        resolve("https://h/fhir/Patient", link)
    assert caught.value.issues[0].category == "remote"
