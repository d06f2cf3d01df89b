"""The FHIR packages that `$validate` needs, in one folder, and the examples that mCODE brings.

mCODE is fetched once by npm; US Core lies beside this file (see packages/README.md).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MCODE = "hl7.fhir.us.mcode@4.0.0"
_CACHE = ROOT / ".cache" / "fhir-packages"
_COMMITTED = Path(__file__).parent / "packages"


def folder() -> Path:
    """A folder with exactly the packages we judge by; it stays in the checkout's cache."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    for package in _COMMITTED.glob("*.tgz"):
        if not (_CACHE / package.name).exists():
            _arrive(package)
    mcode()
    return _CACHE


def mcode() -> Path:
    """The mCODE package, fetched by npm where it is not there yet."""
    target = _CACHE / f"{MCODE.replace('@', '-')}.tgz"
    if not target.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as fetched:
            subprocess.run(["npm", "pack", "--silent", MCODE], cwd=fetched, check=True)
            _arrive(Path(fetched) / target.name)
    return target


def _arrive(package: Path) -> None:
    """Copy, then rename: half a package is never seen under its name."""
    shutil.copyfile(package, _CACHE / f"{package.name}.part")
    (_CACHE / f"{package.name}.part").rename(_CACHE / package.name)


def mcode_examples(types: Iterable[str]) -> list[dict[str, Any]]:
    """Fresh copies of mCODE's own example resources of these types, by file name."""
    wanted = set(types)
    parsed = (json.loads(text) for text in _example_texts())
    return [resource for resource in parsed if resource["resourceType"] in wanted]


@cache
def _example_texts() -> tuple[bytes, ...]:
    with tarfile.open(mcode()) as archive:
        names = sorted(n for n in archive.getnames() if n.startswith("package/example/"))
        files = (archive.extractfile(name) for name in names if name.endswith(".json"))
        return tuple(file.read() for file in files if file)
