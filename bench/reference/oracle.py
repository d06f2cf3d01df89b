"""HL7's instance validator as an oracle: built by Maven, asked over its standard input.

Verdicts are kept by the content's hash and by what the oracle is made of, so that a second run
asks only what is new.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from bench.reference import packages

Word = Literal["valid", "invalid", "none"]
_HERE = Path(__file__).parent
_JAR = _HERE / "target" / "oracle.jar"
_KEPT = packages.ROOT / ".cache" / "reference-verdicts"
_ERRORS = frozenset(("error", "fatal"))
# Errors that tell of the engine, or of what it has not loaded, and not of the resource.
_STUMBLES = (
    "engine failure:",
    "java.lang.",
    "Invalid displayLanguage",
    "Slicing cannot be evaluated",
    "Error in constraint",
    "could not be found, so the code cannot be validated",  # another version of the system
)


class NotRunning(Exception):
    """The oracle could not be built, or ended before it had answered."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`none`: the engine stumbled, and found nothing else. `issues` are its errors alone."""

    word: Word
    issues: tuple[Mapping[str, Any], ...]


def key(raw: bytes) -> str:
    """What a content is known by."""
    return hashlib.sha256(raw).hexdigest()[:24]


def made_of() -> str:
    """A hash of the engine's versions, our runner, the packages and the stand-ins."""
    digest = hashlib.sha256()
    for source in _sources():
        digest.update(source.read_bytes())
    digest.update(packages.STAND_INS.read_bytes())
    digest.update(" ".join((*packages.BY_NPM, packages.US_CORE.name, packages.MCODE)).encode())
    return digest.hexdigest()[:12]


def built() -> Path:
    """The jar, built by Maven where it is missing or older than its sources."""
    for tool in ("java", "mvn", "npm"):
        if not shutil.which(tool):
            raise NotRunning(f"'{tool}' is missing: install a JDK 17, Maven and npm, see .ci/run")
    newest = max(source.stat().st_mtime for source in _sources())
    if not _JAR.exists() or _JAR.stat().st_mtime < newest:
        subprocess.run(["mvn", "-B", "-q", "-f", str(_HERE), "package"], check=True)
        os.utime(_JAR)  # Maven leaves an unchanged jar as old as it was
    return _JAR


def verdicts(contents: Iterable[bytes], *, threads: int = 1) -> dict[str, Verdict]:
    """The verdict on each content, by `key`: what is not kept from an earlier run is asked."""
    store = _KEPT / f"{made_of()}.ndjson"
    known = _kept(store)
    wanted = {key(raw): raw for raw in contents}
    asked = {name: raw for name, raw in wanted.items() if name not in known}
    if asked:
        store.parent.mkdir(parents=True, exist_ok=True)
        with store.open("a", encoding="utf-8") as keep:
            for name, errors in _ask(asked, threads=threads):
                known[name] = verdict(errors)
                keep.write(json.dumps([name, errors]) + "\n")
    return {name: known[name] for name in wanted}


def verdict(errors: Sequence[Mapping[str, Any]]) -> Verdict:
    """An error that tells of the engine counts for nothing, but then silence counts for nothing."""
    told = tuple(e for e in errors if not any(word in e["message"] for word in _STUMBLES))
    if told:
        return Verdict("invalid", told)
    return Verdict("none" if errors else "valid", ())


def _kept(store: Path) -> dict[str, Verdict]:
    """Verdicts of earlier runs; the last line may be half, where a run was ended."""
    if not store.exists():
        return {}
    known = {}
    whole, _, rest = store.read_bytes().rpartition(b"\n")
    for line in whole.splitlines():
        name, errors = json.loads(line)
        known[name] = verdict(errors)
    if rest:
        with store.open("rb+") as cut:
            cut.truncate(len(whole) + 1 if whole else 0)
    return known


def _ask(asked: Mapping[str, bytes], *, threads: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    folders = [str(folder) for folder in packages.folders()]
    command = ["java", "-Xmx3g", "-jar", str(built()), f"--threads={threads}", *folders]
    log = _KEPT / "oracle.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, encoding="utf-8"
        )
        assert process.stdin is not None
        assert process.stdout is not None
        threading.Thread(target=_send, args=(process.stdin, asked), daemon=True).start()
        count = 0
        with process.stdout as answers:
            for line in answers:
                count += 1
                yield _read(line)
        if process.wait() != 0 or count < len(asked):
            raise NotRunning(f"ended with {process.returncode} after {count} answers: {_tail(log)}")


def _send(requests: IO[str], asked: Mapping[str, bytes]) -> None:
    with requests:
        for name, raw in asked.items():
            requests.write(json.dumps({"id": name, "raw": raw.decode("utf-8")}) + "\n")


def _read(line: str) -> tuple[str, list[dict[str, Any]]]:
    answer = json.loads(line)
    return answer["id"], [one for one in answer["issues"] if one["severity"] in _ERRORS]


def _tail(log: Path) -> str:
    return log.read_bytes()[-2000:].decode(errors="replace")


def _sources() -> list[Path]:
    return sorted([_HERE / "pom.xml", *(_HERE / "src").rglob("*.java")])
