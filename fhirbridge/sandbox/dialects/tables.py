"""What hospitals call things: the codes that a dialect may choose from, each with what it says.

A row of `codes.csv` may be chosen for a fact of which all of `when` is true, and says just that.
Its codes stand in the study's code book, in the modules of the German Medical Informatics
Initiative, or are the made-up hospital's own (`flowsheet`, `ward`).
"""

from __future__ import annotations

import csv
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Word:
    """A code of a system; `says` are the fields that whoever knows the code learns by it."""

    use: str
    system: str
    code: str
    display: str
    says: Mapping[str, str]


@cache
def words(dialect: str) -> tuple[Word, ...]:
    return tuple(
        Word(
            use=row["use"],
            system=row["system"],
            code=row["code"],
            display=row["display"],
            says=dict(pair.split("=") for pair in row["when"].split()),
        )
        for row in _rows("codes.csv")
        if row["dialects"] == "all" or dialect in row["dialects"].split()
    )


@cache
def systems() -> Mapping[str, tuple[str, ...]]:
    """Of each short name the system's URL, and then other spellings of it."""
    return {row["name"]: (row["system"], *row["aliases"].split()) for row in _rows("systems.csv")}


def _rows(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True, slots=True)
class Voice:
    """Chooses the words of one hospital. `alias` and `silent`: how often it spells a system
    otherwise, and leaves a display out."""

    dialect: str
    dice: random.Random
    alias: float = 0.0
    silent: float = 0.3

    def find(self, use: str, fields: Mapping[str, Any]) -> Word | None:
        """A word for that use of which all is true; any of them, none where there is none."""
        fits = [
            word
            for word in words(self.dialect)
            if word.use == use
            and all(str(fields.get(name)) == value for name, value in word.says.items())
        ]
        return self.dice.choice(fits) if fits else None

    def finest(self, use: str, fields: Mapping[str, Any]) -> Word | None:
        """The word that says most."""
        fits = [self.find(use, fields) for _ in range(8)]
        return max(filter(None, fits), key=lambda word: len(word.says), default=None)

    def coding(self, word: Word) -> list[Resource]:
        """Its codings: several where its codes count together."""
        url, *others = systems()[word.system]
        if others and self.dice.random() < self.alias:
            url = self.dice.choice(others)
        made = [{"system": url, "code": code} for code in word.code.split("+")]
        if word.display and self.dice.random() >= self.silent:
            made[0]["display"] = word.display
        return made

    def concept(self, *found: Word | None, text: str = "") -> Resource:
        given = [coding for word in found if word for coding in self.coding(word)]
        made: Resource = {"coding": given} if given else {}
        return {**made, "text": text} if text else made
