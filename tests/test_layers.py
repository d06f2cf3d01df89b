"""Imports point down, siblings do not know each other, and the pure rooms do nothing but think."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "fhirbridge"

# From the bottom to the top: a room may import what stands in a line above its own, and itself.
LAYERS = (
    ("outcome",),
    ("settings", "options", "lined_yaml", "crash"),
    ("fhir", "study"),
    ("mapping", "formats"),
    ("registry", "servers", "library"),
    ("sync", "book", "api"),
    ("web", "jobs", "sandbox"),
    ("app",),
    ("commands",),
    ("cli",),
    ("__main__", "pytest_options"),
)
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
PURE = ("fhir", "study", "mapping", "formats")
# Package data of our own, read once, is the only reading of a pure room.
IMPURE = {
    "asyncio", "glob", "http", "io.open", "multiprocessing", "os", "pathlib", "random", "requests",
    "secrets", "shutil", "socket", "sqlalchemy", "sqlite3", "subprocess", "sys", "tempfile",
    "threading", "time", "urllib.request", "flask", "click", "logging",
}  # fmt: skip
IMPURE_CALLS = {"open", "now", "today", "utcnow", "getenv", "read_text", "read_bytes", "uuid4"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def sources() -> list[Path]:
    return sorted(
        p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py" or p.parent != PACKAGE
    )


def imports(tree: ast.AST) -> Iterator[str]:
    """Every imported module, those of functions too; `from a import b` gives `a` and `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def faults(name: str, text: str) -> list[str]:
    """What a module of the given path below fhirbridge/ does that its room must not do."""
    room = room_of(PACKAGE / name)
    tree = ast.parse(text)
    found = []
    for module in imports(tree):
        parts = module.split(".")
        if parts[0] == "fhirbridge" and len(parts) > 1 and parts[1] in RANK:
            other = parts[1]
            if other != room and RANK[other] >= RANK[room]:
                found.append(f"{name}: {room} imports {module}, which is not below it")
        elif room in PURE and ({parts[0], module} & IMPURE):
            found.append(f"{name}: the pure room {room} imports {module}")
        if parts[0] == "requests" and room != "servers":
            found.append(f"{name}: only servers/ imports requests")
    for node in ast.walk(tree):
        if room in PURE and isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in IMPURE_CALLS and name != "fhir/definitions.py":
                found.append(f"{name}:{node.lineno}: the pure room {room} calls {called}()")
        of_os = isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "os"
        if of_os and node.attr in ("environ", "getenv") and room not in ("settings", "commands"):
            found.append(f"{name}:{node.lineno}: only settings.py reads the environment")
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    assert faults(name, path.read_text(encoding="utf-8")) == []


def test_every_room_has_its_layer() -> None:
    rooms = {room_of(path) for path in sources()}
    assert rooms - RANK.keys() == set()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mapping/encode.py", "from fhirbridge.registry import tables"),
        ("mapping/encode.py", "def f():\n    from fhirbridge.formats import fhir_json"),
        ("study/records.py", "import sqlite3"),
        ("formats/fhir_json.py", "import fhirbridge.mapping.load"),
        ("fhir/bundle.py", "from datetime import datetime\nx = datetime.now()"),
        ("sync/pull.py", "import requests"),
        ("registry/unit.py", "from fhirbridge.web import access"),
        ("web/access.py", "import os\nx = os.environ['HOME']"),
    ],
)
def test_a_forbidden_import_is_seen(name: str, text: str) -> None:
    assert faults(name, text)
