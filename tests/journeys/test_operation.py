"""The service as its operator sees it: several workers, one set of numbers, and a quiet log."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import requests

from tests.journeys.bridge import Bridge


def test_several_workers_tell_one_number_and_leave_nothing_behind(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    bridge = Bridge(tmp_path / "data")
    bridge.folder.mkdir()
    bridge.found()
    environment = bridge.environment
    bridge.environment = lambda **m: {**environment(**m), "TMPDIR": str(temporary)}  # type: ignore[method-assign]
    with bridge.serving() as base:
        root = base.removesuffix("/fhir")
        assert requests.get(f"{root}/readyz", timeout=60).json() == {"ready": True}
        times = 0
        while times < 24 or len([*temporary.glob("fhirbridge-metrics-*/counter_*.db")]) < 2:
            assert bridge.get(f"{base}/Patient").status_code == 200
            times += 1
            assert times < 1000, "both workers have something to do"
        told = requests.get(f"{root}/metrics", timeout=60).text
        asked = 'fhirbridge_requests_total{method="GET",route="/fhir/<type>",status="200"}'
        assert f"{asked} {times}.0" in told.splitlines()
    assert [*temporary.glob("fhirbridge-metrics-*")] == []
    lines = [json.loads(line) for line in bridge.log.read_text(encoding="utf-8").splitlines()]
    assert sum(one.get("route") == "/fhir/<type>" for one in lines) == times


def test_x31_what_is_no_http_leaves_no_word_in_the_log(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path)
    bridge.found()
    with bridge.serving() as base:
        there = urlsplit(base)
        for raw in (
            b"GET /fhir?Kanarienvogel HTTP/9.9\r\n\r\n",
            b"GET /fhir/Kanarienvogel HTTP/1.1\r\nKanarienvogel\r\n\r\n",
            b"Kanarienvogel\r\n\r\n",
            b"GET /fhir/" + b"Kanarienvogel" * 1000 + b" HTTP/1.1\r\n\r\n",
            b"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Length: Kanarienvogel\r\n\r\n",
            b"POST /fhir HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Kanarienvogel\r\n\r\n",
        ):
            with socket.create_connection((there.hostname or "", there.port or 0), 10) as line:
                line.sendall(raw)
                assert line.recv(100).split()[1][:1] in (b"4", b"5")
        assert requests.get(f"{base}/metadata", timeout=60).status_code == 200
    log = bridge.log.read_text(encoding="utf-8")
    assert "Kanarienvogel" not in log
    assert all(json.loads(line) for line in log.splitlines())


def test_a_wrong_setting_is_told_before_the_workers_start(tmp_path: Path) -> None:
    told = Bridge(tmp_path).say("serve", "--port", "0", expect=1, RATE="many")
    assert "FHIRBRIDGE_RATE: it is no rate -> write it as 100/second" in told
