"""Work through large files with flat memory: how far it is, told at a terminal, and a garbage
collector that leaves alone what was there at the start.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import click

from fhirbridge.formats.ndjson import Read
from fhirbridge.outcome import BridgeError, Issue

LONG = 8 << 20  # bytes below which no bar is worth its line
# Parsed resources are freed by their last reference; the collector only looks at them in vain.
_RARELY = (50_000, 20, 100)


@dataclass(frozen=True, slots=True)
class Bar:
    """How many bytes of all were read."""

    bar: Any  # click's, whose class is not public
    shown: bool

    def reader(self, stream: BinaryIO) -> Read:
        """The stream's chunks, counted; what was found so far is told before each."""

        def read(size: int) -> bytes:
            sys.stdout.flush()
            try:
                chunk: bytes = stream.read1(size)  # type: ignore[attr-defined]  # what a pipe has
            except OSError as fault:
                raise BridgeError(unreadable(fault)) from fault
            self.bar.update(len(chunk))
            return chunk

        return read

    def make_way(self) -> None:
        """Clear the bar's line for one that stays."""
        if self.shown:
            click.echo("\r\x1b[K", nl=False, err=True)


@contextmanager
def long_work(files: Sequence[str]) -> Iterator[Bar]:
    sizes = [_size(file) for file in files]
    shown = sys.stderr.isatty() and "-" not in files and sum(sizes) > LONG
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_RARELY)
    try:
        with click.progressbar(length=sum(sizes), file=sys.stderr, hidden=not shown) as bar:
            yield Bar(bar, shown)
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _size(file: str) -> int:
    """Bytes for the bar; none of what cannot be opened, which is told when it is its turn."""
    path = Path(file)
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:  # a name that is too long, a folder that may not be entered
        return 0


def unreadable(fault: OSError) -> Issue:
    """Why a file cannot be read, and what to do."""
    if isinstance(fault, FileNotFoundError):
        return Issue("not-found", "there is no such file", "check the name")
    if isinstance(fault, IsADirectoryError):
        return Issue("structure", "this is a folder, not a file", "name the files in it")
    if isinstance(fault, PermissionError):
        return Issue("forbidden", "the file may not be read", "ask for the right to read it")
    cause = f"the file cannot be read: {fault.strerror}"
    return Issue("exception", cause, "check its name, and the disk that it is on")
