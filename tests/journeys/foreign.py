"""FHIR clients that others wrote, each behind the same few words: what a hospital's engine does."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import requests
from fhirclient.client import FHIRClient
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound

ROOT = Path(__file__).resolve().parents[2]
KIT = "fhir-kit-client@2.0.3"
STALE = 412

Resource = dict[str, Any]


class Foreign(Protocol):
    """`update` gives the HTTP status; `create` whether it was made; a search all its pages."""

    exact: bool  # whether it keeps 1.10, which is 1.1 to most languages

    def bundle(self, body: Resource) -> Resource: ...
    def read(self, kind: str, id: str) -> Resource: ...
    def vread(self, kind: str, id: str, version: str) -> Resource: ...
    def history(self, kind: str, id: str) -> list[Resource]: ...
    def search(self, kind: str, **params: str) -> list[Resource]: ...
    def update(self, body: Resource, version: str) -> int: ...
    def create(self, body: Resource, condition: str) -> bool: ...


class Curl:
    exact = True

    def __init__(self, base: str, key: str) -> None:
        self.base = base
        self.words = ["curl", "-sS", "-g", "--max-time", "60", "-w", "\n%{http_code}"]
        self.words += ["-H", f"Authorization: Bearer {key}"]

    def ask(self, url: str, *words: str, body: str | None = None) -> tuple[int, Resource]:
        sent = ["--data-binary", "@-", "-H", "Content-Type: application/fhir+json"]
        told = subprocess.run(
            [*self.words, *words, *(sent if body is not None else ()), url],
            input=body,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        text, _, status = told.rpartition("\n")
        return int(status), json.loads(text) if text else {}

    def bundle(self, body: Resource) -> Resource:
        return self.ask(self.base, body=json.dumps(body))[1]

    def send(self, path: Path) -> Resource:
        """The file's own bytes."""
        return self.ask(self.base, body=path.read_text(encoding="utf-8"))[1]

    def read(self, kind: str, id: str) -> Resource:
        return self.ask(f"{self.base}/{kind}/{id}", "--compressed")[1]

    def vread(self, kind: str, id: str, version: str) -> Resource:
        return self.ask(f"{self.base}/{kind}/{id}/_history/{version}")[1]

    def history(self, kind: str, id: str) -> list[Resource]:
        return [*self._pages(f"{self.base}/{kind}/{id}/_history?_count=2")]

    def search(self, kind: str, **params: str) -> list[Resource]:
        asked = "&".join(f"{name}={value}" for name, value in params.items())
        return [*self._pages(f"{self.base}/{kind}?{asked}")]

    def _pages(self, url: str | None) -> Iterator[Resource]:
        while url:
            _, page = self.ask(url)
            yield from (entry["resource"] for entry in page.get("entry", ()))
            url = next((one["url"] for one in page["link"] if one["relation"] == "next"), None)

    def update(self, body: Resource, version: str) -> int:
        at = f"{self.base}/{body['resourceType']}/{body['id']}"
        match = f'If-Match: W/"{version}"'
        return self.ask(at, "-X", "PUT", "-H", match, body=json.dumps(body))[0]

    def create(self, body: Resource, condition: str) -> bool:
        at = f"{self.base}/{body['resourceType']}"
        status, _ = self.ask(at, "-H", f"If-None-Exist: {condition}", body=json.dumps(body))
        assert status in (200, 201)
        return status == 201


class Fhirpy:
    exact = False

    def __init__(self, base: str, key: str) -> None:
        self.client = SyncFHIRClient(base, authorization=f"Bearer {key}")
        self.lenient = self._with("Prefer", "handling=lenient")

    def _with(self, header: str, value: str) -> SyncFHIRClient:
        known = self.client
        more = {header: value}
        return SyncFHIRClient(known.url, authorization=known.authorization, extra_headers=more)

    def bundle(self, body: Resource) -> Resource:
        return dict(self.client.execute("", method="post", data=body))

    def read(self, kind: str, id: str) -> Resource:
        found = self.client.reference(kind, id).to_resource()
        assert found.refresh() == found
        return dict(found.serialize())

    def vread(self, kind: str, id: str, version: str) -> Resource:
        return dict(self.client.execute(f"{kind}/{id}/_history/{version}", method="get"))

    def history(self, kind: str, id: str) -> list[Resource]:
        told = self.client.execute(f"{kind}/{id}/_history", method="get")
        return [dict(entry["resource"]) for entry in told["entry"]]

    def search(self, kind: str, **params: str) -> list[Resource]:
        found = self.client.resources(kind).search(**params).fetch_all()
        # Its count() asks for _totalMethod, which is Aidbox's own and no parameter of FHIR.
        assert self.lenient.resources(kind).search(**params).count() == len(found)
        return [dict(one.serialize()) for one in found]

    def update(self, body: Resource, version: str) -> int:
        mine = self._with("If-Match", f'W/"{version}"')
        try:
            mine.resource(body["resourceType"], **_untyped(body)).save()
        except MultipleResourcesFound:  # its name for 412
            return STALE
        return 200

    def create(self, body: Resource, condition: str) -> bool:
        name, _, value = condition.partition("=")
        wanted = self.client.resources(body["resourceType"]).search(**{name: value})
        resource = self.client.resource(body["resourceType"], **_untyped(body))
        return bool(wanted.get_or_create(resource)[1])


