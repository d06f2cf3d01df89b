"""Clients that publish their keys at a URL: rows A9 and A11, and what else a fetch could be made to do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from fhirbridge.app import create_app
from fhirbridge.outcome import BridgeError
from fhirbridge.registry import Registry
from fhirbridge.registry.vault import key as vault_key
from fhirbridge.servers import key_sets
from fhirbridge.settings import Settings
from fhirbridge.web.published_keys import KeySource
from tests import databases
from tests.web.sender import Sender
from tests.web.signing import BASE, Signing, ec, jwks, rsa


class Publisher:
    """A client's own web server: what it says, and how often it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, jwks(ec())
        self.headers: dict[str, str] = {"Cache-Control": "max-age=600"}
        self.asked: list[str] = []
        self.before: Callable[[], None] = lambda: None
        publisher = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.asked.append(self.path)
                publisher.before()
                self.send_response(publisher.status)
                for name, value in publisher.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(publisher.body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/jwks.json"


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    made = Publisher()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def settings(tmp_path: Path, publisher: Publisher) -> Settings:
    data = tmp_path / "data"
    return databases.settings(data, base_url=BASE, login_rate="", key_hosts=publisher.host)


@pytest.fixture
def ris(door: Sender, publisher: Publisher) -> Signing:
    with door.service.registry.unit(door.site_id) as unit:
        made = unit.signers.add("ris", scopes="system/*.cruds", url=publisher.url)
        unit.commit()
    return Signing(door.app, made, door)


def refused(answer: TestResponse) -> str:
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    return str(answer.get_json()["error_description"])


def later(settings: Settings, seconds: float) -> Registry:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return Registry.open(settings.database_url, key=vault_key(settings.vault_key), clock=lambda: at)


def test_a_published_key_is_fetched_once_and_kept(ris: Signing, publisher: Publisher) -> None:
    assert [ris.ask().status_code for _ in range(4)] == [200] * 4
    assert publisher.asked == ["/jwks.json"]


def test_a09_the_registered_url_as_jku_is_taken_and_without_it_fallen_back_to(
    ris: Signing, publisher: Publisher
) -> None:
    assert ris.ask(ris.assertion({"jku": publisher.url})).status_code == 200
    assert ris.ask(ris.assertion()).status_code == 200


@pytest.mark.parametrize(
    "jku", ["https://evil.example.org/jwks", "{}/", "{}?", "", 5, None, ["{}"]]
)
def test_a09_another_jku_is_refused_before_anything_is_fetched(
    ris: Signing, publisher: Publisher, jku: Any
) -> None:
    given = jku.format(publisher.url) if isinstance(jku, str) else jku
    header = {**ris.header(), "jku": given}
    ris.header = lambda **_: header  # type: ignore[method-assign]
    assert "jku" in refused(ris.ask(ris.assertion()))
    assert publisher.asked == []


def test_a09_two_published_keys_with_one_kid_are_none(ris: Signing, publisher: Publisher) -> None:
    publisher.body = jwks(ec(), rsa(), kid="ec-0")
    assert "not known here" in refused(ris.ask())


def test_a11_of_fifty_unknown_kids_in_a_second_one_is_fetched_for(
    ris: Signing, publisher: Publisher
) -> None:
    unknown = [ris.assertion({"kid": f"k-{n}"}) for n in range(50)]
    with ThreadPoolExecutor(4) as pool:
        codes = [answer.status_code for answer in pool.map(ris.ask, unknown)]
    assert {*codes} <= {401, 503}
    assert len(publisher.asked) == 1
    assert ris.ask().status_code == 200


def test_a11_a_rotated_key_is_found_after_a_minute_and_the_old_one_is_gone(
    ris: Signing, publisher: Publisher, settings: Settings
) -> None:
    assert ris.ask().status_code == 200
    publisher.body = jwks(rsa())
    now = KeySource(ris.site.service.registry, settings.key_hosts)
    assert now.find(ris.id, "rsa-0", None) is None
    minute = KeySource(later(settings, 61), settings.key_hosts)
    found = minute.find(ris.id, "rsa-0", None)
    assert found is not None
    assert (found.alg, found.name) == ("RS384", "ris")
    assert minute.find(ris.id, "ec-0", None) is None
    assert len(publisher.asked) == 2
    minute.registry.close()


# What the client's server says of its answer, and the seconds that it is kept for.
KEPT = [
    ("max-age=600", 600),
    ("no-store", 60),
    ("max-age=1", 60),
    ("max-age=86400", 3600),
    ("", 300),
]


@pytest.mark.parametrize(("said", "seconds"), KEPT)
def test_a11_what_was_fetched_counts_no_longer_than_it_may(
    ris: Signing, publisher: Publisher, settings: Settings, said: str, seconds: int
) -> None:
    publisher.headers = {"Cache-Control": said}
    assert ris.ask().status_code == 200
    for after, fetches in ((seconds - 3, 1), (seconds + 2, 2)):
        registry = later(settings, after)
        assert KeySource(registry, settings.key_hosts).find(ris.id, "ec-0", None) is not None
        assert len(publisher.asked) == fetches
        registry.close()


def test_a11_keys_that_ended_do_not_count_where_they_cannot_be_had_again(
    ris: Signing, publisher: Publisher, settings: Settings
) -> None:
    assert ris.ask().status_code == 200
    publisher.status = 500
    registry = later(settings, 700)
    assert KeySource(registry, settings.key_hosts).find(ris.id, "ec-0", None) is None
    registry.close()


def test_a11_who_comes_while_the_keys_are_fetched_is_told_to_come_again(
    ris: Signing, publisher: Publisher
) -> None:
    reached, go = threading.Event(), threading.Event()
    publisher.before = lambda: (reached.set(), go.wait(5))[0]
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ris.ask)
        assert reached.wait(5)
        second = ris.ask()
        go.set()
        assert first.result().status_code == 200
    assert (second.status_code, second.headers["Retry-After"]) == (503, "5")


