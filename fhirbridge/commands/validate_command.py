"""validate: FHIR R4 resources judged one after the other, each finding told as it is found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO, Protocol

import click
import msgspec

from fhirbridge.commands import inputs
from fhirbridge.commands.inputs import Body, bodies
from fhirbridge.commands.judging import judge, refuse_unknown
from fhirbridge.commands.long_work import Bar, long_work
from fhirbridge.commands.shared import tell_issues
from fhirbridge.outcome import Issue, failed


class Report(Protocol):
    """How a verdict is told."""

    def tell(self, body: Body, issues: Sequence[Issue]) -> None: ...


@dataclass
class Counts:
    """What was seen. A file that cannot be read is no resource."""

    valid: int = 0
    invalid: int = 0
    unreadable: int = 0

    def add(self, body: Body, issues: Sequence[Issue]) -> None:
        if not failed(issues):
            self.valid += 1
        elif body.line == 0:
            self.unreadable += 1
        else:
            self.invalid += 1

    @property
    def good(self) -> bool:
        return not self.invalid and not self.unreadable

    def __str__(self) -> str:
        told = f"{self.valid + self.invalid} resources: {self.valid} valid, {self.invalid} invalid"
        return f"{told}; {self.unreadable} unreadable files" if self.unreadable else told


@dataclass(frozen=True, slots=True)
class Lines:
    """A line a finding, for a person."""

    out: BinaryIO
    bar: Bar

    def tell(self, body: Body, issues: Sequence[Issue]) -> None:
        if issues:
            self.bar.make_way()
        for issue in issues:
            self.out.write(f"{issue.severity}: {body.placed(issue).sentence()}\n".encode())


@dataclass(frozen=True, slots=True)
class Objects:
    """A JSON object a resource, on a line of its own, for a program."""

    out: BinaryIO
    encoder: msgspec.json.Encoder = field(default_factory=msgspec.json.Encoder)

    def tell(self, body: Body, issues: Sequence[Issue]) -> None:
        verdict = {
            "file": body.name,
            "line": body.line,
            "valid": not failed(issues),
            "issues": [_as_json(body.mended(issue)) for issue in issues],
        }
        self.out.write(self.encoder.encode(verdict) + b"\n")


def _as_json(issue: Issue) -> dict[str, Any]:
    told = issue.as_fhir()
    details = told["details"]["text"]
    return {
        "severity": told["severity"],
        "code": told["code"],
        "expression": issue.expression,
        "details": f"{issue.place}: {details}" if issue.place else details,
    }


@click.command()
@inputs.FILES
@click.option("--profile", "profiles", multiple=True, metavar="URL", help="also judge by this one")
@click.option("--json", "as_json", is_flag=True, help="a JSON object a resource, a line each")
@click.option("--errors-only", is_flag=True, help="no advice on valid resources, many times faster")
@inputs.MAX_LINE
def validate(
    files: tuple[str, ...],
    profiles: tuple[str, ...],
    as_json: bool,
    errors_only: bool,
    max_line: int,
) -> None:
    """Judge FHIR R4 resources: .json holds one or a Bundle, .ndjson one a line, - is standard
    input.

    Ends with 1 where a resource is invalid or a file cannot be read.
    """
    refuse_unknown(profiles)
    counts, out = Counts(), sys.stdout.buffer
    verdict = partial(judge, profiles=profiles, advice=not errors_only)
    with long_work(files) as bar:
        report: Report = Objects(out) if as_json else Lines(out, bar)
        for file in files:
            for body in bodies(file, max_line, bar):
                _judge(body, verdict, counts, report)
    if not as_json:
        out.write(f"{counts}\n".encode())
    out.flush()
    if not counts.good:
        raise SystemExit(1)


def _judge(
    body: Body, verdict: Callable[[bytes], list[Issue]], counts: Counts, report: Report
) -> None:
    tell_issues(body.remarks)
    if body.raw:
        issues = verdict(body.raw)
    elif failed(body.issues):
        issues = [*body.issues]
    else:
        return  # a blank line is no resource
    counts.add(body, issues)
    report.tell(body, issues)
