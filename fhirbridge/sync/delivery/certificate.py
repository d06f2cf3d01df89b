"""What a run of deliveries says at its end: each that was outstanding has exactly one end."""

from __future__ import annotations

from typing import Any

from fhirbridge.registry.runs import Run

STATES = ("verified", "conflict", "dead", "pending", "withheld")


def ties(run: Run) -> bool:
    """Each that was outstanding has exactly one end."""
    return run.counts.get("outstanding", 0) == sum(run.counts.get(state, 0) for state in STATES)


def certificate(run: Run) -> str:
    """One line that says what became of all that was outstanding."""
    counts = {state: run.counts.get(state, 0) for state in STATES}
    parts = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    outstanding = run.counts.get("outstanding", 0)
    told = f"{outstanding} outstanding = {parts or '0'}" if outstanding else "nothing outstanding"
    tied = "the counts tie" if ties(run) else "THE COUNTS DO NOT TIE"
    line = f"run {run.id}: {run.state}; {told} ({tied})"
    return "\n".join([line, *(f"incomplete because {reason}" for reason in run.reasons)])


def as_json(run: Run, connection: str) -> dict[str, Any]:
    """The same for machines."""
    counts = {state: run.counts.get(state, 0) for state in ("outstanding", *STATES)}
    return {
        "run": run.id,
        "connection": connection,
        "state": run.state,
        "counts": counts,
        "ties": ties(run),
        "reasons": [*run.reasons],
    }
