"""`python -m bench.reference`: the judge beside HL7's validator, on examples and planted damage.

Needs Java 17, Maven and npm. Ends with 1 where a goal is missed or an example's difference has no
reason in reasons.json.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.damage import at_random, kinds, probes
from bench.damage.mutant import Mutant
from bench.damage.source import Source
from bench.reference import compare, differences, examples, goals, oracle, packages, report, sample
from bench.reference.compare import Row
from fhirbridge.formats import fhir_json

_PAGE = packages.ROOT / "docs" / "reference" / "validation.md"
_QUICK = 0.1
_RANDOM = 3000


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.reference", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the mutants")
    parser.add_argument("--seed", type=int, default=1, help="of the random damage")
    parser.add_argument("--threads", type=int, default=1, help="of the oracle; each adds speed")
    parser.add_argument("--out", type=Path, help="where the page is written")
    parser.add_argument("--differences", type=Path, help="every difference as NDJSON")
    parser.add_argument("--sample", type=Path, help="a small sample of verdicts as NDJSON")
    return parser.parse_args(given)


def main() -> int:
    options = arguments()
    started = time.monotonic()
    sources = examples.load()
    shown = _judged([_unharmed(source) for source in sources], options.threads)
    valid = {row.mutant.source for row in shown if row.theirs.word == "valid"}
    whole = [source for source in sources if source.id in valid]
    share = _QUICK if options.quick else 1.0
    planted = [*kinds.mutants(whole, share=share), *probes.mutants()]
    held_out = at_random.mutants(whole, seed=options.seed, count=round(_RANDOM * share))
    rows = _judged([*planted, *held_out], options.threads)
    page = options.out or (None if options.quick else _PAGE)
    if page:
        door = _door([*shown, *rows])
        page.write_text(report.text(shown, rows, door, seed=options.seed), encoding="utf-8")
    found = differences.of([*shown, *rows])
    if options.differences:
        _write(options.differences, differences.lines(found))
    if options.sample:
        bases = (row for row in rows if row.mutant.kind == probes.UNHARMED)
        unharmed = {row.mutant.source: row.mutant.raw for row in (*shown, *bases)}
        _write(options.sample, sample.lines(rows, unharmed))
    for line in differences.commonest(found):
        print(line)
    print(f"{len(rows)} mutants, {len(found)} differences, {time.monotonic() - started:.0f} s")
    return _ended(shown, rows)


def _unharmed(source: Source) -> Mutant:
    raw = fhir_json.dump(source.resource)
    name = f"example/{source.id}"
    return Mutant(name, "example", "structural", source.id, source.type, raw)


def _judged(mutants: Sequence[Mutant], threads: int) -> list[Row]:
    verdicts = oracle.verdicts((mutant.raw for mutant in mutants), threads=threads)
    return [*compare.rows(mutants, verdicts)]


def _door(rows: Iterable[Row]) -> Counter[str]:
    """What the door refuses of contents that both accept, by its words."""
    return Counter(
        cause
        for row in rows
        if row.theirs.word == "valid" and not row.refused_by_us
        for cause in compare.at_the_door(row.mutant.raw)
    )


def _write(file: Path, lines: Iterable[str]) -> None:
    """All lines, then the name, for readers who read while we write."""
    part = file.with_name(f"{file.name}.part")
    with part.open("w", encoding="utf-8") as out:
        out.writelines(lines)
    part.replace(file)


def _ended(shown: Sequence[Row], rows: Sequence[Row]) -> int:
    faults = goals.missed([*shown, *rows])
    for row in differences.of(shown):
        if not goals.example_reason(row):
            faults.append(f"{row.mutant.source}: the two differ, and reasons.json does not say why")
    for fault in faults:
        print(f"MISSED  {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
