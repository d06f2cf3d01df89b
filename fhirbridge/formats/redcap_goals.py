"""The map of one REDCap project: where each variable goes, and the study's word for each code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fhirbridge.formats.redcap import Variable
from fhirbridge.formats.tabular_cells import Cells, Wrong
from fhirbridge.formats.tabular_text import plain
from fhirbridge.study.definition import Field, Study

CellsOf = Callable[[str], Cells]


@dataclass(frozen=True, slots=True)
class Goal:
    """Where a variable goes: a field of a form, with the study's word for each of its codes."""

    form: str
    field: Field
    codes: Mapping[str, str]
    system: str = ""


@dataclass(frozen=True, slots=True)
class Project:
    """A project's map. `records` are subjects by record id; without any, the record id is the
    pseudonym. `groups` are those of the credential's site. `constants` by form."""

    study: Study
    variables: Mapping[str, Variable]
    goals: Mapping[str, Goal]
    records: Mapping[str, str]
    groups: frozenset[str]
    missing: frozenset[str]
    constants: Mapping[str, Mapping[str, str]]


def typed(known: Field, word: str) -> Any:
    if known.type == "boolean":
        return word.lower() in ("1", "yes", "true")
    return (word,) if known.many else word


def word(variable: Variable, goal: Goal, text: str, *, labelled: bool) -> Any:
    found = variable.codes(text, labelled=labelled)
    code = found[0] if len(found) == 1 else ""
    if len(found) > 1:
        cause = f"'{text}' may be any of the codes {', '.join(found)} of {variable.name}"
        remedy = 'export "CSV / raw data" with all columns, or tell the labels apart'
        return Wrong(cause, remedy, "unknown-code")
    if not code:
        listed = ", ".join(code for code, _ in variable.choices)
        cause = f"no code of {variable.name}: {listed}"
        return Wrong(cause, "correct it, or send the dictionary of today", "unknown-code")
    if code in goal.codes:
        return goal.codes[code]
    label = variable.meaning(code)
    if goal.field.type == "boolean":
        if plain(label) in ("yes", "no", "true", "false"):
            return plain(label)  # never the code: 1 may be no, and 2 yes
        cause = f"{code} ({label}) is neither yes nor no"
        return Wrong(cause, f"map it in redcap.csv: {code}=yes or {code}=no", "unknown-code")
    found = [c for c in goal.field.choices if _bare(c) in (_bare(label), _bare(code))]
    if len(found) == 1:
        return found[0]
    cause = f"{code} ({label}) is no word of {goal.field.name}"
    remedy = f"map it in redcap.csv: one of {', '.join(goal.field.choices)}"
    return Wrong(cause, remedy, "unknown-code")


def _bare(text: str) -> str:
    return re.sub(r"[\W_]", "", text).lower()
