"""import: a table of a site, rehearsed first, then applied; with every fault at its place."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fhirbridge.commands.serve_command import settle
from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.crash import Crash
from fhirbridge.formats.tabular_text import RawRow
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.audit import COMMAND_LINE
from fhirbridge.sync.fates import Change, Fault, RowFate, by_cause
from fhirbridge.sync.imports import Desk, Limits, Outcome
from fhirbridge.sync.sent_tables import Sent

MOST = 50  # places of one cause, and rows, that are printed


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--site", "site_name", required=True, help="name of the site")
@click.option("--form", default="", help="of the study, or redcap; else the columns tell")
@click.option("--apply", "applies", is_flag=True, help="apply it, after the same rehearsal")
@click.option("--reason", default="", help="why values are taken back, where the file does")
@click.option("--charset", default="", help="of a file that is not UTF-8, as windows-1252")
@click.option(
    "--dictionary",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="the data dictionary of a REDCap project",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="write the file back with the faults beside its rows (.csv or .xlsx)",
)
@click.option("--json", "as_json", is_flag=True, help="tell it as JSON")
@pass_workshop
def import_(
    workshop: Workshop,
    file: Path,
    site_name: str,
    form: str,
    applies: bool,
    reason: str,
    charset: str,
    dictionary: Path | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Rehearse the table FILE (CSV or .xlsx): what each row would do; with --apply, do it."""
    site = workshop.site(site_name)
    settings = workshop.settings
    limits = Limits(settings.import_bytes, settings.import_rows, settings.import_days)
    desk = Desk(
        workshop.registry,
        site.id,
        lambda unit: workshop.mappings(unit, site),
        limits,
        COMMAND_LINE,
        Crash(workshop.settings.crash),
    )
    told = dictionary.read_text(encoding="utf-8-sig") if dictionary else ""
    _small(file, desk.limits.size)
    sent = Sent(file.name, file.read_bytes(), form, charset, told)
    seen = _Seen(whole=as_json)
    settle()
    rehearsed = desk.rehearse(sent, seen.see)
    done = rehearsed
    if applies:
        seen = _Seen(whole=as_json)
        done = desk.apply(rehearsed.upload.id, sent=sent, reason=reason, see=seen.see)
    if report is not None:
        kind = "xlsx" if report.suffix.lower() == ".xlsx" else "csv"
        report.write_bytes(desk.file_back(done.upload.id, kind)[1])
        report.chmod(0o600)  # it holds what was sent of persons
    if as_json:
        click.echo(json.dumps(seen.as_json(done), ensure_ascii=False, indent=1))
    else:
        seen.tell(rehearsed, done, applies=applies)
    waits = done.counts["quarantined"] + done.counts["refused"] + done.counts["cells_waiting"]
    raise SystemExit(1 if waits else 0)


def _small(file: Path, most: int) -> None:
    """Before any of it is read."""
    size = file.stat().st_size
    if size > most:
        cause = f"the file has {size} bytes, {most} are taken at once"
        raise BridgeError(Issue("too-long", cause, "divide it", place=file.name))


class _Seen:
    """What is told of the rows: all faults, and of what is taken the first; `whole`: every row."""

    def __init__(self, *, whole: bool) -> None:
        self.whole = whole
        self.faults: list[Fault] = []
        self.changes: list[tuple[int, str, Change]] = []
        self.rows: list[RowFate] = []

    def see(self, row: RawRow, fate: RowFate) -> None:
        self.faults += fate.faults
        if self.whole:
            self.rows.append(fate)
        if self.whole or len(self.changes) < MOST:
            self.changes += [(fate.line, fate.subject, change) for change in fate.changes]

    def tell(self, rehearsed: Outcome, done: Outcome, *, applies: bool) -> None:
        for note in rehearsed.notes:
            click.echo(note)
        for line, subject, change in self.changes[:MOST]:
            old, new = change.old, change.new
            click.echo(f"line {line} {change.cell} {subject} {change.field}: {old} -> {new}")
        for cause, remedy, some in by_cause(self.faults):
            click.echo(f"{cause} -> {remedy}" if remedy else cause)
            for fault in some[:MOST]:
                at = f"  line {fault.line}, cell {fault.cell}, {fault.column}"
                click.echo(f"{at} '{fault.value}'" if fault.value else at)
            if len(some) > MOST:
                click.echo(f"  and {len(some) - MOST} more")
        counts = done.counts
        fates = ", ".join(f"{n} {name}" for name, n in counts.items() if n and name != "rows")
        click.echo(f"{counts['rows']} rows: {fates or 'nothing'}")
        if not applies:
            click.echo(f"rehearsed, nothing was changed: upload {done.upload.id}")
        elif done.fresh:
            click.echo(f"applied: upload {done.upload.id}")
        else:
            click.echo(f"upload {done.upload.id} was applied before: nothing was done")

    def as_json(self, done: Outcome) -> dict[str, object]:
        faults = [{name: getattr(fault, name) for name in Fault.__slots__} for fault in self.faults]
        rows = [{"line": r.line, "fate": r.fate, "subject": r.subject} for r in self.rows]
        changes = [
            {"line": line, "subject": subject, "cell": c.cell, "form": c.form, "field": c.field,
             "old": c.old, "new": c.new}
            for line, subject, c in self.changes
        ]  # fmt: skip
        return {
            "upload": done.upload.id,
            "state": done.upload.state,
            "counts": done.counts,
            "notes": list(done.notes),
            "changes": changes,
            "faults": faults,
            "rows": rows,
        }