def _untyped(body: Resource) -> Resource:
    return {name: value for name, value in body.items() if name != "resourceType"}


class Smart:
    """SMART's fhirclient. Its models refuse what R4 does not know, and its floats lose zeros."""

    exact = False

    def __init__(self, base: str, key: str) -> None:
        self.client = FHIRClient(settings={"app_id": "engine", "api_base": base})
        self.server = self.client.server
        self.server.session.headers["Authorization"] = f"Bearer {key}"
        assert self.client.prepare()
        statement = self.server.capabilityStatement
        assert statement.as_json()["fhirVersion"] == "4.0.1"

    def bundle(self, body: Resource) -> Resource:
        told = _model("Bundle")(body).create(self.server)
        return dict(_model("Bundle")(told).as_json())

    def read(self, kind: str, id: str) -> Resource:
        return dict(_model(kind).read(id, self.server).as_json())

    def vread(self, kind: str, id: str, version: str) -> Resource:
        at = f"{kind}/{id}/_history/{version}"
        return dict(_model(kind).read_from(at, self.server).as_json())

    def history(self, kind: str, id: str) -> list[Resource]:
        told = _model("Bundle").read_from(f"{kind}/{id}/_history", self.server)
        return [entry.resource.as_json() for entry in told.entry]

    def search(self, kind: str, **params: str) -> list[Resource]:
        found = _model(kind).where(params).perform_resources_iter(self.server)
        return [one.as_json() for one in found]

    def update(self, body: Resource, version: str) -> int:
        with self._header("If-Match", f'W/"{version}"'):
            try:
                _model(body["resourceType"])(body).update(self.server)
            except requests.HTTPError as fault:
                return int(fault.response.status_code)
        return 200

    def create(self, body: Resource, condition: str) -> bool:
        kind = body["resourceType"]
        with self._header("If-None-Exist", condition):
            answer = self.server.post_json(kind, _model(kind)(body).as_json())
        return bool(answer.status_code == 201)

    @contextmanager
    def _header(self, name: str, value: str) -> Iterator[None]:
        self.server.session.headers[name] = value
        yield
        del self.server.session.headers[name]


def _model(kind: str) -> Any:
    return getattr(import_module(f"fhirclient.models.{kind.lower()}"), kind)


class Kit:
    """fhir-kit-client in a Node of its own."""

    exact = False

    def __init__(self, base: str, key: str) -> None:
        script = Path(__file__).with_name("kit_client.mjs")
        self.node = subprocess.Popen(
            ["node", script, kit().as_uri(), base, key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.told("capability") is True

    def close(self) -> None:
        self.node.communicate(timeout=30)

    def ask(self, do: str, **asked: Any) -> Resource:
        assert self.node.stdin is not None
        assert self.node.stdout is not None
        self.node.stdin.write(json.dumps({"do": do, **asked}) + "\n")
        self.node.stdin.flush()
        return dict(json.loads(self.node.stdout.readline()))

    def told(self, do: str, **asked: Any) -> Any:
        answer = self.ask(do, **asked)
        assert "told" in answer, answer
        return answer["told"]

    def bundle(self, body: Resource) -> Resource:
        return dict(self.told("bundle", body=body))

    def read(self, kind: str, id: str) -> Resource:
        return dict(self.told("read", resourceType=kind, id=id))

    def vread(self, kind: str, id: str, version: str) -> Resource:
        return dict(self.told("vread", resourceType=kind, id=id, version=version))

    def history(self, kind: str, id: str) -> list[Resource]:
        return list(self.told("history", resourceType=kind, id=id))

    def search(self, kind: str, **params: str) -> list[Resource]:
        return list(self.told("search", resourceType=kind, searchParams=params))

    def update(self, body: Resource, version: str) -> int:
        return int(self.ask("update", body=body, version=version).get("status", 200))

    def create(self, body: Resource, condition: str) -> bool:
        status = self.told("create", body=body, condition=condition)
        assert status in (200, 201)
        return bool(status == 201)


def kit() -> Path:
    """The module, fetched once by npm; half a package is never seen under its name."""
    target = ROOT / ".cache" / KIT.replace("@", "-")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        fetched = Path(tempfile.mkdtemp(dir=target.parent))
        words = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run([*words, "--prefix", fetched, KIT], check=True)
        fetched.rename(target)
    return target / "node_modules" / "fhir-kit-client" / "dist" / "index.js"
