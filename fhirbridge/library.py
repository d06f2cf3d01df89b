"""Reads the mappings folder from disk: the one way from files to a `MappingSet`."""

from __future__ import annotations

from pathlib import Path

from fhirbridge.mapping import load
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


class Library:
    """The mappings for each site, read once: a running service keeps the version that it started
    with.
    """

    def __init__(self, folder: Path) -> None:
        self._texts = read(folder)
        self._sets: dict[str, MappingSet] = {}

    @property
    def sites(self) -> dict[str, list[str]]:
        """The sites that have local codes, and their files."""
        found: dict[str, list[str]] = {}
        for name in self._texts:
            folder, _, rest = name.partition("/")
            if folder == "sites" and "/" in rest:
                found.setdefault(rest.split("/")[0], []).append(name)
        return found

    def of_site(self, site: str) -> MappingSet:
        if site not in self._sets:
            self._sets[site] = load.load(self._texts, site=site)
        return self._sets[site]
