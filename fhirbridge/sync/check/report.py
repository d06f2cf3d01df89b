"""A check as it is handed on: lines for a terminal, Markdown for the hospital's IT, plain JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from fhirbridge.sync.check.coverage import Forecast
from fhirbridge.sync.check.step import Step

_WORDS = {
    "ok": "works",
    "warning": "works, with a loss",
    "failed": "does not work",
    "unknown": "not known",
}


@dataclass(frozen=True, slots=True)
class Report:
    """`forecasts` is None where the check ended before anything could be said of them."""

    connection: str
    base_url: str
    looked_at: datetime
    make: str  # of the quirks that are expected of the server
    steps: Sequence[Step]
    forecasts: Sequence[Forecast] | None
    captured: int  # fields that no hospital is asked for

    @property
    def failed(self) -> bool:
        return any(step.state == "failed" for step in self.steps)

    @property
    def coverage(self) -> Mapping[str, tuple[int, int]]:
        """By form: the fields that can be had, of those that are asked for."""
        forms = dict.fromkeys(one.form for one in self.forecasts or ())
        return {
            form: (
                sum(not one.why_not for one in self.forecasts or () if one.form == form),
                sum(one.form == form for one in self.forecasts or ()),
            )
            for form in forms
        }


def lines(step: Step) -> Iterator[str]:
    yield f"{step.name}: {step.state}: {step.told}"
    if step.remedy and step.state != "ok":
        yield f"  -> {step.remedy}"


def coverage_lines(report: Report) -> Iterator[str]:
    """The forecast, and why what cannot be had cannot."""
    if report.forecasts is None:
        yield "coverage: not known, as the check could not go on"
        return
    had = sum(not one.why_not for one in report.forecasts)
    yield f"coverage: {had} of {len(report.forecasts)} fields that hospitals are asked for"
    for form, (can, of) in report.coverage.items():
        if can < of:
            yield f"  {form}: {can} of {of}; lost: {', '.join(_lost(report, form))}"


def _lost(report: Report, form: str) -> list[str]:
    return [one.field for one in report.forecasts or () if one.form == form and one.why_not]


def as_json(report: Report) -> dict[str, Any]:
    told = None if report.forecasts is None else [asdict(one) for one in report.forecasts]
    return {
        "connection": report.connection,
        "base_url": report.base_url,
        "looked_at": f"{report.looked_at:%Y-%m-%dT%H:%M:%SZ}",
        "make": report.make,
        "steps": [asdict(step) for step in report.steps],
        "coverage": told,
        "captured_by_the_study": report.captured,
    }


def markdown(report: Report) -> str:
    """For a hospital's IT: what works, what is missing, what we ask for, what it costs."""
    parts = [
        f"# FHIR connection check: {_cell(report.connection)}",
        f"Server `{report.base_url}`, looked at {report.looked_at:%Y-%m-%d %H:%M} UTC, expected to "
        f"behave as: {report.make}. Nothing was written to it. Searches asked for what cannot "
        "exist, or for one resource, which was not kept.",
        "## What we ask for",
        *_asked(report),
        "## What was seen",
        "| step | state | seen |\n|---|---|---|\n" + "\n".join(_rows(report)),
        "## What the study can have from this server",
        *_coverage(report),
    ]
    return "\n\n".join(parts) + "\n"


def _asked(report: Report) -> list[str]:
    asks = [s for s in report.steps if s.remedy and s.state in ("failed", "warning")]
    if not asks:
        return ["Nothing: all that was looked at works."]
    return ["\n".join(f"* **{_cell(s.name)}**: {_cell(s.told)}. {_cell(s.remedy)}" for s in asks)]


def _rows(report: Report) -> Iterator[str]:
    for step in report.steps:
        yield f"| {_cell(step.name)} | {_WORDS[step.state]} | {_cell(step.told)} |"


def _coverage(report: Report) -> list[str]:
    if report.forecasts is None:
        return ["Not known, as the check could not go on."]
    head = "| form | fields that can be had | of |\n|---|---|---|\n"
    table = head + "\n".join(
        f"| {form} | {can} | {of} |" for form, (can, of) in report.coverage.items()
    )
    lost = [one for one in report.forecasts if one.why_not]
    whys = "\n".join(f"* `{one.form}.{one.field}`: {_cell(one.why_not)}" for one in lost)
    more = f"{report.captured} more fields are captured by the study itself."
    told = f"A field can be had if the server has it; whether it is filled, a pull shows. {more}"
    return [told, table, *([f"Cannot be had, and why:\n\n{whys}"] if lost else [])]


def _cell(text: str) -> str:
    """Servers' words stay within their cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
