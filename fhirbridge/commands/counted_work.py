"""A bar for work that is counted in pieces, at a terminal only; lines that stay go beside it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click


@dataclass
class Counted:
    """`progress` hears how many of how many are done."""

    bar: Any  # click's, whose class is not public
    shown: bool

    def progress(self, done: int, of: int) -> None:
        if self.shown:
            self.bar.length = of
            self.bar.update(done - self.bar.pos)

    def tell(self, line: str) -> None:
        if self.shown:
            click.echo("\r\x1b[K", nl=False, err=True)
        click.echo(line)


@contextmanager
def counting(label: str, *, shown: bool = True) -> Iterator[Counted]:
    visible = shown and sys.stderr.isatty()
    hidden = not visible
    with click.progressbar(length=1, label=label, file=sys.stderr, hidden=hidden) as bar:
        yield Counted(bar, visible)
