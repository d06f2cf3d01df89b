"""Reads the mappings folder from disk: the one way from files to a `MappingSet`."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fhirbridge.mapping import load
from fhirbridge.mapping.crosswalk import COLUMNS
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue

MAX_BYTES = 2_000_000


def read(folder: Path) -> dict[str, str]:
    """The texts of all YAML and CSV files below the folder, by their name inside it."""
    texts: dict[str, str] = {}
    for path in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.csv")]):
        name = path.relative_to(folder).as_posix()
        try:
            raw = path.read_bytes()
        except OSError as fault:
            cause = f"the file cannot be read: {fault.strerror}"
            remedy = "see that it is a file, and that it may be read"
            raise BridgeError(Issue("configuration", cause, remedy, place=name)) from fault
        if len(raw) > MAX_BYTES:
            cause = f"the file is longer than {MAX_BYTES} bytes"
            raise BridgeError(Issue("configuration", cause, "divide it", place=name))
        try:
            texts[name] = raw.decode("utf-8-sig")
        except UnicodeDecodeError as fault:
            cause = f"byte {fault.start} is not UTF-8"
            raise BridgeError(
                Issue("configuration", cause, "save it as UTF-8", place=name)
            ) from fault
    if "study.yaml" not in texts:
        cause, remedy = "there is no study.yaml in the mappings folder", "set FHIRBRIDGE_MAPPINGS"
        raise BridgeError(Issue("configuration", cause, remedy, place=str(folder)))
    return texts


@dataclass(frozen=True, slots=True)
class Addition:
    """A line of a site's crosswalk that stands in no file; `id` is where it is told of."""

    id: str
    crosswalk: str
    system: str
    code: str
    display: str
    target: str
    relationship: str
    note: str


def _nothing() -> Sequence[Addition]:
    return ()


class Library:
    """The mappings for each site. Its files are read once: a running service keeps those that it
    started with.
    """

    def __init__(self, folder: Path) -> None:
        self._texts = read(folder)
        self._sets: dict[tuple[str, bool], tuple[Hashable, MappingSet]] = {}

    @property
    def sites(self) -> dict[str, list[str]]:
        """The sites that have local codes, and their files."""
        found: dict[str, list[str]] = {}
        for name in self._texts:
            folder, _, rest = name.partition("/")
            if folder == "sites" and "/" in rest:
                found.setdefault(rest.split("/")[0], []).append(name)
        return found

    def of_site(
        self,
        site: str,
        version: Hashable = None,
        added: Callable[[], Sequence[Addition]] = _nothing,
    ) -> MappingSet:
        """The site's mappings; with a `version`, those with what was `added` until then. Of the
        versions of a site the latest is remembered."""
        name = (site, version is not None)
        known = self._sets.get(name)
        if known is None or known[0] != version:
            known = (version, self.load(site, added()))
            self._sets[name] = known
        return known[1]

    def load(self, site: str, added: Sequence[Addition]) -> MappingSet:
        """The site's mappings as if the lines stood at the end of its files.

        Raises `BridgeError` (configuration) where a line contradicts; its place is then its id.
        """
        texts, places = dict(self._texts), dict[str, str]()
        for line in added:
            name = f"sites/{site}/{line.crosswalk}.csv"
            before = texts.get(name, ",".join(COLUMNS)).rstrip("\n") + "\n"
            texts[name] = before + _row(line)
            places[f"{name}:{before.count(chr(10)) + 1}"] = line.id
            if name not in self._texts:
                places.setdefault(f"{name}:1", line.id)  # of a crosswalk that the study has not
        try:
            return load.load(texts, site=site)
        except BridgeError as fault:
            raise BridgeError(*(_placed(issue, places) for issue in fault.issues)) from fault


def _row(line: Addition) -> str:
    told = io.StringIO()
    cells = (line.system, line.code, line.display, line.target, line.relationship, "", line.note)
    csv.writer(told, lineterminator="\n").writerow(cells)
    return told.getvalue()


def _placed(issue: Issue, places: Mapping[str, str]) -> Issue:
    return replace(issue, place=places.get(issue.place, issue.place))
