"""A sample of HL7's own verdicts: our judge stays within the goals, without Java.

The whole comparison is `python -m bench.reference`; it makes the sample too.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from bench.damage import kinds, probes
from bench.reference import compare, goals, sample
from bench.reference.sample import Line

SAMPLE = Path(__file__).parent / "reference_verdicts.ndjson"
# The sample has as much of a rare kind as of a common one: its groups are too small to stand alone.
POOLS = {
    "structural": ("structural",),
    "probe": ("probe",),
    "profile": ("profile", "extension", "terminology"),
}


@cache
def lines() -> tuple[Line, ...]:
    return tuple(sample.read(SAMPLE))


def test_the_sample_says_where_it_is_from() -> None:
    about = json.loads(SAMPLE.read_text(encoding="utf-8").partition("\n")[0])
    assert "CC0-1.0" in about["licence"]
    assert SAMPLE.stat().st_size < 300_000


def test_the_sample_holds_every_kind() -> None:
    there = {line.kind for line in lines()}
    assert {kind.name for kind in kinds.KINDS} - there == set()
    assert {f"probe: {key}" for key in probes.KEYS} - there == set()


@pytest.mark.parametrize("pool", POOLS)
def test_what_the_reference_refuses_is_refused(pool: str) -> None:
    wrong = [line for line in lines() if line.group in POOLS[pool] and line.verdict == "invalid"]
    missed = [line.id for line in wrong if not compare.ours(line.raw)]
    assert len(wrong) > 100
    assert len(missed) <= len(wrong) * goals.WRONGLY_ACCEPTED[pool] / 100, missed


def test_what_the_reference_accepts_is_accepted() -> None:
    right = [line for line in lines() if line.verdict == "valid"]
    missed = []
    for line in right:
        issues = compare.ours(line.raw)
        if issues and not goals.lax_rule_of(issues, line.kind):
            missed.append(line.id)
    assert len(right) > 200
    assert len(missed) <= len(right) * goals.WRONGLY_REFUSED / 100, missed


def test_the_judge_breaks_on_none() -> None:
    issues = [(line.id, issue) for line in lines() for issue in compare.ours(line.raw)]
    assert [name for name, issue in issues if issue.category == "exception"] == []


def test_a_mutant_is_read_as_it_was_planted() -> None:
    planted = {mutant.id: mutant.raw for mutant in probes.mutants()}
    there = {line.id: line.raw for line in lines() if line.id in planted}
    assert len(there) > 50
    assert there.items() <= planted.items()
