"""The world in which an HL7 v2 case is played: one site with its files, its subjects and a listener.

`world.json` and `cases.json` were written with the study from the sources that each case names. All
persons and values are invented.
"""

from __future__ import annotations

import csv
import io
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fhirbridge.crash import Crash
from fhirbridge.formats import fhir_json, mllp
from fhirbridge.library import Library
from fhirbridge.listener.server import Limits, Listener
from fhirbridge.listener.taking import Desk
from fhirbridge.mapping.crosswalk import COLUMNS
from fhirbridge.registry.feeds import Feed
from fhirbridge.registry.receipts import Receipt
from fhirbridge.registry.store import Registry
from fhirbridge.sync.accept import Context
from fhirbridge.sync.enrol import enrol
from tests import databases

HERE = Path(__file__).parent
MAPPINGS = HERE.parents[1] / "mappings"
WORLD = HERE / "world.json"
CPT = "http://www.ama-assn.org/go/cpt"
SITE = "A"
# What the hospital has told of codes that the study leaves to a person.
BONES = {
    "27187": "femur",
    "27495": "femur",
    "27745": "tibia",
    "24498": "humerus",
    "23491": "humerus",
}


def read(path: Path) -> Any:
    return fhir_json.read(path.read_bytes())


def merged(world: Any, own: Any) -> Any:
    """The world with what a case changes of it."""
    if not isinstance(own, dict) or not isinstance(world, dict):
        return own
    return {**world, **{name: merged(world.get(name), value) for name, value in own.items()}}


