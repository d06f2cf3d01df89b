"""truth: what a hospital of the sandbox knows, and how much of it the registry holds."""

from __future__ import annotations

from pathlib import Path

import click

from fhirbridge.commands.registry_commands import exported
from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.sandbox import score as scoring
from fhirbridge.sandbox.hospitals import DIALECTS, crosswalk_lines, written

_GOALS = ((0.98, 0.95), (0.99, 0.95))
"""Precision and recall that are good enough: of records, of values."""


@click.group()
def truth() -> None:
    """What a synthetic hospital's patients truly have, to score a pull by. All of it is made up."""


@truth.command("write")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--dialect", type=click.Choice(sorted(DIALECTS)), required=True)
@click.option("--patients", default=30, show_default=True)
@click.option("--enrolled", type=int, help="of how many the truth tells; all, where left out")
@click.option("--seed", default=1, show_default=True)
@click.option("--day", default=1, show_default=True, type=click.IntRange(1, 3))
def truth_write(
    folder: Path, dialect: str, patients: int, enrolled: int | None, seed: int, day: int
) -> None:
    """Write a hospital: resources.ndjson, truth.json, subjects.csv and its crosswalk lines."""
    made = written(dialect, patients, seed=seed, day=day)
    told = made.truth(enrolled)
    folder.mkdir(parents=True, exist_ok=True)
    lines = b"".join(fhir_json.dump(one) + b"\n" for one in made.resources())
    (folder / "resources.ndjson").write_bytes(lines)
    (folder / "truth.json").write_bytes(fhir_json.dump(told))
    number = DIALECTS[dialect].numbers
    rows = [f"{one['subject']},{number}|{one['number']}" for one in told["subjects"]]
    (folder / "subjects.csv").write_text("\n".join(["study_id,hospital_ids", *rows, ""]))
    for name, text in crosswalk_lines(dialect).items():
        (folder / name).write_text(text, encoding="utf-8")
    click.echo(f"{len(made.resources())} resources, {len(told['records'])} records to be found")


@truth.command("score")
@click.option("--site", required=True, help="name of the site")
@click.option(
    "--truth",
    "file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="truth.json of the hospital",
)
@click.option("--each", is_flag=True, help="say every difference, with the resources it came from")
@pass_workshop
def truth_score(workshop: Workshop, site: str, file: Path, each: bool) -> None:
    """Precision and recall of the site's records and values, by form. Exit 1 below the goals."""
    told = _truth(file)
    made = scoring.score(told, exported(workshop, site))
    for line in scoring.table(made):
        click.echo(line)
    for one in made.differences if each else ():
        click.echo(one.sentence())
    for line in made.waiting if each else ():
        click.echo(f"waits for a person: {line}")
    missed = [form for form in made.records if not good(made, form)]
    click.echo(
        f"{len(made.differences)} differences, {len(made.invented)} invented,"
        f" {len(made.waiting)} wait for a person; below the goals: {', '.join(missed) or 'none'}"
    )
    raise SystemExit(1 if missed or made.invented else 0)


def good(made: scoring.Score, form: str) -> bool:
    pairs = zip((made.records[form], made.values[form]), _GOALS, strict=True)
    return all(s.precision >= precise and s.recall >= whole for s, (precise, whole) in pairs)


def _truth(file: Path) -> dict[str, object]:
    try:
        made = fhir_json.parse(file.read_bytes())
    except BridgeError as fault:
        raise BridgeError(*(fault.issues)) from fault
    lacking = [name for name in ("subjects", "records") if name not in made]
    if lacking:
        cause = f"the file has no {' and no '.join(lacking)}"
        remedy = "see docs/reference/truth.md"
        raise BridgeError(Issue("structure", cause, remedy, place=str(file)))
    return dict(made)
