"""What every reader of the study definition does: collect faults with file and line, and go on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import isfinite
from typing import Any

from fhirbridge import lined_yaml
from fhirbridge.outcome import Issue
from fhirbridge.study.forms import near

Path = lined_yaml.Path


class Reading:
    """A document and the faults that were found in it so far."""

    def __init__(self, document: lined_yaml.Document) -> None:
        self.document = document
        self.faults: list[Issue] = []

    def fault(self, path: Path, cause: str, remedy: str) -> None:
        place = self.document.place(path)
        self.faults.append(Issue("configuration", cause, remedy, place=place))

    def words(self, given: Mapping[str, Any], path: Path, known: Collection[str]) -> None:
        """A fault for each word that is not known here."""
        for word in given:
            if word not in known:
                self.fault((*path, word), f"'{word}' is not known here", near(word, known))

    def named(self, name: object, path: Path, known: Collection[str], kind: str) -> bool:
        """Whether the name is one of the known; a fault where it is not."""
        if isinstance(name, str) and name in known:
            return True
        self.fault(path, f"there is no {kind} '{name}'", near(str(name), known))
        return False

    def mapping(self, given: Any, path: Path, cause: str, remedy: str) -> dict[str, Any]:
        """What was given where it is a mapping that is not empty; a fault and {} otherwise."""
        if isinstance(given, dict) and given:
            return given
        self.fault(path, cause, remedy)
        return {}


def is_names(given: object) -> bool:
    """A list of at least one name, none twice."""
    return (
        isinstance(given, list)
        and bool(given)
        and all(isinstance(name, str) and name for name in given)
        and len({*given}) == len(given)
    )


def is_number(given: object) -> bool:
    """A number that YAML writes in digits: `.inf` and `.nan` limit nothing."""
    return is_whole(given) or (isinstance(given, float) and isfinite(given))


def is_whole(given: object) -> bool:
    return isinstance(given, int) and not isinstance(given, bool)