def test_a11_the_fetch_is_shared_by_all_processes(
    ris: Signing, publisher: Publisher, settings: Settings
) -> None:
    other = create_app(settings)
    assert ris.ask().status_code == 200
    assert ris.ask(app=other).status_code == 200
    assert len(publisher.asked) == 1
    other.extensions["fhirbridge"].registry.close()


# What the client's server does instead of telling its keys.
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("an error", {"status": 404}),
    ("a redirect", {"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}),
    ("no JSON", {"body": b"<html>"}),
    ("too much", {"body": b'{"keys":[' + b" " * 300_000 + b"]}"}),
    ("private parts", {"body": b'{"keys":[{"kty":"oct","k":"AAAA","kid":"ec-0"}]}'}),
    ("a bomb", {"body": b"\x1f\x8b\x08\x00", "headers": {"Content-Encoding": "gzip"}}),
]


@pytest.mark.parametrize("answer", [w[1] for w in WRONG], ids=[w[0] for w in WRONG])
def test_what_is_no_key_set_lets_nobody_in(
    ris: Signing, publisher: Publisher, answer: dict[str, Any]
) -> None:
    for name, value in answer.items():
        setattr(publisher, name, value)
    assert "not known here" in refused(ris.ask())
    assert len(publisher.asked) == 1


def test_a_slow_server_holds_nobody_up(publisher: Publisher) -> None:
    publisher.before = lambda: time.sleep(3)
    began = time.monotonic()
    with pytest.raises(BridgeError, match="in time"):
        key_sets.fetch(publisher.url, private=publisher.host)
    assert time.monotonic() - began < 2.5


@pytest.mark.parametrize(
    "url",
    ["http://lab.example.org/jwks", "ftp://lab.example.org/jwks", "https://a@lab.example.org/jwks",
     "https://lab.example.org/jwks#x", "jwks.json", "http://127.0.0.1/jwks", "https://lab\\.example.org/"],
)  # fmt: skip
def test_urls_that_are_not_fetched_from(url: str) -> None:
    with pytest.raises(BridgeError):
        key_sets.allowed(url, private="")


def test_an_address_inside_is_refused_before_anything_is_sent(publisher: Publisher) -> None:
    """Also where a public name leads there: it is the connection that is looked at."""
    port = publisher.server.server_port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        with pytest.raises(BridgeError, match="address is not allowed"):
            key_sets.fetch(f"https://{host}/jwks.json", private="")
    assert publisher.asked == []


def test_a_host_of_the_setting_may_lie_inside(publisher: Publisher) -> None:
    with pytest.raises(BridgeError, match=r"TLS|closed"):  # it got as far as to speak TLS
        key_sets.fetch(f"https://{publisher.host}/jwks.json", private="127.0.0.1")
    assert key_sets.allowed("https://jwks.ward.example/k", private="").port == 443


def test_keys_by_hand_end_what_a_client_publishes(
    ris: Signing, publisher: Publisher, settings: Settings
) -> None:
    assert ris.ask().status_code == 200
    with ris.site.service.registry.unit(ris.site.site_id) as unit:
        unit.signers.replace_keys("ris", [])
        unit.commit()
    refused(ris.ask())
    assert len(publisher.asked) == 1
