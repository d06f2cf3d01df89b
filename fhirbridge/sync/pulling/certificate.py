"""A pull's certificate: what came, what became of it, and why it is not all."""

from __future__ import annotations

from typing import Any

from fhirbridge.registry.runs import Run
from fhirbridge.sync.ingest import FATES
from fhirbridge.sync.pulling.round import by_type


def ties(run: Run) -> bool:
    """The promise of a certificate: received = applied + unchanged + superseded + ... + refused,
    in all and by type."""
    kinds = by_type(run.counts).values()
    return all(
        run.counts.get(fate, 0) == sum(kind.get(fate, 0) for kind in kinds) for fate in FATES
    ) and run.counts.get("received", 0) == sum(run.counts.get(fate, 0) for fate in FATES)


def as_json(run: Run) -> dict[str, Any]:
    counts = {fate: run.counts.get(fate, 0) for fate in FATES}
    return {
        "run": run.id,
        "state": run.state,
        "started_at": run.started_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "pages": run.counts.get("pages", 0),
        "received": run.counts.get("received", 0),
        "counts": counts,
        "counts_tie": ties(run),
        "types": by_type(run.counts),
        "left_out": run.counts.get("foreign", 0),
        "deleted": run.counts.get("deleted", 0),
        "merges": run.counts.get("merges", 0),
        "reasons": list(run.reasons),
        **run.facts,
    }


def certificate(run: Run) -> str:
    """In lines for a terminal."""
    counts = ", ".join(f"{run.counts.get(fate, 0)} {fate}" for fate in FATES)
    tie = "the counts tie" if ties(run) else "THE COUNTS DO NOT TIE"
    lines = [
        f"run {run.id}: {run.state}",
        f"{run.counts.get('pages', 0)} pages, {run.counts.get('received', 0)} resources received",
        f"= {counts} ({tie})",
        *(f"  {kind}: {_told(fates)}" for kind, fates in by_type(run.counts).items()),
        *_besides(run),
        *(f"remark: {told}" for told in run.facts.get("remarks", ())),
        *(f"incomplete because {reason}" for reason in run.reasons),
    ]
    return "\n".join(lines)


def _told(fates: dict[str, int]) -> str:
    return ", ".join(f"{fates[fate]} {fate}" for fate in FATES if fates.get(fate))


def _besides(run: Run) -> list[str]:
    counts, facts = run.counts, run.facts
    told = []
    if counts.get("foreign"):
        told.append(f"{counts['foreign']} resources of persons who are not asked for, not kept")
    if counts.get("deleted"):
        told.append(f"{counts['deleted']} withdrawn, as they are there no more")
    if counts.get("merges"):
        told.append(f"{counts['merges']} Patients merged with one that was known")
    if facts.get("not_listed"):
        told.append(f"the server lists no {', '.join(facts['not_listed'])}")
    if facts.get("not_granted"):
        told.append(f"not granted: {', '.join(facts['not_granted'])}")
    if abs(facts.get("drift") or 0) >= 60:
        told.append(f"the server's clock is {facts['drift']:+d} s from ours")
    return told
