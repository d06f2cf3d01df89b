"""A resource in the dress that one server takes: which codings it gets, and whether displays.

Oracle Health refuses a proprietary and a standard coding of one concept with 422 (its
documentation, 2026); which of them stays is an option of the connection, and never both dropped.
"""

from __future__ import annotations

from typing import Any

from fhirbridge.options import ConnectionOptions


def dressed(body: dict[str, Any], options: ConnectionOptions, *, own: str) -> dict[str, Any]:
    """A copy; `own` begins the study's own code systems."""
    if options.codings == "all" and options.displays:
        return body
    made: dict[str, Any] = _dressed(body, options, own)
    return made


def _dressed(value: Any, options: ConnectionOptions, own: str) -> Any:
    if isinstance(value, list):
        return [_dressed(item, options, own) for item in value]
    if not isinstance(value, dict):
        return value
    made = {name: _dressed(below, options, own) for name, below in value.items()}
    if isinstance(made.get("coding"), list):
        made["coding"] = _codings(made["coding"], options, own)
    return made


def _codings(codings: list[Any], options: ConnectionOptions, own: str) -> list[Any]:
    local = [c for c in codings if str(c.get("system", "")).startswith(own)]
    standard = [c for c in codings if c not in local]
    wanted = {"local": local, "standard": standard}.get(options.codings) or codings
    if options.displays:
        return wanted
    return [{n: v for n, v in coding.items() if n != "display"} for coding in wanted]
