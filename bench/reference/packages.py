"""The FHIR packages of the oracle: fetched once by npm, and unpacked as its engine wants them.

US Core 6.1.0 lies in tests/hapi/packages, since npm does not carry it. Nothing here is shipped.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# A folder below the one whose packages HAPI's $validate reads: it shall not read these.
FETCHED = ROOT / ".cache" / "fhir-packages" / "reference"
UNPACKED = FETCHED / "unpacked"
R4 = "hl7.fhir.r4.examples@4.0.1"  # npm has no core package; this one holds every definition of R4
MCODE = "hl7.fhir.us.mcode@4.0.0"
US_CORE = ROOT / "tests" / "hapi" / "packages" / "hl7.fhir.us.core-6.1.0.tgz"
# The order counts: the core first, and of two definitions with one URL the later one is used.
BY_NPM = (
    R4,
    "hl7.terminology.r4@7.0.1",
    "hl7.fhir.uv.extensions.r4@5.3.0-ballot-tc1",
    "hl7.fhir.uv.genomics-reporting@3.0.0",
)
STAND_INS = Path(__file__).parent / "stand_ins.json"
_DEFINITIONS = frozenset(("StructureDefinition", "ValueSet", "CodeSystem", "NamingSystem"))


def archive(package: str) -> Path:
    """The package's file, fetched by npm where it is not there yet."""
    target = FETCHED / f"{package.replace('@', '-')}.tgz"
    if not target.exists():
        FETCHED.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FETCHED) as fetched:
            subprocess.run(["npm", "pack", "--silent", package], cwd=fetched, check=True)
            (Path(fetched) / target.name).rename(target)
    return target


def archives() -> list[Path]:
    """Every package of the oracle, in its order."""
    return [*(archive(package) for package in BY_NPM), US_CORE, archive(MCODE)]


def folders() -> list[Path]:
    """The oracle's arguments: definitions only, a folder for each package, the stand-ins last."""
    return [*(_unpacked(one, core=at == 0) for at, one in enumerate(archives())), _stand_ins()]


def contents(file: Path, below: str = "package/") -> Iterator[tuple[str, bytes]]:
    """Name and bytes of the JSON files that lie directly in a folder of a package."""
    with tarfile.open(file) as tar:
        for member in tar:
            folder, _, name = member.name.rpartition("/")
            if f"{folder}/" == below and name.endswith(".json") and not name.startswith("."):
                opened = tar.extractfile(member)
                if opened:
                    yield name, opened.read()


def _unpacked(file: Path, *, core: bool) -> Path:
    target = UNPACKED / file.stem
    if not target.exists():
        _write(target, _definitions(file, core=core))
    return target


def _definitions(file: Path, *, core: bool) -> Iterator[tuple[str, bytes]]:
    for name, raw in contents(file):
        if name == "package.json":
            about = json.loads(raw)
            if core:
                about |= {"name": "hl7.fhir.r4.core", "type": "fhir.core"}
            yield name, json.dumps(about).encode()
        elif json.loads(raw).get("resourceType") in _DEFINITIONS:
            yield name, raw


def _write(target: Path, files: Iterator[tuple[str, bytes]]) -> None:
    """All files, then the name: half a folder is never seen."""
    UNPACKED.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=UNPACKED) as made:
        (Path(made) / "whole" / "package").mkdir(parents=True)
        for name, raw in files:
            (Path(made) / "whole" / "package" / name).write_bytes(raw)
        shutil.rmtree(target, ignore_errors=True)
        (Path(made) / "whole").rename(target)


def _stand_ins() -> Path:
    """The code lists that no package carries; written anew each time, for they are small."""
    told = json.loads(STAND_INS.read_bytes())
    target = UNPACKED / "stand-ins"
    about = {
        "name": "fhirbridge.stand-ins",
        "version": "1.0.0",
        "fhirVersions": ["4.0.1"],
        "type": "IG",
        "canonical": "urn:fhirbridge:stand-ins",
        "dependencies": {"hl7.fhir.r4.core": "4.0.1"},
    }
    made = [about, *_code_systems(told["codeSystems"]), *_value_sets(told["valueSets"])]
    _write(target, ((_file_name(one), json.dumps(one).encode()) for one in made))
    return target


def _file_name(made: Mapping[str, Any]) -> str:
    if "resourceType" not in made:
        return "package.json"
    return f"{made['resourceType']}-{made['id']}.json"


def _code_systems(told: Mapping[str, Mapping[str, str | None]]) -> Iterator[dict[str, Any]]:
    for number, (url, concepts) in enumerate(told.items()):
        yield {
            "resourceType": "CodeSystem",
            "id": f"stand-in-{number}",
            "url": url,
            "version": "1",
            "name": f"StandIn{number}",
            "status": "active",
            "content": "fragment",
            "caseSensitive": True,
            "concept": [
                {"code": code, "display": display} if display else {"code": code}
                for code, display in concepts.items()
            ],
        }


def _value_sets(told: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for name, one in told.items():
        include = {
            "system": one["system"],
            "concept": [{"code": code} for code in one["codes"]],
        }
        yield {
            "resourceType": "ValueSet",
            "id": name,
            "url": f"http://cts.nlm.nih.gov/fhir/ValueSet/{name}",
            "version": "1",
            "name": f"StandIn{name.replace('.', '')}",
            "status": "active",
            "compose": {"include": [include]},
        }
