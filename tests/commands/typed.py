"""`fhirbridge WORDS` in this process, errors told as the installed script tells them."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from fhirbridge.cli import main


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What was said, on both streams."""
        return [*self.out.splitlines(), *self.err.splitlines()]


def typed(*words: str | Path, stdin: bytes = b"") -> Said:
    code, streams = 0, [io.TextIOWrapper(io.BytesIO(raw), "utf-8") for raw in (stdin, b"", b"")]
    with _as_process(*streams), patch.object(sys, "argv", ["fhirbridge", *map(str, words)]):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    out, err = (_text(stream) for stream in streams[1:])
    return Said(code, out, err)


@contextmanager
def _as_process(given: io.TextIOBase, out: io.TextIOBase, err: io.TextIOBase) -> Iterator[None]:
    with (
        patch.object(sys, "stdin", given),
        patch.object(sys, "stdout", out),
        patch.object(sys, "stderr", err),
    ):
        yield


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode()
