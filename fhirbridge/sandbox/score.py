"""Precision and recall of what a registry holds, beside the truth of the hospital it came from.

Pure: two lists of records in, a score out. A record is found where its subject and form agree and
what it says agrees best; what identifies it at one place only (keys, the sender's own codes and
words) is not compared, a reference by what it leads to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

NOT_COMPARED = frozenset(
    {
        *("study_id", "site", "hospital_ids", "status", "enrolled_on", "visit", "index"),
        *("lesion_id", "surgery_id", "primary_id", "radiotherapy_id", "medication_id"),
        *("imaging_id", "complication_id", "consent_id", "text", "codes", "code", "histology"),
        *("conclusion_code", "cause_of_death"),
    }
)
DAYS = frozenset({"assessed_on", "seen_on"})
"""Days of a visit: what is taken at several hours of one is one record."""
_REFERENCES = {
    "primary": "primary_cancer",
    "lesion": "lesion",
    "lesions": "lesion",
    "surgery": "surgery",
    "reoperation": "surgery",
}
_KEYS = {"primary_cancer": "primary_id", "lesion": "lesion_id", "surgery": "surgery_id"}
_ORDER = ("subject", "primary_cancer", "lesion", "surgery")


@dataclass(slots=True)
class Share:
    """How much of one kind is right. `told`: of the truth, `held`: of the registry."""

    right: int = 0
    told: int = 0
    held: int = 0

    @property
    def precision(self) -> float:
        return self.right / self.held if self.held else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.told if self.told else 1.0


@dataclass(frozen=True, slots=True)
class Difference:
    """`kind`: missing or invented record, missing, wrong or invented value."""

    kind: str
    subject: str
    form: str
    field: str
    told: Any
    held: Any
    sources: tuple[str, ...]

    def sentence(self) -> str:
        what = f"{self.subject} {self.form}{'.' + self.field if self.field else ''}"
        values = ""
        if self.field:
            values = f": told {_shown(self.told)}, held {_shown(self.held)}"
        return f"{self.kind}: {what}{values} [{', '.join(self.sources) or 'no source'}]"


@dataclass(slots=True)
class Score:
    records: dict[str, Share] = field(default_factory=dict)
    values: dict[str, Share] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)  # records of the truth that a person decides

    def of(self, form: str) -> tuple[Share, Share]:
        return self.records.setdefault(form, Share()), self.values.setdefault(form, Share())

    @property
    def invented(self) -> list[Difference]:
        return [one for one in self.differences if one.kind.startswith("invented")]


def score(truth: Mapping[str, Any], held: Iterable[Mapping[str, Any]]) -> Score:
    """`held` are records as `fhirbridge record export` prints them."""
    made = Score()
    enrolled = {one["subject"]: one for one in truth["subjects"]}
    named = _by_number(truth, held := list(held))
    everyone = [{**one, "subject": named.get(one["subject"], one["subject"])} for one in held]
    forms = {one["form"] for one in truth["records"]} | {one["form"] for one in everyone}
    names: dict[tuple[str, str, str], str] = {}  # subject, form and key in the registry -> name
    for form in sorted(forms, key=lambda one: (_place(one), one)):
        for subject in sorted({*enrolled, *(one["subject"] for one in everyone)}):
            told = [o for o in truth["records"] if (o["subject"], o["form"]) == (subject, form)]
            found = [o for o in everyone if (o["subject"], o["form"]) == (subject, form)]
            _subject(made, form, told, [_named(one, names) for one in found], names)
    return made


def _by_number(truth: Mapping[str, Any], held: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The truth's names of the registry's subjects, by their numbers at the hospital."""
    numbers = {one["number"]: one["subject"] for one in truth["subjects"]}
    return {
        one["subject"]: numbers[identifier["value"]]
        for one in held
        for identifier in one.get("subject_identifiers", ())
        if identifier["value"] in numbers
    }


def _named(one: Mapping[str, Any], names: Mapping[tuple[str, str, str], str]) -> dict[str, Any]:
    """The record with each reference as the truth's name of the record that it leads to."""
    fields = {}
    for name, value in one["fields"].items():
        form = _REFERENCES.get(name)
        if form and isinstance(value, str):
            value = names.get((one["subject"], form, value), value)
        elif form and isinstance(value, list):
            value = [names.get((one["subject"], form, key), key) for key in value]
        fields[name] = value
    return {**one, "fields": fields}


