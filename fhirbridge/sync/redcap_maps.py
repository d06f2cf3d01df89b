"""A site's map of its REDCap project: `redcap.csv` (variable, field, codes) and, where the record
id is no pseudonym, `redcap-records.csv` (record, study_id). Data of the site, counted in the
version.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fhirbridge.formats import redcap
from fhirbridge.formats.redcap import Variable
from fhirbridge.formats.redcap_goals import CellsOf, Goal, Project
from fhirbridge.formats.redcap_rows import RedcapRows
from fhirbridge.formats.tabular_map import read_map
from fhirbridge.formats.tabular_text import RawRow, plain
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.study.definition import near

FORM = "redcap"
_SYSTEM = (redcap.EVENT, redcap.INSTRUMENT, redcap.INSTANCE, redcap.GROUP)
_LABELS = ("event name", "repeat instrument", "repeat instance", "data access group", "record id")
_EAV = ("record", "field_name", "value")


def headers(mappings: MappingSet, variables: Sequence[Variable]) -> Callable[[str], bool]:
    """Which cells are headers of this project's exports."""
    known = {*_SYSTEM, *_LABELS, *_EAV, "record_id"}
    known |= {name.lower() for name in _goals(mappings)}
    known |= {v.name.lower() for v in variables} | {plain(v.label) for v in variables if v.label}
    return lambda name: name in known or name.partition("___")[0] in known


def reader(
    mappings: MappingSet, more: Mapping[str, Any], header: RawRow, cells: CellsOf
) -> RedcapRows:
    """Raises `BridgeError` with every fault of the map or the header."""
    goals = _goals(mappings)
    if not goals:
        cause = "the site has no map of its REDCap project"
        remedy = f"write sites/{mappings.site}/redcap.csv: variable,field,codes,system"
        raise BridgeError(Issue("configuration", cause, remedy))
    told = [Variable.of(one) for one in more.get("dictionary", ())]
    variables = told or [_plain(name, goal) for name, goal in goals.items()]
    shape = redcap.shape(header, _first(variables, goals))
    by_name = {v.name: v for v in variables}
    groups = {
        plain(g) for g in _lines(mappings, "redcap").get(redcap.GROUP, ("", ""))[1].split(";")
    }
    site = mappings.site.lower()
    project = Project(
        mappings.study,
        by_name,
        {name: goal for name, goal in goals.items() if goal is not None},
        _records(mappings),
        frozenset({site, f"site_{site}", *groups} - {""}),
        frozenset(word for word in _missing(mappings)),
        {form: dict(_constants(mappings, form)) for form in {g.form for g in goals.values() if g}},
    )
    return RedcapRows(project, shape, header, cells, bool(more.get("raw", True)))


def _first(variables: Sequence[Variable], goals: Mapping[str, Goal | None]) -> list[Variable]:
    """The record id first: what a dictionary begins with, else what the map calls so."""
    ids = [name for name, goal in goals.items() if goal is None]
    return sorted(variables, key=lambda v: v.name not in ids) if ids else list(variables)


def _plain(name: str, goal: Goal | None) -> Variable:
    """What is known of a variable without its dictionary."""
    codes = tuple((code, code) for code in (goal.codes if goal else ()))
    return Variable(name, "", "text", choices=codes)


def _lines(mappings: MappingSet, name: str) -> dict[str, tuple[str, str, str]]:
    text = mappings.tables.get(name, "")
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    return {
        (row.get("variable") or "").strip(): (
            (row.get("field") or "").strip(),
            (row.get("codes") or "").strip(),
            (row.get("system") or "").strip(),
        )
        for row in rows
    }


def _goals(mappings: MappingSet) -> dict[str, Goal | None]:
    """By variable; None for the record id. Raises `BridgeError` (configuration)."""
    made: dict[str, Goal | None] = {}
    faults: list[Issue] = []
    for variable, (target, codes, system) in _lines(mappings, "redcap").items():
        if variable == redcap.GROUP:
            continue
        if target in ("study_id", "record"):
            made[variable] = None
            continue
        form, _, name = target.partition(".")
        known = mappings.study.forms.get(form)
        if known is None or name not in known.fields:
            names = [f"{f}.{n}" for f, one in mappings.study.forms.items() for n in one.fields]
            place = f"sites/{mappings.site}/redcap.csv"
            cause = f"{variable} leads to {target}, which the study has not"
            faults.append(Issue("configuration", cause, near(target, names), place=place))
            continue
        made[variable] = Goal(form, known.fields[name], dict(_codes(codes)), system)
    if faults:
        raise BridgeError(*faults)
    return made


def _codes(text: str) -> Iterator[tuple[str, str]]:
    """`1=independent; 2=aid`."""
    for part in text.split(";"):
        code, is_one, word = part.partition("=")
        if is_one:
            yield code.strip(), word.strip()


def _records(mappings: MappingSet) -> Mapping[str, str]:
    text = mappings.tables.get("redcap-records", "")
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    return {str(r.get("record")).strip(): str(r.get("study_id")).strip() for r in rows}


def _missing(mappings: MappingSet) -> Iterator[str]:
    text = mappings.tables.get("absence", "")
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    yield from ((row.get("word") or "").strip() for row in rows)


def _constants(mappings: MappingSet, form: str) -> Iterator[tuple[str, str]]:
    text = mappings.tables.get(f"columns-{form}", "")
    if text:
        for line in read_map(text, name=f"sites/{mappings.site}/columns-{form}.csv"):
            if not line.header:
                yield line.field, line.value
