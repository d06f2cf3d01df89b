"""Schemes: the header each one sends, and that none shows its secret."""

from __future__ import annotations

import pytest

from fhirbridge.outcome import BridgeError
from fhirbridge.servers.auth import AUTHS, build


@pytest.mark.parametrize(
    ("kind", "secret", "headers"),
    [
        ("none", "", {}),
        ("bearer", "abc", {"Authorization": "Bearer abc"}),
        # the example of RFC 7617, section 2
        (
            "basic",
            "Aladdin:open sesame",
            {"Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
        ),
        ("basic", "test:123£", {"Authorization": "Basic dGVzdDoxMjPCow=="}),
        ("basic", "u:a:b", {"Authorization": "Basic dTphOmI="}),
    ],
)
def test_header_of_each_kind(kind: str, secret: str, headers: dict[str, str]) -> None:
    assert build(kind, secret).headers() == headers


@pytest.mark.parametrize(
    ("kind", "secret"),
    [
        ("kerberos", "hush-hush"),
        ("none", "hush-hush"),
        ("bearer", ""),
        ("bearer", "hush-hush\r\nX-Evil: 1"),
        ("bearer", "Bearer hush-hush"),
        ("bearer", "hush-hush-ü"),
        ("basic", "hush-hush"),
        ("basic", ":hush-hush"),
        ("basic", "u:hush-hush\n"),
    ],
)
def test_unusable_secret_is_refused_without_showing_it(kind: str, secret: str) -> None:
    with pytest.raises(BridgeError) as caught:
        build(kind, secret)
    assert caught.value.issues[0].category == "configuration"
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("kind", AUTHS)
def test_repr_never_shows_the_secret(kind: str) -> None:
    secret = {"none": "", "bearer": "hush-hush", "basic": "user:hush-hush"}[kind]
    assert "hush" not in repr(build(kind, secret))
