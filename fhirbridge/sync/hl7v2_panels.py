"""Parts of one thing that come in several OBX: put together with what is known, and a total that is
that of its parts or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fhirbridge.mapping.decode import Decoded
from fhirbridge.mapping.read_row import Trace
from fhirbridge.mapping.shaped import Placed
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import Issue, failed
from fhirbridge.registry.records import Record
from fhirbridge.study import records
from fhirbridge.study.records import Absent
from fhirbridge.study.values import Value, has_value
from fhirbridge.sync.hl7v2_resources import OPEN, Group
from fhirbridge.sync.hl7v2_tells import WAITS, decoded, reviewed
from fhirbridge.sync.judge import Asked, Tell


def panel(mappings: MappingSet, placed: Placed, group: Group) -> Tell:
    def tell(asked: Asked) -> list[Decoded]:
        facts = [_parts(mappings, fact, group, placed, asked) for fact in _first(asked)]
        if group.status in OPEN:
            return [reviewed(mappings, fact, placed.at, WAITS) for fact in facts]
        return facts

    def _first(asked: Asked) -> list[Decoded]:
        return decoded(mappings, placed, asked)

    return tell


def _parts(
    mappings: MappingSet, fact: Decoded, group: Group, placed: Placed, asked: Asked
) -> Decoded:
    """With what is known of the record: parts that come apart are put together, and a total is
    that of its parts or none."""
    form = mappings.study.forms.get(fact.form)
    if form is None or fact.fate not in ("record", "hold") or not fact.key:
        return fact
    known = _known(asked, fact.form, fact.key)
    fields, traces = dict(fact.fields), dict(fact.traces)
    issues = [i for i in fact.issues if not _about_total(i)]
    nulls = frozenset(n for n in group.gone if n in form.fields)
    for name, reason in group.absent.items():
        if name in form.fields:
            fields[name], traces[name] = Absent(reason), Trace(placed.at, "OBX-11", False)
    for total in form.totals:
        said = [n for n in (total.total.parts(None) if total.total else ()) if n in fields]
        sent = total.name in group.shape.items
        if said or (sent and not (total.total and total.total.alone)):
            issues += _total(total, fields, traces, {**known, **fields}, group, placed)
        elif not sent and isinstance(fields.get(total.name), Absent):
            del fields[total.name]  # a message that says nothing of it
    read = [n for n in fields if n not in form.key]
    fate = "record" if read and not failed(records.totals(form, fields)) else fact.fate
    return replace(fact, fate=fate, fields=fields, traces=traces, issues=tuple(issues), nulls=nulls)


def _about_total(issue: Issue) -> bool:
    return "total" in issue.cause


def _known(asked: Asked, form: str, key: str) -> dict[str, Value]:
    subject = asked.subject
    found: Record | None = asked.unit.records.find(subject.id, form, key) if subject else None
    live = found.fields if found and found.status == "active" else {}
    return {name: records.value_from_json(raw) for name, raw in live.items()}


def _total(
    total: Any,
    fields: dict[str, Value],
    traces: dict[str, Trace],
    all_of_it: Mapping[str, Value],
    group: Group,
    placed: Placed,
) -> list[Issue]:
    """Computed where every part is known; none where one is not."""
    names = total.total.parts(None)
    sent = group.shape.items.get(total.name)
    lacking = [n for n in names if not has_value(all_of_it.get(n))]
    trace = Trace(sent.at if sent else placed.at, "of its parts", False)
    if not lacking:
        if sent is None:
            fields[total.name] = sum(int(str(all_of_it[n])) for n in names)
            traces[total.name] = trace
        return []
    for name in (*lacking, total.name):
        if not isinstance(all_of_it.get(name), Absent) or name == total.name:
            fields[name], traces[name] = Absent("unknown"), trace
    if sent is None:
        return []
    cause = f"total sent, but {', '.join(lacking)} is missing: the study keeps no total then"
    return [Issue("business-rule", cause, "send the missing part", place=sent.at)]
