"""The differences for the judge's writers: every one as a line of JSON, the commonest in words."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from bench.reference import goals
from bench.reference.compare import Row

_MOST = 6


def of(rows: Iterable[Row]) -> list[Row]:
    """Rows on which the two differ and that no lax rule explains, or our judge breaks."""
    return [
        row
        for row in rows
        if row.broke
        or row.accepted_by_us_alone
        or (row.refused_by_us_alone and not goals.lax_rule(row))
    ]


def lines(rows: Iterable[Row]) -> Iterator[str]:
    """NDJSON: what was done to what, the issues of both sides, and the content itself."""
    for row in rows:
        yield json.dumps(_told(row), ensure_ascii=False) + "\n"


def _told(row: Row) -> dict[str, Any]:
    mutant = row.mutant
    return {
        "id": mutant.id,
        "kind": mutant.kind,
        "group": mutant.group,
        "source": mutant.source,
        "place": mutant.place,
        "difference": _difference(row),
        "reference": list(row.theirs.issues)[:_MOST],
        "ours": [issue.as_json() for issue in row.issues][:_MOST],
        "raw": mutant.raw.decode(),
    }


def _difference(row: Row) -> str:
    if row.broke:
        return "our judge breaks"
    return "accepted by us alone" if row.accepted_by_us_alone else "refused by us alone"


def commonest(rows: Iterable[Row], most: int = 40) -> Iterator[str]:
    """Count, kind, difference, message, two ids: by kind and message, the commonest first."""
    found: defaultdict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[row.mutant.kind, _difference(row), _message(row)].append(row)
    for (kind, difference, message), them in sorted(found.items(), key=lambda f: -len(f[1]))[:most]:
        ids = ", ".join(row.mutant.id for row in them[:2])
        yield f"{len(them):5}  {kind}: {difference}: {message}\n       {ids}"


def _message(row: Row) -> str:
    if row.broke or row.refused_by_us_alone:
        return row.issues[0].cause
    first = row.theirs.issues[0]
    return str(first.get("messageId") or re.sub(r"'[^']*'", "'…'", first["message"])[:120])
