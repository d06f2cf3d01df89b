"""A forecast as it is handed on: lines for a terminal, Markdown for the site, plain JSON. In the
words of the connection check (`sync.check.report`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from fhirbridge.sync.forecast.told import Block, Having, Told


def lines(told: Told) -> Iterator[str]:
    for name, kind in told.files.items():
        yield f"{name}: {kind}"
    yield from told.notes
    yield _counted(told)
    if told.strangers:
        yield f"{told.strangers} people in the sample are not enrolled; here they are taken as if"
    yield f"coverage: {len(told.had)} of {len(told.fields)} fields"
    for one in told.had:
        yield f"  {one.form}.{one.field}: {_share(one)} from {', '.join(one.sources)}"
    for form, (can, of) in told.coverage.items():
        if 0 < can < of:
            lost = ", ".join(o.field for o in told.fields if o.form == form and o.why_not)
            yield f"  {form}: {can} of {of}; lost: {lost}"
    silent = [form for form, (can, _) in told.coverage.items() if not can]
    if silent:
        yield f"  nothing of: {', '.join(silent)}"
    for block in told.blocks:
        yield f"blocks {block.blocks}: {block.cause} -> {block.remedy}"
        yield f"  at {', '.join(block.places)}"
        yield from (f"  $ {command}" for command in block.add)
    if told.complete:
        yield "nothing of the sample waits"


def _counted(told: Told) -> str:
    fates = ", ".join(f"{n} {name}" for name, n in told.counts.items() if name != "received")
    return f"{told.counts.get('received', 0)} entries or rows = {fates or 'nothing'}"


def _share(one: Having) -> str:
    waits = f", {one.waits} for a person to accept" if one.waits else ""
    return f"{one.had} of {one.of}{waits}"


def as_json(told: Told) -> dict[str, Any]:
    return {
        "site": told.site,
        "files": dict(told.files),
        "counts": dict(told.counts),
        "not_enrolled": told.strangers,
        "notes": list(told.notes),
        "coverage": [asdict(one) for one in told.fields],
        "blocks": [asdict(one) for one in told.blocks],
        "captured_by_the_study": told.captured,
    }


def markdown(told: Told, at: datetime) -> str:
    """For the site: what of its sample can be had, and what it or we must tell first."""
    files = ", ".join(f"`{_cell(name)}` ({kind})" for name, kind in told.files.items())
    parts = [
        f"# Coverage forecast: {_cell(told.site)}",
        f"Sample {files}, rehearsed {at:%Y-%m-%d %H:%M} UTC and not kept. {_counted(told)}.",
        *(_cell(note) for note in told.notes),
        "## What stands in the way, the most first",
        *_blocks(told),
        "## What the study can have",
        "| form | fields that can be had | of |\n|---|---|---|\n"
        + "\n".join(f"| {form} | {can} | {of} |" for form, (can, of) in told.coverage.items()),
        "| field | from | in the sample |\n|---|---|---|\n"
        + "\n".join(
            f"| `{one.form}.{one.field}` | {_cell(', '.join(one.sources))} | {_share(one)} |"
            for one in told.had
        ),
        f"{told.captured} more fields are captured by the study itself, or are not looked for in "
        "files of this kind.",
    ]
    return "\n\n".join(parts) + "\n"


def _blocks(told: Told) -> list[str]:
    if told.complete:
        return ["Nothing: all of the sample is read."]
    return ["\n".join(_block(one) for one in told.blocks)]


def _block(one: Block) -> str:
    at = _cell(", ".join(one.places))
    told = f"* **{one.blocks}**: {_cell(one.cause)}. {_cell(one.remedy)}. At {at}."
    return "\n".join([told, *(f"\n      {command}" for command in one.add)])


def _cell(text: str) -> str:
    """A sample's words stay within their cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