def write_site(folder: Path, world: dict[str, Any]) -> None:
    """The site's files below a copy of the study's mappings."""
    site = folder / "sites" / SITE
    site.mkdir(parents=True)
    told = world["connection"]
    feed = {
        name: told[name]
        for name in (
            "timezone",
            "unknown_patient",
            "sending_facility",
            "processing_ids",
            "ack",
            "busy",
            "assigning_authorities",
            "old_coding_systems",
        )
        if name in told and told[name] != "quarantine"
    }
    if told.get("default_authority"):
        feed["default_authority"] = told["default_authority"]
    if told.get("charset", "").upper().startswith(("ISO", "8859", "UTF", "ASCII")):
        feed["charset"] = told["charset"] if " " not in told["charset"] else ""
    if "OBR-25" in str(told.get("status", told.get("status_from", ""))):
        feed["status_from"] = "OBR-25"
    local = {n: u for n, u in world["coding_systems_v2_0396"].items() if "://" in u}
    feed["coding_systems"] = local
    (site / "hl7v2.yaml").write_text(yaml.safe_dump(feed), encoding="utf-8")
    files: dict[str, list[tuple[str, str, str]]] = {}
    for named, meaning in world["crosswalk_observations"].items():
        system, _, code = named.rpartition("|")
        if "://" in system:
            continue  # a line of the study
        walk, target = _target(meaning)
        files.setdefault(walk, []).append((system, code, target))
    for named, word in world["crosswalk_values"].items():
        system, _, code = named.rpartition("|")
        files.setdefault("ambulation", []).append((system, code, word))
    for walk, lines in _decided().items():
        files.setdefault(walk, []).extend(lines)
    for walk, lines in files.items():
        told_lines = io.StringIO()
        writer = csv.writer(told_lines, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((s, c, "", t, "equal", "the world of the cases", "") for s, c, t in lines)
        (site / f"{walk}.csv").write_text(told_lines.getvalue(), encoding="utf-8")


_PARTS = {"total_dose_cgy": "total_dose", "fractions": "fractions", "size_mm": "size"}


def _target(meaning: str) -> tuple[str, str]:
    if meaning.startswith("key: lesion_id"):
        return "hl7v2-part", "lesion"
    form, _, rest = meaning.partition(".")
    field = rest.split(" ")[0]
    if field == "msts_total":
        return "hl7v2-part", f"msts_total_{'upper' if 'upper' in rest else 'lower'}"
    if form in ("fracture_risk", "radiotherapy", "lesion"):
        return "hl7v2-part", _PARTS.get(field, field)
    return "score", field


def _decided() -> dict[str, list[tuple[str, str, str]]]:
    """A pathological fracture in neoplastic disease is of a metastasis there, and a prophylactic
    operation by CPT says where."""
    made: dict[str, list[tuple[str, str, str]]] = {}
    for row in _lines("metastasis"):
        if row["source_code"].startswith("M84.5") and row["relationship"] == "unmatched":
            named = (row["source_system"], row["source_code"], "bone-metastasis")
            made.setdefault("metastasis", []).append(named)
    for code, bone in BONES.items():
        made.setdefault("procedure", []).append((CPT, code, "other"))
        made.setdefault("purpose-within-procedure", []).append((CPT, code, "prophylactic"))
        made.setdefault("bone-within-procedure", []).append((CPT, code, bone))
    return made


def _lines(walk: str) -> list[dict[str, str]]:
    with (MAPPINGS / "crosswalks" / f"{walk}.csv").open(encoding="utf-8") as file:
        return [*csv.DictReader(file)]


@dataclass
class World:
    """One site, as the registry holds it, and the port at which it listens."""

    registry: Registry
    library: Library
    feed: Feed
    port: int
    seeded: list[tuple[Any, ...]]

    @property
    def site_id(self) -> str:
        return self.feed.site_id

    def send(self, *messages: bytes, wants: int | None = None) -> list[bytes]:
        """Answers to messages that are sent one after the other on a connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as wire:
            frames, answers = mllp.Frames(), []
            for message in messages:
                wire.sendall(mllp.frame(message))
            wire.shutdown(socket.SHUT_WR)
            while given := wire.recv(65536):
                answers += [*frames.feed(given)]
        assert wants is None or len(answers) == wants
        return answers

    def receipts(self) -> list[Receipt]:
        """The newest last."""
        with self.registry.read(self.site_id) as unit:
            told = [unit.receipts.of_message(one.message_id) for one in unit.ledger.messages()]
        return sorted((one for one in told if one), key=lambda one: (one.created_at, one.id))

    def records(self) -> list[Any]:
        with self.registry.read(self.site_id) as unit:
            return [one for one in unit.records.all() if one.status == "active"]


def library(folder: Path, world: dict[str, Any]) -> Library:
    """The study's mappings with the site's files."""
    shutil.copytree(MAPPINGS, folder / "mappings")
    write_site(folder / "mappings", world)
    made = Library(folder / "mappings")
    made.of_site(SITE)
    return made


@contextmanager
def opened(folder: Path, world: dict[str, Any], library: Library) -> Iterator[World]:
    registry = Registry.open(databases.url(folder), key=b"k" * 32)
    with registry.unit(None) as unit:
        site = unit.sites.add(SITE)
        unit.commit()
    with registry.unit(site.id) as unit:
        feed = unit.feeds.add(world["connection"]["name"], port=1, fingerprint=None)
        context = Context(unit, library.of_site(SITE), "", "test")
        for person in world["subjects"]:
            _enrolled(context, person)
        unit.commit()
    listener = Listener(Desk(registry, library, Crash()), {site.id: SITE}, Limits(seconds=5))
    port = listener.listen("127.0.0.1", 0, lambda _: feed)
    try:
        with registry.read(site.id) as unit:
            seeded = [identity(one) for one in unit.records.all()]
        yield World(registry, library, feed, port, seeded)
    finally:
        listener.stop()
        registry.close()


def identity(record: Any) -> tuple[Any, ...]:
    return (record.form, record.subject_id, record.key, fhir_json.dump(dict(record.fields)))


def _enrolled(context: Context, person: dict[str, Any]) -> None:
    numbers = [(one["system"], one["value"]) for one in person["hospital_ids"]]
    fields = {name: person[name] for name in ("sex", "birth_date") if person.get(name)}
    subject = enrol(context, person["study_id"], numbers, fields=fields)
    if person.get("index_operation"):
        day, key = person["index_operation"], "INDEX"
        context.unit.records.save(
            context.mappings.derived_id("surgery", person["study_id"], key),
            subject_id=subject.id,
            form="surgery",
            key=key,
            fields={
                "surgery_id": key,
                "performed_on": day,
                "index": True,
                "procedure": "intramedullary_nail",
            },
            mapping_version=context.mappings.version,
            actor="test",
            reason="seeded",
            message_id=None,
        )