def _subject(
    made: Score,
    form: str,
    told: Sequence[Mapping[str, Any]],
    held: Sequence[Mapping[str, Any]],
    names: dict[tuple[str, str, str], str],
) -> None:
    records, values = made.of(form)
    held = [one for one in held if _compared(one["fields"]) or one["form"] != "subject"]
    pairs = _pairs(told, held)
    for one, other in pairs:
        key = other["fields"].get(_KEYS.get(form, ""))
        if key:
            names[other["subject"], form, key] = one["name"]
        _compare(made, values, one, other)
    records.right += len(pairs)
    met, taken = {id(one) for one, _ in pairs}, {id(other) for _, other in pairs}
    for one in told:
        if one.get("waits") and id(one) not in met:
            made.waiting.append(f"{one['subject']} {form}: {one['waits']}")
        elif id(one) not in met:
            records.told += 1
            values.told += len(_compared(one["fields"]))
            made.differences.append(_whole("missing record", one))
        else:
            records.told += 1
    records.held += len(held)
    for other in held:
        if id(other) not in taken:
            values.held += len(_compared(other["fields"]))
            made.differences.append(_whole("invented record", other))


def _pairs(
    told: Sequence[Mapping[str, Any]], held: Sequence[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Each record with the one that agrees with it best; they must agree on their day, if any."""
    ranked = sorted(
        (
            (_likeness(one, other), n, m)
            for n, one in enumerate(told)
            for m, other in enumerate(held)
        ),
        key=lambda rank: (-rank[0], rank[1], rank[2]),
    )
    pairs, left, right = [], set(range(len(told))), set(range(len(held)))
    for likeness, n, m in ranked:
        if likeness > 0 and n in left and m in right:
            pairs.append((told[n], held[m]))
            left.discard(n)
            right.discard(m)
    return pairs


def _likeness(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """0 where they cannot be the same; the share of what both say that agrees."""
    if one["form"] == "subject":
        return 1.0
    told, held = _compared(one["fields"]), _compared(other["fields"])
    common = told.keys() & held.keys()
    if any(not same(told[n], held[n], n) for n in common & DAYS):
        return 0.0
    agreed = sum(same(told[name], held[name], name) for name in common)
    from_it = bool({*one["sources"]} & {*other.get("sources", ())})
    return agreed / max(1, len(told)) + from_it


def _compare(made: Score, values: Share, one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    told, held = _compared(one["fields"]), _compared(other["fields"])
    unsure = {*one.get("unsure", ())}
    told = {n: v for n, v in told.items() if n not in unsure or n in held}
    values.told += len(told)
    values.held += len(held)
    for name in sorted(told.keys() | held.keys()):
        if name in told and name in held and same(told[name], held[name], name):
            values.right += 1
            continue
        kind = "wrong value" if name in told and name in held else "missing value"
        kind = "invented value" if name not in told else kind
        told_by = tuple(one["sources"])
        made.differences.append(
            Difference(
                kind, one["subject"], one["form"], name, told.get(name), held.get(name), told_by
            )
        )


def _compared(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says: no keys of one place only, and no reasons why a value is not there."""
    return {
        name: value
        for name, value in fields.items()
        if name not in NOT_COMPARED and not (isinstance(value, Mapping) and "absent" in value)
    }


def same(told: Any, held: Any, name: str = "") -> bool:
    """The same number, the same instant, the same list in any order; a visit's day."""
    if isinstance(told, list) and isinstance(held, list):
        return sorted(map(str, told)) == sorted(map(str, held))
    if name in DAYS:
        return str(told)[:10] == str(held)[:10]
    if str(told) == str(held):
        return True
    return (
        _number(told) == _number(held) is not None or _instant(told) == _instant(held) is not None
    )


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _instant(value: Any) -> datetime | None:
    try:
        made = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return made.astimezone(UTC) if made.tzinfo else None


def _whole(kind: str, one: Mapping[str, Any]) -> Difference:
    sources = tuple(one.get("sources", ()))
    return Difference(kind, one["subject"], one["form"], "", None, None, sources)


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)


def _place(form: str) -> int:
    return _ORDER.index(form) if form in _ORDER else len(_ORDER)


def table(made: Score) -> Iterator[str]:
    """A line for each form, for a terminal."""
    head = "".join(f" {kind:>13} {'prec.':>6} {'recall':>6}" for kind in ("records", "values"))
    yield f"{'form':16}{head}"
    for form in sorted(made.records, key=lambda one: (_place(one), one)):
        records, values = made.records[form], made.values[form]
        cells = [form.ljust(16)]
        for share in (records, values):
            counted = f"{share.right}/{share.told}"
            cells.append(f"{counted:>13} {share.precision:6.3f} {share.recall:6.3f}")
        yield " ".join(cells)
