"""Logs: one JSON object a line, with values under known keys alone.

No text of a message is printed, of our own loggers neither: an event is a constant, and what is
about a request stands under a key of the list. Of a library's log only who spoke and where is told,
for its texts hold URLs, parameters and bodies.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

LOG = logging.getLogger("fhirbridge.web")
KEYS = frozenset(
    {
        "method", "route", "status", "duration_ms", "site", "client", "request", "receipt",
        "message", "category", "kind", "place", "counts", "job",
    }
)  # fmt: skip
_LONGEST = 300


def tell(level: int, event: str, **values: Any) -> None:
    """`event` is a constant text; a value under a key that is not in `KEYS` is dropped."""
    LOG.log(level, event, extra={"values": values})


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told: dict[str, Any] = {"time": at, "level": record.levelname.lower()}
        if record.name.startswith("fhirbridge"):
            told["event"] = record.msg if isinstance(record.msg, str) else "unnamed"
            values = getattr(record, "values", {})
            told |= {key: _plain(value) for key, value in values.items() if key in KEYS}
        else:
            told |= {"event": "library", "kind": record.name, "place": _place(record)}
        if record.exc_info and record.exc_info[0] is not None:
            told["kind"] = record.exc_info[0].__name__
        return json.dumps(told, ensure_ascii=True)  # so no line end of any kind, and no ESC


def _place(record: logging.LogRecord) -> str:
    return f"{record.module}:{record.lineno}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name)[:_LONGEST]: _plain(one) for name, one in value.items()}
    return value if isinstance(value, bool | int | float | None) else str(value)[:_LONGEST]


def handler(stream: TextIO | None = None) -> logging.Handler:
    made = logging.StreamHandler(stream or sys.stderr)
    made.setFormatter(JsonLines())
    return made


def install(stream: TextIO | None = None) -> None:
    """All logs of the process, and its warnings, to standard error in this form."""
    root = logging.getLogger()
    root.handlers[:] = [handler(stream)]
    root.setLevel(logging.WARNING)
    logging.getLogger("fhirbridge").setLevel(logging.INFO)
    logging.captureWarnings(True)
